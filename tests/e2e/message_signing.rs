//! Answers that are signed for one client: to authorization requests (JARM) and about tokens (RFC 9701). What FAPI 2.0 Message Signing is made of.
//!
//! A library of somebody else verifies each of them by the JWKS.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::client::assertion::ASSERTION_TYPE;
use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::dpop::{ath, get, proof};
use crate::exchange;
use crate::fapi::{Bank, bank};
use crate::oidc::{CALLBACK, Shop, client, logged_in, shop, told};
use crate::registration::{initial_token, registration};
use crate::relying_party::Key;
use crate::request_objects;
use crate::resources::{ORDERS, STOCK};
use crate::world::{Answer, World, in_world, sent};

const CLIENTS: &str = "/admin/v1/tenants/acme/clients";
const RESOURCES: &str = "/admin/v1/tenants/acme/resources";
const METADATA: &str = "/t/acme/.well-known/openid-configuration";
const POLICY: &str = "/admin/v1/tenants/acme/keys/policy";
const TOKEN: &str = "/t/acme/oauth/token";
const PAR: &str = "/t/acme/oauth/par";
const REVOKE: &str = "/t/acme/oauth/revoke";
const INTROSPECT: &str = "/t/acme/oauth/introspect";
const USERINFO: &str = "/t/acme/oauth/userinfo";
const SIGNED: &str = "application/token-introspection+jwt";

fn header(token: &str) -> Value {
    let header = token.split('.').next().expect("a header");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("JSON")
}

/// The claims of an answer of acme's for this client, which a library verifies by the JWKS; of this algorithm.
pub(crate) async fn verified(world: &World, token: &str, audience: &str, alg: &str) -> Value {
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(world.jwks("acme").await).expect("a JWK Set");
    let header = jsonwebtoken::decode_header(token).expect("a header");
    let jwk = set.find(header.kid.as_deref().expect("a kid")).expect("the key is published");
    let mut validation = jsonwebtoken::Validation::new(alg.parse().expect("an algorithm"));
    validation.set_audience(&[audience]);
    validation.set_issuer(&[format!("{}/t/acme", world.base_url)]);
    validation.set_required_spec_claims(&["iss", "aud"]);
    validation.validate_exp = false;
    let key = jsonwebtoken::DecodingKey::from_jwk(jwk).expect("a key");
    jsonwebtoken::decode::<Value>(token, &key, &validation).expect("it verifies").claims
}

/// What a signed answer says that is the only thing the client is told.
async fn opened(world: &World, told: BTreeMap<String, String>, client: &str, alg: &str) -> Value {
    // The callback has a query of its own.
    assert_eq!(told.keys().collect::<Vec<_>>(), ["from", "response"], "nothing stands beside it");
    let claims = verified(world, &told["response"], client, alg).await;
    let left = claims["exp"].as_i64().expect("a moment") - app::ports::world::Clock::now(&*world.clock).as_seconds();
    assert!((1..=600).contains(&left), "{claims}");
    claims
}

fn names(claims: &Value) -> Vec<&str> {
    claims.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn s033_s034_an_answer_is_signed_as_a_whole_where_the_request_wants_it_so() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let issuer = format!("{}/t/acme", world.base_url);
        // Refusals as well, whoever refuses.
        for mode in ["jwt", "query.jwt"] {
            let page = Browser::new(&world.base_url).get(&shop.request(&[("response_mode", mode), ("prompt", "none")])).await;
            let claims = opened(world, told(&page), &shop.id, "RS256").await;
            assert_eq!(names(&claims), ["aud", "error", "error_description", "exp", "iss", "state"]);
            assert_eq!((&claims["error"], &claims["state"]), (&json!("login_required"), &json!("a state & more")));
        }
        for (more, error) in [
            ([("response_mode", "fragment.jwt"), ("nonce", "x")], "invalid_request"),
            ([("response_mode", "jwt"), ("response_type", "token")], "unsupported_response_type"),
            ([("response_mode", "jwt"), ("code_challenge", "")], "invalid_request"),
            ([("response_mode", "jwt"), ("request", "a.b.c")], "request_not_supported"),
        ] {
            let page = Browser::new(&world.base_url).get(&shop.request(&more)).await;
            assert_eq!(opened(world, told(&page), &shop.id, "RS256").await["error"], error, "{more:?}");
        }
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get(&shop.request(&[("response_mode", "jwt")])).await;
        let page = browser.follow(page).await.is(200);
        let page = browser.submit(&page, &[("cancel", "1")]).await;
        assert_eq!(opened(world, told(&page), &shop.id, "RS256").await["error"], "access_denied");
        // Nobody is sent anywhere by a signature either.
        let page = browser.get(&shop.request(&[("response_mode", "jwt"), ("redirect_uri", "https://evil.example/cb")])).await.is(400);
        assert!(page.text.contains("invalid_request"), "{}", page.text);

        let page = logged_in(&mut browser, &shop.request(&[("response_mode", "jwt")])).await;
        let token = told(&page)["response"].clone();
        assert_eq!(header(&token)["typ"], "JWT");
        let claims = opened(world, told(&page), &shop.id, "RS256").await;
        assert_eq!(names(&claims), ["aud", "code", "exp", "iss", "state"]);
        assert_eq!((&claims["iss"], &claims["aud"], &claims["state"]), (&json!(issuer), &json!(shop.id), &json!("a state & more")));
        shop.redeem(world, claims["code"].as_str().expect("a code")).await.is(200);
        // s069: it is no ID token, and no request.
        let page = browser.get(&shop.request(&[("id_token_hint", &token), ("prompt", "none")])).await;
        assert_eq!(told(&page)["error"], "invalid_request");

        // By form, and by the algorithm that was registered.
        let picky = client(world, json!({ "authorization_signed_response_alg": "ES256" })).await;
        let page = browser.get(&picky.request(&[("response_mode", "form_post.jwt")])).await.is(200);
        let (action, fields) = page.form();
        assert_eq!((action.as_str(), fields.keys().map(String::as_str).collect::<Vec<_>>()), (CALLBACK, vec!["response"]));
        let claims = verified(world, &fields["response"], &picky.id, "ES256").await;
        picky.redeem(world, claims["code"].as_str().expect("a code")).await.is(200);

        let metadata = world.anon().get(METADATA).await.is(200).json();
        assert_eq!(metadata["response_modes_supported"], json!(["query", "form_post", "query.jwt", "form_post.jwt", "jwt"]));
        assert_eq!(metadata["authorization_signing_alg_values_supported"], json!(["ES256", "RS256"]));
        assert_eq!(metadata["introspection_signing_alg_values_supported"], json!(["ES256", "RS256"]));
    });
}

#[test]
fn s066_algorithms_of_answers_are_registered_by_administrators_and_by_clients_and_must_be_the_tenants() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        registration(world, json!({ "access": "initial_access_token" })).await;
        let token = initial_token(world, json!({ "uses": 10 })).await.word("token");
        for member in ["authorization_signed_response_alg", "introspection_signed_response_alg"] {
            for alg in ["none", "HS256", "ES384"] {
                let form = json!({ "redirect_uris": [CALLBACK], member: alg });
                let refused = world.platform_admin().post(CLIENTS, form.clone()).await.refused(422, "invalid_client_metadata").json();
                assert_eq!(refused["member"], member);
                world.bearing(&token).post("/t/acme/oauth/register", form).await.refused_oauth(400, "invalid_client_metadata");
            }
            let made = world.platform_admin().get(&format!("{CLIENTS}/{}", shop.id)).await.is(200).json();
            assert_eq!(made[member], Value::Null);
        }
        let form = json!({
            "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post",
            "authorization_signed_response_alg": "ES256", "introspection_signed_response_alg": "RS256",
        });
        let made = world.bearing(&token).post("/t/acme/oauth/register", form).await.is(201).json();
        assert_eq!(
            (&made["authorization_signed_response_alg"], &made["introspection_signed_response_alg"]),
            (&json!("ES256"), &json!("RS256"))
        );
        let id = made["client_id"].as_str().expect("an id").to_owned();
        let stall = Shop { id, secret: String::new() };
        let page = Browser::new(&world.base_url).get(&stall.request(&[("response_mode", "jwt"), ("prompt", "none")])).await;
        assert_eq!(opened(world, told(&page), &stall.id, "ES256").await["error"], "login_required");
    });
}

/// Pushes a request that the bank has signed; `more` is laid over it.
async fn pushed(world: &World, bank: &Bank, more: Value) -> Answer {
    let object = bank.key.sign_raw(request_objects::HEADER, &request_objects::object(world, &bank.shop, &more).to_string());
    bank.send(world, PAR, &[("request", &object)], &json!({}), None).await
}

#[test]
fn a_client_of_message_signing_signs_its_requests_and_is_sent_signed_answers_alone() {
    in_world(async |world| {
        let bank = bank(world, json!({ "profile": "fapi2_message_signing" })).await;
        bank.push(world, &[]).await.refused_oauth(400, "invalid_request");
        bank.push(world, &[("response_mode", "jwt")]).await.refused_oauth(400, "invalid_request");
        for mode in ["query", "form_post", "fragment", "fragment.jwt"] {
            pushed(world, &bank, json!({ "response_mode": mode })).await.refused_oauth(400, "invalid_request");
        }
        let mut browser = Browser::new(&world.base_url);
        // What is not pushed is refused, in a signed answer.
        let page = browser.get(&bank.shop.request(&[])).await;
        assert_eq!(opened(world, told(&page), &bank.shop.id, "ES256").await["error"], "invalid_request");
        for mode in [json!("jwt"), Value::Null] {
            let uri = pushed(world, &bank, json!({ "response_mode": mode, "prompt": "login" })).await.is(201).word("request_uri");
            let page = logged_in(&mut browser, &bank.address(&uri)).await;
            let claims = opened(world, told(&page), &bank.shop.id, "ES256").await;
            let tokens = bank.redeem(world, claims["code"].as_str().expect("a code"), Some(&bank.holder)).await.is(200);
            assert_eq!(header(&tokens.word("access_token"))["alg"], "ES256");
        }
    });
}

/// Asks about a token as somebody who says in this form who they are.
async fn asked(world: &World, token: &str, form: &[(&str, &str)], accept: Option<&str>) -> Answer {
    let form: Vec<_> = [("token", token)].into_iter().chain(form.iter().copied()).collect();
    let request = world.anon().request("POST", INTROSPECT).form(&form);
    sent(accept.into_iter().fold(request, |request, accept| request.header("accept", accept))).await
}

async fn code_of(world: &World, shop: &Shop) -> String {
    told(&logged_in(&mut Browser::new(&world.base_url), &shop.request(&[])).await)["code"].clone()
}

#[test]
fn s102_s103_clients_introspect_their_own_tokens_proving_themselves_as_they_are_registered() {
    in_world(async |world| {
        let by_post = shop(world, json!({})).await;
        let by_header = client(world, json!({ "token_endpoint_auth_method": "client_secret_basic" })).await;
        let public = client(world, json!({ "token_endpoint_auth_method": "none" })).await;
        let code = code_of(world, &by_post).await;
        let tokens = by_post.redeem(world, &code).await.is(200);
        let secrets = [("client_id", by_post.id.as_str()), ("client_secret", by_post.secret.as_str())];
        for token in ["access_token", "refresh_token"] {
            let token = tokens.word(token);
            let seen = asked(world, &token, &secrets, None).await.is(200).json();
            assert_eq!((&seen["active"], &seen["client_id"]), (&json!(true), &json!(by_post.id)));
            // Another client's token is none.
            let request = world.anon().request("POST", INTROSPECT).basic_auth(&by_header.id, Some(&by_header.secret));
            assert_eq!(sent(request.form(&[("token", &token)])).await.is(200).json(), json!({ "active": false }));
        }
        let token = tokens.word("access_token");
        for wrong in [
            &[("client_id", by_post.id.as_str()), ("client_secret", "wrong")][..],
            &[("client_id", by_post.id.as_str())],
            &[("client_id", by_header.id.as_str()), ("client_secret", by_header.secret.as_str())],
            &[("client_id", public.id.as_str())],
            &[("client_id", "first-party")],
            &[("client_id", "nobody"), ("client_secret", "x")],
            &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", "a.b.c")],
            &[],
        ] {
            asked(world, &token, wrong, None).await.refused_oauth(401, "invalid_client");
        }
        for named in [&public.id, "first-party"] {
            let request = world.anon().request("POST", INTROSPECT).basic_auth(named, Some(""));
            sent(request.form(&[("token", &token)])).await.refused_oauth(401, "invalid_client");
        }
        // s048: in one way.
        let request = world.anon().request("POST", INTROSPECT).basic_auth(&by_header.id, Some(&by_header.secret));
        let twice = [("token", token.as_str()), ("client_secret", by_header.secret.as_str())];
        sent(request.form(&twice)).await.refused_oauth(400, "invalid_request");
        asked(world, "", &secrets, None).await.refused_oauth(400, "invalid_request");
        world.tenant("globex").await;
        let form = [("token", token.as_str()), secrets[0], secrets[1]];
        world.anon().form("/t/globex/oauth/introspect", &form).await.refused_oauth(401, "invalid_client");

        let metadata = world.anon().get(METADATA).await.is(200).json();
        let methods = json!(["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"]);
        assert_eq!(metadata["introspection_endpoint_auth_methods_supported"], methods);
    });
}

#[test]
fn s052_s103_s104_s105_a_client_with_a_key_introspects_and_revokes() {
    in_world(async |world| {
        let bank = bank(world, json!({})).await;
        let other = Bank {
            shop: client(world, json!({ "profile": "fapi2", "jwks": { "keys": [bank.key.jwk()] }, "token_endpoint_auth_method": null }))
                .await,
            key: Key::new("1"),
            holder: Key::new("1"),
        };
        let tokens = bank.tokens(world).await;
        let (access, refresh) = (tokens.word("access_token"), tokens.word("refresh_token"));
        for token in [&access, &refresh] {
            let seen = bank.send(world, INTROSPECT, &[("token", token)], &json!({}), None).await.is(200).json();
            assert_eq!((&seen["active"], &seen["client_id"]), (&json!(true), &json!(bank.shop.id)));
        }
        // An assertion works once, wherever.
        let assertion = bank.key.sign(&bank.claims(world));
        let proof_of_client = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
        asked(world, &access, &proof_of_client, None).await.is(200);
        asked(world, &access, &proof_of_client, None).await.refused_oauth(401, "invalid_client");
        // s051: for the issuer alone.
        let endpoint = format!("{}{INTROSPECT}", world.base_url);
        bank.send(world, INTROSPECT, &[("token", &access)], &json!({ "aud": endpoint }), None).await.refused_oauth(401, "invalid_client");
        other.send(world, INTROSPECT, &[("token", &access)], &json!({}), None).await.refused_oauth(401, "invalid_client");
        other.send(world, REVOKE, &[("token", &refresh)], &json!({}), None).await.refused_oauth(401, "invalid_client");
        // Its key, but another client's token: 200, and nothing happens.
        let other = Bank { key: Key::new("2"), ..other };
        let jwks = json!({ "profile": "fapi2", "redirect_uris": [CALLBACK], "jwks": { "keys": [other.key.jwk()] } });
        world.platform_admin().put(&format!("{CLIENTS}/{}", other.shop.id), jwks).await.is(200);
        other.send(world, REVOKE, &[("token", &refresh)], &json!({}), None).await.is(200);
        let seen = other.send(world, INTROSPECT, &[("token", &access)], &json!({}), None).await.is(200).json();
        assert_eq!(seen, json!({ "active": false }));
        let seen = bank.send(world, INTROSPECT, &[("token", &access)], &json!({}), None).await.is(200).json();
        assert_eq!(seen["active"], true);
        for wrong in [json!({ "aud": endpoint }), json!({ "sub": "x" })] {
            bank.send(world, REVOKE, &[("token", &refresh)], &wrong, None).await.refused_oauth(401, "invalid_client");
        }
        world.anon().form(REVOKE, &[("token", &refresh), ("client_id", &bank.shop.id)]).await.refused_oauth(401, "invalid_client");
        bank.send(world, REVOKE, &[("token", "junk")], &json!({}), None).await.is(200);
        bank.send(world, REVOKE, &[("token", &refresh), ("token_type_hint", "access_token")], &json!({}), None).await.is(200);
        for token in [&access, &refresh] {
            let seen = bank.send(world, INTROSPECT, &[("token", token)], &json!({}), None).await.is(200).json();
            assert_eq!(seen, json!({ "active": false }));
        }
        let own = proof(world, &bank.holder, "GET", USERINFO, ath(&access));
        get(world, USERINFO, "DPoP", &access, &[own]).await.refused_oauth(401, "invalid_token");
    });
}

#[test]
fn s069_s103_what_is_said_of_a_token_is_signed_for_the_client_that_asks_for_it_so() {
    in_world(async |world| {
        let shop = shop(world, json!({ "introspection_signed_response_alg": "ES256" })).await;
        let other = client(world, json!({})).await;
        let code = code_of(world, &shop).await;
        let tokens = shop.redeem(world, &code).await.is(200);
        let access = tokens.word("access_token");
        let secrets = |shop: &Shop| [("client_id", shop.id.clone()), ("client_secret", shop.secret.clone())];
        let ask = async |shop: &Shop, token: &str, accept: &str| {
            let secrets = secrets(shop);
            let form: Vec<_> = secrets.iter().map(|(name, value)| (*name, value.as_str())).collect();
            asked(world, token, &form, Some(accept)).await
        };
        let signed = ask(&shop, &access, SIGNED).await.is(200);
        assert_eq!((signed.header("content-type"), signed.header("cache-control")), (SIGNED, "no-store"));
        assert_eq!(header(&signed.text)["typ"], "token-introspection+jwt");
        let claims = verified(world, &signed.text, &shop.id, "ES256").await;
        assert_eq!(names(&claims), ["aud", "iat", "iss", "token_introspection"], "no sub and no exp: it is no access token");
        let plain = ask(&shop, &access, "application/json").await.is(200).json();
        assert_eq!((&claims["token_introspection"], &plain["active"]), (&plain, &json!(true)));
        // What is not alive, or another's, is signed as well; without an algorithm of its own by one that the tenant has.
        for (who, token, alg) in [(&shop, "junk", "ES256"), (&other, access.as_str(), "RS256")] {
            let signed = ask(who, token, SIGNED).await.is(200);
            let claims = verified(world, &signed.text, &who.id, alg).await;
            assert_eq!(claims["token_introspection"], json!({ "active": false }));
        }
        ask(&Shop { secret: "wrong".to_owned(), id: shop.id.clone() }, &access, SIGNED).await.refused_oauth(401, "invalid_client");
        // It opens nothing.
        world.bearing(&signed.text).get(USERINFO).await.refused_oauth(401, "invalid_token");
        assert_eq!(ask(&shop, &signed.text, "application/json").await.is(200).json(), json!({ "active": false }));
        let page = Browser::new(&world.base_url).get(&shop.request(&[("id_token_hint", &signed.text), ("prompt", "none")])).await;
        assert_eq!(told(&page)["error"], "invalid_request");
        // Nobody else could be its audience.
        let request = world.platform_admin().request("POST", INTROSPECT).header("accept", SIGNED);
        sent(request.form(&[("token", &access)])).await.refused_oauth(400, "invalid_request");
        world.platform_admin().form(INTROSPECT, &[("token", &access)]).await.is(200);
    });
}

#[test]
fn s103_an_api_is_told_of_the_tokens_that_are_for_it_in_a_signed_answer_for_itself() {
    in_world(async |world| {
        let (shop, gateway) = exchange::chain(world).await;
        let secrets = [("client_id", gateway.id.as_str()), ("client_secret", gateway.secret.as_str())];
        let token = exchange::alices(world, &shop, &[ORDERS]).await.word("access_token");
        let signed = asked(world, &token, &secrets, Some(SIGNED)).await.is(200);
        let said = verified(world, &signed.text, &gateway.id, "RS256").await["token_introspection"].clone();
        assert_eq!((&said["active"], &said["client_id"], &said["aud"]), (&json!(true), &json!(shop.id), &json!(ORDERS)), "{said}");
        let token = exchange::alices(world, &shop, &[STOCK]).await.word("access_token");
        let signed = asked(world, &token, &secrets, Some(SIGNED)).await.is(200);
        let said = verified(world, &signed.text, &gateway.id, "RS256").await["token_introspection"].clone();
        assert_eq!(said, json!({ "active": false }), "it is for somebody else");
    });
}

#[test]
fn s066_who_has_asked_for_no_algorithm_gets_one_that_the_tenant_has() {
    in_world(async |world| {
        world.tenant("acme").await;
        world
            .platform_admin()
            .put(&format!("{POLICY}?confirm=acme"), json!({ "algs": ["ES384"], "access_token_alg": "ES384" }))
            .await
            .is(200);
        let form = json!({ "username": "alice", "email": "alice@acme.example", "password": crate::world::PASSWORD });
        world.platform_admin().post("/admin/v1/tenants/acme/users", form).await.is(201);
        anew(world).await;
        let shop = client(world, json!({})).await;
        let made = world.platform_admin().get(&format!("{CLIENTS}/{}", shop.id)).await.is(200).json();
        assert_eq!(made["id_token_signed_response_alg"], "ES384");
        let page = logged_in(&mut Browser::new(&world.base_url), &shop.request(&[("response_mode", "jwt")])).await;
        let claims = opened(world, told(&page), &shop.id, "ES384").await;
        let tokens = shop.redeem(world, claims["code"].as_str().expect("a code")).await.is(200);
        for token in ["id_token", "access_token"] {
            assert_eq!(header(&tokens.word(token))["alg"], "ES384", "{token}");
        }
        let secrets = [("client_id", shop.id.as_str()), ("client_secret", shop.secret.as_str())];
        let signed = asked(world, &tokens.word("access_token"), &secrets, Some(SIGNED)).await.is(200);
        assert_eq!(verified(world, &signed.text, &shop.id, "ES384").await["token_introspection"]["active"], true);
        // A client whose profile forbids the only one is not registered.
        let form = json!({ "profile": "fapi2", "redirect_uris": [CALLBACK], "jwks": { "keys": [Key::new("1").jwk()] } });
        let refused = world.platform_admin().post(CLIENTS, form).await.refused(422, "invalid_client_metadata").json();
        assert_eq!(refused["member"], "profile");
    });
}

/// Puts new keys in the place of all that the tenant has: one of each algorithm of its policy, which signs at once.
async fn anew(world: &World) {
    world.platform_admin().post("/admin/v1/tenants/acme/keys/rotate", json!({ "emergency": true })).await.is(202);
}

/// Insists on a page that says so.
#[track_caller]
fn turned_away(page: Page, code: &str) {
    let page = page.is(400);
    assert!(page.text.contains(code), "{}", page.text);
}

#[test]
fn s066_where_an_algorithm_went_away_a_client_hears_so_and_loses_nothing() {
    in_world(async |world| {
        let algs = json!({ "authorization_signed_response_alg": "RS256", "userinfo_signed_response_alg": "RS256", "introspection_signed_response_alg": "RS256" });
        let shop = shop(world, algs).await;
        anew(world).await;
        let mut browser = Browser::new(&world.base_url);
        let page = logged_in(&mut browser, &shop.request(&[("response_mode", "jwt")])).await;
        let claims = opened(world, told(&page), &shop.id, "RS256").await;
        let tokens = shop.redeem(world, claims["code"].as_str().expect("a code")).await.is(200);
        let (access, refresh) = (tokens.word("access_token"), tokens.word("refresh_token"));
        let waiting = told(&browser.get(&shop.request(&[])).await)["code"].clone();
        world.platform_admin().put(&format!("{POLICY}?confirm=acme"), json!({ "algs": ["ES256"] })).await.is(200);
        // Until its key has stopped all goes on.
        let page = browser.get(&shop.request(&[("response_mode", "jwt")])).await;
        opened(world, told(&page), &shop.id, "RS256").await;
        world.clock.forward(61);
        turned_away(browser.get(&shop.request(&[("response_mode", "jwt"), ("prompt", "none")])).await, "unauthorized_client");
        turned_away(
            Browser::new(&world.base_url).get(&shop.request(&[("response_mode", "jwt"), ("prompt", "none")])).await,
            "unauthorized_client",
        );
        world.bearing(&access).get(USERINFO).await.refused_oauth(400, "unauthorized_client");
        let secrets = [("client_id", shop.id.as_str()), ("client_secret", shop.secret.as_str())];
        asked(world, &access, &secrets, Some(SIGNED)).await.refused_oauth(400, "unauthorized_client");
        asked(world, &access, &secrets, None).await.is(200);
        shop.redeem(world, &waiting).await.refused_oauth(400, "unauthorized_client");
        shop.refresh(world, &refresh).await.refused_oauth(400, "unauthorized_client");
        // What was refused for that was not used up.
        world.platform_admin().put(&format!("{POLICY}?confirm=acme"), json!({ "algs": ["ES256", "RS256"] })).await.is(200);
        let renewed = shop.refresh(world, &refresh).await.is(200);
        assert_eq!(header(&renewed.word("id_token"))["alg"], "RS256");
        world.bearing(&access).get(USERINFO).await.is(200);
    });
}

#[test]
fn s054_a_fapi_clients_access_token_is_never_signed_by_rs256_whatever_the_tenants_policy_says() {
    in_world(async |world| {
        let bank = bank(world, json!({})).await;
        let shop = client(world, json!({})).await;
        let machine = client(
            world,
            json!({
                "profile": "fapi2", "grant_types": ["client_credentials"], "response_types": [], "redirect_uris": [], "scope": "reports",
                "post_logout_redirect_uris": [], "jwks": { "keys": [bank.key.jwk()] }, "token_endpoint_auth_method": null,
            }),
        )
        .await;
        let machine = Bank { shop: machine, key: Key::new("1"), holder: Key::new("1") };
        let jwks = json!({ "keys": [machine.key.jwk()] });
        let form = json!({ "profile": "fapi2", "grant_types": ["client_credentials"], "scope": "reports", "jwks": jwks });
        world.platform_admin().put(&format!("{CLIENTS}/{}", machine.shop.id), form).await.is(200);
        world
            .platform_admin()
            .put(&format!("{POLICY}?confirm=acme"), json!({ "algs": ["RS256", "PS256"], "access_token_alg": "RS256" }))
            .await
            .is(200);
        anew(world).await;
        let code = code_of(world, &shop).await;
        let usual = shop.redeem(world, &code).await.is(200);
        assert_eq!(header(&usual.word("access_token"))["alg"], "RS256");
        let of_machine =
            async || machine.send(world, TOKEN, &[("grant_type", "client_credentials")], &json!({}), Some(&machine.holder)).await;
        let token = of_machine().await.is(200).word("access_token");
        assert_eq!(header(&token)["alg"], "PS256");
        verified(world, &token, &format!("{}/t/acme", world.base_url), "PS256").await;

        // Its ID tokens are of ES256, which is gone: it is told so, and goes on when that is mended.
        let code = bank.code(world).await;
        bank.redeem(world, &code, Some(&bank.holder)).await.refused_oauth(400, "unauthorized_client");
        let form = json!({
            "profile": "fapi2", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"], "consent": "first_party",
            "jwks": { "keys": [bank.key.jwk()] }, "id_token_signed_response_alg": "PS256",
        });
        world.platform_admin().put(&format!("{CLIENTS}/{}", bank.shop.id), form).await.is(200);
        let tokens = bank.redeem(world, &code, Some(&bank.holder)).await.is(200);
        let renewed = bank.refresh(world, &tokens.word("refresh_token"), Some(&bank.holder)).await.is(200);
        for token in [tokens.word("access_token"), renewed.word("access_token"), renewed.word("id_token")] {
            assert_eq!(header(&token)["alg"], "PS256");
        }
        let own = proof(world, &bank.holder, "GET", USERINFO, ath(&renewed.word("access_token")));
        get(world, USERINFO, "DPoP", &renewed.word("access_token"), &[own]).await.is(200);

        // An API that wants it otherwise is not for such a client.
        let api = |alg: &str| json!({ "identifier": "https://orders.example", "name": "Orders", "signing_alg": alg });
        let made = world.platform_admin().post(RESOURCES, api("PS256")).await.is(201).word("id");
        let fitted = json!({
            "profile": "fapi2", "grant_types": ["client_credentials"], "scope": "reports", "jwks": jwks, "resources": ["https://orders.example"],
        });
        let path = format!("{CLIENTS}/{}", machine.shop.id);
        world.platform_admin().put(&path, fitted.clone()).await.is(200);
        let for_api = [("grant_type", "client_credentials"), ("resource", "https://orders.example")];
        let ask = async || machine.send(world, TOKEN, &for_api, &json!({}), Some(&machine.holder)).await;
        assert_eq!(header(&ask().await.is(200).word("access_token"))["alg"], "PS256");
        world.platform_admin().put(&format!("{RESOURCES}/{made}"), api("RS256")).await.is(200);
        ask().await.refused_oauth(400, "invalid_target");
        let refused = world.platform_admin().put(&path, fitted).await.refused(422, "invalid_client_metadata").json();
        assert_eq!(refused["member"], "resources");

        // Without any key of the profile there is no token, rather than one by RS256.
        world
            .platform_admin()
            .put(&format!("{POLICY}?confirm=acme"), json!({ "algs": ["RS256"], "access_token_alg": "RS256" }))
            .await
            .is(200);
        world.clock.forward(61);
        of_machine().await.refused_oauth(400, "unauthorized_client");
    });
}
