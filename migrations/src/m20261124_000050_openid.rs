//! The OpenID provider: clients, pending authorization requests, codes, sessions with the tenant's pages, consents; and of a family,
//! how it began. Expands only: the version before knows none of it, and its families have begun otherwise.
//!
//! Invariant: of what its holder presents (`handle`, `code`, `browser`, a client's secret) the hash alone is stored.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Types that differ by backend are in braces.
const STEPS: &[&str] = &[
    "CREATE TABLE clients (
        tenant_id {uuid} NOT NULL,
        id text{bytewise} NOT NULL,
        settings text NOT NULL,
        secrets text NOT NULL,
        disabled_at {int},
        created_at {int} NOT NULL,
        updated_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, id)
    ){strict}",
    "CREATE TABLE authorization_requests (
        tenant_id {uuid} NOT NULL,
        handle {blob} NOT NULL,
        browser {blob} NOT NULL,
        request text NOT NULL,
        progress text NOT NULL,
        expires_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, handle)
    ){strict}",
    "CREATE INDEX authorization_requests_expires ON authorization_requests (expires_at)",
    "CREATE TABLE authorization_codes (
        tenant_id {uuid} NOT NULL,
        code {blob} NOT NULL,
        granted text NOT NULL,
        expires_at {int} NOT NULL,
        used_at {int},
        family_id {uuid},
        PRIMARY KEY (tenant_id, code)
    ){strict}",
    "CREATE INDEX authorization_codes_expires ON authorization_codes (expires_at)",
    "CREATE TABLE sso_sessions (
        tenant_id {uuid} NOT NULL,
        handle {blob} NOT NULL,
        id {uuid} NOT NULL,
        user_id {uuid} NOT NULL,
        authentication text NOT NULL,
        idle_expires_at {int} NOT NULL,
        absolute_expires_at {int} NOT NULL,
        ends_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, handle)
    ){strict}",
    "CREATE INDEX sso_sessions_ends ON sso_sessions (ends_at)",
    "CREATE INDEX sso_sessions_user ON sso_sessions (tenant_id, user_id)",
    "CREATE TABLE consents (
        tenant_id {uuid} NOT NULL,
        user_id {uuid} NOT NULL,
        client_id text{bytewise} NOT NULL,
        scope text NOT NULL,
        granted_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, user_id, client_id)
    ){strict}",
    "ALTER TABLE refresh_families ADD COLUMN sign_on text",
];

/// The tables, and whether the sweep goes through them across tenants.
const OWNED: [(&str, bool); 5] =
    [("clients", false), ("authorization_requests", true), ("authorization_codes", true), ("sso_sessions", true), ("consents", false)];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let types = if is_postgres {
            [("{uuid}", "uuid"), ("{int}", "bigint"), ("{blob}", "bytea"), ("{strict}", ""), ("{bytewise}", " COLLATE \"C\"")]
        } else {
            [("{uuid}", "blob"), ("{int}", "integer"), ("{blob}", "blob"), ("{strict}", " STRICT"), ("{bytewise}", "")]
        };
        for step in STEPS {
            let sql = types.iter().fold((*step).to_owned(), |sql, (name, of_backend)| sql.replace(name, of_backend));
            db.execute_unprepared(&sql).await?;
        }
        if is_postgres {
            for (table, is_swept) in OWNED {
                let platform = if is_swept { " OR (SELECT current_setting('claviger.scope', true) = 'platform')" } else { "" };
                for sql in [
                    format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
                    format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
                    format!(
                        "CREATE POLICY of_the_tenant ON {table} USING \
                         (tenant_id = ANY ((SELECT string_to_array(current_setting('claviger.tenant', true), ',')::uuid[])::uuid[]){platform})"
                    ),
                ] {
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
