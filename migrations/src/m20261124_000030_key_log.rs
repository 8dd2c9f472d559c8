//! The key log: each tenant's public, append-only record of its signing keys.
//!
//! Expand: nodes of the version before change rings without telling the log. The next change by a node of this version does not
//! know what they did, so all nodes should be of one version before a key is rotated by hand; a missing entry is seen by
//! `claviger keys audit-log verify`.
//!
//! Invariant: what the log's tables own belongs to a tenant and goes with it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[(&str, &str)] = &[
    (
        "key_logs",
        "size {int} NOT NULL,
        frontier {blob} NOT NULL,
        vkey text NOT NULL,
        checkpoint text NOT NULL,
        PRIMARY KEY (tenant_id)",
    ),
    (
        "key_log_entries",
        "number {int} NOT NULL,
        entry {blob} NOT NULL,
        PRIMARY KEY (tenant_id, number)",
    ),
    // Levels 0, 8, 16, …: those that tiles are cut from. All others are recomputed.
    (
        "key_log_hashes",
        "level {int} NOT NULL,
        number {int} NOT NULL,
        hash {blob} NOT NULL,
        PRIMARY KEY (tenant_id, level, number)",
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let (uuid, int, blob, strict) = if is_postgres { ("uuid", "bigint", "bytea", "") } else { ("blob", "integer", "blob", " STRICT") };
        for (table, columns) in TABLES {
            let columns = columns.replace("{int}", int).replace("{blob}", blob);
            db.execute_unprepared(&format!("CREATE TABLE {table} (tenant_id {uuid} NOT NULL, {columns}){strict}")).await?;
            if is_postgres {
                for sql in [
                    format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
                    format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
                    format!(
                        "CREATE POLICY of_the_tenant ON {table} USING (tenant_id = ANY \
                         ((SELECT string_to_array(current_setting('claviger.tenant', true), ',')::uuid[])::uuid[]))"
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
