//! Issuers that tenants trust. Expands only: the version before has no grant that asks for them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Types that differ by backend are in braces.
const STEPS: &[&str] = &[
    "CREATE TABLE trusted_issuers (
        tenant_id {uuid} NOT NULL,
        id {uuid} NOT NULL,
        issuer text NOT NULL,
        settings text NOT NULL,
        created_at {int} NOT NULL,
        updated_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, id)
    ){strict}",
    "CREATE UNIQUE INDEX trusted_issuers_issuer ON trusted_issuers (tenant_id, issuer)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let types = if is_postgres {
            [("{uuid}", "uuid"), ("{int}", "bigint"), ("{strict}", "")]
        } else {
            [("{uuid}", "blob"), ("{int}", "integer"), ("{strict}", " STRICT")]
        };
        for step in STEPS {
            let sql = types.iter().fold((*step).to_owned(), |sql, (name, of_backend)| sql.replace(name, of_backend));
            db.execute_unprepared(&sql).await?;
        }
        if is_postgres {
            for sql in [
                "ALTER TABLE trusted_issuers ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE trusted_issuers FORCE ROW LEVEL SECURITY",
                "CREATE POLICY of_the_tenant ON trusted_issuers USING \
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
