//! Requests that their client has signed (RFC 9101), and answers that we have (JARM).

use domain::client::assertion::ASSERTION_TYPE;
use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::fapi::{Bank, bank};
use crate::oidc::{Shop, client, logged_in, shop, told};
use crate::relying_party::Key;
use crate::world::{Answer, World, in_world};

/// The header of a request object.
pub(crate) const HEADER: &str = r#"{"typ":"oauth-authz-req+jwt","alg":"ES256","kid":"1"}"#;

/// What a request object says: the parameters of a good request, and `more` laid over them; null takes away.
pub(crate) fn object(world: &World, shop: &Shop, more: &Value) -> Value {
    let now = app::ports::world::Clock::now(&*world.clock).as_seconds();
    let mut claims = json!({ "iss": shop.id, "aud": format!("{}/t/acme", world.base_url), "exp": now + 300, "nbf": now, "iat": now });
    let request = url::Url::parse(&format!("https://x.example{}", shop.request(&[]))).expect("an address");
    for (name, value) in request.query_pairs() {
        claims[&*name] = json!(value);
    }
    for (name, value) in more.as_object().expect("members") {
        claims[name] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    claims
}

/// The address of a request by value, and of what stands beside it.
fn address(id: &str, object: &str, more: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("client_id", id), ("request", object)])
        .extend_pairs(more)
        .finish();
    format!("/t/acme/oauth/authorize?{query}")
}

#[track_caller]
fn turned_away(page: Page, error: &str) {
    let page = page.is(400);
    assert!(page.text.contains(error), "{}", page.text);
}

#[test]
fn s027_a_signed_request_counts_and_what_stands_beside_it_does_not() {
    in_world(async |world| {
        let key = Key::new("1");
        let shop = shop(world, json!({ "jwks": { "keys": [key.jwk()] } })).await;
        let signed = key.sign_raw(HEADER, &object(world, &shop, &json!({ "state": "inside", "max_age": 600 })).to_string());
        let beside = [("state", "outside"), ("scope", "openid"), ("redirect_uri", "https://evil.example/cb"), ("prompt", "none")];
        let mut browser = Browser::new(&world.base_url);
        let answer = told(&logged_in(&mut browser, &address(&shop.id, &signed, &beside)).await);
        assert_eq!(answer["state"], "inside");
        let tokens = shop.redeem(world, &answer["code"]).await.is(200);
        assert_eq!(tokens.word("scope"), "email openid profile");

        // What is not inside, is not.
        let signed = key.sign_raw(HEADER, &object(world, &shop, &json!({ "state": null })).to_string());
        let answer = told(&browser.get(&address(&shop.id, &signed, &[("state", "outside")])).await);
        assert!(!answer.contains_key("state"), "{answer:?}");
        let signed = key.sign_raw(HEADER, &object(world, &shop, &json!({ "redirect_uri": null })).to_string());
        let beside = [("redirect_uri", crate::oidc::CALLBACK)];
        turned_away(browser.get(&address(&shop.id, &signed, &beside)).await, "invalid_request");
        // The rules are the same.
        let signed = key.sign_raw(HEADER, &object(world, &shop, &json!({ "response_type": "token" })).to_string());
        assert_eq!(told(&browser.get(&address(&shop.id, &signed, &[])).await)["error"], "unsupported_response_type");
    });
}

#[test]
fn s028_s029_s030_what_the_client_has_not_signed_as_a_request_is_none() {
    in_world(async |world| {
        let (key, thief) = (Key::new("1"), Key::new("1"));
        let jwks = json!({ "keys": [key.jwk()] });
        let shop = shop(world, json!({ "jwks": jwks, "token_endpoint_auth_method": "private_key_jwt" })).await;
        let other = client(world, json!({ "jwks": jwks })).await;
        let keyless = client(world, json!({})).await;
        let good = object(world, &shop, &json!({})).to_string();
        let now = app::ports::world::Clock::now(&*world.clock).as_seconds();
        let mut browser = Browser::new(&world.base_url);
        let (_, payload) = key.sign_raw(HEADER, &good).split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("parts");
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", payload.split('.').next().expect("a payload"));
        let assertion = json!({ "iss": shop.id, "sub": shop.id, "aud": format!("{}/t/acme", world.base_url), "exp": now + 60, "jti": "1" });
        let mut objects = vec![
            thief.sign_raw(HEADER, &good),
            unsigned,
            key.sign(&assertion),
            key.sign_raw(r#"{"typ":"at+jwt","alg":"ES256","kid":"1"}"#, &good),
            key.sign_raw(r#"{"typ":"dpop+jwt","alg":"ES256","kid":"1"}"#, &good),
            key.sign_raw(r#"{"alg":"HS256","kid":"1"}"#, &good),
            "a.b.c".to_owned(),
        ];
        for wrong in [
            json!({ "exp": now - 60 }),
            json!({ "exp": null }),
            json!({ "exp": now + 7_200 }),
            json!({ "nbf": now + 90 }),
            json!({ "aud": "https://evil.example" }),
            json!({ "aud": null }),
            json!({ "client_id": other.id }),
            json!({ "iss": other.id }),
            json!({ "sub": shop.id }),
            json!({ "request_uri": "https://evil.example/request" }),
        ] {
            objects.push(key.sign_raw(HEADER, &object(world, &shop, &wrong).to_string()));
        }
        for object in objects {
            turned_away(browser.get(&address(&shop.id, &object, &[])).await, "invalid_request_object");
        }
        // Tokens of ours are signed by nobody's client.
        let answer = told(&logged_in(&mut browser, &other.request(&[])).await);
        let tokens = other.redeem(world, &answer["code"]).await.is(200);
        for token in ["id_token", "access_token"] {
            turned_away(browser.get(&address(&shop.id, &tokens.word(token), &[])).await, "invalid_request_object");
        }
        // What another client with the same key has signed is not this one's.
        let signed = key.sign_raw(HEADER, &good);
        turned_away(browser.get(&address(&other.id, &signed, &[])).await, "invalid_request_object");
        turned_away(browser.get(&address(&keyless.id, &signed, &[])).await, "request_not_supported");
        let elsewhere = shop.request(&[("request_uri", "https://evil.example/request")]);
        assert_eq!(told(&browser.get(&elsewhere).await)["error"], "request_uri_not_supported");
        // And a request object proves no client.
        let form = [("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &signed)];
        world.anon().form("/t/acme/oauth/token", &form).await.refused_oauth(401, "invalid_client");
        assert!(told(&browser.get(&address(&shop.id, &signed, &[])).await).contains_key("code"));
    });
}

/// Pushes a request object of the bank's.
async fn push(world: &World, bank: &Bank, object: &str) -> Answer {
    bank.send(world, "/t/acme/oauth/par", &[("request", object), ("client_id", &bank.shop.id)], &json!({}), None).await
}

#[test]
fn a_fapi_client_that_has_to_sign_its_requests_pushes_them_signed() {
    in_world(async |world| {
        let bank = bank(world, json!({ "require_signed_request_object": true })).await;
        let now = app::ports::world::Clock::now(&*world.clock).as_seconds();
        bank.push(world, &[]).await.refused_oauth(400, "invalid_request");
        for wrong in [json!({ "nbf": null }), json!({ "nbf": now - 3_700 }), json!({ "exp": now + 3_601 }), json!({ "exp": null })] {
            let signed = bank.key.sign_raw(HEADER, &object(world, &bank.shop, &wrong).to_string());
            push(world, &bank, &signed).await.refused_oauth(400, "invalid_request_object");
        }
        let signed = bank.key.sign_raw(HEADER, &object(world, &bank.shop, &json!({ "redirect_uri": null })).to_string());
        push(world, &bank, &signed).await.refused_oauth(400, "invalid_request");
        let signed = bank.key.sign_raw(HEADER, &object(world, &bank.shop, &json!({ "nbf": now + 8 })).to_string());
        // Straight to the browser it is not pushed.
        assert_eq!(told(&Browser::new(&world.base_url).get(&address(&bank.shop.id, &signed, &[])).await)["error"], "invalid_request");
        let uri = push(world, &bank, &signed).await.is(201).word("request_uri");
        let answer = told(&logged_in(&mut Browser::new(&world.base_url), &bank.address(&uri)).await);
        assert_eq!(answer["state"], "a state & more");
        assert!(answer.contains_key("code"));
    });
}
