//! Tokens that are worth nothing without their key (DPoP, RFC 9449).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use app::ports::world::Clock;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::keys::ring::PublicJwk;
use domain::keys::thumbprint::Thumbprint;
use serde_json::{Value, json};
use url::Url;

use crate::browser::Browser;
use crate::oidc::{CALLBACK, Shop, claims, code, logged_in, shop, told};
use crate::relying_party::Key;
use crate::world::{Answer, World, in_world, sent};

const TOKEN: &str = "/t/acme/oauth/token";
const PAR: &str = "/t/acme/oauth/par";
const USERINFO: &str = "/t/acme/oauth/userinfo";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// What a key says about one request: good claims, and `more` laid over them; null takes away.
pub(crate) fn proof(world: &World, key: &Key, method: &str, path: &str, more: Value) -> String {
    static JTI: AtomicU64 = AtomicU64::new(0);
    let mut claims = json!({
        "jti": format!("j{}", JTI.fetch_add(1, Ordering::Relaxed)), "htm": method, "htu": format!("{}{path}", world.base_url),
        "iat": world.clock.now().as_seconds(),
    });
    for (name, value) in more.as_object().expect("members") {
        claims[name] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    key.sign_raw(&header(key, json!({})), &claims.to_string())
}

/// The header of a proof, and `more` laid over it; null takes away.
fn header(key: &Key, more: Value) -> String {
    let mut header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk() });
    for (name, value) in more.as_object().expect("members") {
        header[name] = value.clone();
    }
    header.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    header.to_string()
}

pub(crate) fn ath(token: &str) -> Value {
    json!({ "ath": URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())) })
}

pub(crate) fn jkt(key: &Key) -> String {
    let public: PublicJwk = serde_json::from_value(key.jwk()).expect("a public key");
    Thumbprint::of(&public).to_string()
}

/// Sends a form with these `DPoP` headers.
pub(crate) async fn post(world: &World, path: &str, form: &[(&str, &str)], proofs: &[String]) -> Answer {
    let request = proofs.iter().fold(world.anon().request("POST", path).form(form), |request, proof| request.header("DPoP", proof));
    sent(request).await
}

/// Asks for a resource with a token and these headers.
pub(crate) async fn get(world: &World, path: &str, scheme: &str, token: &str, proofs: &[String]) -> Answer {
    let request = world.anon().request("GET", path).header("Authorization", format!("{scheme} {token}"));
    sent(proofs.iter().fold(request, |request, proof| request.header("DPoP", proof))).await
}

/// Public clients have no secret to send.
pub(crate) fn token_form<'a>(shop: &'a Shop, parameters: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![("client_id", shop.id.as_str()), ("client_secret", shop.secret.as_str())];
    form.extend(parameters);
    form.retain(|(_, value)| !value.is_empty());
    form
}

pub(crate) fn code_form<'a>(shop: &'a Shop, code: &'a str) -> Vec<(&'a str, &'a str)> {
    token_form(shop, &[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)])
}

pub(crate) fn refresh_form<'a>(shop: &'a Shop, token: &'a str) -> Vec<(&'a str, &'a str)> {
    token_form(shop, &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

/// Tokens of alice that are bound to `key`.
async fn bound(world: &World, shop: &Shop, key: &Key) -> Answer {
    let code = code(&mut Browser::new(&world.base_url), shop, &[]).await;
    post(world, TOKEN, &code_form(shop, &code), &[proof(world, key, "POST", TOKEN, json!({}))]).await.is(200)
}

#[test]
fn s099_s101_a_bound_token_says_its_key_and_is_worth_nothing_without_it() {
    in_world(async |world| {
        let (shop, key) = (shop(world, json!({})).await, Key::new("1"));
        let tokens = bound(world, &shop, &key).await;
        assert_eq!(tokens.word("token_type"), "DPoP");
        let token = tokens.word("access_token");
        assert_eq!(claims(&token)["cnf"], json!({ "jkt": jkt(&key) }));

        for scheme in ["DPoP", "dpop", "DPOP"] {
            get(world, USERINFO, scheme, &token, &[proof(world, &key, "GET", USERINFO, ath(&token))]).await.is(200);
        }
        let challenged = |answer: Answer, error: &str| {
            let answer = answer.refused_oauth(401, error);
            let challenge = format!("DPoP error=\"{error}\", algs=\"ES256 RS256 EdDSA PS256 ES384\"");
            assert_eq!(answer.header("www-authenticate"), challenge);
        };
        let good = || proof(world, &key, "GET", USERINFO, ath(&token));
        challenged(get(world, USERINFO, "Bearer", &token, &[]).await, "invalid_token");
        challenged(get(world, USERINFO, "Bearer", &token, &[good()]).await, "invalid_token");
        challenged(get(world, USERINFO, "DPoP", &token, &[]).await, "invalid_dpop_proof");
        challenged(get(world, USERINFO, "DPoP", &token, &[good(), good()]).await, "invalid_dpop_proof");
        challenged(get(world, USERINFO, "DPoP", "a.b.c", &[good()]).await, "invalid_token");
        let wrong_hash = proof(world, &key, "GET", USERINFO, ath("another token"));
        challenged(get(world, USERINFO, "DPoP", &token, &[wrong_hash]).await, "invalid_dpop_proof");
        challenged(get(world, USERINFO, "DPoP", &token, &[proof(world, &key, "GET", USERINFO, json!({}))]).await, "invalid_dpop_proof");
        let thief = Key::new("1");
        challenged(get(world, USERINFO, "DPoP", &token, &[proof(world, &thief, "GET", USERINFO, ath(&token))]).await, "invalid_token");
        // In a form it comes without a proof.
        challenged(world.anon().form(USERINFO, &[("access_token", &token)]).await, "invalid_token");

        // An unbound token is no bound one.
        let alice = world.sign_in("acme", "alice").await;
        let proof_of = |path: &str, token: &str| proof(world, &key, "GET", path, ath(token));
        let answer = get(world, "/t/acme/me", "DPoP", &alice.access_token, &[proof_of("/t/acme/me", &alice.access_token)]).await;
        answer.refused(401, "invalid_token");

        // Introspection says what it is, and asks for no proof of it.
        let seen = world.platform_admin().form("/t/acme/oauth/introspect", &[("token", &token)]).await.is(200).json();
        assert_eq!((&seen["token_type"], &seen["cnf"]["jkt"]), (&json!("DPoP"), &json!(jkt(&key))));
    });
}

#[test]
fn s099_a_users_own_api_takes_a_bound_token_with_its_key_alone() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.tenant_admin("acme").await;
        let key = Key::new("1");
        let login = json!({ "username": "tess", "password": crate::world::PASSWORD, "scope": "account admin" });
        let first = world.anon().post("/t/acme/login", login).await.is(200).word("refresh_token");
        // The first-party application proves a key when it refreshes.
        let form = [("grant_type", "refresh_token"), ("client_id", "first-party"), ("refresh_token", first.as_str())];
        let token = post(world, TOKEN, &form, &[proof(world, &key, "POST", TOKEN, json!({}))]).await.is(200).word("access_token");
        for path in ["/t/acme/me", "/admin/v1/tenants/acme/users"] {
            get(world, path, "DPoP", &token, &[proof(world, &key, "GET", path, ath(&token))]).await.is(200);
            let refused = get(world, path, "Bearer", &token, &[]).await.refused(401, "invalid_token");
            assert!(refused.header("www-authenticate").starts_with("DPoP "));
            let spent = proof(world, &key, "GET", path, ath(&token));
            get(world, path, "DPoP", &token, std::slice::from_ref(&spent)).await.is(200);
            get(world, path, "DPoP", &token, &[spent]).await.refused(401, "invalid_dpop_proof");
        }
        let path = "/admin/v1/tenants/acme/users?limit=1";
        let place = "/admin/v1/tenants/acme/users";
        get(world, path, "DPoP", &token, &[proof(world, &key, "GET", place, ath(&token))]).await.is(200);
    });
}

#[test]
fn s096_s097_a_proof_is_strict_in_its_form_and_for_one_request() {
    in_world(async |world| {
        let form = json!({ "grant_types": ["client_credentials"], "scope": "reports", "dpop_bound_access_tokens": true,
            "redirect_uris": [], "response_types": [] });
        let (shop, key) = (shop(world, form).await, Key::new("1"));
        let asked = token_form(&shop, &[("grant_type", "client_credentials")]);
        let tokens = post(world, TOKEN, &asked, &[proof(world, &key, "POST", TOKEN, json!({}))]).await.is(200);
        assert_eq!((tokens.word("token_type").as_str(), &claims(&tokens.word("access_token"))["cnf"]["jkt"]), ("DPoP", &json!(jkt(&key))));
        post(world, TOKEN, &asked, &[]).await.refused_oauth(400, "invalid_dpop_proof");

        let payload = || {
            let text = proof(world, &key, "POST", TOKEN, json!({}));
            let payload = text.split('.').nth(1).expect("three parts").to_owned();
            String::from_utf8(URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("UTF-8")
        };
        let headed = |more: Value| key.sign_raw(&header(&key, more), &payload());
        post(world, TOKEN, &asked, &[headed(json!({ "kid": "1", "x": { "y": 1 } }))]).await.is(200);
        let mut private = key.jwk();
        private["d"] = json!("AAAA");
        let good = headed(json!({}));
        let (message, signature) = good.rsplit_once('.').expect("a signature");
        let other = Key::new("1");
        let foreign = other.sign_raw(&header(&key, json!({})), &payload());
        let weak = json!({ "kty": "EC", "crv": "P-224", "x": "AA", "y": "AA" });
        let symmetric = json!({ "kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U" });
        let mut bad = vec![
            foreign,
            format!("{message}."),
            format!("{message}.{}", signature.chars().rev().collect::<String>()),
            format!("{good}.x"),
            "junk".to_owned(),
            String::new(),
        ];
        bad.extend(["none", "HS256", "RS256", "ES384", "es256", ""].map(|alg| headed(json!({ "alg": alg }))));
        bad.extend([Value::Null, json!("JWT"), json!("at+jwt"), json!("dpop"), json!(1)].map(|typ| headed(json!({ "typ": typ }))));
        bad.extend([Value::Null, json!("key"), json!({}), private, weak, symmetric].map(|jwk| headed(json!({ "jwk": jwk }))));
        bad.extend(["crit", "jku", "x5u", "x5c", "b64"].map(|name| headed(json!({ name: ["x"] }))));
        let elsewhere = format!("{}/t/acme/oauth/par", world.base_url);
        for wrong in [
            json!({ "htm": "GET" }),
            json!({ "htu": elsewhere }),
            json!({ "htu": "https://evil.example/t/acme/oauth/token" }),
            json!({ "htu": null }),
            json!({ "jti": null }),
            json!({ "iat": null }),
            json!({ "iat": world.clock.now().as_seconds() - 3_600 }),
            json!({ "iat": world.clock.now().as_seconds() + 3_600 }),
        ] {
            bad.push(proof(world, &key, "POST", TOKEN, wrong));
        }
        for bad in bad {
            let answer = post(world, TOKEN, &asked, std::slice::from_ref(&bad)).await;
            assert_eq!(answer.status, 400, "{bad}");
            answer.refused_oauth(400, "invalid_dpop_proof");
        }
        let proofs = [(); 2].map(|()| proof(world, &key, "POST", TOKEN, json!({})));
        post(world, TOKEN, &asked, &proofs).await.refused_oauth(400, "invalid_dpop_proof");
        for fine in ["?a=1", "#f"] {
            let place = format!("{}{TOKEN}{fine}", world.base_url);
            post(world, TOKEN, &asked, &[proof(world, &key, "POST", TOKEN, json!({ "htu": place }))]).await.is(200);
        }
    });
}

#[test]
fn s098_of_16_who_present_the_same_proof_exactly_one_is_let_in() {
    in_world(async |world| {
        let form = json!({ "grant_types": ["client_credentials"], "scope": "reports", "redirect_uris": [], "response_types": [] });
        let (shop, key) = (shop(world, form).await, Key::new("1"));
        let asked = token_form(&shop, &[("grant_type", "client_credentials")]);
        let once = [proof(world, &key, "POST", TOKEN, json!({}))];
        let answers = futures_util::future::join_all((0..16).map(|_| post(world, TOKEN, &asked, &once))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.status == 400).count(), 15);
        // Its name is forgotten only when its time is over.
        world.clock.forward(59);
        world.sweep().await;
        post(world, TOKEN, &asked, &once).await.refused_oauth(400, "invalid_dpop_proof");
        let seconds = world.clock.now().as_seconds();
        for (ahead, is_good) in [(-10, true), (10, true), (-61, false), (90, false)] {
            let answer = post(world, TOKEN, &asked, &[proof(world, &key, "POST", TOKEN, json!({ "iat": seconds + ahead }))]).await;
            assert_eq!(answer.status == 200, is_good, "{ahead}");
        }
    });
}

#[test]
fn s100_a_nonce_is_given_asked_for_and_good_for_minutes() {
    in_world(async |world| {
        let (shop, key) = (shop(world, json!({ "token_endpoint_auth_method": "none", "require_dpop_nonce": true })).await, Key::new("1"));
        let (mut browser, path) = (Browser::new(&world.base_url), TOKEN);
        let code_of = code(&mut browser, &shop, &[]).await;
        let told_nonce = |answer: Answer| answer.refused_oauth(400, "use_dpop_nonce").header("dpop-nonce").to_owned();
        let form = code_form(&shop, &code_of);
        let nonce = told_nonce(post(world, path, &form, &[proof(world, &key, "POST", path, json!({}))]).await);
        assert_eq!(nonce.len(), 43);
        assert_eq!(told_nonce(post(world, path, &form, &[proof(world, &key, "POST", path, json!({ "nonce": "x" }))]).await).len(), 43);
        // The code is not used up by that, and a clock that is wrong by an hour does no harm.
        let late = json!({ "nonce": nonce, "iat": world.clock.now().as_seconds() - 3_600 });
        let tokens = post(world, path, &form, &[proof(world, &key, "POST", path, late)]).await.is(200);

        let token = tokens.word("access_token");
        let refused = get(world, USERINFO, "DPoP", &token, &[proof(world, &key, "GET", USERINFO, ath(&token))]).await;
        let refused = refused.refused_oauth(401, "use_dpop_nonce");
        assert!(refused.header("www-authenticate").starts_with("DPoP error=\"use_dpop_nonce\""));
        let mut said = ath(&token);
        said["nonce"] = json!(refused.header("dpop-nonce"));
        get(world, USERINFO, "DPoP", &token, &[proof(world, &key, "GET", USERINFO, said.clone())]).await.is(200);
        world.clock.forward(241);
        let old = get(world, USERINFO, "DPoP", &token, &[proof(world, &key, "GET", USERINFO, said)]).await;
        assert_ne!(old.refused_oauth(401, "use_dpop_nonce").header("dpop-nonce"), nonce);

        // The tenant may want it of all.
        let other = crate::oidc::client(world, json!({ "token_endpoint_auth_method": "none" })).await;
        world.policy("acme", json!({ "require_dpop_nonce": true })).await;
        let code_of = told(&browser.get(&other.request(&[])).await)["code"].clone();
        let form = code_form(&other, &code_of);
        told_nonce(post(world, path, &form, &[proof(world, &key, "POST", path, json!({}))]).await);
        // The nonce of one tenant is no other's.
        world.tenant("globex").await;
        world.policy("globex", json!({ "require_dpop_nonce": true })).await;
        let form = [("grant_type", "refresh_token"), ("client_id", "first-party"), ("refresh_token", "x")];
        let path = "/t/globex/oauth/token";
        let theirs = told_nonce(post(world, path, &form, &[proof(world, &key, "POST", path, json!({}))]).await);
        assert_ne!(theirs, nonce);
    });
}

#[test]
fn s083_a_public_clients_refresh_token_is_bound_to_its_key_and_a_confidential_ones_to_the_client() {
    in_world(async |world| {
        let (key, other) = (Key::new("1"), Key::new("1"));
        let public = shop(world, json!({ "token_endpoint_auth_method": "none" })).await;
        let token = bound(world, &public, &key).await.word("refresh_token");
        for proofs in [vec![], vec![proof(world, &other, "POST", TOKEN, json!({}))]] {
            post(world, TOKEN, &refresh_form(&public, &token), &proofs).await.refused_oauth(400, "invalid_grant");
        }
        let seen = world.platform_admin().form("/t/acme/oauth/introspect", &[("token", &token)]).await.is(200).json();
        assert_eq!(seen["cnf"]["jkt"], jkt(&key));
        // Whoever had it without the key has ended nothing.
        let renewed = post(world, TOKEN, &refresh_form(&public, &token), &[proof(world, &key, "POST", TOKEN, json!({}))]).await.is(200);
        assert_eq!(claims(&renewed.word("access_token"))["cnf"]["jkt"], jkt(&key));

        let confidential = crate::oidc::client(world, json!({})).await;
        let token = bound(world, &confidential, &key).await.word("refresh_token");
        let asked = refresh_form(&confidential, &token);
        let renewed = post(world, TOKEN, &asked, &[proof(world, &other, "POST", TOKEN, json!({}))]).await.is(200);
        assert_eq!(claims(&renewed.word("access_token"))["cnf"]["jkt"], jkt(&other), "it may change its key");
    });
}

#[test]
fn s044_a_code_is_worth_something_with_the_key_it_was_asked_for_with() {
    in_world(async |world| {
        let (shop, key, other) = (shop(world, json!({})).await, Key::new("1"), Key::new("1"));
        let mut browser = Browser::new(&world.base_url);
        let named = jkt(&key);
        let first = logged_in(&mut browser, &shop.request(&[("dpop_jkt", &named)])).await;
        let mut last = told(&first)["code"].clone();
        for proofs in [vec![], vec![proof(world, &other, "POST", TOKEN, json!({}))]] {
            post(world, TOKEN, &code_form(&shop, &last), &proofs).await.refused_oauth(400, "invalid_grant");
            last = told(&browser.get(&shop.request(&[("dpop_jkt", &named)])).await)["code"].clone();
        }
        post(world, TOKEN, &code_form(&shop, &last), &[proof(world, &key, "POST", TOKEN, json!({}))]).await.is(200);
        assert_eq!(told(&browser.get(&shop.request(&[("dpop_jkt", "x")])).await)["error"], "invalid_request");

        // Pushed: the key that was proved counts, and has to be the one that is named.
        let push = async |more: &[(&str, &str)], proofs: &[String]| {
            let request = Url::parse(&format!("https://x.example{}", shop.request(more))).expect("an address");
            let mut form: BTreeMap<String, String> = request.query_pairs().into_owned().collect();
            form.insert("client_secret".to_owned(), shop.secret.clone());
            let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            post(world, PAR, &form, proofs).await
        };
        let proved = |key: &Key| [proof(world, key, "POST", PAR, json!({}))];
        push(&[("dpop_jkt", &named)], &proved(&other)).await.refused_oauth(400, "invalid_request");
        push(&[], &[proof(world, &key, "POST", TOKEN, json!({}))]).await.refused_oauth(400, "invalid_dpop_proof");
        for more in [vec![], vec![("dpop_jkt", named.as_str())]] {
            let uri = push(&more, &proved(&key)).await.is(201).word("request_uri");
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("client_id", shop.id.as_str()), ("request_uri", &uri)])
                .finish();
            let code = told(&browser.get(&format!("/t/acme/oauth/authorize?{query}")).await)["code"].clone();
            let wrong = post(world, TOKEN, &code_form(&shop, &code), &[proof(world, &other, "POST", TOKEN, json!({}))]).await;
            wrong.refused_oauth(400, "invalid_grant");
        }
    });
}
