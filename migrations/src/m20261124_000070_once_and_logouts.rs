//! What may be used once, such as the `jti` of a client's assertion; and clients that are still to be told of a logout. Expands only:
//! the version before knows neither.
//!
//! Invariant: of what may be used once the hash alone is stored; a logout is told without any secret of its session.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Types that differ by backend are in braces.
const STEPS: &[&str] = &[
    "CREATE TABLE spent_names (
        tenant_id {uuid} NOT NULL,
        name {blob} NOT NULL,
        expires_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, name)
    ){strict}",
    "CREATE INDEX spent_names_expires ON spent_names (expires_at)",
    "CREATE TABLE logout_notices (
        tenant_id {uuid} NOT NULL,
        family_id {uuid} NOT NULL,
        client_id text NOT NULL,
        user_id {uuid} NOT NULL,
        due_at {int} NOT NULL,
        retry_after {int} NOT NULL,
        expires_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, family_id)
    ){strict}",
    "CREATE INDEX logout_notices_due ON logout_notices (due_at)",
    "CREATE INDEX logout_notices_expires ON logout_notices (expires_at)",
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
            for table in ["spent_names", "logout_notices"] {
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
