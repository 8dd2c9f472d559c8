//! What sessions were granted in detail, and what users allowed clients in detail. Expands only: the version before grants nothing so.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["refresh_families", "consents"] {
            let sql = format!("ALTER TABLE {table} ADD COLUMN authorization_details text");
            manager.get_connection().execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
