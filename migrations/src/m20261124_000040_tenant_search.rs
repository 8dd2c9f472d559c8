//! Tenants are found by the beginning of their slug or name, along an index.
//!
//! Expand: nodes of the version before do not write `name_key`; what they create is found by its slug only, until its name is changed.
//!
//! Invariant: slugs and keys of names are compared byte by byte, on both databases, so that a prefix is a range.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::prelude::Uuid;
use sea_orm_migration::sea_orm::{DbBackend, Statement, Value};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let backend = manager.get_database_backend();
        let is_postgres = backend == DbBackend::Postgres;
        if is_postgres {
            // The owner of the tables migrates, whom row-level security binds as well.
            db.execute_unprepared("SELECT set_config('claviger.scope', 'platform', true)").await?;
            db.execute_unprepared("ALTER TABLE tenants ALTER COLUMN slug TYPE text COLLATE \"C\"").await?;
        }
        let collation = if is_postgres { " COLLATE \"C\"" } else { "" };
        db.execute_unprepared(&format!("ALTER TABLE tenants ADD COLUMN name_key text{collation} NOT NULL DEFAULT ''")).await?;
        // Not by SQL: SQLite's lower() knows ASCII only.
        let names = db.query_all_raw(Statement::from_string(backend, "SELECT id, name FROM tenants")).await?;
        for row in names {
            let (id, name): (Uuid, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let values: [Value; 2] = [name.to_lowercase().into(), id.into()];
            db.execute_raw(Statement::from_sql_and_values(backend, "UPDATE tenants SET name_key = $1 WHERE id = $2", values)).await?;
        }
        db.execute_unprepared("CREATE INDEX tenants_name ON tenants (name_key, slug)").await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
