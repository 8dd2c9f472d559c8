//! Of a session with the tenant's pages: which browser began it, and where. Expands only: the version before leaves both empty.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for column in ["user_agent", "source"] {
            db.execute_unprepared(&format!("ALTER TABLE sso_sessions ADD COLUMN {column} text")).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
