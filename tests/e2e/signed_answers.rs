//! What clients get signed: by the algorithm that they have registered for, from the first moment of a tenant on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::oidc::{claims, client, code, shop};
use crate::world::{World, in_world, in_world_with};

const USERINFO: &str = "/t/acme/oauth/userinfo";

fn header(token: &str) -> Value {
    let header = token.split('.').next().expect("a header");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("JSON")
}

/// The algorithm of a token, of which the JWKS has the key.
async fn alg_of(world: &World, token: &str) -> String {
    let (header, jwks) = (header(token), world.jwks("acme").await);
    let key = jwks["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == header["kid"]).expect("the key is published");
    assert_eq!(key["alg"], header["alg"]);
    header["alg"].as_str().expect("a name").to_owned()
}

#[test]
fn s066_an_id_token_is_signed_as_registered_also_before_the_rotation_clock_has_come_by() {
    in_world_with(
        |settings| settings.keys.sweep_interval_seconds = 3_600,
        async |world| {
            let usual = shop(world, json!({})).await;
            // The client may read the keys once and for all as soon as it is registered.
            let listed = world.jwks("acme").await["keys"].clone();
            for (shop, alg) in [(usual, "RS256"), (client(world, json!({ "id_token_signed_response_alg": "ES256" })).await, "ES256")] {
                let mut browser = Browser::new(&world.base_url);
                let code = code(&mut browser, &shop, &[]).await;
                let tokens = shop.redeem(world, &code).await.is(200);
                assert_eq!(alg_of(world, &tokens.word("id_token")).await, alg);
                let renewed = shop.refresh(world, &tokens.word("refresh_token")).await.is(200);
                assert_eq!(alg_of(world, &renewed.word("id_token")).await, alg);
            }
            assert_eq!(listed.as_array().expect("keys").len(), 2, "{listed}");
            assert_eq!(world.jwks("acme").await["keys"], listed);
            let discovered = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
            assert_eq!(discovered["id_token_signing_alg_values_supported"], json!(["ES256", "RS256"]));
            assert_eq!(discovered["userinfo_signing_alg_values_supported"], json!(["ES256", "RS256"]));
        },
    );
}

#[test]
fn s109_userinfo_is_signed_for_a_client_that_wants_it_so() {
    in_world(async |world| {
        let shop = shop(world, json!({ "userinfo_signed_response_alg": "RS256" })).await;
        let mut browser = Browser::new(&world.base_url);
        let code = code(&mut browser, &shop, &[]).await;
        let tokens = shop.redeem(world, &code).await.is(200);
        let told = world.bearing(&tokens.word("access_token")).get(USERINFO).await.is(200);
        assert_eq!((told.header("content-type"), told.header("cache-control")), ("application/jwt", "no-store"));
        assert_eq!(alg_of(world, &told.text).await, "RS256");
        let (told, id) = (claims(&told.text), claims(&tokens.word("id_token")));
        assert_eq!((&told["sub"], &told["iss"], &told["aud"]), (&id["sub"], &id["iss"], &json!(shop.id)));
        assert_eq!(told["email"], "alice@acme.example");
        // s069: it is no ID token.
        let token = world.bearing(&tokens.word("access_token")).get(USERINFO).await.text;
        let page = browser.get(&shop.request(&[("id_token_hint", &token), ("prompt", "none")])).await;
        assert_eq!(crate::oidc::told(&page)["error"], "invalid_request");
    });
}
