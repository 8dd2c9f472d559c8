//! Token exchange (RFC 8693): an API asks the next one on behalf of its caller, with a token that is worth less.

use serde_json::{Value, json};

use crate::dpop::{jkt, post, proof};
use crate::oidc::{CALLBACK, Shop, claims, client};
use crate::relying_party::Key;
use crate::resources::{ORDERS, STOCK, api, asked, code, market, trader};
use crate::world::{Answer, World, in_world};

const TOKEN: &str = "/t/acme/oauth/token";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const RESOURCES: &str = "/admin/v1/tenants/acme/resources";

/// The metadata of an API that asks others.
fn server(more: Value) -> Value {
    let mut form = json!({
        "client_name": "Server", "redirect_uris": [], "response_types": [], "post_logout_redirect_uris": [], "consent": null,
        "grant_types": [EXCHANGE, "client_credentials"],
    });
    form.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
    form
}

/// Says which clients an API is.
async fn served_by(world: &World, identifier: &str, servers: &[&Shop]) {
    let all = world.platform_admin().get(RESOURCES).await.is(200).json();
    let api = all["items"].as_array().expect("a list").iter().find(|api| api["identifier"] == identifier).expect("the API").clone();
    let mut form = api.clone();
    for name in ["id", "created_at", "updated_at"] {
        form.as_object_mut().expect("an object").remove(name);
    }
    form["servers"] = servers.iter().map(|shop| json!(shop.id)).collect();
    world.platform_admin().put(&format!("{RESOURCES}/{}", api["id"].as_str().expect("an id")), form).await.is(200);
}

/// Acme wants exchanges; alice uses a shop; the API of orders is a client, too, which may have tokens for the stock.
pub(crate) async fn chain(world: &World) -> (Shop, Shop) {
    let shop = market(world, json!({})).await;
    world.policy("acme", json!({ "token_exchange": true })).await;
    let gateway = trader(world, server(json!({}))).await;
    served_by(world, ORDERS, &[&gateway]).await;
    (shop, gateway)
}

/// A token of alice for these, of a session that may have tokens for both APIs.
pub(crate) async fn alices(world: &World, shop: &Shop, resources: &[&str]) -> Answer {
    let code = code(world, shop, "openid orders:read stock:read", &[ORDERS, STOCK]).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ];
    asked(world, shop, &form, resources).await.is(200)
}

/// The client's own token.
async fn own(world: &World, client: &Shop) -> String {
    asked(world, client, &[("grant_type", "client_credentials")], &[]).await.is(200).word("access_token")
}

fn subject(token: &str) -> Vec<(&str, &str)> {
    vec![("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", ACCESS)]
}

fn with_actor<'a>(token: &'a str, actor: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut form = subject(token);
    form.extend([("actor_token", actor), ("actor_token_type", ACCESS)]);
    form
}

pub(crate) async fn introspected(world: &World, token: &str) -> Value {
    world.platform_admin().form("/t/acme/oauth/introspect", &[("token", token)]).await.is(200).json()
}

#[test]
fn s093_s094_an_api_acts_for_its_caller_at_the_next_one_and_the_token_says_so() {
    in_world(async |world| {
        let (shop, gateway) = chain(world).await;
        let before = claims(&alices(world, &shop, &[]).await.word("access_token"));
        assert_eq!(before["aud"], json!([ORDERS, STOCK]));
        let both = alices(world, &shop, &[]).await.word("access_token");
        let actor = own(world, &gateway).await;
        let answer = asked(world, &gateway, &with_actor(&both, &actor), &[STOCK]).await.is(200);
        assert_eq!((answer.word("issued_token_type").as_str(), answer.word("token_type").as_str()), (ACCESS, "Bearer"));
        assert!(answer.json().get("refresh_token").is_none() && answer.json().get("id_token").is_none());
        let (was, token) = (claims(&both), answer.word("access_token"));
        let is = claims(&token);
        assert_eq!((&is["aud"], &is["scope"], &is["client_id"]), (&json!(STOCK), &json!("stock:read"), &json!(gateway.id)));
        assert_eq!((&is["sub"], &is["sid"]), (&was["sub"], &was["sid"]));
        assert_eq!(is["act"], json!({ "sub": gateway.id }));
        assert!(is["exp"].as_i64() <= was["exp"].as_i64(), "not longer than the one it came from");

        // The next one goes on; who has acted before is not forgotten.
        let next = trader(world, server(json!({}))).await;
        served_by(world, STOCK, &[&next]).await;
        let further = own(world, &next).await;
        let answer = asked(world, &next, &with_actor(&token, &further), &[]).await.is(200);
        assert_eq!(claims(&answer.word("access_token"))["act"], json!({ "sub": next.id, "act": { "sub": gateway.id } }));
        // Nobody gets rid of them by leaving the actor out, and the chain has an end.
        let mut token = answer.word("access_token");
        let silent = asked(world, &next, &subject(&token), &[]).await.is(200);
        assert_eq!(claims(&silent.word("access_token"))["act"], json!({ "sub": next.id, "act": { "sub": gateway.id } }));
        for _ in 0..2 {
            token = asked(world, &next, &with_actor(&token, &further), &[]).await.is(200).word("access_token");
        }
        asked(world, &next, &with_actor(&token, &further), &[]).await.refused_oauth(400, "invalid_request");

        let events = world.platform_admin().get("/admin/v1/tenants/acme/events").await.is(200).text;
        assert!(events.contains("token_exchanged") && events.contains("too_many_actors") && !events.contains(&both));
    });
}

#[test]
fn an_api_may_reach_what_the_session_was_granted_and_may_look_at_tokens_that_are_for_it() {
    in_world(async |world| {
        let (shop, gateway) = chain(world).await;
        // The token is for one API; its session may have tokens for the other, and the user's roles count there.
        let token = alices(world, &shop, &[ORDERS]).await.word("access_token");
        let actor = own(world, &gateway).await;
        let answer = asked(world, &gateway, &with_actor(&token, &actor), &[STOCK]).await.is(200);
        let is = claims(&answer.word("access_token"));
        assert_eq!((&is["aud"], &is["scope"], &is["permissions"]), (&json!(STOCK), &json!(""), &json!([])));
        let by_audience = {
            let mut form = with_actor(&token, &actor);
            form.push(("audience", ORDERS));
            asked(world, &gateway, &form, &[]).await.is(200)
        };
        let is = claims(&by_audience.word("access_token"));
        assert_eq!((&is["aud"], &is["scope"], &is["permissions"]), (&json!(ORDERS), &json!("orders:read"), &json!(["orders:list"])));

        let look = async |client: &Shop, token: &str| {
            let request = world.anon().request("POST", "/t/acme/oauth/introspect").basic_auth(&client.id, Some(&client.secret));
            crate::world::sent(request.form(&[("token", token)])).await.is(200).json()
        };
        let basic = trader(world, server(json!({ "token_endpoint_auth_method": "client_secret_basic" }))).await;
        assert_eq!(look(&basic, &token).await, json!({ "active": false }), "s103: not for it");
        served_by(world, ORDERS, &[&gateway, &basic]).await;
        assert_eq!(look(&basic, &token).await["active"], true);
        let elsewhere = alices(world, &shop, &[STOCK]).await.word("access_token");
        assert_eq!(look(&basic, &elsewhere).await, json!({ "active": false }));
    });
}

#[test]
fn s092_s095_r05_a_token_that_will_not_do_is_never_passed_over() {
    in_world(async |world| {
        let (shop, gateway) = chain(world).await;
        let tokens = alices(world, &shop, &[ORDERS]).await;
        let good = tokens.word("access_token");
        let actor = own(world, &gateway).await;
        asked(world, &gateway, &with_actor(&good, &actor), &[]).await.is(200);

        // Of another tenant with the same people, clients and APIs; of the built-in client; of a client itself.
        world.tenant("globex").await;
        let theirs = world.alice("globex").await.access_token;
        let admins = world.tenant_admin("acme").await.access_token;
        let stranger = trader(world, server(json!({}))).await;
        let strangers = own(world, &stranger).await;
        let elsewhere = alices(world, &shop, &[STOCK]).await.word("access_token");
        let (head, tail) = good.rsplit_once('.').expect("a JWT");
        let unsigned = format!("{head}.");
        let forged = format!("{head}.{}", tail.chars().rev().collect::<String>());
        let (id_token, refresh_token) = (tokens.word("id_token"), tokens.word("refresh_token"));
        for bad in [&theirs, &admins, &strangers, &elsewhere, &unsigned, &forged, &id_token, &refresh_token, "x", "a.b.c"] {
            asked(world, &gateway, &with_actor(bad, &actor), &[]).await.refused_oauth(400, "invalid_request");
        }
        // An actor's token is one that the client was given; its own tokens alone.
        for bad in [&theirs, &admins, &strangers, &good, &unsigned, &id_token, "x"] {
            asked(world, &gateway, &with_actor(&good, bad), &[]).await.refused_oauth(400, "invalid_request");
        }

        let id_kind = "urn:ietf:params:oauth:token-type:id_token";
        let base = subject(&good);
        let with = |more: &[(&'static str, &'static str)]| {
            let mut form: Vec<(&str, &str)> = base.iter().copied().filter(|(name, _)| more.iter().all(|(new, _)| new != name)).collect();
            form.extend(more);
            form
        };
        let jwt = "urn:ietf:params:oauth:token-type:jwt";
        for form in [
            with(&[("subject_token", "")]),
            with(&[("subject_token_type", "")]),
            with(&[("subject_token_type", id_kind)]),
            with(&[("subject_token_type", jwt)]),
            with(&[("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token")]),
            with(&[("subject_token_type", "access_token")]),
            with(&[("actor_token_type", ACCESS)]),
            with(&[("actor_token", "x")]),
            with(&[("actor_token", "x"), ("actor_token_type", id_kind)]),
            with(&[("requested_token_type", id_kind)]),
            with(&[("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")]),
        ] {
            asked(world, &gateway, &form, &[]).await.refused_oauth(400, "invalid_request");
        }
        let mut as_id_token = with_actor(&id_token, &actor);
        as_id_token[2].1 = id_kind;
        asked(world, &gateway, &as_id_token, &[]).await.refused_oauth(400, "invalid_request");

        // Never more than there was.
        for scope in ["orders:read orders:write", "stock:read", "openid", "admin", "account"] {
            let mut form = with_actor(&good, &actor);
            form.push(("scope", scope));
            asked(world, &gateway, &form, &[]).await.refused_oauth(400, "invalid_scope");
        }
        let issuer = format!("{}/t/acme", world.base_url);
        for target in ["https://private.example", "https://unknown.example", "x", &issuer] {
            asked(world, &gateway, &with_actor(&good, &actor), &[target]).await.refused_oauth(400, "invalid_target");
            let mut form = with_actor(&good, &actor);
            form.push(("audience", target));
            asked(world, &gateway, &form, &[]).await.refused_oauth(400, "invalid_target");
        }
        // Not what this client may not have tokens for, though the session may.
        let poor = client(world, server(json!({ "scope": "orders:read", "resources": [ORDERS] }))).await;
        served_by(world, ORDERS, &[&gateway, &poor]).await;
        let poor_actor = own(world, &poor).await;
        asked(world, &poor, &with_actor(&good, &poor_actor), &[STOCK]).await.refused_oauth(400, "invalid_target");
        asked(world, &poor, &with_actor(&good, &poor_actor), &[]).await.is(200);

        // Over, by our own clock.
        world.clock.forward(121);
        asked(world, &gateway, &with_actor(&good, &actor), &[]).await.refused_oauth(400, "invalid_request");
    });
}

#[test]
fn what_was_exchanged_dies_with_the_session_and_nothing_of_a_dead_one_is_exchanged() {
    in_world(async |world| {
        let (shop, gateway) = chain(world).await;
        let actor = own(world, &gateway).await;
        let revoked = alices(world, &shop, &[ORDERS]).await;
        let token = revoked.word("access_token");
        let exchanged = asked(world, &gateway, &with_actor(&token, &actor), &[]).await.is(200).word("access_token");
        assert_eq!(introspected(world, &exchanged).await["active"], true);
        assert_eq!(introspected(world, &exchanged).await["act"]["sub"], json!(gateway.id));
        // It is not the gateway's session to end.
        let form = [("client_id", gateway.id.as_str()), ("client_secret", gateway.secret.as_str()), ("token", exchanged.as_str())];
        world.anon().form("/t/acme/oauth/revoke", &form).await.refused_oauth(400, "unsupported_token_type");
        let refresh = revoked.word("refresh_token");
        let form = [("client_id", shop.id.as_str()), ("client_secret", shop.secret.as_str()), ("token", refresh.as_str())];
        world.anon().form("/t/acme/oauth/revoke", &form).await.is(200);
        assert_eq!(introspected(world, &exchanged).await, json!({ "active": false }));
        asked(world, &gateway, &with_actor(&token, &actor), &[]).await.refused_oauth(400, "invalid_request");

        let token = alices(world, &shop, &[ORDERS]).await.word("access_token");
        let alice = claims(&token)["sub"].as_str().expect("an id").to_owned();
        let path = format!("/admin/v1/tenants/acme/users/{alice}");
        world.platform_admin().post(&format!("{path}/disable"), json!(null)).await.is(200);
        asked(world, &gateway, &with_actor(&token, &actor), &[]).await.refused_oauth(400, "invalid_request");
        world.platform_admin().post(&format!("{path}/enable"), json!(null)).await.is(200);

        // A client that is disabled has given its last token, too.
        let token = alices(world, &shop, &[ORDERS]).await.word("access_token");
        world.platform_admin().post(&format!("/admin/v1/tenants/acme/clients/{}/disable", shop.id), json!(null)).await.is(200);
        asked(world, &gateway, &with_actor(&token, &actor), &[]).await.refused_oauth(400, "invalid_request");
    });
}

#[test]
fn nobody_passes_for_another_unless_an_administrator_said_so() {
    in_world(async |world| {
        let (shop, gateway) = chain(world).await;
        let token = alices(world, &shop, &[ORDERS]).await.word("access_token");
        asked(world, &gateway, &subject(&token), &[]).await.refused_oauth(400, "invalid_request");
        let double = trader(world, server(json!({ "may_impersonate": true }))).await;
        served_by(world, ORDERS, &[&gateway, &double]).await;
        let passed = asked(world, &double, &subject(&token), &[]).await.is(200);
        assert_eq!(claims(&passed.word("access_token")).get("act"), None);
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events").await.is(200).json();
        let of = |name: &str| -> Vec<Value> {
            let all = events["items"].as_array().expect("a list").iter().map(|item| item["event"].clone());
            all.filter(|event| event["type"] == name).collect()
        };
        assert_eq!(of("token_exchange_refused")[0]["reason"], "impersonation");
        assert_eq!(
            (&of("token_exchanged")[0]["is_impersonation"], &of("token_exchanged")[0]["client_id"]),
            (&json!(true), &json!(double.id))
        );

        // Its own token a client makes smaller without acting for anybody.
        let form = json!({ "grant_types": ["authorization_code", "refresh_token", EXCHANGE] });
        let shop = trader(world, form).await;
        let both = alices(world, &shop, &[]).await.word("access_token");
        let mut form = subject(&both);
        form.push(("scope", "orders:read"));
        let smaller = asked(world, &shop, &form, &[ORDERS]).await.is(200);
        let is = claims(&smaller.word("access_token"));
        assert_eq!((&is["aud"], &is["scope"], is.get("act")), (&json!(ORDERS), &json!("orders:read"), None));
        let robots = own(world, &gateway).await;
        let smaller = asked(world, &gateway, &subject(&robots), &[STOCK]).await.is(200);
        assert_eq!(claims(&smaller.word("access_token"))["sub"], json!(gateway.id));
        assert_eq!(introspected(world, &smaller.word("access_token")).await["active"], true);
    });
}

#[test]
fn exchanges_are_off_until_the_tenant_wants_them_and_for_clients_that_prove_themselves() {
    in_world(async |world| {
        let shop = market(world, json!({})).await;
        let gateway = trader(world, server(json!({}))).await;
        served_by(world, ORDERS, &[&gateway]).await;
        let token = alices(world, &shop, &[ORDERS]).await.word("access_token");
        let actor = own(world, &gateway).await;
        let offered = async || {
            let metadata = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
            metadata["grant_types_supported"].as_array().expect("a list").contains(&json!(EXCHANGE))
        };
        assert!(!offered().await);
        asked(world, &gateway, &with_actor(&token, &actor), &[]).await.refused_oauth(400, "unsupported_grant_type");
        world.policy("acme", json!({ "token_exchange": true })).await;
        assert!(offered().await);
        asked(world, &gateway, &with_actor(&token, &actor), &[]).await.is(200);
        asked(world, &shop, &subject(&token), &[]).await.refused_oauth(400, "unauthorized_client");
        let wrong = Shop { id: gateway.id.clone(), secret: "cs1_wrong".to_owned() };
        asked(world, &wrong, &with_actor(&token, &actor), &[]).await.refused_oauth(401, "invalid_client");

        let public = server(json!({ "token_endpoint_auth_method": "none", "grant_types": [EXCHANGE] }));
        let refused = world.platform_admin().post("/admin/v1/tenants/acme/clients", public).await.refused(422, "invalid_client_metadata");
        assert_eq!(refused.json()["member"], "grant_types");
        world.policy("acme", json!({ "registration": { "access": "open" } })).await;
        let itself =
            json!({ "redirect_uris": ["https://a.example/cb"], "grant_types": ["authorization_code", EXCHANGE], "may_impersonate": true });
        world.anon().post("/t/acme/oauth/register", itself).await.refused_oauth(400, "invalid_client_metadata");
        api(world, json!({ "identifier": "https://a.example", "name": "A", "servers": [gateway.id] })).await.is(201);
    });
}

#[test]
fn a_token_that_is_bound_to_a_key_is_exchanged_by_whoever_proves_it_and_stays_bound() {
    in_world(async |world| {
        let (shop, gateway) = chain(world).await;
        let (key, other) = (Key::new("1"), Key::new("2"));
        let code = code(world, &shop, "openid orders:read", &[ORDERS]).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            ("client_id", shop.id.as_str()),
            ("client_secret", shop.secret.as_str()),
        ];
        let token = post(world, TOKEN, &form, &[proof(world, &key, "POST", TOKEN, json!({}))]).await.is(200).word("access_token");
        let actor = own(world, &gateway).await;
        let mut form = with_actor(&token, &actor);
        form.extend([("client_id", gateway.id.as_str()), ("client_secret", gateway.secret.as_str())]);
        post(world, TOKEN, &form, &[]).await.refused_oauth(400, "invalid_request");
        post(world, TOKEN, &form, &[proof(world, &other, "POST", TOKEN, json!({}))]).await.refused_oauth(400, "invalid_request");
        let bound = post(world, TOKEN, &form, &[proof(world, &key, "POST", TOKEN, json!({}))]).await.is(200);
        assert_eq!((bound.word("token_type").as_str(), &claims(&bound.word("access_token"))["cnf"]["jkt"]), ("DPoP", &json!(jkt(&key))));
        // Of one that is bound to nothing whoever proves a key gets one that is bound to it.
        let token = alices(world, &shop, &[ORDERS]).await.word("access_token");
        let mut form = with_actor(&token, &actor);
        form.extend([("client_id", gateway.id.as_str()), ("client_secret", gateway.secret.as_str())]);
        let bound = post(world, TOKEN, &form, &[proof(world, &other, "POST", TOKEN, json!({}))]).await.is(200);
        assert_eq!(claims(&bound.word("access_token"))["cnf"]["jkt"], json!(jkt(&other)));
    });
}
