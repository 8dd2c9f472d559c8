//! The JWT bearer grant (RFC 7523, 2.1): what a trusted issuer says of a user, exchanged for an access token.

use std::sync::atomic::{AtomicU64, Ordering};

use app::ports::world::Clock;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::oidc::{Shop, claims, client, shop};
use crate::relying_party::{Key, RelyingParty};
use crate::world::{Answer, PASSWORD, World, in_world, in_world_with};

const TOKEN: &str = "/t/acme/oauth/token";
const ISSUERS: &str = "/admin/v1/tenants/acme/trusted-issuers";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const PARTNER: &str = "https://partner.example";

/// A program of the tenant's that calls APIs in the name of users.
fn program() -> Value {
    json!({
        "redirect_uris": null, "post_logout_redirect_uris": null, "grant_types": [JWT_BEARER], "scope": "orders:read orders:write openid",
        "token_endpoint_auth_method": "client_secret_post", "consent": "first_party",
    })
}

/// What is said about the partner that this client works for.
fn trusted(key: &Key, client: &Shop, more: Value) -> Value {
    let mut form = json!({
        "issuer": PARTNER, "jwks": { "keys": [key.jwk()] }, "signing_algs": ["ES256"], "subject_is": "username", "scope": "orders:read openid",
        "clients": [client.id],
    });
    form.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
    form
}

/// A tenant that wants the grant, with alice, a program and a trusted issuer with this key.
async fn partnership(world: &World, key: &Key, more: Value) -> (Shop, String) {
    let program = shop(world, program()).await;
    world.policy("acme", json!({ "jwt_bearer": true })).await;
    let made = world.platform_admin().post(ISSUERS, trusted(key, &program, more)).await.is(201);
    (program, made.word("id"))
}

/// Good claims about alice, of which none was used before.
fn said(world: &World, change: Value) -> Value {
    static JTI: AtomicU64 = AtomicU64::new(0);
    let now = world.clock.now().as_seconds();
    let jti = JTI.fetch_add(1, Ordering::Relaxed).to_string();
    let mut claims = json!({
        "iss": PARTNER, "sub": "alice", "aud": format!("{}/t/acme", world.base_url), "exp": now + 300, "iat": now, "jti": jti,
    });
    claims.as_object_mut().expect("an object").extend(change.as_object().expect("members").clone());
    claims
}

async fn exchange(world: &World, client: &Shop, assertion: &str, more: &[(&str, &str)]) -> Answer {
    let own = [("grant_type", JWT_BEARER), ("assertion", assertion), ("client_id", &client.id), ("client_secret", &client.secret)];
    let form: Vec<_> = own.into_iter().chain(more.iter().copied()).filter(|(_, value)| !value.is_empty()).collect();
    world.anon().form(TOKEN, &form).await
}

async fn events(world: &World) -> String {
    world.platform_admin().get("/admin/v1/tenants/acme/events").await.is(200).text
}

#[test]
fn what_a_trusted_issuer_says_is_worth_an_access_token_and_no_more() {
    in_world(async |world| {
        let key = Key::new("1");
        let (program, id) = partnership(world, &key, json!({})).await;
        let metadata = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
        assert!(metadata["grant_types_supported"].as_array().expect("a list").contains(&json!(JWT_BEARER)));
        let answer = exchange(world, &program, &key.sign(&said(world, json!({}))), &[]).await.is(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let tokens = answer.json();
        assert_eq!((&tokens["refresh_token"], &tokens["id_token"]), (&Value::Null, &Value::Null));
        assert_eq!(tokens["scope"], "openid orders:read", "what client and issuer have in common");
        let access_token = answer.word("access_token");
        let claims = claims(&access_token);
        assert_eq!((&claims["client_id"], claims["scope"].as_str()), (&json!(program.id), Some("openid orders:read")));
        assert!(claims["sub"].as_str().is_some_and(|sub| sub.starts_with("usr_")) && claims["sid"].is_string());
        assert_eq!((&claims["auth_time"], &claims["acr"]), (&Value::Null, &Value::Null), "nobody here knows how alice logged in");
        world.bearing(&access_token).get("/t/acme/oauth/userinfo").await.is(200);

        // It is less where less is asked for, and nothing where more is.
        let less = exchange(world, &program, &key.sign(&said(world, json!({}))), &[("scope", "orders:read")]).await.is(200);
        assert_eq!(less.word("scope"), "orders:read");
        for more in ["orders:write", "orders:read other"] {
            let assertion = key.sign(&said(world, json!({})));
            exchange(world, &program, &assertion, &[("scope", more)]).await.refused_oauth(400, "invalid_scope");
        }
        // It is a session of alice's, and ends like one.
        let alice = world.sign_in("acme", "alice").await;
        let sessions = world.bearing(&alice.access_token).get("/t/acme/me/sessions").await.is(200).text;
        let sid = claims["sid"].as_str().expect("a session");
        assert!(sessions.contains(sid), "{sessions}");
        world.bearing(&alice.access_token).delete(&format!("/t/acme/me/sessions/{sid}")).await.is(204);
        world.bearing(&access_token).get("/t/acme/oauth/userinfo").await.is(401);

        let seen = events(world).await;
        assert!(seen.contains("trusted_issuer_created") && seen.contains("assertion_exchanged") && seen.contains(&id), "{seen}");
        world.platform_admin().delete(&format!("{ISSUERS}/{id}")).await.is(204);
        exchange(world, &program, &key.sign(&said(world, json!({}))), &[]).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn the_grant_is_off_until_the_tenant_wants_it_and_for_clients_that_prove_themselves() {
    in_world(async |world| {
        let key = Key::new("1");
        let program = shop(world, program()).await;
        world.platform_admin().post(ISSUERS, trusted(&key, &program, json!({}))).await.is(201);
        let metadata = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).text;
        assert!(!metadata.contains(JWT_BEARER));
        exchange(world, &program, &key.sign(&said(world, json!({}))), &[]).await.refused_oauth(400, "unsupported_grant_type");
        let form = json!({ "grant_types": [JWT_BEARER], "token_endpoint_auth_method": "none" });
        let refused = world.platform_admin().post("/admin/v1/tenants/acme/clients", form).await.refused(422, "invalid_client_metadata");
        assert_eq!(refused.json()["member"], "grant_types");
        // A client of another grant, and one that the issuer does not work with.
        world.policy("acme", json!({ "jwt_bearer": true })).await;
        let other = client(world, json!({})).await;
        exchange(world, &other, &key.sign(&said(world, json!({}))), &[]).await.refused_oauth(400, "unauthorized_client");
        let stranger = client(world, self::program()).await;
        exchange(world, &stranger, &key.sign(&said(world, json!({}))), &[]).await.refused_oauth(400, "invalid_grant");
        let wrong = Shop { secret: "cs1_wrong".to_owned(), id: program.id.clone() };
        exchange(world, &wrong, &key.sign(&said(world, json!({}))), &[]).await.refused_oauth(401, "invalid_client");
        exchange(world, &program, "", &[]).await.refused_oauth(400, "invalid_request");
        exchange(world, &program, &key.sign(&said(world, json!({}))), &[]).await.is(200);
    });
}

#[test]
fn s050_s053_s069_r54_an_assertion_is_signed_for_us_of_now_and_no_other_token() {
    in_world(async |world| {
        let (key, other) = (Key::new("1"), Key::new("1"));
        let (program, _) = partnership(world, &key, json!({})).await;
        let now = world.clock.now().as_seconds();
        let endpoint = format!("{}{TOKEN}", world.base_url);
        exchange(world, &program, &key.sign(&said(world, json!({ "aud": endpoint }))), &[]).await.is(200);
        let good = said(world, json!({})).to_string();
        let typed =
            |typ: &str| key.sign_raw(&json!({ "alg": "ES256", "kid": "1", "typ": typ }).to_string(), &said(world, json!({})).to_string());
        exchange(world, &program, &typed("authorization-grant+jwt"), &[]).await.is(200);
        for refused in [
            key.sign(&said(world, json!({ "iss": "https://partner.example/" }))),
            key.sign(&said(world, json!({ "iss": null }))),
            key.sign(&said(world, json!({ "sub": null }))),
            key.sign(&said(world, json!({ "sub": "nobody" }))),
            key.sign(&said(world, json!({ "aud": format!("{}/t/globex", world.base_url) }))),
            key.sign(&said(world, json!({ "aud": null }))),
            key.sign(&said(world, json!({ "exp": null }))),
            key.sign(&said(world, json!({ "exp": now - 60 }))),
            key.sign(&said(world, json!({ "exp": now + 7_200 }))),
            key.sign(&said(world, json!({ "iat": now + 90 }))),
            key.sign(&said(world, json!({ "nbf": now + 90 }))),
            key.sign(&said(world, json!({ "jti": null }))),
            typed("at+jwt"),
            typed("dpop+jwt"),
            typed("client-authentication+jwt"),
            key.sign_raw(r#"{"alg":"none"}"#, &good),
            key.sign_raw(r#"{"alg":"HS256","kid":"1"}"#, &good),
            key.sign_raw(&json!({ "alg": "ES256", "jwk": other.jwk() }).to_string(), &good),
            other.sign(&said(world, json!({}))),
            Key::new("unknown").sign(&said(world, json!({}))),
            "a.b.c".to_owned(),
        ] {
            exchange(world, &program, &refused, &[]).await.refused_oauth(400, "invalid_grant");
        }
        // Tokens of our own are no assertions.
        let alice = world.sign_in("acme", "alice").await;
        exchange(world, &program, &alice.access_token, &[]).await.refused_oauth(400, "invalid_grant");
        assert!(events(world).await.contains("assertion_not_exchanged"));
    });
}

#[test]
fn s052_r17_of_16_who_bring_the_same_assertion_exactly_one_gets_a_token() {
    in_world(async |world| {
        let key = Key::new("1");
        let (program, _) = partnership(world, &key, json!({})).await;
        let assertion = key.sign(&said(world, json!({})));
        let answers = join_all((0..16).map(|_| exchange(world, &program, &assertion, &[]))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(answers.iter().all(|answer| [200, 400].contains(&answer.status)));
    });
}

#[test]
fn s145_r42_a_user_is_named_as_was_agreed_and_has_to_be_one_who_may_log_in() {
    in_world(async |world| {
        let key = Key::new("1");
        let (program, id) = partnership(world, &key, json!({ "subject_is": "email" })).await;
        let at = format!("{ISSUERS}/{id}");
        let about = async |sub: &str| exchange(world, &program, &key.sign(&said(world, json!({ "sub": sub }))), &[]).await;
        // An address that somebody has only written down is nobody's.
        about("alice@acme.example").await.refused_oauth(400, "invalid_grant");
        let user = world.sign_in("acme", "alice").await.user;
        world.platform_admin().put(&at, trusted(&key, &program, json!({ "subject_is": "user_id" }))).await.is(200);
        about("alice").await.refused_oauth(400, "invalid_grant");
        assert_eq!(claims(&about(&user).await.is(200).word("access_token"))["sub"], json!(user));
        let few = json!({ "subject_is": "username", "subjects": ["bob"] });
        world.platform_admin().put(&at, trusted(&key, &program, few)).await.is(200);
        world.user("acme", "bob", &[]).await;
        about("alice").await.refused_oauth(400, "invalid_grant");
        let bobs = about("bob").await.is(200).word("access_token");
        let bob = claims(&bobs)["sub"].as_str().expect("a user").to_owned();
        world.platform_admin().post(&format!("/admin/v1/tenants/acme/users/{bob}/disable"), json!({})).await.is(200);
        about("bob").await.refused_oauth(400, "invalid_grant");
        world.bearing(&bobs).get("/t/acme/oauth/userinfo").await.is(401);
        // What is said about an issuer is held against the tenant.
        for (member, change) in [
            ("issuer", json!({ "issuer": "https://other.example" })),
            ("clients", json!({ "clients": ["cli_unknown"] })),
            ("scope", json!({ "scope": "offline_access" })),
        ] {
            let refused = world.platform_admin().put(&at, trusted(&key, &program, change)).await.refused(422, "trusted_issuer_refused");
            assert_eq!(refused.json()["member"], member);
        }
        world.platform_admin().post(ISSUERS, trusted(&key, &program, json!({}))).await.refused(409, "issuer_taken");
        let own = json!({ "issuer": format!("{}/t/acme", world.base_url) });
        world.platform_admin().post(ISSUERS, trusted(&key, &program, own)).await.refused(422, "trusted_issuer_refused");
    });
}

#[test]
fn r66_who_was_never_asked_has_allowed_nothing() {
    in_world(async |world| {
        let key = Key::new("1");
        let both = json!({
            "grant_types": [JWT_BEARER, "authorization_code"], "scope": "openid orders:read orders:write", "consent": "third_party",
        });
        let program = shop(world, both).await;
        world.policy("acme", json!({ "jwt_bearer": true })).await;
        world.platform_admin().post(ISSUERS, trusted(&key, &program, json!({ "scope": "orders:read orders:write" }))).await.is(201);
        let wants = async |scope| exchange(world, &program, &key.sign(&said(world, json!({}))), &[("scope", scope)]).await;
        wants("orders:read").await.refused_oauth(400, "invalid_grant");
        assert!(events(world).await.contains("the user has not agreed to it"));
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get(&program.request(&[("scope", "openid orders:read")])).await;
        let page = browser.follow(page).await.is(200);
        let page = browser.submit(&page, &[("identifier", "alice"), ("password", PASSWORD)]).await;
        let page = browser.follow(page).await.is(200);
        browser.submit(&page, &[("decision", "allow")]).await.is(303);
        wants("orders:read").await.is(200);
        wants("orders:write").await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn keys_are_fetched_from_the_address_of_the_issuer_by_the_guarded_client() {
    let open = |settings: &mut server::Settings| settings.outbound.allow_private = vec!["127.0.0.0/8".parse().expect("a range")];
    in_world_with(open, async |world| {
        let partner = RelyingParty::start().await;
        let (one, two) = (Key::new("1"), Key::new("2"));
        partner.show(&[&one]);
        let uri = json!({ "jwks": null, "jwks_uri": format!("{}/jwks", partner.url) });
        let (program, _) = partnership(world, &one, uri).await;
        for _ in 0..2 {
            exchange(world, &program, &one.sign(&said(world, json!({}))), &[]).await.is(200);
        }
        assert_eq!(partner.fetched(), 1);
        partner.show(&[&two]);
        world.clock.forward(61);
        exchange(world, &program, &two.sign(&said(world, json!({}))), &[]).await.is(200);
        assert_eq!(partner.fetched(), 2);
    });
    // Without leave, addresses inside are not asked.
    in_world(async |world| {
        let partner = RelyingParty::start().await;
        let key = Key::new("1");
        partner.show(&[&key]);
        let uri = json!({ "jwks": null, "jwks_uri": format!("{}/jwks", partner.url) });
        let (program, _) = partnership(world, &key, uri).await;
        exchange(world, &program, &key.sign(&said(world, json!({}))), &[]).await.refused_oauth(400, "invalid_grant");
        assert_eq!(partner.fetched(), 0);
    });
}
