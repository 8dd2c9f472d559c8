//! What is still to be told to somebody outside: rows with a moment when it is due, and how long until the attempt after that.
//!
//! Invariant: by the database's clock, and one node at a time.

use app::ports::store::Stored;
use domain::ids::TenantId;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::dialect::{self, statement};
use crate::error;
use crate::tx::BoundedTx;

/// A table of such rows, and the column that names one of a tenant's.
#[derive(Clone, Copy)]
pub(crate) struct Outbox {
    pub(crate) table: &'static str,
    pub(crate) id: &'static str,
}

pub(crate) const LOGOUT_NOTICES: Outbox = Outbox { table: "logout_notices", id: "family_id" };
pub(crate) const BACKCHANNEL_PINGS: Outbox = Outbox { table: "backchannel_pings", id: "id" };
pub(crate) const MAILS: Outbox = Outbox { table: "mails", id: "id" };

impl Outbox {
    /// Takes what is due. Whoever takes one has it until it would be due again: to take it is to plan the next attempt, and to wait
    /// four times as long for the one after that.
    pub(crate) async fn claim(self, tx: &BoundedTx, limit: u32) -> Stored<Vec<(TenantId, Uuid)>> {
        let Self { table, id } = self;
        let (time, lock) = (dialect::database_time(tx), dialect::skip_locked(tx));
        let sql = format!(
            "UPDATE {table} SET due_at = {time} + retry_after, retry_after = retry_after * 4 WHERE (tenant_id, {id}) IN \
             (SELECT tenant_id, {id} FROM {table} WHERE due_at <= {time} ORDER BY due_at LIMIT $1{lock}) RETURNING tenant_id, {id}"
        );
        let rows = tx.query_all_raw(statement(tx, sql, [i64::from(limit).into()])).await.map_err(error::of(table))?;
        let taken = rows.iter().map(|row| Ok((TenantId::from_uuid(row.try_get_by_index(0)?), row.try_get_by_index(1)?)));
        taken.collect::<Result<_, _>>().map_err(error::of(table))
    }

    /// Whether anything is due, without disturbing a writer.
    pub(crate) async fn is_any_due(self, tx: &BoundedTx) -> Stored<bool> {
        let sql = format!("SELECT 1 FROM {} WHERE due_at <= {} LIMIT 1", self.table, dialect::database_time(tx));
        Ok(tx.query_one_raw(statement(tx, sql, [])).await.map_err(error::of(self.table))?.is_some())
    }
}
