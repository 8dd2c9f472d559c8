//! Clients of the FAPI 2.0 Security Profile: one word of their metadata, and nothing weaker than the profile works for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use app::ports::world::Clock;
use domain::client::assertion::ASSERTION_TYPE;
use serde_json::{Value, json};
use url::Url;

use crate::browser::Browser;
use crate::dpop::{ath, get, jkt, post, proof};
use crate::oidc::{CALLBACK, Shop, claims, logged_in, shop, told};
use crate::relying_party::Key;
use crate::world::{Answer, World, in_world};

const TOKEN: &str = "/t/acme/oauth/token";
const PAR: &str = "/t/acme/oauth/par";
const USERINFO: &str = "/t/acme/oauth/userinfo";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A bank that alice uses, with a key that it proves itself by and one that its tokens are bound to.
pub(crate) struct Bank {
    pub(crate) shop: Shop,
    pub(crate) key: Key,
    pub(crate) holder: Key,
}

pub(crate) async fn bank(world: &World, more: Value) -> Bank {
    let (key, holder) = (Key::new("1"), Key::new("1"));
    let mut form = json!({ "profile": "fapi2", "jwks": { "keys": [key.jwk()] }, "token_endpoint_auth_method": null });
    form.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
    Bank { shop: shop(world, form).await, key, holder }
}

impl Bank {
    /// The claims of an assertion or of a request object: good ones, of which none was used before.
    pub(crate) fn claims(&self, world: &World) -> Value {
        static JTI: AtomicU64 = AtomicU64::new(0);
        let (now, id) = (world.clock.now().as_seconds(), &self.shop.id);
        let jti = JTI.fetch_add(1, Ordering::Relaxed).to_string();
        json!({ "iss": id, "sub": id, "aud": format!("{}/t/acme", world.base_url), "exp": now + 60, "iat": now, "nbf": now, "jti": jti })
    }

    /// Sends a form as this client: with `more` laid over its claims, and a proof where there is a holder.
    pub(crate) async fn send(&self, world: &World, path: &str, form: &[(&str, &str)], more: &Value, holder: Option<&Key>) -> Answer {
        let mut said = self.claims(world);
        said.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
        let assertion = self.key.sign(&said);
        let mut form = form.to_vec();
        form.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)]);
        let proofs: Vec<_> = holder.iter().map(|key| proof(world, key, "POST", path, json!({}))).collect();
        post(world, path, &form, &proofs).await
    }

    /// The parameters of a request; `more` replaces and adds, and takes away what is empty.
    pub(crate) fn request(&self, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let request = Url::parse(&format!("https://x.example{}", self.shop.request(more))).expect("an address");
        request.query_pairs().into_owned().collect()
    }

    pub(crate) async fn push(&self, world: &World, more: &[(&str, &str)]) -> Answer {
        let form = self.request(more);
        let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.send(world, PAR, &form, &json!({}), None).await
    }

    /// Where the browser is sent with what was pushed.
    pub(crate) fn address(&self, request_uri: &str) -> String {
        let query = [("client_id", self.shop.id.as_str()), ("request_uri", request_uri)];
        format!("/t/acme/oauth/authorize?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish())
    }

    pub(crate) async fn code(&self, world: &World) -> String {
        let uri = self.push(world, &[]).await.is(201).word("request_uri");
        let answer = told(&logged_in(&mut Browser::new(&world.base_url), &self.address(&uri)).await);
        assert_eq!(answer["iss"], format!("{}/t/acme", world.base_url));
        answer["code"].clone()
    }

    /// Logs alice in and gets her tokens.
    pub(crate) async fn tokens(&self, world: &World) -> Answer {
        let code = self.code(world).await;
        self.redeem(world, &code, Some(&self.holder)).await.is(200)
    }

    pub(crate) async fn redeem(&self, world: &World, code: &str, holder: Option<&Key>) -> Answer {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        self.send(world, TOKEN, &form, &json!({}), holder).await
    }

    pub(crate) async fn refresh(&self, world: &World, token: &str, holder: Option<&Key>) -> Answer {
        self.send(world, TOKEN, &[("grant_type", "refresh_token"), ("refresh_token", token)], &json!({}), holder).await
    }
}

#[test]
fn a_fapi_client_logs_a_user_in_and_its_tokens_are_bound() {
    in_world(async |world| {
        let bank = bank(world, json!({})).await;
        let code = bank.code(world).await;
        bank.redeem(world, &code, None).await.refused_oauth(400, "invalid_dpop_proof");
        let tokens = bank.redeem(world, &code, Some(&bank.holder)).await.is(200);
        assert_eq!(tokens.word("token_type"), "DPoP");
        let token = tokens.word("access_token");
        assert_eq!(claims(&token)["cnf"]["jkt"], jkt(&bank.holder));
        let id_header = tokens.word("id_token").split('.').next().expect("a header").to_owned();
        assert_eq!(claims(&format!(".{id_header}."))["alg"], "ES256");
        let own = proof(world, &bank.holder, "GET", USERINFO, ath(&token));
        assert_eq!(get(world, USERINFO, "DPoP", &token, &[own]).await.is(200).json()["email"], "alice@acme.example");

        // s057: a code that comes a second time ends what it gave.
        bank.redeem(world, &code, Some(&bank.holder)).await.refused_oauth(400, "invalid_grant");
        let own = proof(world, &bank.holder, "GET", USERINFO, ath(&token));
        get(world, USERINFO, "DPoP", &token, &[own]).await.refused_oauth(401, "invalid_token");
    });
}

#[test]
fn s042_s043_s051_s053_nothing_weaker_than_the_profile_works() {
    in_world(async |world| {
        let bank = bank(world, json!({})).await;
        assert_eq!(told(&Browser::new(&world.base_url).get(&bank.shop.request(&[])).await)["error"], "invalid_request");
        for (more, error) in [
            (("redirect_uri", ""), "invalid_request"),
            (("code_challenge", ""), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("code_challenge_method", ""), "invalid_request"),
            (("response_type", "token"), "unsupported_response_type"),
            (("response_type", "code id_token"), "unsupported_response_type"),
        ] {
            bank.push(world, &[more]).await.refused_oauth(400, error);
        }
        let form = bank.request(&[]);
        let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let now = world.clock.now().as_seconds();
        let issuer = format!("{}/t/acme", world.base_url);
        let [par, token] = [PAR, TOKEN].map(|path| format!("{}{path}", world.base_url));
        for refused in [
            json!({ "aud": par }),
            json!({ "aud": token }),
            json!({ "aud": [issuer] }),
            json!({ "aud": [par, issuer] }),
            json!({ "iat": now + 90 }),
            json!({ "nbf": now + 90 }),
            json!({ "exp": now - 300 }),
            json!({ "sub": null }),
        ] {
            bank.send(world, PAR, &form, &refused, None).await.refused_oauth(401, "invalid_client");
        }
        for taken in [json!({ "iat": now + 8, "nbf": now + 8 }), json!({ "aud": issuer })] {
            bank.send(world, PAR, &form, &taken, None).await.is(201);
        }
        // Another way to prove oneself is none.
        let mut secretly = form.clone();
        secretly.push(("client_secret", "x"));
        world.anon().form(PAR, &secretly).await.refused_oauth(401, "invalid_client");
        world.anon().form(PAR, &form).await.refused_oauth(401, "invalid_client");
    });
}

#[test]
fn s059_a_code_lives_for_a_minute() {
    in_world(async |world| {
        let bank = bank(world, json!({})).await;
        let code = bank.code(world).await;
        world.clock.forward(61);
        bank.redeem(world, &code, Some(&bank.holder)).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn s079_a_refresh_token_whose_answer_was_lost_works_again_seconds_and_minutes_later() {
    in_world(async |world| {
        let bank = bank(world, json!({})).await;
        let code = bank.code(world).await;
        let first = bank.redeem(world, &code, Some(&bank.holder)).await.is(200).word("refresh_token");
        let lost = bank.refresh(world, &first, Some(&bank.holder)).await.is(200).word("refresh_token");
        let again = bank.refresh(world, &first, Some(&bank.holder)).await.is(200).word("refresh_token");
        assert_eq!(lost, again, "within the window it is the same successor");
        world.clock.forward(35);
        let later = bank.refresh(world, &first, Some(&bank.holder)).await.is(200).word("refresh_token");
        assert_ne!(later, lost, "after it, the successor that nobody used is replaced");
        bank.refresh(world, &later, None).await.refused_oauth(400, "invalid_dpop_proof");
        let other = Key::new("1");
        let moved = bank.refresh(world, &later, Some(&other)).await.is(200);
        assert_eq!(claims(&moved.word("access_token"))["cnf"]["jkt"], jkt(&other), "the client proved itself, and may change its key");
    });
}
