//! Old records of the audit log can be found by their age and removed by the sweep. Expands only: the version before runs on it.
//!
//! Invariant: the sweep sees the audit log of all tenants and nothing else, and can write nothing into it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared("CREATE INDEX audit_events_at ON audit_events (at)").await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared(
                "CREATE POLICY of_the_sweep ON audit_events \
                 USING (current_setting('claviger.scope', true) = 'audit-sweep') WITH CHECK (false)",
            )
            .await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
