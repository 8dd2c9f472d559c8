//! No table grows without end: what is over is swept, and what is kept is kept for a reason.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, SqlitePool};

use crate::relay::Relay;
use crate::world::{World, in_world_with};

/// Tables whose rows are removed when they are over.
const SWEPT: [&str; 16] = [
    "audit_events",
    "authorization_codes",
    "authorization_requests",
    "backchannel_pings",
    "backchannel_requests",
    "device_codes",
    "guess_counters",
    "initial_access_tokens",
    "jwks_verifiers",
    "known_sources",
    "logout_notices",
    "mail_links",
    "mails",
    "refresh_families",
    "spent_names",
    "sso_sessions",
];

/// Tables that do not grow with use. A new table must be put into one of the two lists.
const KEPT: [&str; 20] = [
    "client_origins",        // a hundred per client at most; they go with it
    "clients",               // as many as administrators register; those that registered themselves are swept when nobody uses them
    "consents",              // one per user and client
    "data_keys",             // one per tenant, and the installation's
    "deletion_certificates", // one per tenant that ever was: the proof that it is gone
    "installation_secrets",  // none but what the first format left
    "keks",                  // one per key-encryption key that ever was
    "key_log_entries",       // one per change of a key, for as long as the tenant lives: an append-only log is never cut
    "key_log_hashes",        // one per entry, and one for each 256 of them
    "key_logs",              // one per tenant
    "key_rings",             // one per tenant, with at most twenty ended keys in it
    "resources",             // as many as administrators add: 200 per tenant at most
    "schema_level",          // one
    "sealed_secrets",        // those of living keys and token secrets: the others are destroyed with them
    "seaql_migrations",      // one per step of the schema
    "tenant_branding",       // one per tenant
    "tenants",
    "trusted_issuers", // as many as administrators trust: 50 per tenant at most
    "used_kids",       // a kid is never used again: 43 characters per key that ever was
    "users",
];

const DAY: u32 = 86_400;

/// How many rows each table has.
pub(crate) async fn rows(database: &Path) -> BTreeMap<String, i64> {
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(database).read_only(true)).await.expect("connected");
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .fetch_all(&pool)
        .await
        .expect("the tables");
    let mut rows = BTreeMap::new();
    for table in tables {
        let count = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(&pool).await.expect("counted");
        rows.insert(table, count);
    }
    pool.close().await;
    rows
}

/// Users come, fail, refresh; a tenant goes.
async fn use_it(world: &World, relay: &Relay) {
    for slug in ["acme", "globex"] {
        world.tenant(slug).await;
        let alice = world.alice(slug).await;
        world.login(slug, "alice", "not-her-password-at-all").await.is(401);
        world.login(slug, "nobody", "not-her-password-at-all").await.is(401);
        world.refresh(slug, &alice.refresh_token).await.is(200);
        world.jwks(slug).await;
    }
    crate::oidc::leave_behind(world).await;
    crate::client_keys::leave_behind(world).await;
    crate::device::leave_behind(world).await;
    crate::challenge::leave_behind(world).await;
    crate::backchannel::leave_behind(world).await;
    crate::logouts::leave_behind(world).await;
    crate::mail::leave_behind(world, relay).await;
    crate::registration::leave_behind(world).await;
    world.note_verifiers().await;
    world.platform_admin().delete("/admin/v1/tenants/globex?confirm=globex").await.is(204);
}

#[test]
fn every_table_is_swept_or_does_not_grow_with_use() {
    let relay = Relay::start();
    // The rotation clock stands still, so that only the sweep is seen.
    in_world_with(
        |settings| {
            settings.keys.sweep_interval_seconds = 3_600;
            relay.set(settings);
        },
        async |world| {
            use_it(world, &relay).await;
            let before = rows(&world.database).await;
            let mut known: Vec<_> = SWEPT.iter().chain(&KEPT).copied().collect();
            known.sort_unstable();
            assert_eq!(before.keys().collect::<Vec<_>>(), known, "each table stands in one of the lists of this test");
            for table in SWEPT {
                assert!(before[table] > 0, "{table} was used");
            }
            world.sweep().await;
            assert_eq!(rows(&world.database).await, before, "nothing is over yet");

            world.clock.forward(3 * DAY);
            world.sweep().await;
            let after = rows(&world.database).await;
            for soon in [
                "initial_access_tokens",
                "guess_counters",
                "authorization_codes",
                "device_codes",
                "backchannel_requests",
                "backchannel_pings",
                "authorization_requests",
                "sso_sessions",
                "spent_names",
                "logout_notices",
                "mails",
                "mail_links",
            ] {
                assert_eq!(after[soon], 0, "{soon}");
            }
            assert_eq!(after["known_sources"], before["known_sources"], "a place is known for thirty days");
            assert_eq!(after["refresh_families"], before["refresh_families"], "a session may be idle for two weeks");
            assert_eq!(after["jwks_verifiers"], before["jwks_verifiers"], "a verifier is remembered for thirty days");

            world.clock.forward(28 * DAY);
            world.sweep().await;
            let after = rows(&world.database).await;
            assert_eq!((after["known_sources"], after["refresh_families"], after["jwks_verifiers"]), (0, 0, 0));
            assert_eq!(after["audit_events"], before["audit_events"]);

            world.clock.forward(370 * DAY);
            world.sweep().await;
            let after = rows(&world.database).await;
            assert!(SWEPT.iter().all(|table| after[*table] == 0), "also of the tenant that is gone: {after:?}");
            assert!(KEPT.iter().all(|table| after[*table] == before[*table]), "{before:?} {after:?}");
        },
    );
}

#[test]
fn an_audit_log_that_is_kept_for_ever_is_kept_for_ever() {
    let relay = Relay::start();
    in_world_with(
        |settings| {
            (settings.keys.sweep_interval_seconds, settings.audit.retention_days) = (3_600, 0);
            relay.set(settings);
        },
        async |world| {
            use_it(world, &relay).await;
            let before = rows(&world.database).await["audit_events"];
            world.clock.forward(4_000 * DAY);
            world.sweep().await;
            assert_eq!(rows(&world.database).await["audit_events"], before);
        },
    );
}
