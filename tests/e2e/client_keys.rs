//! Clients that prove themselves by a key of their own (private_key_jwt; RFC 7523, OpenID Connect Core, 9).

use std::sync::atomic::{AtomicU64, Ordering};

use app::ports::world::Clock;
use domain::client::assertion::ASSERTION_TYPE;
use serde_json::{Value, json};

use crate::relying_party::{Key, RelyingParty};
use crate::world::{Answer, World, in_world, in_world_with};

const CLIENTS: &str = "/admin/v1/tenants/acme/clients";
const TOKEN: &str = "/t/acme/oauth/token";

/// A program with a key.
pub(crate) struct Machine {
    id: String,
}

pub(crate) async fn machine(world: &World, more: Value) -> Machine {
    let mut form = json!({
        "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "scope": "reports",
    });
    form.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
    let made = world.platform_admin().post(CLIENTS, form).await.is(201);
    assert_eq!(made.json()["client_secret"], Value::Null, "it has no secret");
    Machine { id: made.word("client_id") }
}

/// The program with this id.
pub(crate) fn machine_of(id: &str) -> Machine {
    Machine { id: id.to_owned() }
}

impl Machine {
    /// Good claims, of which none was used before.
    pub(crate) fn claims(&self, world: &World) -> Value {
        static JTI: AtomicU64 = AtomicU64::new(0);
        let now = world.clock.now().as_seconds();
        let jti = JTI.fetch_add(1, Ordering::Relaxed).to_string();
        json!({ "iss": self.id, "sub": self.id, "aud": format!("{}/t/acme", world.base_url), "exp": now + 60, "iat": now, "jti": jti })
    }
}

pub(crate) async fn present(world: &World, assertion: &str) -> Answer {
    let form = [("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)];
    world.anon().form(TOKEN, &form).await
}

/// A client with a key comes once.
pub(crate) async fn leave_behind(world: &World) {
    let key = Key::new("1");
    let shop = machine(world, json!({ "jwks": { "keys": [key.jwk()] } })).await;
    present(world, &key.sign(&shop.claims(world))).await.is(200);
}

#[test]
fn s050_s051_s053_an_assertion_is_the_clients_for_us_and_of_now() {
    in_world(async |world| {
        world.tenant("acme").await;
        let (key, other) = (Key::new("1"), Key::new("1"));
        let jwks = json!({ "keys": [key.jwk()] });
        let shop = machine(world, json!({ "jwks": jwks })).await;
        let strict = machine(world, json!({ "jwks": jwks, "require_issuer_audience": true })).await;
        present(world, &key.sign(&shop.claims(world))).await.is(200);
        let token_endpoint = format!("{}{TOKEN}", world.base_url);
        let changed = |machine: &Machine, name: &str, value: Value| {
            let mut claims = machine.claims(world);
            claims[name] = value;
            key.sign(&claims)
        };
        present(world, &changed(&shop, "aud", json!(token_endpoint))).await.is(200);
        present(world, &changed(&strict, "aud", json!(format!("{}/t/acme", world.base_url)))).await.is(200);
        let now = world.clock.now().as_seconds();
        for refused in [
            changed(&shop, "iss", json!(strict.id)),
            changed(&shop, "exp", Value::Null),
            changed(&shop, "exp", json!(now - 60)),
            changed(&shop, "exp", json!(now + 7_200)),
            changed(&shop, "iat", json!(now + 90)),
            changed(&shop, "jti", Value::Null),
            changed(&shop, "aud", json!(format!("{}/t/globex", world.base_url))),
            changed(&strict, "aud", json!(token_endpoint)),
            changed(&strict, "aud", json!([format!("{}/t/acme", world.base_url)])),
            other.sign(&shop.claims(world)),
            Key::new("unknown").sign(&shop.claims(world)),
            "a.b.c".to_owned(),
            String::new(),
        ] {
            let answer = present(world, &refused).await;
            assert!(answer.status == 401 || refused.is_empty(), "{refused}");
        }
        // Another way to prove oneself is not the registered one; and two ways are none.
        world
            .anon()
            .form(TOKEN, &[("grant_type", "client_credentials"), ("client_id", &shop.id)])
            .await
            .refused_oauth(401, "invalid_client");
        let assertion = key.sign(&shop.claims(world));
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &shop.id),
            ("client_secret", "x"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", &assertion),
        ];
        world.anon().form(TOKEN, &form).await.refused_oauth(400, "invalid_request");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", strict.id.as_str()),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", &assertion),
        ];
        world.anon().form(TOKEN, &form).await.refused_oauth(401, "invalid_client");
        present(world, &assertion).await.is(200);
        // Who is disabled proves nothing.
        world.platform_admin().post(&format!("{CLIENTS}/{}/disable", shop.id), json!({})).await.is(200);
        present(world, &key.sign(&shop.claims(world))).await.refused_oauth(401, "invalid_client");
    });
}

#[test]
fn s052_of_16_who_present_the_same_assertion_exactly_one_is_let_in() {
    in_world(async |world| {
        world.tenant("acme").await;
        let key = Key::new("1");
        let shop = machine(world, json!({ "jwks": { "keys": [key.jwk()] } })).await;
        let assertion = key.sign(&shop.claims(world));
        let answers = futures_util::future::join_all((0..16).map(|_| present(world, &assertion))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 15);
        present(world, &assertion).await.refused_oauth(401, "invalid_client");
    });
}

#[test]
fn s054_s070_s071_s072_s074_s075_an_assertion_is_strict_in_its_form() {
    in_world(async |world| {
        world.tenant("acme").await;
        let key = Key::new("1");
        let shop = machine(world, json!({ "jwks": { "keys": [key.jwk()] } })).await;
        let picky = machine(world, json!({ "jwks": { "keys": [key.jwk()] }, "token_endpoint_auth_signing_alg": "PS256" })).await;
        present(world, &key.sign(&picky.claims(world))).await.refused_oauth(401, "invalid_client");
        let header = |more: Value| {
            let mut header = json!({ "alg": "ES256", "kid": "1" });
            header.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
            header.to_string()
        };
        for good in [json!({}), json!({ "typ": "JWT" }), json!({ "typ": "client-authentication+jwt" })] {
            present(world, &key.sign_raw(&header(good), &shop.claims(world).to_string())).await.is(200);
        }
        let mut headers: Vec<String> =
            ["none", "None", "HS256", "RS256", "PS256", "ES384", "EdDSA", "es256", ""].map(|alg| header(json!({ "alg": alg }))).into();
        headers.extend(["at+jwt", "dpop+jwt", "logout+jwt"].map(|typ| header(json!({ "typ": typ }))));
        headers.extend(["../../etc/passwd", "1' OR '1'='1", "1\u{0}", ""].map(|kid| header(json!({ "kid": kid }))));
        for name in ["jku", "x5u", "x5c", "jwk", "crit", "b64", "zip"] {
            headers.push(header(json!({ name: key.jwk() })));
        }
        headers.extend([
            header(json!({ "kid": 1 })),
            header(json!({ "typ": [] })),
            "{\"alg\":\"ES256\",\"alg\":\"ES256\"}".to_owned(),
            "[]".to_owned(),
        ]);
        for header in headers {
            present(world, &key.sign_raw(&header, &shop.claims(world).to_string())).await.refused_oauth(401, "invalid_client");
        }
        // Twice the same name, too long, padded, cut, with something after it.
        let claims = shop.claims(world).to_string();
        let twice = format!("{},\"iss\":\"{}\"}}", claims.trim_end_matches('}'), shop.id);
        let long = format!("{},\"x\":\"{}\"}}", claims.trim_end_matches('}'), "x".repeat(9_000));
        let good = key.sign_raw(&header(json!({})), &claims);
        let (message, _) = good.rsplit_once('.').expect("a signature");
        for bad in [
            key.sign_raw(&header(json!({})), &twice),
            key.sign_raw(&header(json!({})), &long),
            format!("{good}="),
            format!("{good}.x"),
            format!(" {good}"),
            format!("{message}."),
            format!("{good}A"),
        ] {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", shop.id.as_str()),
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", &bad),
            ];
            world.anon().form(TOKEN, &form).await.refused_oauth(401, "invalid_client");
        }
        present(world, &good).await.is(200);
        // The key of a tenant is no client's of another.
        world.tenant("globex").await;
        let assertion = key.sign(&shop.claims(world));
        let form = [("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)];
        world.anon().form("/t/globex/oauth/token", &form).await.refused_oauth(401, "invalid_client");
        // What must not be registered.
        for keys in [
            json!({}),
            json!({ "jwks": { "keys": [{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }] } }),
            json!({ "jwks": { "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] } }),
            json!({ "jwks_uri": "http://shop.example/jwks" }),
        ] {
            let mut form =
                json!({ "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "scope": "reports" });
            form.as_object_mut().expect("an object").extend(keys.as_object().expect("members").clone());
            world.platform_admin().post(CLIENTS, form).await.refused(422, "invalid_client_metadata");
        }
    });
}

#[test]
fn keys_at_an_address_are_fetched_once_and_for_a_new_key_once_a_minute() {
    let open = |settings: &mut server::Settings| settings.outbound.allow_private = vec!["127.0.0.0/8".parse().expect("a range")];
    in_world_with(open, async |world| {
        world.tenant("acme").await;
        let party = RelyingParty::start().await;
        let (old, new) = (Key::new("old"), Key::new("new"));
        party.show(&[&old]);
        let shop = machine(world, json!({ "jwks_uri": format!("{}/jwks", party.url) })).await;
        let assertions: Vec<_> = (0..8).map(|_| old.sign(&shop.claims(world))).collect();
        for answer in futures_util::future::join_all(assertions.iter().map(|assertion| present(world, assertion))).await {
            answer.is(200);
        }
        assert_eq!(party.fetched(), 1, "one fetches for all");
        // Unknown keys do not make us ask again and again.
        for _ in 0..8 {
            present(world, &Key::new("made-up").sign(&shop.claims(world))).await.refused_oauth(401, "invalid_client");
        }
        assert_eq!(party.fetched(), 1);
        world.clock.forward(61);
        party.show(&[&old, &new]);
        present(world, &new.sign(&shop.claims(world))).await.is(200);
        for _ in 0..8 {
            present(world, &Key::new("made-up").sign(&shop.claims(world))).await.refused_oauth(401, "invalid_client");
        }
        assert_eq!(party.fetched(), 2);
        present(world, &old.sign(&shop.claims(world))).await.is(200);
    });
}

#[test]
fn s071_keys_at_an_address_inside_are_not_fetched() {
    in_world(async |world| {
        world.tenant("acme").await;
        let party = RelyingParty::start().await;
        let key = Key::new("1");
        party.show(&[&key]);
        let shop = machine(world, json!({ "jwks_uri": format!("{}/jwks", party.url) })).await;
        present(world, &key.sign(&shop.claims(world))).await.refused_oauth(401, "invalid_client");
        assert_eq!(party.fetched(), 0);
    });
}
