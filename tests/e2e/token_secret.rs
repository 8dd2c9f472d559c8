//! The secret that refresh tokens are authenticated with: rotated while sessions go on, destroyed when they are over.

use app::ports::world::Clock;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::time::{Timestamp, Ttl};
use serde_json::{Value, json};

use crate::world::{PASSWORD, World, in_world, in_world_with, sent};

const ROTATE: &str = "/admin/v1/tenants/acme/keys/token-secret/rotate";
/// 90 days, the absolute life of a session, and the room for nodes that have not heard yet.
const ALL_OVER: u32 = 90 * 86_400 + 120;

/// The version of the secret in a refresh token.
fn version(token: &str) -> u16 {
    let bytes = URL_SAFE_NO_PAD.decode(&token[4..]).expect("base64url");
    u16::from_be_bytes([bytes[0], bytes[1]])
}

async fn versions(world: &World, slug: &str) -> Vec<Value> {
    let keys = world.platform_admin().get(&format!("/admin/v1/tenants/{slug}/keys")).await.is(200).json();
    keys["token_secrets"].as_array().expect("secrets").iter().map(|secret| secret["version"].clone()).collect()
}

#[test]
fn a_rotated_token_secret_logs_nobody_out_and_touches_no_other_tenant() {
    in_world(async |world| {
        for slug in ["acme", "globex"] {
            world.tenant(slug).await;
        }
        let (alice, other) = (world.alice("acme").await, world.alice("globex").await);
        let admin = world.tenant_admin("acme").await;
        let rotated = world.bearing(&admin.access_token).post(ROTATE, Value::Null).await.is(200).json();
        assert_eq!(rotated["token_secrets"][1]["version"], 2, "{rotated}");
        assert!(!rotated["token_secrets"][0]["verifies_until"].is_null(), "{rotated}");
        assert_eq!(versions(world, "acme").await, [1, 2]);
        assert_eq!(versions(world, "globex").await, [1]);

        assert_eq!(version(&alice.refresh_token), 1);
        let fresh = world.refresh("acme", &alice.refresh_token).await.is(200).word("refresh_token");
        assert_eq!(version(&fresh), 2);
        let replayed = world.refresh("acme", &alice.refresh_token).await.is(200).word("refresh_token");
        assert_eq!(replayed, fresh, "the same successor");
        world.refresh("acme", &fresh).await.is(200);
        world.clock.forward(60);
        world.refresh("acme", &alice.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.refresh("acme", &fresh).await.refused_oauth(400, "invalid_grant");

        let theirs = world.refresh("globex", &other.refresh_token).await.is(200).word("refresh_token");
        assert_eq!(version(&theirs), 1);
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events?limit=50").await.is(200).text;
        assert!(events.contains("token_secret_rotated"), "{events}");
    });
}

#[test]
fn a_policy_that_was_tightened_since_does_not_cut_older_sessions_short() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.alice("acme").await;
        let end = world.clock.now().plus(Ttl::days(90)).minus(Ttl::minutes(10));
        world.policy("acme", json!({ "refresh_absolute_ttl_seconds": 20 * 86_400 })).await;
        let rotated = world.platform_admin().post(ROTATE, Value::Null).await.is(200).json();
        let until: Timestamp = serde_json::from_value(rotated["token_secrets"][0]["verifies_until"].clone()).expect("a moment");
        assert!(until > end, "{rotated}");
        // With that session gone, only those that are opened from now on count.
        let alice = world.sign_in("acme", "alice").await;
        world.platform_admin().delete(&format!("/admin/v1/tenants/acme/users/{}/sessions", alice.user)).await;
        let rotated = world.platform_admin().post(ROTATE, Value::Null).await.is(200).json();
        let until: Timestamp = serde_json::from_value(rotated["token_secrets"][1]["verifies_until"].clone()).expect("a moment");
        assert!(until < world.clock.now().plus(Ttl::days(21)), "{rotated}");
    });
}

#[test]
fn a_cookie_session_keeps_its_csrf_token_across_a_rotation() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.user("acme", "alice", &[]).await;
        let form = json!({ "username": "alice", "password": PASSWORD, "session": "cookie" });
        let request = world.anon().request("POST", "/t/acme/login").header("origin", &world.base_url);
        let login = sent(request.json(&form)).await.is(200);
        let csrf = login.word("csrf_token");
        let cookie = login.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        world.platform_admin().post(ROTATE, Value::Null).await.is(200);
        let refresh = |token: &str| {
            let form = [("grant_type", "refresh_token"), ("client_id", "first-party")];
            let request = world.anon().request("POST", "/t/acme/oauth/token").form(&form);
            sent(request.header("cookie", &cookie).header("x-csrf-token", token))
        };
        refresh("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await.is(403);
        let answer = refresh(&csrf).await.is(200);
        assert_ne!(answer.word("csrf_token"), csrf);
        refresh(&answer.word("csrf_token")).await.is(200);
    });
}

#[test]
fn a_token_secret_is_destroyed_when_all_its_sessions_are_over() {
    in_world_with(
        |settings| settings.keys.sweep_interval_seconds = 1,
        async |world| {
            world.tenant("acme").await;
            let alice = world.alice("acme").await;
            world.platform_admin().post(ROTATE, Value::Null).await.is(200);
            world.clock.forward(ALL_OVER - 3_600);
            let admin = world.platform_token(Ttl::hours(2)).await;
            let keys = async || world.bearing(&admin).get("/admin/v1/tenants/acme/keys").await.is(200).json()["token_secrets"].clone();
            assert_eq!(keys().await.as_array().map(Vec::len), Some(2), "an hour too early");
            world.clock.forward(3_600);
            let destroyed = async { while keys().await.as_array().map(Vec::len) == Some(2) {} };
            tokio::time::timeout(std::time::Duration::from_secs(30), destroyed).await.expect("destroyed by the sweep");
            assert_eq!(keys().await[0]["version"], 2);
            world.refresh("acme", &alice.refresh_token).await.refused_oauth(400, "invalid_grant");
            let later = world.sign_in("acme", "alice").await;
            assert_eq!(version(&later.refresh_token), 2);
            world.refresh("acme", &later.refresh_token).await.is(200);
        },
    );
}
