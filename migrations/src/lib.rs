//! The schema, step by step. Each step is one file, is never changed after a release, and runs in one transaction.
//!
//! Invariant: a step works on SQLite and on PostgreSQL, and never needs data to be gone.

mod m20261124_000001_first_schema;
mod m20261124_000002_batches;
mod m20261124_000003_ring_claims;
mod m20261124_000004_audit_retention;
mod m20261124_000010_custody;
mod m20261124_000020_verifiers;
mod m20261124_000030_key_log;
mod m20261124_000040_tenant_search;
mod m20261124_000060_branding;

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

/// All steps, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261124_000001_first_schema::Migration),
            Box::new(m20261124_000002_batches::Migration),
            Box::new(m20261124_000003_ring_claims::Migration),
            Box::new(m20261124_000004_audit_retention::Migration),
            Box::new(m20261124_000010_custody::Migration),
            Box::new(m20261124_000020_verifiers::Migration),
            Box::new(m20261124_000030_key_log::Migration),
            Box::new(m20261124_000040_tenant_search::Migration),
            Box::new(m20261124_000060_branding::Migration),
        ]
    }
}
