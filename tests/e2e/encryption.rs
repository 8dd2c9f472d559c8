//! Answers that are encrypted to one client: ID tokens, logout tokens, userinfo, authorization answers and introspection.
//!
//! Two libraries of somebody else, jose and joserfc, decrypt each of them and verify what is inside by the JWKS.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::foreign_verifiers::{Verifier, node_with, python_with};
use crate::logouts::open;
use crate::oidc::{CALLBACK, Shop, client, code, logged_in, shop, told};
use crate::registration::{REGISTER, initial_token, registration};
use crate::relying_party::RelyingParty;
use crate::world::{World, in_world, in_world_with, sent};

const CLIENTS: &str = "/admin/v1/tenants/acme/clients";
const METADATA: &str = "/t/acme/.well-known/openid-configuration";
const INTROSPECT: &str = "/t/acme/oauth/introspect";
const USERINFO: &str = "/t/acme/oauth/userinfo";
const SIGNED: &str = "application/token-introspection+jwt";
const ANSWERS: [&str; 4] = ["id_token", "userinfo", "authorization", "introspection"];

/// An RSA key, and one on each of two curves, with their private halves. The one on P-256 is of RFC 7518, C.
fn private_keys() -> Vec<Value> {
    serde_json::from_str(include_str!("../foreign/encryption_keys.json")).expect("JSON")
}

fn public(mut key: Value) -> Value {
    key.as_object_mut().expect("an object").retain(|name, _| ["kty", "crv", "kid", "use", "n", "e", "x", "y"].contains(&name.as_str()));
    key
}

/// What the client shows.
pub(crate) fn jwks() -> Value {
    json!({ "keys": private_keys().into_iter().map(public).collect::<Vec<_>>() })
}

/// What a library reads in these tokens, which must be acme's for this client.
async fn read(verifier: &Verifier, world: &World, shop: &Shop, tokens: &[String]) -> Vec<Value> {
    let (issuer, keys) = (format!("{}/t/acme", world.base_url), json!(private_keys()).to_string());
    let arguments = [&format!("{issuer}/.well-known/jwks.json"), &issuer, &shop.id, &keys, &json!(tokens).to_string()];
    let output = verifier.command(&arguments.map(String::as_str)).output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

async fn libraries() -> [Verifier; 2] {
    [node_with("jose-6.2.1", &["jose@6.2.1"], "decrypt.mjs").await, python_with("joserfc-1.8.0", &["joserfc==1.8.0"], "decrypt.py").await]
}

#[test]
fn whatever_a_client_registers_its_id_tokens_are_read_by_its_key_alone_in_the_libraries_of_others() {
    in_world(async |world| {
        let libraries = libraries().await;
        let shop = shop(world, json!({ "jwks": jwks(), "id_token_encrypted_response_alg": "RSA-OAEP-256" })).await;
        let mut browser = Browser::new(&world.base_url);
        let once = code(&mut browser, &shop, &[]).await;
        let tokens = shop.redeem(world, &once).await.is(200);
        let mut refresh_token = tokens.word("refresh_token");
        let (mut all, mut ways) = (vec![tokens.word("id_token")], vec![("RSA-OAEP-256", "A128CBC-HS256", "rsa")]);
        // The way is changed, and the session goes on.
        for way in [
            ("RSA-OAEP-256", "A256CBC-HS512", "rsa"),
            ("ECDH-ES", "A128CBC-HS256", "p256"),
            ("ECDH-ES", "A256CBC-HS512", "p256"),
            ("ECDH-ES", "A128GCM", "p256"),
            ("ECDH-ES", "A256GCM", "p384"),
            ("ECDH-ES+A128KW", "A128GCM", "p384"),
            ("ECDH-ES+A128KW", "A128CBC-HS256", "p256"),
            ("ECDH-ES+A256KW", "A256GCM", "p256"),
            ("ECDH-ES+A256KW", "A256CBC-HS512", "p384"),
        ] {
            let (alg, enc, kid) = way;
            let key = private_keys().into_iter().find(|key| key["kid"] == kid).expect("there");
            let form = json!({
                "client_name": "Shop", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_method": "client_secret_post", "consent": "first_party", "jwks": { "keys": [public(key)] },
                "id_token_encrypted_response_alg": alg, "id_token_encrypted_response_enc": enc,
            });
            world.platform_admin().put(&format!("{CLIENTS}/{}", shop.id), form).await.is(200);
            let next = shop.refresh(world, &refresh_token).await.is(200);
            refresh_token = next.word("refresh_token");
            all.push(next.word("id_token"));
            ways.push(way);
        }
        for library in &libraries {
            let read = read(library, world, &shop, &all).await;
            assert_eq!(read.len(), ways.len());
            for (number, ((alg, enc, kid), read)) in ways.iter().zip(&read).enumerate() {
                let outer = &read["outer"];
                assert_eq!(
                    [&outer["alg"], &outer["enc"], &outer["kid"], &outer["cty"]],
                    [&json!(alg), &json!(enc), &json!(kid), &json!("JWT")]
                );
                let nonce = if number == 0 { json!("n-1") } else { Value::Null };
                assert_eq!((&read["inner"]["alg"], &read["claims"]["nonce"]), (&json!("RS256"), &nonce));
                assert_eq!(read["claims"]["acr"], "1");
            }
        }
        // As a hint comes what is inside.
        let page = browser.get(&shop.request(&[("id_token_hint", &all[0]), ("prompt", "none")])).await;
        assert_eq!(told(&page)["error"], "invalid_request");

        let metadata = world.anon().get(METADATA).await.is(200).json();
        for answer in ANSWERS {
            let algs = &metadata[format!("{answer}_encryption_alg_values_supported")];
            assert_eq!(*algs, json!(["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]), "{answer}");
            let encs = &metadata[format!("{answer}_encryption_enc_values_supported")];
            assert_eq!(*encs, json!(["A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM"]), "{answer}");
        }
        assert_eq!(metadata.get("request_object_encryption_alg_values_supported"), None);
    });
}

#[test]
fn s033_s103_userinfo_answers_and_introspection_are_signed_and_then_encrypted() {
    in_world_with(open, async |world| {
        let libraries = libraries().await;
        let party = RelyingParty::start().await;
        let shop = shop(
            world,
            json!({
                "jwks": jwks(), "userinfo_signed_response_alg": "ES256", "userinfo_encrypted_response_alg": "ECDH-ES+A256KW",
                "authorization_encrypted_response_alg": "RSA-OAEP-256", "authorization_encrypted_response_enc": "A256GCM",
                "introspection_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_alg": "RSA-OAEP-256",
                "backchannel_logout_uri": format!("{}/logout", party.url),
            }),
        )
        .await;
        let mut browser = Browser::new(&world.base_url);
        // A refusal as well.
        let page = browser.get(&shop.request(&[("response_mode", "jwt"), ("prompt", "none")])).await;
        let refused = told(&page)["response"].clone();
        let page = logged_in(&mut browser, &shop.request(&[("response_mode", "jwt")])).await;
        let answer = told(&page)["response"].clone();
        let [first, second] = &libraries;
        let claims = read(first, world, &shop, &[refused.clone(), answer.clone()]).await;
        assert_eq!(claims[0]["claims"]["error"], "login_required");
        let once = claims[1]["claims"]["code"].as_str().expect("a code").to_owned();
        let tokens = shop.redeem(world, &once).await.is(200);

        let told = world.bearing(&tokens.word("access_token")).get(USERINFO).await.is(200);
        assert_eq!(told.header("content-type"), "application/jwt");
        let form = [("token", tokens.word("access_token")), ("client_id", shop.id.clone()), ("client_secret", shop.secret.clone())];
        let known = sent(world.anon().request("POST", INTROSPECT).form(&form).header("accept", SIGNED)).await.is(200);
        assert_eq!(known.header("content-type"), SIGNED);
        let page = browser.get("/t/acme/oauth/end_session").await.is(200);
        browser.submit(&page, &[("decision", "sign_out")]).await;
        let all = [refused, answer, told.text.clone(), known.text.clone(), tokens.word("id_token")];
        for library in [first, second] {
            let [refused, answer, told, known, id] = &read(library, world, &shop, &all).await[..] else { panic!("five") };
            assert_eq!((&refused["claims"]["error"], &answer["claims"]["code"]), (&json!("login_required"), &json!(once)));
            assert_eq!((&told["claims"]["email"], &told["claims"]["sub"]), (&json!("alice@acme.example"), &id["claims"]["sub"]));
            assert_eq!(known["claims"]["token_introspection"]["active"], true);
            assert_eq!(known["inner"]["typ"], "token-introspection+jwt");
            for (read, alg, enc) in [
                (refused, "RSA-OAEP-256", "A256GCM"),
                (answer, "RSA-OAEP-256", "A256GCM"),
                (told, "ECDH-ES+A256KW", "A128CBC-HS256"),
                (known, "ECDH-ES", "A128CBC-HS256"),
                (id, "RSA-OAEP-256", "A128CBC-HS256"),
            ] {
                assert_eq!((&read["outer"]["alg"], &read["outer"]["enc"]), (&json!(alg), &json!(enc)));
            }
        }
        // Logout tokens go like ID tokens (OpenID Connect Back-Channel Logout 1.0, 2.6).
        let (path, body) = party.posted(1).await.remove(0);
        assert_eq!(path, "/logout");
        let token = url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "logout_token").expect("a token").1.into_owned();
        let logout = &read(first, world, &shop, &[token]).await[0];
        assert_eq!((&logout["outer"]["alg"], &logout["inner"]["typ"]), (&json!("RSA-OAEP-256"), &json!("logout+jwt")));
    });
}

#[test]
fn s054_without_a_good_key_nothing_is_registered_and_nothing_leaves_in_clear() {
    in_world_with(open, async |world| {
        let party = RelyingParty::start().await;
        let uri = format!("{}/jwks", party.url);
        let rsa = public(private_keys().remove(0));
        let with = |name: &str, value: Value| {
            let mut key = rsa.clone();
            key[name] = value;
            json!({ "keys": [key] })
        };
        let off_the_curve = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "enc", "x": "A".repeat(43), "y": "A".repeat(43) }] });
        world.tenant("acme").await;
        registration(world, json!({ "access": "initial_access_token" })).await;
        let token = initial_token(world, json!({ "uses": 20 })).await.word("token");
        party.show_document(with("use", json!("sig")));
        for answer in ["id_token", "authorization", "introspection"] {
            for (member, keys, alg) in [
                ("jwks", json!({ "jwks": with("use", json!("sig")) }), "RSA-OAEP-256"),
                ("jwks", json!({ "jwks": with("use", Value::Null) }), "RSA-OAEP-256"),
                ("jwks", json!({ "jwks": with("alg", json!("RSA-OAEP")) }), "RSA-OAEP-256"),
                ("jwks", json!({ "jwks": with("n", json!("_".repeat(300))) }), "RSA-OAEP-256"),
                ("jwks", json!({ "jwks": with("d", json!("AQAB")) }), "RSA-OAEP-256"),
                ("jwks", json!({ "jwks": off_the_curve }), "ECDH-ES"),
                ("jwks", json!({ "jwks": { "keys": [rsa] } }), "ECDH-ES"),
                ("jwks", json!({}), "RSA-OAEP-256"),
                ("jwks_uri", json!({ "jwks_uri": uri }), "RSA-OAEP-256"),
                ("jwks_uri", json!({ "jwks_uri": "http://127.0.0.1:9/jwks" }), "RSA-OAEP-256"),
            ] {
                let mut form = json!({ "redirect_uris": [CALLBACK], format!("{answer}_encrypted_response_alg"): alg });
                form.as_object_mut().expect("an object").extend(keys.as_object().expect("an object").clone());
                let refused = world.platform_admin().post(CLIENTS, form.clone()).await.refused(422, "invalid_client_metadata").json();
                assert_eq!(refused["member"], member, "{form}");
                if answer == "id_token" {
                    world.bearing(&token).post(REGISTER, form).await.refused_oauth(400, "invalid_client_metadata");
                }
            }
        }
        // Nobody has an algorithm that is weak, or a secret to share.
        for alg in ["RSA1_5", "RSA-OAEP", "dir", "A256KW", "PBES2-HS256+A128KW"] {
            let form = json!({ "redirect_uris": [CALLBACK], "jwks": jwks(), "id_token_encrypted_response_alg": alg });
            let refused = world.platform_admin().post(CLIENTS, form).await.refused(422, "invalid_client_metadata").json();
            assert_eq!(refused["member"], "id_token_encrypted_response_alg", "{alg}");
        }

        // A client that registers itself, with its keys at an address of its own, which it changes.
        party.show_document(jwks());
        let form = json!({ "username": "alice", "email": "alice@acme.example", "password": crate::world::PASSWORD });
        world.platform_admin().post("/admin/v1/tenants/acme/users", form).await.is(201);
        let form = json!({ "redirect_uris": [CALLBACK], "jwks_uri": uri, "id_token_encrypted_response_alg": "RSA-OAEP-256" });
        let own = world.bearing(&token).post(REGISTER, form).await.is(201).json();
        assert_eq!(own["id_token_encrypted_response_enc"], "A128CBC-HS256");
        let shop = client(world, json!({ "jwks_uri": uri, "id_token_encrypted_response_alg": "RSA-OAEP-256" })).await;
        let mut browser = Browser::new(&world.base_url);
        let once = code(&mut browser, &shop, &[]).await;
        // Its key goes: the code is not used up, and there is no ID token in clear.
        party.show_document(json!({ "keys": [] }));
        shop.redeem(world, &once).await.refused_oauth(400, "unauthorized_client");
        let mut newer = rsa.clone();
        newer["kid"] = json!("newer");
        party.show_document(json!({ "keys": [newer] }));
        world.clock.forward(61);
        let once = told(&browser.get(&shop.request(&[("prompt", "none")])).await)["code"].clone();
        let tokens = shop.redeem(world, &once).await.is(200);
        let header = tokens.word("id_token").split('.').next().expect("a header").to_owned();
        let header = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header).expect("base64url");
        assert_eq!(serde_json::from_slice::<Value>(&header).expect("JSON")["kid"], "newer");
    });
}

#[test]
fn an_encrypted_request_object_is_refused_by_name() {
    in_world(async |world| {
        let shop = shop(world, json!({ "jwks": jwks() })).await;
        let page = Browser::new(&world.base_url).get(&shop.request(&[("request", "a.b.c.d.e")])).await;
        let told = told(&page);
        assert_eq!(told["error"], "invalid_request_object");
        assert!(told["error_description"].contains("encrypted"), "{told:?}");
    });
}
