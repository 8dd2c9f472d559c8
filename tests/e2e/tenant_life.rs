//! Tenants that are changed by several at once, and tenants too large to be erased in one request.
//!
//! Invariant: what an administrator was told holds at once, for everybody.

use app::tenants::erase_deleted;
use domain::ids::TenantId;
use futures_util::future::join_all;
use serde_json::json;
use testkit::sample;

use crate::world::{PASSWORD, in_world};

#[test]
fn changes_of_one_policy_at_once_are_all_kept() {
    in_world(async |world| {
        world.tenant("acme").await;
        let patches = [
            json!({ "access_ttl_seconds": 120 }),
            json!({ "retry_window_seconds": 20 }),
            json!({ "refresh_idle_ttl_seconds": 86_400 }),
            json!({ "audience": "https://api.example.com" }),
            json!({ "claims": { "email": true } }),
            json!({ "claims": { "username": true } }),
        ];
        join_all(patches.into_iter().map(|patch| world.policy("acme", patch))).await;
        let policy = world.platform_admin().get("/admin/v1/tenants/acme").await.is(200).json()["policy"].clone();
        assert_eq!(policy["access_ttl_seconds"], 120);
        assert_eq!(policy["retry_window_seconds"], 20);
        assert_eq!(policy["refresh_idle_ttl_seconds"], 86_400);
        assert_eq!(policy["audience"], "https://api.example.com");
        assert_eq!(policy["claims"], json!({ "roles": true, "username": true, "email": true, "custom": true, "rules": [] }));
        let refused = world.platform_admin().patch("/admin/v1/tenants/acme", json!({ "policy": { "colour": "red" } })).await;
        refused.refused(400, "bad_request");
    });
}

#[test]
fn a_new_tenant_gets_its_keys_by_the_policy_that_came_with_it() {
    in_world(async |world| {
        let admin = world.platform_admin();
        let new = |key_policy| json!({ "slug": "acme", "name": "Acme", "key_policy": key_policy });
        let hasty = admin.post("/admin/v1/tenants", new(json!({ "lead_seconds": 1 }))).await.refused(422, "unsafe_policy");
        assert!(hasty.word("detail").contains("use at least"), "{}", hasty.text);
        admin.post("/admin/v1/tenants", new(json!({ "algs": ["ES256"], "colour": "red" }))).await.refused(400, "bad_request");
        admin.get("/admin/v1/tenants/acme").await.refused(404, "not_found");

        admin.post("/admin/v1/tenants", new(json!({ "algs": ["ES256"], "rotate_every_seconds": null }))).await.is(201);
        let policy = admin.get("/admin/v1/tenants/acme/keys/policy").await.is(200).json();
        assert_eq!((&policy["algs"], &policy["rotate_every_seconds"]), (&json!(["ES256"]), &json!(null)));
        assert_eq!(policy["lead_seconds"], 86_400, "what is left out gets its default");
        let jwks = world.jwks("acme").await;
        let algs: Vec<_> = jwks["keys"].as_array().expect("keys").iter().map(|key| key["alg"].clone()).collect();
        assert_eq!(algs, [json!("ES256")]);
    });
}

#[test]
fn a_large_tenant_is_gone_at_once_and_its_slug_is_free_when_its_rows_are() {
    in_world(async |world| {
        let id: TenantId = world.tenant("acme").await["id"].as_str().expect("an id").parse().expect("a tenant's id");
        let alice = world.alice("acme").await;
        let mut tx = world.ctx().store.begin(id).await.expect("begins");
        for n in 0..600 {
            tx.user_insert(&sample::user(&format!("user{n}")), None).await.expect("stored");
        }
        tx.commit().await.expect("commits");
        let admin = world.platform_admin();
        admin.delete("/admin/v1/tenants/acme?confirm=acme").await.is(202);

        world.login("acme", "alice", PASSWORD).await.refused(404, "not_found");
        world.refresh("acme", &alice.refresh_token).await.is(404);
        world.bearing(&alice.access_token).get("/t/acme/me").await.refused(404, "not_found");
        admin.get(&format!("/admin/v1/tenants/{id}")).await.refused(404, "not_found");
        admin.delete("/admin/v1/tenants/acme?confirm=acme").await.refused(404, "not_found");
        let again = json!({ "slug": "acme", "name": "Acme" });
        admin.post("/admin/v1/tenants", again.clone()).await.refused(409, "slug_taken");

        // What the sweep does every minute.
        assert_eq!(erase_deleted(world.ctx()).await, Ok(1));
        assert_eq!(erase_deleted(world.ctx()).await, Ok(0));
        let heir = admin.post("/admin/v1/tenants", again).await.is(201).word("id");
        assert_ne!(heir, id.to_string());
        world.login("acme", "alice", PASSWORD).await.refused(401, "bad_credentials");
        let mut tx = world.ctx().store.begin_read(id).await.expect("begins");
        assert_eq!(tx.users_page(None, 10).await, Ok(vec![]));
        let log = tx.audit_page(None, 100).await.expect("read");
        assert_eq!(log[0].event.name(), "tenant_deleted", "the log remains");
    });
}
