//! Data keys get a table of their own, and secrets a kind and a version. What the first schema sealed is copied as it is, with
//! version 0: a node opens it and seals it anew when it first needs it, or `claviger kek rotate` does.
//!
//! Expand and contract in one: nodes of the version before cannot run beside it (nothing has been released yet).
//!
//! Invariant: needs no key; nothing that is sealed is lost or opened here.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::m20261124_000001_first_schema::row_level_security;
use crate::m20261124_000002_batches::row_level_security as of_several_tenants;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const STEPS: &[&str] = &[
    // Of no tenant: the names of key-encryption keys. `usable_id` is the id while the key may wrap, and NULL once it was
    // retired; data keys refer to it, so that neither can happen behind the other's back.
    "CREATE TABLE keks (
        id text NOT NULL PRIMARY KEY,
        usable_id text UNIQUE,
        retired_at {int}
    ){strict}",
    "INSERT INTO keks (id, usable_id) SELECT kek_id, kek_id FROM key_rings UNION SELECT kek_id, kek_id FROM installation_secrets",
    // The tenant is all zeros for the installation's own.
    "CREATE TABLE data_keys (
        tenant_id {uuid} NOT NULL PRIMARY KEY,
        id {uuid} NOT NULL,
        version {int} NOT NULL,
        kek_id text NOT NULL REFERENCES keks (usable_id),
        sealed {blob} NOT NULL
    ){strict}",
    "INSERT INTO data_keys (tenant_id, id, version, kek_id, sealed) SELECT tenant_id, tenant_id, 0, kek_id, data_key FROM key_rings",
    "CREATE INDEX data_keys_kek ON data_keys (kek_id)",
    "ALTER TABLE key_rings DROP COLUMN kek_id",
    "ALTER TABLE key_rings DROP COLUMN data_key",
    "ALTER TABLE sealed_secrets ADD COLUMN kind text NOT NULL DEFAULT ''",
    "ALTER TABLE sealed_secrets ADD COLUMN version {int} NOT NULL DEFAULT 0",
    "CREATE TABLE deletion_certificates (
        tenant_id {uuid} NOT NULL PRIMARY KEY,
        at {int} NOT NULL,
        certificate text NOT NULL
    ){strict}",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let (uuid, int, blob, strict) = if is_postgres { ("uuid", "bigint", "bytea", "") } else { ("blob", "integer", "blob", " STRICT") };
        if is_postgres {
            // Row-level security would show this step no ring.
            db.execute_unprepared("SELECT set_config('claviger.scope', 'platform', true)").await?;
        }
        for step in STEPS {
            let sql = step.replace("{uuid}", uuid).replace("{int}", int).replace("{blob}", blob).replace("{strict}", strict);
            db.execute_unprepared(&sql).await?;
        }
        if is_postgres {
            for table in ["data_keys", "deletion_certificates"] {
                for sql in row_level_security(table, "tenant_id", true) {
                    db.execute_unprepared(&sql).await?;
                }
                // A transaction may be confined to several tenants, as for the tables before.
                db.execute_unprepared(&of_several_tenants(table, "tenant_id", true)).await?;
            }
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
