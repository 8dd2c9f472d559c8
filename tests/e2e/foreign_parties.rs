//! Relying parties of other languages log a user in, with nothing but the issuer's address and their registration.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::browser::Browser;
use crate::foreign_verifiers::{Verifier, node_with, python_with};
use crate::oidc::{Shop, logged_in, shop};
use crate::registration::{initial_token, registration};
use crate::world::in_world;

/// Without a query: openid-client takes off all that an address came back with.
pub(crate) const CALLBACK: &str = "https://shop.example/callback";

/// A party that is running: it says a line, and is told one.
pub(crate) struct Talk {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    told: ChildStdin,
}

impl Talk {
    pub(crate) fn with(party: &Verifier, arguments: &[&str]) -> Self {
        let mut command = party.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the party starts");
        let said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let told = child.stdin.take().expect("a pipe");
        Self { child, said, told }
    }

    async fn hear(&mut self) -> String {
        self.said.next_line().await.expect("a line").expect("what it has to say; its complaint is above")
    }

    pub(crate) async fn hear_json(&mut self) -> Value {
        serde_json::from_str(&self.hear().await).expect("JSON")
    }

    pub(crate) async fn tell(&mut self, line: &str) {
        self.told.write_all(format!("{line}\n").as_bytes()).await.expect("told");
    }

    /// Whether it has done all it wanted to.
    pub(crate) async fn ends_well(&mut self) -> bool {
        self.child.wait().await.expect("an end").success()
    }

    /// Hears where the browser is to go, logs alice in there, tells where it came back to, and hears what the party learned.
    async fn logs_alice_in(mut self) -> Value {
        let address = self.hear().await;
        let mut browser = Browser::new(&url::Url::parse(&address).expect("an address").origin().ascii_serialization());
        let mut page = logged_in(&mut browser, &address).await;
        if page.status == 200 {
            // Somebody else's client: she is asked.
            page = browser.submit(&page, &[("decision", "allow")]).await;
            page = browser.follow(page).await;
        }
        self.tell(&page.location()).await;
        let learned = self.hear_json().await;
        assert_eq!((learned["email"].as_str(), &learned["renewed"]), (Some("alice@acme.example"), &learned["sub"]), "{learned}");
        assert!(self.ends_well().await);
        learned
    }
}

fn logs_alice_in(party: impl AsyncFnOnce() -> Verifier, learned: impl FnOnce(&Value)) {
    in_world(async |world| {
        let party = party().await;
        let shop = shop(world, json!({ "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [CALLBACK] })).await;
        let issuer = format!("{}/t/acme", world.base_url);
        learned(&Talk::with(&party, &[&issuer, &shop.id, &shop.secret, CALLBACK]).logs_alice_in().await);
    });
}

async fn openid_client() -> Verifier {
    node_with("openid-client-6.9.0", &["openid-client@6.9.0"], "openid_client.mjs").await
}

/// Logs alice in to what openid-client finds at this issuer's address.
pub(crate) async fn openid_client_logs_alice_in(issuer: &str, shop: &Shop, callback: &str) -> Value {
    Talk::with(&openid_client().await, &[issuer, &shop.id, &shop.secret, callback]).logs_alice_in().await
}

#[test]
fn openid_client_logs_a_user_in_refreshes_and_revokes() {
    logs_alice_in(openid_client, |learned| assert_eq!(learned["after_revocation"], "invalid_grant"));
}

#[test]
fn openid_client_registers_itself_and_logs_a_user_in() {
    in_world(async |world| {
        let party = node_with("openid-client-6.9.0-registers", &["openid-client@6.9.0"], "openid_client_registers.mjs").await;
        shop(world, json!({})).await;
        registration(world, json!({ "access": "initial_access_token" })).await;
        let token = initial_token(world, json!({})).await.word("token");
        let issuer = format!("{}/t/acme", world.base_url);
        let learned = Talk::with(&party, &[&issuer, &token, CALLBACK]).logs_alice_in().await;
        assert!(learned["client_id"].as_str().is_some_and(|id| id.starts_with("cli_")), "{learned}");
        assert!(learned["sub"].as_str().is_some_and(|sub| sub.starts_with("pws_")), "{learned}");
    });
}

#[test]
fn openid_client_is_given_tokens_by_the_browser_and_verifies_their_hashes() {
    in_world(async |world| {
        let party = node_with("openid-client-6.9.0-tokens", &["openid-client@6.9.0"], "openid_client_tokens.mjs").await;
        let form = json!({
            "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [CALLBACK], "response_types": ["id_token", "code id_token"],
            "grant_types": ["authorization_code", "implicit", "refresh_token"],
        });
        let shop = shop(world, form).await;
        world.policy("acme", json!({ "response_types": ["id_token", "code id_token"] })).await;
        let issuer = format!("{}/t/acme", world.base_url);
        for (response_type, answered) in [("id_token", &["id_token"][..]), ("code id_token", &["code", "id_token"])] {
            let talk = Talk::with(&party, &[&issuer, &shop.id, &shop.secret, CALLBACK, response_type]);
            let learned = talk.logs_alice_in().await;
            assert_eq!(learned["answered"], json!([answered, &["state", "iss"][..]].concat()), "{learned}");
        }
    });
}

fn openid_client_is_a_fapi_client(profile: &str, how: &[&str], answered: &[&str]) {
    in_world(async |world| {
        let party = node_with(&format!("openid-client-6.9.0-{profile}"), &["openid-client@6.9.0"], "openid_client_fapi.mjs").await;
        let issuer = format!("{}/t/acme", world.base_url);
        let mut talk = Talk::with(&party, &[&[&issuer, CALLBACK], how].concat());
        let key = talk.hear_json().await;
        let form = json!({
            "profile": profile, "jwks": { "keys": [key] }, "redirect_uris": [CALLBACK], "token_endpoint_auth_method": null,
            "require_dpop_nonce": true,
        });
        talk.tell(&shop(world, form).await.id).await;
        let learned = talk.logs_alice_in().await;
        assert_eq!((&learned["jkt"], &learned["token_type"]), (&learned["thumbprint"], &json!("dpop")), "{learned}");
        assert_eq!((&learned["alive"], &learned["after_revocation"]), (&json!(true), &json!(false)), "{learned}");
        assert_eq!(learned["answered"], json!(answered));
    });
}

#[test]
fn openid_client_is_a_fapi_2_client_with_pushed_requests_a_key_of_its_own_and_bound_tokens() {
    openid_client_is_a_fapi_client("fapi2", &[], &["code", "state", "iss"]);
}

#[test]
fn openid_client_is_a_client_of_fapi_2_message_signing_and_verifies_what_it_is_told() {
    openid_client_is_a_fapi_client("fapi2_message_signing", &["signed"], &["response"]);
}

#[test]
fn oauth4webapi_is_a_public_client_with_pushed_requests_and_bound_tokens() {
    in_world(async |world| {
        let party = node_with("oauth4webapi-3.8.8", &["oauth4webapi@3.8.8"], "oauth4webapi.mjs").await;
        let form = json!({
            "token_endpoint_auth_method": "none", "redirect_uris": [CALLBACK], "require_pushed_authorization_requests": true,
            "dpop_bound_access_tokens": true, "require_dpop_nonce": true,
        });
        let shop = shop(world, form).await;
        let issuer = format!("{}/t/acme", world.base_url);
        let learned = Talk::with(&party, &[&issuer, &shop.id, CALLBACK]).logs_alice_in().await;
        assert_eq!((&learned["jkt"], &learned["token_type"]), (&learned["thumbprint"], &json!("dpop")), "{learned}");
        assert_eq!((&learned["after_revocation"], &learned["nonces"]), (&json!("invalid_grant"), &json!(1)), "{learned}");
    });
}

#[test]
fn authlib_logs_a_user_in_and_refreshes() {
    let packages = ["Authlib==1.9.10", "joserfc==1.8.0", "requests==2.32.5"];
    logs_alice_in(async || python_with("authlib-1.9.10", &packages, "authlib_party.py").await, |_| {});
}
