//! What clients ask users for behind their backs (OpenID CIBA Core 1.0). Expands only: the version before does not know the grant.
//!
//! Invariant: of what a client polls with the hash alone is stored; what it is told with is sealed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Types that differ by backend are in braces.
const STEPS: &[&str] = &[
    "CREATE TABLE backchannel_requests (
        tenant_id {uuid} NOT NULL,
        code {blob} NOT NULL,
        user_id {uuid} NOT NULL,
        granted text NOT NULL,
        expires_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, code)
    ){strict}",
    "CREATE INDEX backchannel_requests_user ON backchannel_requests (tenant_id, user_id)",
    "CREATE INDEX backchannel_requests_expires ON backchannel_requests (expires_at)",
    "CREATE TABLE backchannel_pings (
        tenant_id {uuid} NOT NULL,
        id {uuid} NOT NULL,
        client_id text NOT NULL,
        sealed text NOT NULL,
        due_at {int} NOT NULL,
        retry_after {int} NOT NULL,
        expires_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, id)
    ){strict}",
    "CREATE INDEX backchannel_pings_due ON backchannel_pings (due_at)",
    "CREATE INDEX backchannel_pings_expires ON backchannel_pings (expires_at)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let types = if is_postgres {
            [("{uuid}", "uuid"), ("{int}", "bigint"), ("{blob}", "bytea"), ("{strict}", "")]
        } else {
            [("{uuid}", "blob"), ("{int}", "integer"), ("{blob}", "blob"), ("{strict}", " STRICT")]
        };
        for step in STEPS {
            let sql = types.iter().fold((*step).to_owned(), |sql, (name, of_backend)| sql.replace(name, of_backend));
            db.execute_unprepared(&sql).await?;
        }
        if is_postgres {
            for table in ["backchannel_requests", "backchannel_pings"] {
                for sql in [
                    format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
                    format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
                    format!(
                        "CREATE POLICY of_the_tenant ON {table} USING \
                         (tenant_id = ANY ((SELECT string_to_array(current_setting('claviger.tenant', true), ',')::uuid[])::uuid[]) \
                         OR (SELECT current_setting('claviger.scope', true) = 'platform'))"
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
