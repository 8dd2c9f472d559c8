//! How a tenant's pages look: what it decides, as JSON, and its logo.
//!
//! Expand: nodes of the version before know nothing of it. A tenant without a row looks like the default.
//!
//! Invariant: what is here belongs to a tenant and goes with it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let (uuid, blob, strict) = if is_postgres { ("uuid", "bytea", "") } else { ("blob", "blob", " STRICT") };
        db.execute_unprepared(&format!(
            "CREATE TABLE tenant_branding (tenant_id {uuid} NOT NULL, branding text NOT NULL, logo_name text, logo {blob}, \
             PRIMARY KEY (tenant_id)){strict}"
        ))
        .await?;
        if is_postgres {
            db.execute_unprepared("ALTER TABLE tenant_branding ENABLE ROW LEVEL SECURITY").await?;
            db.execute_unprepared("ALTER TABLE tenant_branding FORCE ROW LEVEL SECURITY").await?;
            db.execute_unprepared(
                "CREATE POLICY of_the_tenant ON tenant_branding USING (tenant_id = ANY \
                 ((SELECT string_to_array(current_setting('claviger.tenant', true), ',')::uuid[])::uuid[]))",
            )
            .await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
