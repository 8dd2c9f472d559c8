//! Who may what: every route of the server, tried without a token, with a bad one and with everybody's who may not.

use std::collections::BTreeSet;

use api::Guard::{self, ByCredential, Introspector, PlatformAdmin, Public, TenantAdmin, User};
use domain::time::Ttl;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::world::{Answer, SignedIn, World, in_world, sent};

/// One route as this test knows it. A body, where one is read, is good: what is refused is refused for lack of rights.
struct Row {
    method: &'static str,
    path: &'static str,
    guard: Guard,
    body: Body,
}

enum Body {
    None,
    Json(&'static str),
    Form(&'static [(&'static str, &'static str)]),
}

const fn row(method: &'static str, path: &'static str, guard: Guard, body: Body) -> Row {
    Row { method, path, guard, body }
}

/// Bodies that no endpoint takes.
const UNREADABLE: &[(&str, &str)] = &[
    ("application/json", "{\"nonsense\""),
    ("application/json", "{\"nonsense\":1}"),
    ("application/x-www-form-urlencoded", "token=%ff&token=2"),
    ("image/png", "GIF89a"),
];

/// A word as long as a kid.
const NO_KID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const NO_ID: &str = "01890000-0000-7000-8000-000000000000";

#[rustfmt::skip]
const KNOWN: &[Row] = &[
    row("GET", "/openapi.json", Public, Body::None),
    row("GET", "/t/{slug}/.well-known/jwks.json", Public, Body::None),
    row("GET", "/t/{slug}/.well-known/key-log/checkpoint", Public, Body::None),
    row("GET", "/t/{slug}/.well-known/key-log/vkey", Public, Body::None),
    row("GET", "/t/{slug}/.well-known/key-log/tile/{level}/{tile}", Public, Body::None),
    row("GET", "/t/{slug}/.well-known/key-log/tile/{level}/{tile}/{tile2}", Public, Body::None),
    row("GET", "/t/{slug}/.well-known/key-log/tile/{level}/{tile}/{tile2}/{width}", Public, Body::None),
    row("GET", "/t/{slug}/.well-known/key-log/proof/inclusion", Public, Body::None),
    row("GET", "/t/{slug}/.well-known/key-log/proof/consistency", Public, Body::None),
    row("GET", "/t/{slug}/.well-known/openid-configuration", Public, Body::None),
    row("GET", "/.well-known/oauth-authorization-server/t/{slug}", Public, Body::None),
    row("GET", "/.well-known/installation-jwks.json", Public, Body::None),
    row("GET", "/t/{slug}/oauth/authorize", Public, Body::None),
    row("POST", "/t/{slug}/oauth/authorize", Public, Body::Form(&[("client_id", "x")])),
    row("POST", "/t/{slug}/oauth/authorize-challenge", ByCredential, Body::Form(&[("client_id", "x"), ("response_type", "code"), ("username", "x"), ("password", "y")])),
    row("POST", "/t/{slug}/oauth/bc-authorize", ByCredential, Body::Form(&[("client_id", "x"), ("scope", "openid"), ("login_hint", "alice")])),
    row("POST", "/t/{slug}/oauth/device_authorization", ByCredential, Body::Form(&[("client_id", "x")])),
    row("GET", "/t/{slug}/device", Public, Body::None),
    row("POST", "/t/{slug}/device", ByCredential, Body::Form(&[("user_code", "x")])),
    row("GET", "/t/{slug}/interaction/{request}", ByCredential, Body::None),
    row("POST", "/t/{slug}/interaction/{request}/login", ByCredential, Body::Form(&[("identifier", "x"), ("password", "y")])),
    row("GET", "/t/{slug}/interaction/{request}/accounts", ByCredential, Body::None),
    row("POST", "/t/{slug}/interaction/{request}/accounts", ByCredential, Body::Form(&[("account", "x")])),
    row("POST", "/t/{slug}/interaction/{request}/new-password", ByCredential, Body::Form(&[("new_password", "x"), ("repeat_password", "x")])),
    row("POST", "/t/{slug}/interaction/{request}/consent", ByCredential, Body::Form(&[("decision", "allow")])),
    row("GET", "/t/{slug}/account", ByCredential, Body::None),
    row("POST", "/t/{slug}/account/login", ByCredential, Body::Form(&[("identifier", "x"), ("password", "y")])),
    row("GET", "/t/{slug}/account/accounts", ByCredential, Body::None),
    row("POST", "/t/{slug}/account/accounts", ByCredential, Body::Form(&[("account", "x")])),
    row("POST", "/t/{slug}/account/new-password", ByCredential, Body::Form(&[("identifier", "x"), ("current_password", "y"), ("new_password", "z")])),
    row("POST", "/t/{slug}/account/profile", ByCredential, Body::Form(&[("display_name", "x")])),
    row("GET", "/t/{slug}/account/password", ByCredential, Body::None),
    row("POST", "/t/{slug}/account/password", ByCredential, Body::Form(&[("current_password", "x"), ("new_password", "y")])),
    row("POST", "/t/{slug}/account/sessions/end", ByCredential, Body::Form(&[("session", "x")])),
    row("POST", "/t/{slug}/account/sessions/end-others", ByCredential, Body::Form(&[])),
    row("POST", "/t/{slug}/account/applications/revoke", ByCredential, Body::Form(&[("application", "x")])),
    row("POST", "/t/{slug}/account/requests/decide", ByCredential, Body::Form(&[("request", "x"), ("decision", "allow")])),
    row("GET", "/t/{slug}/account/export", ByCredential, Body::None),
    row("POST", "/t/{slug}/account/sign-out", ByCredential, Body::Form(&[])),
    row("GET", "/t/{slug}/account/email", ByCredential, Body::None),
    row("POST", "/t/{slug}/account/email", ByCredential, Body::Form(&[("email", "x@acme.example"), ("current_password", "y")])),
    row("POST", "/t/{slug}/account/email/verify", ByCredential, Body::Form(&[])),
    row("GET", "/t/{slug}/account/email/verify/{link}", ByCredential, Body::None),
    row("POST", "/t/{slug}/account/email/verify/{link}", ByCredential, Body::Form(&[])),
    row("GET", "/t/{slug}/account/email/verified", Public, Body::None),
    row("GET", "/t/{slug}/account/email/change/{link}", ByCredential, Body::None),
    row("POST", "/t/{slug}/account/email/change/{link}", ByCredential, Body::Form(&[])),
    row("GET", "/t/{slug}/password/forgot", Public, Body::None),
    row("POST", "/t/{slug}/password/forgot", Public, Body::Form(&[("identifier", "x")])),
    row("GET", "/t/{slug}/password/sent", Public, Body::None),
    row("GET", "/t/{slug}/password/reset/{link}", ByCredential, Body::None),
    row("POST", "/t/{slug}/password/reset/{link}", ByCredential, Body::Form(&[("new_password", "x")])),
    row("GET", "/t/{slug}/password/changed", Public, Body::None),
    row("GET", "/t/{slug}/oauth/end_session", ByCredential, Body::None),
    row("POST", "/t/{slug}/oauth/end_session", ByCredential, Body::Form(&[("decision", "sign_out")])),
    row("GET", "/t/{slug}/oauth/userinfo", ByCredential, Body::None),
    row("POST", "/t/{slug}/oauth/userinfo", ByCredential, Body::Form(&[("access_token", "x")])),
    row("GET", "/t/{slug}/assets/{file}", Public, Body::None),
    row("POST", "/t/{slug}/login", ByCredential, Body::Json(r#"{"username":"x","password":"y"}"#)),
    row("POST", "/t/{slug}/logout", ByCredential, Body::Json(r#"{"refresh_token":"x"}"#)),
    row("POST", "/t/{slug}/oauth/token", ByCredential, Body::Form(&[("grant_type", "refresh_token"), ("client_id", "first-party"), ("refresh_token", "x")])),
    row("POST", "/t/{slug}/oauth/par", ByCredential, Body::Form(&[("client_id", "x")])),
    row("POST", "/t/{slug}/oauth/register", ByCredential, Body::Json("{}")),
    row("GET", "/t/{slug}/oauth/register/{client}", ByCredential, Body::None),
    row("PUT", "/t/{slug}/oauth/register/{client}", ByCredential, Body::Json("{}")),
    row("DELETE", "/t/{slug}/oauth/register/{client}", ByCredential, Body::None),
    row("POST", "/t/{slug}/oauth/revoke", ByCredential, Body::Form(&[("client_id", "first-party"), ("token", "x")])),
    row("POST", "/t/{slug}/oauth/introspect", Introspector, Body::Form(&[("token", "x")])),
    row("GET", "/t/{slug}/me", User, Body::None),
    row("GET", "/t/{slug}/me/sessions", User, Body::None),
    row("DELETE", "/t/{slug}/me/sessions/{session}", User, Body::None),
    row("GET", "/admin/v1/tenants", PlatformAdmin, Body::None),
    row("POST", "/admin/v1/tenants", PlatformAdmin, Body::Json(r#"{"slug":"initech","name":"Initech"}"#)),
    row("GET", "/admin/v1/tenants/{slug}", TenantAdmin, Body::None),
    row("PATCH", "/admin/v1/tenants/{slug}", TenantAdmin, Body::Json(r#"{"name":"Other"}"#)),
    row("DELETE", "/admin/v1/tenants/{slug}", PlatformAdmin, Body::None),
    row("GET", "/admin/v1/deletions/{tenant}", PlatformAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/suspend", PlatformAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/resume", PlatformAdmin, Body::None),
    row("GET", "/admin/v1/tenants/{slug}/claims", TenantAdmin, Body::None),
    row("PUT", "/admin/v1/tenants/{slug}/claims", TenantAdmin, Body::Json(r#"{"rules":[]}"#)),
    row("POST", "/admin/v1/tenants/{slug}/claims/preview", TenantAdmin, Body::Json(r#"{"client":"first-party"}"#)),
    row("PUT", "/admin/v1/tenants/{slug}/domain", PlatformAdmin, Body::Json(r#"{"domain":"mallory.localhost"}"#)),
    row("DELETE", "/admin/v1/tenants/{slug}/domain", PlatformAdmin, Body::None),
    row("GET", "/admin/v1/tenants/{slug}/events", TenantAdmin, Body::None),
    row("GET", "/admin/v1/tenants/{slug}/users", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/users", TenantAdmin, Body::Json(r#"{"username":"mallory"}"#)),
    row("GET", "/admin/v1/tenants/{slug}/users/{user}", TenantAdmin, Body::None),
    row("PATCH", "/admin/v1/tenants/{slug}/users/{user}", TenantAdmin, Body::Json(r#"{"roles":[]}"#)),
    row("DELETE", "/admin/v1/tenants/{slug}/users/{user}", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/users/{user}/disable", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/users/{user}/enable", TenantAdmin, Body::None),
    row("PUT", "/admin/v1/tenants/{slug}/users/{user}/password", TenantAdmin, Body::Json(r#"{"password":"cobalt.thimble.orchard.64"}"#)),
    row("GET", "/admin/v1/tenants/{slug}/users/{user}/sessions", TenantAdmin, Body::None),
    row("DELETE", "/admin/v1/tenants/{slug}/users/{user}/sessions", TenantAdmin, Body::None),
    row("DELETE", "/admin/v1/tenants/{slug}/users/{user}/sessions/{session}", TenantAdmin, Body::None),
    row("GET", "/admin/v1/tenants/{slug}/clients", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/clients", TenantAdmin, Body::Json(r#"{"grant_types":["client_credentials"]}"#)),
    row("GET", "/admin/v1/tenants/{slug}/clients/{client}", TenantAdmin, Body::None),
    row("PUT", "/admin/v1/tenants/{slug}/clients/{client}", TenantAdmin, Body::Json(r#"{"grant_types":["client_credentials"]}"#)),
    row("DELETE", "/admin/v1/tenants/{slug}/clients/{client}", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/clients/{client}/disable", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/clients/{client}/enable", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/clients/{client}/secrets", TenantAdmin, Body::Json("{}")),
    row("DELETE", "/admin/v1/tenants/{slug}/clients/{client}/secrets/{secret}", TenantAdmin, Body::None),
    row("GET", "/admin/v1/tenants/{slug}/resources", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/resources", TenantAdmin, Body::Json(r#"{"identifier":"https://mallory.example","name":"Mallory"}"#)),
    row("GET", "/admin/v1/tenants/{slug}/resources/{resource}", TenantAdmin, Body::None),
    row("PUT", "/admin/v1/tenants/{slug}/resources/{resource}", TenantAdmin, Body::Json(r#"{"identifier":"https://api.example","name":"Mallory"}"#)),
    row("DELETE", "/admin/v1/tenants/{slug}/resources/{resource}", TenantAdmin, Body::None),
    row("GET", "/admin/v1/tenants/{slug}/trusted-issuers", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/trusted-issuers", TenantAdmin, Body::Json(MALLORYS)),
    row("GET", "/admin/v1/tenants/{slug}/trusted-issuers/{issuer}", TenantAdmin, Body::None),
    row("PUT", "/admin/v1/tenants/{slug}/trusted-issuers/{issuer}", TenantAdmin, Body::Json(MALLORYS)),
    row("DELETE", "/admin/v1/tenants/{slug}/trusted-issuers/{issuer}", TenantAdmin, Body::None),
    row("GET", "/admin/v1/tenants/{slug}/initial-access-tokens", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/initial-access-tokens", TenantAdmin, Body::Json("{}")),
    row("DELETE", "/admin/v1/tenants/{slug}/initial-access-tokens/{token}", TenantAdmin, Body::None),
    row("GET", "/admin/v1/tenants/{slug}/keys", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/keys/rotate", TenantAdmin, Body::Json("{}")),
    row("POST", "/admin/v1/tenants/{slug}/keys/plan", TenantAdmin, Body::Json(r#"{"action":"rotate"}"#)),
    row("GET", "/admin/v1/tenants/{slug}/keys/verifiers", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/keys/drill", TenantAdmin, Body::None),
    row("POST", "/admin/v1/tenants/{slug}/keys/token-secret/rotate", TenantAdmin, Body::None),
    row("GET", "/admin/v1/tenants/{slug}/branding", TenantAdmin, Body::None),
    row("PUT", "/admin/v1/tenants/{slug}/branding", TenantAdmin, Body::Json("{}")),
    row("PUT", "/admin/v1/tenants/{slug}/branding/logo", TenantAdmin, Body::None),
    row("DELETE", "/admin/v1/tenants/{slug}/branding/logo", TenantAdmin, Body::None),
    row("GET", "/admin/v1/tenants/{slug}/keys/policy", TenantAdmin, Body::None),
    row("PUT", "/admin/v1/tenants/{slug}/keys/policy", TenantAdmin, Body::Json("{}")),
    row("POST", "/admin/v1/tenants/{slug}/keys/{kid}/revoke", TenantAdmin, Body::Json("{}")),
];

/// An issuer of the intruder's own.
const MALLORYS: &str = r#"{"issuer":"https://mallory.example","jwks_uri":"https://mallory.example/jwks","signing_algs":["ES256"],"subject_is":"username","scope":"orders","clients":["first-party"]}"#;

/// What the addresses name: real things, so that a missing check would be seen.
#[derive(Clone, Copy)]
struct Targets<'a> {
    slug: &'a str,
    user: &'a str,
    session: &'a str,
    kid: &'a str,
    client: &'a str,
    secret: &'a str,
    token: &'a str,
    resource: &'a str,
    issuer: &'a str,
}

impl Row {
    fn needs_a_token(&self) -> bool {
        !matches!(self.guard, Public | ByCredential)
    }

    fn request(&self, world: &World, token: Option<&str>, at: &Targets<'_>) -> RequestBuilder {
        let named = [
            ("{slug}", at.slug),
            ("{user}", at.user),
            ("{session}", at.session),
            ("{kid}", at.kid),
            ("{client}", at.client),
            ("{secret}", at.secret),
            ("{token}", at.token),
            ("{resource}", at.resource),
            ("{issuer}", at.issuer),
        ];
        let path = named.into_iter().fold(self.path.to_owned(), |path, (segment, name)| path.replace(segment, name));
        token.map_or_else(|| world.anon(), |token| world.bearing(token)).request(self.method, &path)
    }

    async fn tried(&self, world: &World, token: Option<&str>, at: &Targets<'_>) -> Answer {
        let request = self.request(world, token, at);
        sent(match self.body {
            Body::None => request,
            Body::Json(text) => request.header("content-type", "application/json").body(text),
            Body::Form(parameters) => request.form(parameters),
        })
        .await
    }

    /// Like [`Self::tried`] for somebody who has no rights: nobody may have looked at the body before saying so.
    async fn tried_with_any_body(&self, world: &World, token: Option<&str>, at: &Targets<'_>) -> Answer {
        let answer = self.tried(world, token, at).await;
        for (content_type, body) in UNREADABLE {
            let request = self.request(world, token, at).header("content-type", *content_type).body(*body);
            let other = sent(request).await.is(answer.status);
            assert_eq!(other.text, answer.text, "{} {} {content_type}", self.method, self.path);
            assert_eq!(other.header("www-authenticate"), answer.header("www-authenticate"), "{} {}", self.method, self.path);
        }
        answer
    }
}

async fn session_of(world: &World, slug: &str, who: &SignedIn) -> String {
    world.bearing(&who.access_token).get(&format!("/t/{slug}/me")).await.is(200).word("session_id")
}

/// Registers a client, makes a token with which one may be registered, and adds an API and trusts an issuer; answers their ids, that of the client's secret second.
async fn things(world: &World, slug: &str) -> (String, String, String, String, String) {
    let form = json!({ "grant_types": ["client_credentials"] });
    let made = world.platform_admin().post(&format!("/admin/v1/tenants/{slug}/clients"), form).await.is(201);
    let token = world.platform_admin().post(&format!("/admin/v1/tenants/{slug}/initial-access-tokens"), json!({})).await.is(201);
    let form = json!({ "identifier": "https://api.example", "name": "An API" });
    let resource = world.platform_admin().post(&format!("/admin/v1/tenants/{slug}/resources"), form).await.is(201);
    let form = json!({
        "issuer": "https://partner.example", "jwks_uri": "https://partner.example/jwks", "signing_algs": ["ES256"], "subject_is": "username",
        "scope": "orders", "clients": [made.word("client_id")],
    });
    let issuer = world.platform_admin().post(&format!("/admin/v1/tenants/{slug}/trusted-issuers"), form).await.is(201);
    let secret = made.json()["secrets"][0]["id"].as_str().expect("an id").to_owned();
    (made.word("client_id"), secret, token.word("id"), resource.word("id"), issuer.word("id"))
}

async fn signing_kid(world: &World, slug: &str) -> String {
    world.platform_admin().get(&format!("/admin/v1/tenants/{slug}/keys")).await.is(200).word("signing_kid")
}

#[test]
fn every_route_stands_in_the_table_of_this_test() {
    let served: BTreeSet<_> = api::table().into_iter().map(|route| (route.path, route.method, format!("{:?}", route.guard))).collect();
    let known: BTreeSet<_> = KNOWN.iter().map(|row| (row.path, row.method, format!("{:?}", row.guard))).collect();
    let missing: Vec<_> = served.difference(&known).collect();
    let gone: Vec<_> = known.difference(&served).collect();
    assert!(missing.is_empty(), "a route missing here: {missing:#?}");
    assert!(gone.is_empty(), "a route that is served no more: {gone:#?}");
    assert_eq!(KNOWN.len(), known.len(), "each route once");
}

#[test]
fn nothing_but_a_living_token_opens_a_guarded_route() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.tenant_admin("acme").await;
        let session = session_of(world, "acme", &admin).await;
        let kid = signing_kid(world, "acme").await;
        let (client, secret, token, resource, issuer) = things(world, "acme").await;
        let at = Targets {
            slug: "acme",
            user: &admin.user,
            session: &session,
            kid: &kid,
            client: &client,
            secret: &secret,
            token: &token,
            resource: &resource,
            issuer: &issuer,
        };
        let old_platform = world.platform_token(Ttl::minutes(5)).await;
        let unsigned = admin.access_token.rsplit_once('.').expect("a JWT").0.to_owned() + ".";
        world.clock.forward(1_000);
        for row in KNOWN.iter().filter(|row| row.needs_a_token()) {
            let answer = row.tried_with_any_body(world, None, &at).await.is(401);
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{} {}", row.method, row.path);
            for token in [admin.access_token.as_str(), &old_platform, "garbage", "a.b.c", &unsigned, &admin.refresh_token, "cpa1_e30.AAAA"]
            {
                let answer = row.tried_with_any_body(world, Some(token), &at).await.is(401);
                assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{} {}", row.method, row.path);
            }
        }
    });
}

#[test]
fn a_body_larger_than_any_is_refused_for_lack_of_rights_first() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.alice("acme").await;
        let at = Targets {
            slug: "acme",
            user: &alice.user,
            session: NO_ID,
            kid: NO_KID,
            client: NO_ID,
            secret: NO_ID,
            token: NO_ID,
            resource: NO_ID,
            issuer: NO_ID,
        };
        let big = "a".repeat(70_000);
        for row in KNOWN.iter().filter(|row| row.needs_a_token()) {
            let send = |token| sent(row.request(world, token, &at).header("content-type", "application/json").body(big.clone()));
            send(None).await.is(401);
            match row.guard {
                TenantAdmin | Introspector => drop(send(Some(&alice.access_token)).await.is(403)),
                PlatformAdmin => drop(send(Some(&alice.access_token)).await.is(401)),
                Public | ByCredential | User => {}
            }
        }
    });
}

#[test]
fn a_user_without_a_role_administers_and_introspects_nothing() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.tenant_admin("acme").await;
        let alice = world.alice("acme").await;
        let session = session_of(world, "acme", &admin).await;
        let kid = signing_kid(world, "acme").await;
        let (client, secret, token, resource, issuer) = things(world, "acme").await;
        // Not even about herself.
        for user in [&admin.user, &alice.user] {
            let at = Targets {
                slug: "acme",
                user,
                session: &session,
                kid: &kid,
                client: &client,
                secret: &secret,
                token: &token,
                resource: &resource,
                issuer: &issuer,
            };
            for row in KNOWN {
                match row.guard {
                    TenantAdmin => {
                        drop(row.tried_with_any_body(world, Some(&alice.access_token), &at).await.refused(403, "insufficient_scope"))
                    }
                    Introspector => {
                        drop(row.tried_with_any_body(world, Some(&alice.access_token), &at).await.refused_oauth(403, "insufficient_scope"))
                    }
                    PlatformAdmin => {
                        drop(row.tried_with_any_body(world, Some(&alice.access_token), &at).await.refused(401, "invalid_token"))
                    }
                    Public | ByCredential | User => {}
                }
            }
        }
        let form = json!({ "username": "alice", "password": crate::world::PASSWORD, "scope": "account admin" });
        let asked = world.anon().post("/t/acme/login", form).await.is(200);
        assert_eq!(asked.json()["scope"], "account", "asking for more than the role gives changes nothing");
    });
}

#[test]
fn a_tenants_administrator_cannot_tell_another_tenant_from_a_missing_one() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.tenant("globex").await;
        let intruder = world.tenant_admin("globex").await;
        let alice = world.alice("acme").await;
        let session = session_of(world, "acme", &alice).await;
        let kid = signing_kid(world, "acme").await;
        let (client, secret, token, resource, issuer) = things(world, "acme").await;
        let there = Targets {
            slug: "acme",
            user: &alice.user,
            session: &session,
            kid: &kid,
            client: &client,
            secret: &secret,
            token: &token,
            resource: &resource,
            issuer: &issuer,
        };
        let nowhere = Targets { slug: "nowhere", ..there };
        for row in KNOWN.iter().filter(|row| row.guard == TenantAdmin) {
            let foreign = row.tried_with_any_body(world, Some(&intruder.access_token), &there).await.refused(404, "not_found");
            let missing = row.tried_with_any_body(world, Some(&intruder.access_token), &nowhere).await.refused(404, "not_found");
            assert_eq!(foreign.text, missing.text, "{} {}", row.method, row.path);
        }
        for row in KNOWN.iter().filter(|row| matches!(row.guard, User | Introspector)) {
            row.tried_with_any_body(world, Some(&intruder.access_token), &there).await.is(401);
        }
        world.refresh("acme", &alice.refresh_token).await.is(200);
    });
}

#[test]
fn a_tenants_administrator_is_nobody_to_the_platform() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.tenant_admin("acme").await;
        let at = Targets {
            slug: "acme",
            user: &admin.user,
            session: NO_ID,
            kid: NO_KID,
            client: NO_ID,
            secret: NO_ID,
            token: NO_ID,
            resource: NO_ID,
            issuer: NO_ID,
        };
        for row in KNOWN.iter().filter(|row| row.guard == PlatformAdmin) {
            row.tried_with_any_body(world, Some(&admin.access_token), &at).await.refused(401, "invalid_token");
        }
        world.platform_admin().get("/admin/v1/tenants/initech").await.is(404);
        let tenant = world.platform_admin().get("/admin/v1/tenants/acme").await.is(200);
        assert_eq!(tenant.word("status"), "active");
    });
}

#[test]
fn ids_of_another_tenant_name_nothing_under_ones_own() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.tenant("globex").await;
        let admin = world.tenant_admin("acme").await;
        let foreigner = world.alice("globex").await;
        let session = session_of(world, "globex", &foreigner).await;
        let kid = signing_kid(world, "globex").await;
        let (client, secret, token, resource, issuer) = things(world, "globex").await;
        let foreign = Targets {
            slug: "acme",
            user: &foreigner.user,
            session: &session,
            kid: &kid,
            client: &client,
            secret: &secret,
            token: &token,
            resource: &resource,
            issuer: &issuer,
        };
        let missing = Targets {
            slug: "acme",
            user: NO_ID,
            session: NO_ID,
            kid: NO_KID,
            client: NO_ID,
            secret: NO_ID,
            token: NO_ID,
            resource: NO_ID,
            issuer: NO_ID,
        };
        let names_something = |row: &&Row| {
            ["{user}", "{session}", "{kid}", "{client}", "{secret}", "{token}", "{resource}", "{issuer}"]
                .iter()
                .any(|part| row.path.contains(part))
        };
        // What is opened by a credential of its own, its own tests know.
        for row in KNOWN.iter().filter(|row| row.needs_a_token()).filter(names_something) {
            let one = row.tried(world, Some(&admin.access_token), &foreign).await.refused(404, "not_found");
            let other = row.tried(world, Some(&admin.access_token), &missing).await.refused(404, "not_found");
            assert_eq!(one.text, other.text, "{} {}", row.method, row.path);
        }
        // A session of the tenant, but not of the user in the address.
        let own_session = session_of(world, "acme", &admin).await;
        let alice = world.alice("acme").await;
        let path = format!("/admin/v1/tenants/acme/users/{}/sessions/{own_session}", alice.user);
        world.bearing(&admin.access_token).delete(&path).await.refused(404, "not_found");
        world.refresh("globex", &foreigner.refresh_token).await.is(200);
    });
}

#[test]
fn a_role_that_is_taken_away_counts_at_once() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.tenant_admin("acme").await;
        let caller = world.bearing(&admin.access_token);
        caller.get("/admin/v1/tenants/acme/users").await.is(200);
        let none: Value = json!({ "roles": [] });
        world.platform_admin().patch(&format!("/admin/v1/tenants/acme/users/{}", admin.user), none).await.is(200);
        caller.get("/admin/v1/tenants/acme/users").await.refused(403, "insufficient_scope");
    });
}
