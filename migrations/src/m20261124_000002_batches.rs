//! For work in batches: a transaction may be confined to several tenants, a deleted tenant is marked before its rows go, and
//! the sweep finds ended families by the hour.
//!
//! Expand: nodes of the version before go on working. Where they do not write `ends_hour` it is too low, which the sweep
//! forgives: it looks at the exact times as well.
//!
//! Invariant: with one tenant set, row-level security shows what it showed before.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::m20261124_000001_first_schema::OWNED;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// `{int}` is a type that differs by backend.
const STEPS: &[&str] = &[
    "ALTER TABLE tenants ADD COLUMN deleted_at {int}",
    "CREATE INDEX tenants_deleted ON tenants (deleted_at) WHERE deleted_at IS NOT NULL",
    // A refresh moves `idle_expires_at` each time but the hour of the end seldom, and an index on what seldom changes costs
    // little: PostgreSQL can update the row in place (HOT), SQLite leaves the index's pages alone.
    "ALTER TABLE refresh_families ADD COLUMN ends_hour {int} NOT NULL DEFAULT 0",
    "UPDATE refresh_families SET ends_hour =
        (CASE WHEN idle_expires_at < absolute_expires_at THEN idle_expires_at ELSE absolute_expires_at END) / 3600000000",
    "CREATE INDEX refresh_families_ends ON refresh_families (ends_hour)",
    "DROP INDEX refresh_families_idle",
    "DROP INDEX refresh_families_absolute",
];

/// PostgreSQL only: the tenants that a transaction may see are a list, in `claviger.tenant`, with commas. The sub-selects make
/// PostgreSQL read the settings once for each statement, not once for each row.
pub(crate) fn row_level_security(table: &str, owner: &str, is_for_platform: bool) -> String {
    let platform = if is_for_platform { " OR (SELECT current_setting('claviger.scope', true) = 'platform')" } else { "" };
    format!(
        "ALTER POLICY of_the_tenant ON {table} USING \
         ({owner} = ANY ((SELECT string_to_array(current_setting('claviger.tenant', true), ',')::uuid[])::uuid[]){platform})"
    )
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let int = if is_postgres { "bigint" } else { "integer" };
        if is_postgres {
            // The owner of the tables migrates, whom row-level security binds as well: for the update below.
            db.execute_unprepared("SELECT set_config('claviger.scope', 'platform', true)").await?;
        }
        for step in STEPS {
            db.execute_unprepared(&step.replace("{int}", int)).await?;
        }
        if is_postgres {
            // Room on each page for the next version of its rows.
            db.execute_unprepared("ALTER TABLE refresh_families SET (fillfactor = 80)").await?;
            for (table, owner, is_for_platform) in OWNED {
                db.execute_unprepared(&row_level_security(table, owner, *is_for_platform)).await?;
            }
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
