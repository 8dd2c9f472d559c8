//! Steps of releases that do not exist, made of SQL: how the database of a later release is made, and what the guard must refuse.

#![allow(dead_code, reason = "each test binary uses some of it")]

use migrations::Step;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};
use storage::{Database, Fit, connect};

/// A step that is these statements; `{int}` is the backend's integer.
pub(crate) struct Sql(pub(crate) &'static str, pub(crate) &'static [&'static str]);

impl MigrationName for Sql {
    fn name(&self) -> &str {
        self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Sql {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let int = if manager.get_database_backend() == DbBackend::Postgres { "bigint" } else { "integer" };
        for statement in self.1 {
            manager.get_connection().execute_unprepared(&statement.replace("{int}", int)).await?;
        }
        Ok(())
    }
}

/// Everything that an expanding step may do, to tables that each statement of today uses.
const EXPANDING: [Sql; 12] = [
    Sql("later_01", &["ALTER TABLE tenants ADD COLUMN plan text"]),
    Sql(
        "later_02",
        &["ALTER TABLE users ADD COLUMN locale text NOT NULL DEFAULT 'en'", "CREATE INDEX users_locale ON users (tenant_id, locale)"],
    ),
    Sql("later_03", &["ALTER TABLE refresh_families ADD COLUMN device text"]),
    Sql("later_04", &["ALTER TABLE refresh_families ADD COLUMN strength {int} NOT NULL DEFAULT 1"]),
    Sql("later_05", &["ALTER TABLE key_rings ADD COLUMN custodian text NOT NULL DEFAULT ''"]),
    Sql("later_06", &["ALTER TABLE data_keys ADD COLUMN made_at {int}"]),
    Sql("later_07", &["ALTER TABLE audit_events ADD COLUMN severity {int} NOT NULL DEFAULT 0"]),
    Sql("later_08", &["ALTER TABLE guess_counters ADD COLUMN reason text"]),
    Sql("later_09", &["ALTER TABLE jwks_verifiers ADD COLUMN agent text"]),
    Sql("later_10", &["ALTER TABLE key_log_entries ADD COLUMN kind text NOT NULL DEFAULT ''"]),
    Sql("later_11", &["CREATE TABLE devices (tenant_id text NOT NULL, id text NOT NULL, PRIMARY KEY (tenant_id, id))"]),
    Sql("later_12", &["CREATE INDEX refresh_families_client ON refresh_families (tenant_id, client_id)"]),
];

/// Today's steps, and those of a later release that only adds.
pub(crate) fn expanded() -> Vec<Step> {
    migrations::steps().into_iter().chain(EXPANDING.into_iter().map(Step::expand)).collect()
}

/// Today's steps and one more.
pub(crate) fn steps(next: Step) -> Vec<Step> {
    migrations::steps().into_iter().chain([next]).collect()
}

/// The database of a later release that has only added, opened by the program of today.
pub(crate) async fn opened(url: &str) -> Database {
    let steps = expanded();
    storage::take_steps(url, &steps, None).await.expect("migrated");
    let db = connect(url, 16).await.expect("connected");
    assert_eq!(db.schema().await, Ok(Fit::Ahead { level: migrations::level(&steps) }));
    db
}
