//! Of a user: since when a new password is demanded. Expands only: the version before demands none.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let int = if manager.get_database_backend() == DbBackend::Postgres { "bigint" } else { "integer" };
        let sql = format!("ALTER TABLE users ADD COLUMN password_change_required_at {int}");
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
