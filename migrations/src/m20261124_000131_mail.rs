//! Mails that are still to be sent, and the links in them. Of a user: since when the address is known to be theirs. Expands only: the
//! version before sends no mails, and vouches for no address.
//!
//! Invariant: of a link the hash alone is stored; what a mail is made of holds no secret.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Types that differ by backend are in braces.
const STEPS: &[&str] = &[
    "CREATE TABLE mails (
        tenant_id {uuid} NOT NULL,
        id {uuid} NOT NULL,
        user_id {uuid},
        content text NOT NULL,
        asked_at {int} NOT NULL,
        due_at {int} NOT NULL,
        retry_after {int} NOT NULL,
        expires_at {int} NOT NULL,
        PRIMARY KEY (tenant_id, id)
    ){strict}",
    "CREATE INDEX mails_due ON mails (due_at)",
    "CREATE INDEX mails_expires ON mails (expires_at)",
    "CREATE TABLE mail_links (
        tenant_id {uuid} NOT NULL,
        handle {blob} NOT NULL,
        user_id {uuid} NOT NULL,
        address text NOT NULL,
        asked_at {int} NOT NULL,
        expires_at {int} NOT NULL,
        used_at {int},
        PRIMARY KEY (tenant_id, handle)
    ){strict}",
    "CREATE INDEX mail_links_expires ON mail_links (expires_at)",
    "ALTER TABLE users ADD COLUMN email_verified_at {int}",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let types = if is_postgres {
            [("{uuid}", "uuid"), ("{int}", "bigint"), ("{blob}", "bytea"), ("{strict}", "")]
        } else {
            [("{uuid}", "blob"), ("{int}", "integer"), ("{blob}", "blob"), ("{strict}", " STRICT")]
        };
        for step in STEPS {
            let sql = types.iter().fold((*step).to_owned(), |sql, (name, of_backend)| sql.replace(name, of_backend));
            db.execute_unprepared(&sql).await?;
        }
        if is_postgres {
            for table in ["mails", "mail_links"] {
                for sql in [
                    format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
                    format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
                    format!(
                        "CREATE POLICY of_the_tenant ON {table} USING \
                         (tenant_id = ANY ((SELECT string_to_array(current_setting('claviger.tenant', true), ',')::uuid[])::uuid[]) \
                         OR (SELECT current_setting('claviger.scope', true) = 'platform'))"
                    ),
                ] {
                    db.execute_unprepared(&sql).await?;
                }
            }
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
