//! Clients that sign with the secret they share with us (client_secret_jwt; OpenID Connect Core, 9).

use std::sync::atomic::{AtomicU64, Ordering};

use app::ports::world::Clock;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::client::assertion::ASSERTION_TYPE;
use serde_json::{Value, json};

use crate::world::{Answer, World, in_world};

const CLIENTS: &str = "/admin/v1/tenants/acme/clients";
const TOKEN: &str = "/t/acme/oauth/token";

/// A program that has a secret to sign with.
struct Signing {
    id: String,
    secret: String,
}

fn metadata(more: Value) -> Value {
    let mut form = json!({ "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_jwt", "scope": "reports" });
    form.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
    form
}

async fn signing(world: &World, more: Value) -> Signing {
    let made = world.platform_admin().post(CLIENTS, metadata(more)).await.is(201);
    Signing { id: made.word("client_id"), secret: made.word("client_secret") }
}

impl Signing {
    /// Good claims, of which none was used before.
    fn claims(&self, world: &World) -> Value {
        static JTI: AtomicU64 = AtomicU64::new(0);
        let now = world.clock.now().as_seconds();
        let jti = JTI.fetch_add(1, Ordering::Relaxed).to_string();
        json!({ "iss": self.id, "sub": self.id, "aud": format!("{}/t/acme", world.base_url), "exp": now + 60, "iat": now, "jti": jti })
    }

    fn sign(&self, world: &World, alg: &str) -> String {
        signed(&json!({ "alg": alg }), &self.claims(world), &self.secret)
    }
}

fn signed(header: &Value, claims: &Value, secret: &str) -> String {
    let algorithm = match header["alg"].as_str() {
        Some("HS384") => hmac::HMAC_SHA384,
        Some("HS512") => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mac = hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac))
}

async fn present(world: &World, assertion: &str) -> Answer {
    let form = [("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)];
    world.anon().form(TOKEN, &form).await
}

#[test]
fn s050_s051_s052_an_assertion_by_a_shared_secret_is_judged_like_any_other() {
    in_world(async |world| {
        world.tenant("acme").await;
        let metadata = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
        for (member, word) in
            [("token_endpoint_auth_methods_supported", "client_secret_jwt"), ("token_endpoint_auth_signing_alg_values_supported", "HS256")]
        {
            assert!(metadata[member].as_array().expect("a list").contains(&json!(word)), "{metadata}");
        }
        let (shop, strict) = (signing(world, json!({})).await, signing(world, json!({ "require_issuer_audience": true })).await);
        let picky = signing(world, json!({ "token_endpoint_auth_signing_alg": "HS512" })).await;
        for alg in ["HS256", "HS384", "HS512"] {
            present(world, &shop.sign(world, alg)).await.is(200);
            present(world, &picky.sign(world, alg)).await.is(if alg == "HS512" { 200 } else { 401 });
        }
        let once = shop.sign(world, "HS256");
        present(world, &once).await.is(200);
        present(world, &once).await.refused_oauth(401, "invalid_client");
        let changed = |machine: &Signing, name: &str, value: Value| {
            let mut claims = machine.claims(world);
            claims[name] = value;
            signed(&json!({ "alg": "HS256" }), &claims, &machine.secret)
        };
        let token_endpoint = format!("{}{TOKEN}", world.base_url);
        present(world, &changed(&shop, "aud", json!(token_endpoint))).await.is(200);
        let now = world.clock.now().as_seconds();
        for refused in [
            changed(&shop, "iss", json!(strict.id)),
            changed(&shop, "exp", json!(now - 60)),
            changed(&shop, "exp", json!(now + 7_200)),
            changed(&shop, "jti", Value::Null),
            changed(&shop, "aud", json!(format!("{}/t/globex", world.base_url))),
            changed(&strict, "aud", json!(token_endpoint)),
            signed(&json!({ "alg": "HS256" }), &shop.claims(world), &strict.secret),
            signed(&json!({ "alg": "HS256" }), &shop.claims(world), ""),
            signed(&json!({ "alg": "none" }), &shop.claims(world), &shop.secret),
            signed(&json!({ "alg": "ES256" }), &shop.claims(world), &shop.secret),
            signed(&json!({ "alg": "HS256", "typ": "at+jwt" }), &shop.claims(world), &shop.secret),
            signed(&json!({ "alg": "HS256", "crit": ["x"] }), &shop.claims(world), &shop.secret),
        ] {
            present(world, &refused).await.refused_oauth(401, "invalid_client");
        }
    });
}

#[test]
fn a_secret_that_signs_is_never_sent_and_one_that_is_sent_never_signs() {
    in_world(async |world| {
        world.tenant("acme").await;
        let shop = signing(world, json!({})).await;
        let grant = ("grant_type", "client_credentials");
        let posted = [grant, ("client_id", shop.id.as_str()), ("client_secret", shop.secret.as_str())];
        world.anon().form(TOKEN, &posted).await.refused_oauth(401, "invalid_client");
        let basic = world.anon().request("POST", TOKEN).basic_auth(&shop.id, Some(&shop.secret)).form(&[grant]);
        crate::world::sent(basic).await.refused_oauth(401, "invalid_client");
        world.anon().form(TOKEN, &[grant, ("client_id", &shop.id)]).await.refused_oauth(401, "invalid_client");
        // It lies nowhere in clear, and nobody is shown it again.
        let stored = std::fs::read(&world.database).expect("the database");
        assert!(!stored.windows(shop.secret.len()).any(|bytes| bytes == shop.secret.as_bytes()), "the secret lies in the database");
        let admin = world.platform_admin();
        let place = format!("{CLIENTS}/{}", shop.id);
        let shown = admin.get(&place).await.is(200).text;
        assert!(!shown.contains(&shop.secret) && !shown.contains("sealed"), "{shown}");

        // What becomes another kind of client has no secret of the former.
        admin.put(&place, metadata(json!({ "token_endpoint_auth_method": "client_secret_post" }))).await.is(200);
        present(world, &shop.sign(world, "HS256")).await.refused_oauth(401, "invalid_client");
        world.anon().form(TOKEN, &posted).await.refused_oauth(401, "invalid_client");
        let sent = admin.post(&format!("{place}/secrets"), json!({})).await.is(201).word("client_secret");
        world.anon().form(TOKEN, &[grant, ("client_id", &shop.id), ("client_secret", &sent)]).await.is(200);
        let back = admin.put(&place, metadata(json!({}))).await.is(200).json();
        assert_eq!(back["secrets"], json!([]));
        let posing = Signing { id: shop.id.clone(), secret: sent };
        present(world, &posing.sign(world, "HS256")).await.refused_oauth(401, "invalid_client");
        world.anon().form(TOKEN, &posted).await.refused_oauth(401, "invalid_client");
        // One with keys of its own signs with those.
        let form =
            json!({ "profile": "fapi2", "redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "client_secret_jwt" });
        admin.post(CLIENTS, form).await.refused(422, "invalid_client_metadata");
    });
}

#[test]
fn two_secrets_sign_while_one_replaces_the_other() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.tenant("globex").await;
        let first = signing(world, json!({})).await;
        let (admin, place) = (world.platform_admin(), format!("{CLIENTS}/{}", first.id));
        let end = domain::time::Timestamp::from_seconds(world.clock.now().as_seconds() + 600);
        let made = admin.post(&format!("{place}/secrets"), json!({ "expires_at": end })).await.is(201);
        let second = Signing { id: first.id.clone(), secret: made.word("client_secret") };
        assert_ne!(first.secret, second.secret);
        admin.post(&format!("{place}/secrets"), json!({})).await.is(409);
        for one in [&first, &second] {
            present(world, &one.sign(world, "HS256")).await.is(200);
        }
        // They outlive the token secret, which seals other things.
        for _ in 0..2 {
            admin.post("/admin/v1/tenants/acme/keys/token-secret/rotate", json!({})).await.is(200);
        }
        present(world, &second.sign(world, "HS512")).await.is(200);
        let old = admin.get(&place).await.is(200).json()["secrets"][0]["id"].as_str().expect("an id").to_owned();
        admin.delete(&format!("{place}/secrets/{old}")).await.is(204);
        present(world, &first.sign(world, "HS256")).await.refused_oauth(401, "invalid_client");
        present(world, &second.sign(world, "HS256")).await.is(200);
        world.clock.forward(601);
        present(world, &second.sign(world, "HS256")).await.refused_oauth(401, "invalid_client");
        // Another tenant has no such client.
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", &first.sign(world, "HS256")),
        ];
        world.anon().form("/t/globex/oauth/token", &form).await.refused_oauth(401, "invalid_client");
    });
}

#[test]
fn s120_a_client_registers_itself_for_it_and_says_its_secret_when_it_changes_itself() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.policy("acme", json!({ "registration": { "access": "open" } })).await;
        let metadata = json!({ "redirect_uris": ["https://shop.example/cb"], "token_endpoint_auth_method": "client_secret_jwt" });
        let made = world.anon().post("/t/acme/oauth/register", metadata.clone()).await.is(201);
        let (id, secret) = (made.word("client_id"), made.word("client_secret"));
        let itself = world.bearing(&made.word("registration_access_token"));
        let place = format!("/t/acme/oauth/register/{id}");
        assert!(itself.get(&place).await.is(200).json().get("client_secret").is_none());
        let said = |secret: &str| {
            let mut said = metadata.clone();
            said["client_id"] = json!(id);
            said["client_secret"] = json!(secret);
            said
        };
        itself.put(&place, said(&format!("{secret}x"))).await.refused_oauth(400, "invalid_client_metadata");
        let kept = itself.put(&place, said(&secret)).await.is(200);
        assert!(kept.json().get("client_secret").is_none(), "the same secret goes on");
        // Another kind of client has another secret.
        let mut other = said(&secret);
        other["token_endpoint_auth_method"] = json!("client_secret_basic");
        let changed = itself.put(&place, other).await.is(200);
        assert!(changed.word("client_secret").starts_with("cs1_"));
    });
}
