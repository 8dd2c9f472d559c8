//! Who fetches which tenant's JWKS, in one row for each verifier. Expands only: the version before does not know the table, and
//! what it leaves of a deleted tenant is swept like the rest.
//!
//! Invariant: no address and no user agent is stored; `verifier` is a label or a keyed hash.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLE: &str = "CREATE TABLE jwks_verifiers (
    tenant_id {uuid} NOT NULL,
    verifier text NOT NULL,
    first_seen {int} NOT NULL,
    last_seen {int} NOT NULL,
    generation {int} NOT NULL,
    max_age {int} NOT NULL,
    fetches {int} NOT NULL,
    PRIMARY KEY (tenant_id, verifier)
){strict}";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let (uuid, int, strict) = if is_postgres { ("uuid", "bigint", "") } else { ("blob", "integer", " STRICT") };
        db.execute_unprepared(&TABLE.replace("{uuid}", uuid).replace("{int}", int).replace("{strict}", strict)).await?;
        db.execute_unprepared("CREATE INDEX jwks_verifiers_seen ON jwks_verifiers (last_seen)").await?;
        if is_postgres {
            // As for the tables before, written and swept across tenants.
            for sql in [
                "ALTER TABLE jwks_verifiers ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE jwks_verifiers FORCE ROW LEVEL SECURITY",
                "CREATE POLICY of_the_tenant ON jwks_verifiers USING \
                 (tenant_id = ANY ((SELECT string_to_array(current_setting('claviger.tenant', true), ',')::uuid[])::uuid[]) \
                 OR (SELECT current_setting('claviger.scope', true) = 'platform'))",
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
