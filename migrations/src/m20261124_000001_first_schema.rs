//! The first schema. Times are microseconds since the epoch; JSON is text that the domain reads and checks itself.
//!
//! Invariant: the primary key of what a tenant owns begins with `tenant_id`, and no foreign key leaves the tenant, so that
//! the schema can be distributed by tenant.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// One statement each. `{uuid}` and `{blob}` are types that differ by backend, `{strict}` makes SQLite check types.
const TABLES: &[&str] = &[
    "CREATE TABLE tenants (
        id {uuid} NOT NULL PRIMARY KEY,
        slug text NOT NULL UNIQUE,
        name text NOT NULL,
        custom_domain text UNIQUE,
        status text NOT NULL,
        suspended_at {int},
        policy text NOT NULL,
        created_at {int} NOT NULL,
        updated_at {int} NOT NULL
    ){strict}",
    "CREATE TABLE users (
        tenant_id {uuid} NOT NULL,
        id {uuid} NOT NULL,
        username text,
        username_key text,
        email text,
        email_key text,
        status text NOT NULL,
        disabled_at {int},
        roles text NOT NULL,
        claims text NOT NULL,
        phc text,
        created_at {int} NOT NULL,
        updated_at {int} NOT NULL,
        password_changed_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, id),
        UNIQUE (tenant_id, username_key),
        UNIQUE (tenant_id, email_key)
    ){strict}",
    "CREATE TABLE refresh_families (
        tenant_id {uuid} NOT NULL,
        id {uuid} NOT NULL,
        user_id {uuid} NOT NULL,
        client_id text NOT NULL,
        scope text NOT NULL,
        binding text NOT NULL,
        auth_time {int} NOT NULL,
        current {int} NOT NULL,
        rotated_at {int} NOT NULL,
        replays {int} NOT NULL,
        superseded text NOT NULL,
        idle_expires_at {int} NOT NULL,
        absolute_expires_at {int} NOT NULL,
        revoked_at {int},
        revoked_cause text,
        created_at {int} NOT NULL,
        user_agent text,
        source text,
        PRIMARY KEY (tenant_id, id)
    ){strict}",
    "CREATE INDEX refresh_families_user ON refresh_families (tenant_id, user_id)",
    "CREATE INDEX refresh_families_absolute ON refresh_families (absolute_expires_at)",
    "CREATE INDEX refresh_families_idle ON refresh_families (idle_expires_at)",
    "CREATE TABLE key_rings (
        tenant_id {uuid} NOT NULL PRIMARY KEY,
        generation {int} NOT NULL,
        ring text NOT NULL,
        next_due_at {int},
        kek_id text NOT NULL,
        data_key {blob} NOT NULL,
        updated_at {int} NOT NULL
    ){strict}",
    "CREATE INDEX key_rings_due ON key_rings (next_due_at)",
    "CREATE TABLE sealed_secrets (
        tenant_id {uuid} NOT NULL,
        name text NOT NULL,
        sealed {blob} NOT NULL,
        PRIMARY KEY (tenant_id, name)
    ){strict}",
    // Of no tenant on purpose: a kid is never used again, not even after its tenant is gone.
    "CREATE TABLE used_kids (kid text NOT NULL PRIMARY KEY){strict}",
    "CREATE TABLE guess_counters (
        tenant_id {uuid} NOT NULL,
        scope text NOT NULL,
        subject {blob} NOT NULL,
        attempts {int} NOT NULL,
        blocked_until {int},
        touched_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, scope, subject)
    ){strict}",
    "CREATE INDEX guess_counters_touched ON guess_counters (touched_at)",
    "CREATE TABLE known_sources (
        tenant_id {uuid} NOT NULL,
        user_id {uuid} NOT NULL,
        source {blob} NOT NULL,
        seen_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, user_id, source)
    ){strict}",
    "CREATE INDEX known_sources_seen ON known_sources (seen_at)",
    "CREATE TABLE audit_events (
        tenant_id {uuid} NOT NULL,
        id {uuid} NOT NULL,
        at {int} NOT NULL,
        actor text NOT NULL,
        source text,
        request_id text,
        name text NOT NULL,
        event text NOT NULL,
        PRIMARY KEY (tenant_id, id)
    ){strict}",
    "CREATE TABLE installation_secrets (
        name text NOT NULL PRIMARY KEY,
        kek_id text NOT NULL,
        sealed {blob} NOT NULL
    ){strict}",
];

/// What a tenant owns; the column that says whose it is; whether work across tenants may see it.
pub(crate) const OWNED: &[(&str, &str, bool)] = &[
    ("tenants", "id", true),
    ("users", "tenant_id", false),
    ("refresh_families", "tenant_id", true),
    ("key_rings", "tenant_id", true),
    ("sealed_secrets", "tenant_id", false),
    ("guess_counters", "tenant_id", true),
    ("known_sources", "tenant_id", true),
    ("audit_events", "tenant_id", false),
];

/// PostgreSQL only: without a tenant set in the transaction there are no rows, not even for the tables' owner.
/// A setting made with `set_config(…, true)` becomes an empty string when its transaction ends, hence `NULLIF`.
pub(crate) fn row_level_security(table: &str, owner: &str, is_for_platform: bool) -> [String; 3] {
    let platform = if is_for_platform { " OR current_setting('claviger.scope', true) = 'platform'" } else { "" };
    [
        format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
        format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
        format!(
            "CREATE POLICY of_the_tenant ON {table} USING ({owner} = NULLIF(current_setting('claviger.tenant', true), '')::uuid{platform})"
        ),
    ]
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let (uuid, int, blob, strict) = if is_postgres { ("uuid", "bigint", "bytea", "") } else { ("blob", "integer", "blob", " STRICT") };
        for table in TABLES {
            let sql = table.replace("{uuid}", uuid).replace("{int}", int).replace("{blob}", blob).replace("{strict}", strict);
            db.execute_unprepared(&sql).await?;
        }
        if is_postgres {
            for (table, owner, is_for_platform) in OWNED {
                for sql in row_level_security(table, owner, *is_for_platform) {
                    db.execute_unprepared(&sql).await?;
                }
            }
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
