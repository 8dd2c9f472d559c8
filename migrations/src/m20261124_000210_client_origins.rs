//! Where clients run in browsers: the origins whose pages may read answers. Expands only: the version before answered no other origin.
//!
//! Invariant: an origin goes with its client.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Types that differ by backend are in braces. The key is what is looked for: of this tenant, is it this one of any client?
const STEPS: &[&str] = &[
    "CREATE TABLE client_origins (
        tenant_id {uuid} NOT NULL,
        origin text{bytewise} NOT NULL,
        client_id text{bytewise} NOT NULL,
        PRIMARY KEY (tenant_id, origin, client_id),
        FOREIGN KEY (tenant_id, client_id) REFERENCES clients (tenant_id, id) ON DELETE CASCADE
    ){strict}",
    "CREATE INDEX client_origins_client ON client_origins (tenant_id, client_id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let types = if is_postgres {
            [("{uuid}", "uuid"), ("{strict}", ""), ("{bytewise}", " COLLATE \"C\"")]
        } else {
            [("{uuid}", "blob"), ("{strict}", " STRICT"), ("{bytewise}", "")]
        };
        for step in STEPS {
            let sql = types.iter().fold((*step).to_owned(), |sql, (name, of_backend)| sql.replace(name, of_backend));
            db.execute_unprepared(&sql).await?;
        }
        if is_postgres {
            for sql in [
                "ALTER TABLE client_origins ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE client_origins FORCE ROW LEVEL SECURITY",
                "CREATE POLICY of_the_tenant ON client_origins USING \
                 (tenant_id = ANY ((SELECT string_to_array(current_setting('claviger.tenant', true), ',')::uuid[])::uuid[]))",
            ] {
                db.execute_unprepared(sql).await?;
            }
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
