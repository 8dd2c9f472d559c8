//! Clients of a tenant: registered by its administrators, proving themselves at the token endpoint.

use reqwest::header::AUTHORIZATION;
use serde_json::json;

use crate::world::{World, in_world, sent};

const CLIENTS: &str = "/admin/v1/tenants/acme/clients";
const TOKEN: &str = "/t/acme/oauth/token";

/// A client that acts for itself; answers its id and secret.
async fn machine(world: &World, method: &str) -> (String, String) {
    let form = json!({ "grant_types": ["client_credentials"], "scope": "read write", "token_endpoint_auth_method": method });
    let made = world.platform_admin().post(CLIENTS, form).await.is(201);
    (made.word("client_id"), made.word("client_secret"))
}

async fn asks_by_header(world: &World, id: &str, secret: &str) -> crate::world::Answer {
    let request = world.anon().request("POST", TOKEN).basic_auth(id, Some(secret));
    sent(request.form(&[("grant_type", "client_credentials")])).await
}

#[test]
fn a_client_is_registered_changed_disabled_and_deleted() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.tenant_admin("acme").await;
        let caller = world.bearing(&admin.access_token);
        let form = json!({ "client_name": "Shop", "redirect_uris": ["https://shop.example/cb"], "grant_types": ["authorization_code", "refresh_token"] });
        let made = caller.post(CLIENTS, form.clone()).await.is(201);
        let (id, secret) = (made.word("client_id"), made.word("client_secret"));
        assert_eq!(made.header("location"), format!("{CLIENTS}/{id}"));
        assert_eq!((made.word("kind").as_str(), made.header("cache-control")), ("confidential", "no-store"));

        let path = format!("{CLIENTS}/{id}");
        let shown = caller.get(&path).await.is(200);
        assert!(!shown.text.contains(&secret[4..]) && !shown.text.contains("hash"), "a secret is shown once");
        caller.put(&path, json!({ "redirect_uris": ["http://shop.example/cb"] })).await.refused(422, "invalid_redirect_uri");
        let bad = caller.put(&path, json!({ "grant_types": ["password"] })).await.refused(422, "invalid_client_metadata");
        assert_eq!(bad.word("member"), "grant_types");
        let changed = caller.put(&path, json!({ "redirect_uris": ["https://shop.example/cb"], "consent": "first_party" })).await.is(200);
        assert_eq!((changed.word("consent").as_str(), changed.json()["client_name"].is_null()), ("first_party", true));
        let page = caller.get(&format!("{CLIENTS}?limit=1")).await.is(200).json();
        assert_eq!((page["items"][0]["client_id"].as_str(), page["next"].as_str()), (Some(id.as_str()), Some(id.as_str())));
        assert_eq!(caller.get(&format!("{CLIENTS}?after={id}")).await.is(200).json()["items"], json!([]));

        assert_eq!(caller.post(&format!("{path}/disable"), json!({})).await.is(200).word("status"), "disabled");
        assert_eq!(caller.post(&format!("{path}/enable"), json!({})).await.is(200).word("status"), "active");
        caller.delete(&path).await.is(204);
        caller.get(&path).await.refused(404, "not_found");
        let events = caller.get("/admin/v1/tenants/acme/events").await.is(200).json();
        let names: Vec<_> =
            events["items"].as_array().expect("items").iter().filter_map(|item| item["event"]["type"].as_str()).take(5).collect();
        assert_eq!(names, ["client_deleted", "client_enabled", "client_disabled", "client_changed", "client_created"]);
    });
}

#[test]
fn a_secret_is_replaced_without_a_gap() {
    in_world(async |world| {
        world.tenant("acme").await;
        let (id, old) = machine(world, "client_secret_basic").await;
        let secrets = format!("{CLIENTS}/{id}/secrets");
        let made = world.platform_admin().post(&secrets, json!({})).await.is(201);
        let new = made.word("client_secret");
        world.platform_admin().post(&secrets, json!({})).await.refused(409, "too_many_secrets");
        for secret in [&old, &new] {
            asks_by_header(world, &id, secret).await.is(200);
        }
        let first = world.platform_admin().get(&format!("{CLIENTS}/{id}")).await.is(200).json()["secrets"][0]["id"].clone();
        let first = format!("{secrets}/{}", first.as_str().expect("an id"));
        world.platform_admin().delete(&first).await.is(204);
        world.platform_admin().delete(&first).await.refused(404, "not_found");
        asks_by_header(world, &id, &old).await.refused_oauth(401, "invalid_client");
        asks_by_header(world, &id, &new).await.is(200);

        // One with an end.
        let end = domain::time::Timestamp::from_seconds(world.ctx().now().as_seconds() + 60).to_string();
        let short = world.platform_admin().post(&secrets, json!({ "expires_at": end })).await.is(201).word("client_secret");
        asks_by_header(world, &id, &short).await.is(200);
        world.clock.forward(61);
        asks_by_header(world, &id, &short).await.refused_oauth(401, "invalid_client");
    });
}

#[test]
fn s048_a_client_proves_itself_in_its_one_way() {
    in_world(async |world| {
        world.tenant("acme").await;
        let (by_header, secret) = machine(world, "client_secret_basic").await;
        let (by_body, posted) = machine(world, "client_secret_post").await;
        let form = |id: &str, secret: &str| {
            [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)].map(|(n, v)| (n, v.to_owned()))
        };
        let post = async |parameters: &[(&str, String)]| {
            let pairs: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
            world.anon().form(TOKEN, &pairs).await
        };
        let answer = asks_by_header(world, &by_header, &secret).await.is(200);
        assert_eq!(
            (answer.word("scope").as_str(), answer.json().get("refresh_token"), answer.json().get("id_token")),
            ("read write", None, None)
        );
        post(&form(&by_body, &posted)).await.is(200);
        let refused = post(&form(&by_header, &secret)).await.refused_oauth(401, "invalid_client");
        assert!(refused.header("www-authenticate").starts_with("Basic "));
        asks_by_header(world, &by_body, &posted).await.refused_oauth(401, "invalid_client");
        let both = world.anon().request("POST", TOKEN).basic_auth(&by_header, Some(&secret));
        sent(both.form(&form(&by_header, &secret))).await.refused_oauth(400, "invalid_request");
        let other = world.anon().request("POST", TOKEN).basic_auth(&by_header, Some(&secret));
        sent(other.form(&[("grant_type", "client_credentials"), ("client_id", "cli_other")])).await.refused_oauth(400, "invalid_request");
        // One who needs no secret, with one.
        let bare = [("grant_type", "client_credentials"), ("client_id", by_header.as_str())];
        world.anon().form(TOKEN, &bare).await.refused_oauth(401, "invalid_client");
        let unreadable = world.anon().request("POST", TOKEN).header(AUTHORIZATION, "Basic ***");
        sent(unreadable.form(&bare)).await.refused_oauth(401, "invalid_client");
        let unknown = asks_by_header(world, "cli_01890000000000000000000000", &secret).await.refused_oauth(401, "invalid_client");
        let wrong = asks_by_header(world, &by_header, &posted).await.refused_oauth(401, "invalid_client");
        assert_eq!(unknown.text, wrong.text);
        world.tenant("globex").await;
        let elsewhere = world.anon().request("POST", "/t/globex/oauth/token").basic_auth(&by_header, Some(&secret));
        sent(elsewhere.form(&[("grant_type", "client_credentials")])).await.refused_oauth(401, "invalid_client");
    });
}

#[test]
fn s056_wrong_secrets_are_slowed_down_and_the_right_one_is_not() {
    in_world(async |world| {
        world.tenant("acme").await;
        let (id, secret) = machine(world, "client_secret_basic").await;
        for _ in 0..10 {
            asks_by_header(world, &id, "wrong").await.refused_oauth(401, "invalid_client");
        }
        let slowed = asks_by_header(world, &id, "wrong").await.refused_oauth(429, "slow_down");
        assert_eq!(slowed.header("retry-after"), "30");
        asks_by_header(world, &id, &secret).await.is(200);
        asks_by_header(world, "cli_01890000000000000000000000", "wrong").await.refused_oauth(401, "invalid_client");
    });
}

#[test]
fn s049_s085_a_client_gets_what_it_is_registered_for() {
    in_world(async |world| {
        world.tenant("acme").await;
        let (id, secret) = machine(world, "client_secret_post").await;
        let ask = async |more: &[(&str, &str)]| {
            let parameters = [&[("client_id", id.as_str()), ("client_secret", secret.as_str())], more].concat();
            world.anon().form(TOKEN, &parameters).await
        };
        ask(&[("grant_type", "refresh_token"), ("refresh_token", "x")]).await.refused_oauth(400, "unauthorized_client");
        ask(&[("grant_type", "authorization_code"), ("code", "x")]).await.refused_oauth(400, "unauthorized_client");
        ask(&[("grant_type", "password")]).await.refused_oauth(400, "unsupported_grant_type");
        ask(&[("grant_type", "client_credentials"), ("scope", "read admin")]).await.refused_oauth(400, "invalid_scope");
        let answer = ask(&[("grant_type", "client_credentials"), ("scope", "read")]).await.is(200);
        assert_eq!(answer.word("scope"), "read");
        let token = answer.word("access_token");
        world.bearing(&token).get("/t/acme/me").await.refused(403, "insufficient_scope");
        world.bearing(&token).get("/admin/v1/tenants/acme/users").await.refused(403, "insufficient_scope");
        let first_party = [("client_id", "first-party"), ("grant_type", "client_credentials")];
        world.anon().form(TOKEN, &first_party).await.refused_oauth(400, "unauthorized_client");

        // s106: it has no session that could end.
        let revoke = [("token", token.as_str()), ("client_id", id.as_str()), ("client_secret", secret.as_str())];
        world.anon().form("/t/acme/oauth/revoke", &revoke).await.refused_oauth(400, "unsupported_token_type");
        let (other, of_other) = machine(world, "client_secret_post").await;
        let revoke = [("token", token.as_str()), ("client_id", other.as_str()), ("client_secret", of_other.as_str())];
        world.anon().form("/t/acme/oauth/revoke", &revoke).await.is(200);

        // What it got is worth nothing while the client is disabled.
        let introspected =
            async || world.platform_admin().form("/t/acme/oauth/introspect", &[("token", token.as_str())]).await.is(200).json();
        assert_eq!((introspected().await["active"].clone(), introspected().await["sub"].clone()), (json!(true), json!(id)));
        world.platform_admin().post(&format!("{CLIENTS}/{id}/disable"), json!({})).await.is(200);
        assert_eq!(introspected().await, json!({ "active": false }));
        ask(&[("grant_type", "client_credentials")]).await.refused_oauth(401, "invalid_client");
    });
}
