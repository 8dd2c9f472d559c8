//! Clients that register themselves: the hash of the token with which one changes itself, until when one is kept that nobody uses, and
//! the tokens with which clients may be registered. Expands only: the version before made all clients by hand.
//!
//! Invariant: of a token the hash alone is stored.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Types that differ by backend are in braces.
const STEPS: &[&str] = &[
    "ALTER TABLE clients ADD COLUMN registration {blob}",
    "ALTER TABLE clients ADD COLUMN unused_until {int}",
    "CREATE INDEX clients_unused ON clients (unused_until) WHERE unused_until IS NOT NULL",
    "CREATE TABLE initial_access_tokens (
        tenant_id {uuid} NOT NULL,
        id {uuid} NOT NULL,
        hash {blob} NOT NULL,
        name text,
        uses_left {int} NOT NULL,
        created_at {int} NOT NULL,
        expires_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, id)
    ){strict}",
    "CREATE UNIQUE INDEX initial_access_tokens_hash ON initial_access_tokens (tenant_id, hash)",
    "CREATE INDEX initial_access_tokens_expires ON initial_access_tokens (expires_at)",
];

/// The tables, and which of their rows the sweep sees: of clients those that nobody uses.
const SWEPT: [(&str, &str); 2] = [("clients", " AND unused_until IS NOT NULL"), ("initial_access_tokens", "")];

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
            db.execute_unprepared("ALTER TABLE initial_access_tokens ENABLE ROW LEVEL SECURITY").await?;
            db.execute_unprepared("ALTER TABLE initial_access_tokens FORCE ROW LEVEL SECURITY").await?;
            db.execute_unprepared("DROP POLICY of_the_tenant ON clients").await?;
            for (table, seen) in SWEPT {
                db.execute_unprepared(&format!(
                    "CREATE POLICY of_the_tenant ON {table} USING \
                     (tenant_id = ANY ((SELECT string_to_array(current_setting('claviger.tenant', true), ',')::uuid[])::uuid[]) \
                     OR ((SELECT current_setting('claviger.scope', true) = 'platform'){seen}))"
                ))
                .await?;
            }
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
