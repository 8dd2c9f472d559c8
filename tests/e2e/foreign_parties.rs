//! Relying parties of other languages log a user in, with nothing but the issuer's address and their registration.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::browser::Browser;
use crate::foreign_verifiers::{Verifier, node_with, python_with};
use crate::oidc::{logged_in, shop};
use crate::world::in_world;

/// Without a query: openid-client takes off all that an address came back with.
const CALLBACK: &str = "https://shop.example/callback";

/// Runs a party: it says where the browser is to go, is told where it came back to, and says what it learned.
fn logs_alice_in(party: impl AsyncFnOnce() -> Verifier, learned: impl FnOnce(&Value)) {
    in_world(async |world| {
        let party = party().await;
        let shop = shop(world, json!({ "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [CALLBACK] })).await;
        let issuer = format!("{}/t/acme", world.base_url);
        let mut command = party.command(&[&issuer, &shop.id, &shop.secret, CALLBACK]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the party starts");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let address = said.next_line().await.expect("a line").expect("an address");
        let back = logged_in(&mut Browser::new(&world.base_url), &address).await.location();
        let mut told = child.stdin.take().expect("a pipe");
        told.write_all(format!("{back}\n").as_bytes()).await.expect("told");
        let last = said.next_line().await.expect("a line").expect("what it learned; its complaint is above");
        let last: Value = serde_json::from_str(&last).expect("JSON");
        assert_eq!((last["email"].as_str(), &last["renewed"]), (Some("alice@acme.example"), &last["sub"]), "{last}");
        learned(&last);
        assert!(child.wait().await.expect("an end").success());
    });
}

#[test]
fn openid_client_logs_a_user_in_refreshes_and_revokes() {
    let party = async || node_with("openid-client-6.9.0", &["openid-client@6.9.0"], "openid_client.mjs").await;
    logs_alice_in(party, |learned| assert_eq!(learned["after_revocation"], "invalid_grant"));
}

#[test]
fn authlib_logs_a_user_in_and_refreshes() {
    let packages = ["Authlib==1.9.10", "joserfc==1.8.0", "requests==2.32.5"];
    logs_alice_in(async || python_with("authlib-1.9.10", &packages, "authlib_party.py").await, |_| {});
}
