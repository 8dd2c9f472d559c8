//! Which node is at work on a ring that is due: until when it has claimed it, in the database's time.
//!
//! Expand: nodes of the version before do not look at the column, and change rings as they did; one of two writes wins, as ever.
//!
//! Invariant: a claim saves work, nothing depends on it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let int = if manager.get_database_backend() == DbBackend::Postgres { "bigint" } else { "integer" };
        manager.get_connection().execute_unprepared(&format!("ALTER TABLE key_rings ADD COLUMN claimed_until {int}")).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
