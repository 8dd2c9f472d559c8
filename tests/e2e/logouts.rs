//! Clients are told that a user has logged out: by the browser, and by us behind it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::oidc::{Shop, claims, client, code, shop};
use crate::relying_party::RelyingParty;
use crate::world::{World, in_world, in_world_with};

/// Lets a client live on this very machine.
pub(crate) fn open(settings: &mut server::Settings) {
    settings.outbound.allow_private = vec!["127.0.0.0/8".parse().expect("a range")];
}

fn end(more: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(more).finish();
    format!("/t/acme/oauth/end_session?{query}")
}

/// The claims of a logout token, as the standard has a client check it (2.6).
async fn told(world: &World, shop: &Shop, body: &str) -> Value {
    let token =
        url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "logout_token").expect("a logout token").1.into_owned();
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().expect("a header")).expect("base64url")).expect("JSON");
    assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("logout+jwt"), Some("ES256")));
    let jwks: JwkSet = serde_json::from_value(world.anon().get("/t/acme/.well-known/jwks.json").await.is(200).json()).expect("a JWK Set");
    let key = jwks.find(header["kid"].as_str().expect("a kid")).expect("a published key");
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[&shop.id]);
    validation.set_issuer(&[format!("{}/t/acme", world.base_url)]);
    // By the world's own clock.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(key).expect("a key"), &validation).expect("signed").claims;
    assert_eq!(claims["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    assert_eq!(claims["exp"].as_i64(), claims["iat"].as_i64().map(|at| at + 120));
    assert!(claims["jti"].is_string() && claims.get("nonce").is_none());
    claims
}

#[test]
fn s128_s129_a_client_that_was_down_is_told_later_and_the_user_is_not_kept() {
    in_world_with(open, async |world| {
        let party = RelyingParty::start().await;
        let metadata = json!({ "backchannel_logout_uri": format!("{}/bcl?a=b", party.url), "id_token_signed_response_alg": "ES256" });
        let shop = shop(world, metadata).await;
        let quiet = client(world, json!({})).await;
        let gone = client(world, json!({ "backchannel_logout_uri": "http://127.0.0.1:1/nobody" })).await;
        party.answer_with(&[503]);
        let mut browser = Browser::new(&world.base_url);
        let once = code(&mut browser, &shop, &[]).await;
        let tokens = shop.redeem(world, &once).await.is(200);
        for other in [&quiet, &gone] {
            let page = browser.get(&other.request(&[("prompt", "none")])).await;
            let once = crate::oidc::told(&page)["code"].clone();
            other.redeem(world, &once).await.is(200);
        }
        let hint = tokens.word("id_token");
        let done = browser.get(&end(&[("id_token_hint", &hint), ("post_logout_redirect_uri", "https://shop.example/bye")])).await;
        assert_eq!((done.status, done.location().as_str()), (303, "https://shop.example/bye"), "the client is down, the user goes on");
        shop.refresh(world, &tokens.word("refresh_token")).await.refused_oauth(400, "invalid_grant");

        let posted = party.posted(2).await;
        let (first, second) = (told(world, &shop, &posted[0].1).await, told(world, &shop, &posted[1].1).await);
        assert!(posted.iter().all(|(path, _)| path == "/bcl?a=b"));
        let id = claims(&hint);
        for logout in [&first, &second] {
            assert_eq!((&logout["sub"], &logout["sid"]), (&id["sub"], &id["sid"]));
        }
        assert_ne!(first["jti"], second["jti"]);
        // A logout token is no ID token and no access token.
        let token = posted[1].1.strip_prefix("logout_token=").expect("alone");
        browser.get(&end(&[("id_token_hint", token)])).await.is(400);
        world.bearing(token).get("/t/acme/oauth/userinfo").await.is(401);
        // What was told is forgotten; who was never reached is tried again for a day.
        let mut left = usize::MAX;
        for _ in 0..1_000 {
            left = notices(world).await;
            if left == 1 {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(left, 1);
        world.clock.forward(86_401);
        world.sweep().await;
        assert_eq!(notices(world).await, 0);
    });
}

async fn notices(world: &World) -> usize {
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&world.database).read_only(true));
    let pool = pool.await.expect("connected");
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM logout_notices").fetch_one(&pool).await.expect("counted");
    pool.close().await;
    usize::try_from(count).expect("a count")
}

/// A client that is never told, because there is nobody.
pub(crate) async fn leave_behind(world: &World) {
    let shop = client(world, json!({ "backchannel_logout_uri": "https://127.0.0.1:1/nobody" })).await;
    let mut browser = Browser::new(&world.base_url);
    let once = code(&mut browser, &shop, &[]).await;
    let hint = shop.redeem(world, &once).await.is(200).word("id_token");
    browser.get(&end(&[("id_token_hint", &hint)])).await.is(200);
}

#[test]
fn s127_the_browser_tells_clients_by_frames_of_registered_addresses_alone() {
    in_world(async |world| {
        let uri = "https://shop.example/gone?x=1";
        let shop = shop(world, json!({ "frontchannel_logout_uri": uri, "frontchannel_logout_session_required": true })).await;
        let mut browser = Browser::new(&world.base_url);
        let once = code(&mut browser, &shop, &[]).await;
        let hint = shop.redeem(world, &once).await.is(200).word("id_token");
        let sid = claims(&hint)["sid"].as_str().expect("a session").to_owned();
        let done = browser
            .get(&end(&[("id_token_hint", &hint), ("post_logout_redirect_uri", "https://shop.example/bye"), ("state", "s")]))
            .await
            .is(200);
        let issuer: String = url::form_urlencoded::byte_serialize(format!("{}/t/acme", world.base_url).as_bytes()).collect();
        let text = done.text.replace("&#38;", "&").replace("&amp;", "&");
        assert!(text.contains(&format!("<iframe src=\"{uri}&iss={issuer}&sid={sid}\"")), "{text}");
        assert_eq!(text.matches("<iframe").count(), 1);
        assert!(text.contains("href=\"https://shop.example/bye?state=s\""), "{text}");
        let policy = done.header("content-security-policy");
        assert!(policy.contains("; frame-src https://shop.example;"), "{policy}");
        // Nobody is logged in any more: there is nobody to tell.
        let again = browser.get(&end(&[("id_token_hint", &hint)])).await.is(200);
        assert!(!again.text.contains("<iframe") && !again.header("content-security-policy").contains("frame-src"));
        // Elsewhere than where the client lives, it has nothing to be told.
        for elsewhere in
            ["https://evil.example/gone", "https://shop.example:8443/gone", "http://shop.example/gone", "https://shop.example/gone#x"]
        {
            let form = json!({ "redirect_uris": [crate::oidc::CALLBACK], "frontchannel_logout_uri": elsewhere });
            world.platform_admin().post("/admin/v1/tenants/acme/clients", form).await.refused(422, "invalid_client_metadata");
        }
    });
}

#[test]
fn s130_what_a_client_got_for_offline_access_outlives_the_session() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let once = code(&mut browser, &shop, &[]).await;
        let online = shop.redeem(world, &once).await.is(200);
        let page = browser.get(&shop.request(&[("scope", "openid offline_access")])).await;
        let offline = shop.redeem(world, &crate::oidc::told(&page)["code"]).await.is(200);
        browser.get(&end(&[("id_token_hint", &online.word("id_token"))])).await.is(200);
        shop.refresh(world, &online.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        shop.refresh(world, &offline.word("refresh_token")).await.is(200);
    });
}

#[test]
fn s124_a_hint_may_be_old_but_not_changed_foreign_or_another_clients() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let other = client(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let once = code(&mut browser, &shop, &[]).await;
        let hint = shop.redeem(world, &once).await.is(200).word("id_token");
        browser.get(&end(&[("id_token_hint", &hint), ("client_id", &other.id)])).await.is(400);
        world.tenant("globex").await;
        browser.get(&format!("/t/globex/oauth/end_session?id_token_hint={hint}")).await.is(400);
        for changed in [format!("{hint}x"), hint.replacen('.', "..", 1), "x".to_owned()] {
            browser.get(&end(&[("id_token_hint", &changed)])).await.is(400);
        }
        assert!(browser.cookie("_sso_").is_some(), "none of it logged anybody out");
        world.clock.forward(7_200);
        let done = browser
            .get(&end(&[("id_token_hint", &hint), ("client_id", &shop.id), ("post_logout_redirect_uri", "https://shop.example/bye")]))
            .await;
        assert_eq!(done.location(), "https://shop.example/bye", "s126: nothing is added that was not given");
    });
}
