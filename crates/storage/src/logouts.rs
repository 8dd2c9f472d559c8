//! Clients that are still to be told of a logout, as rows.

use app::ports::store::{LogoutNotice, LogoutStore, Stored};
use async_trait::async_trait;
use domain::client::ClientId;
use domain::ids::{FamilyId, TenantId, UserId};
use domain::time::{Timestamp, Ttl};
use sea_orm::{ConnectionTrait, EntityTrait};

use crate::dialect::{self, statement};
use crate::entities::logout_notices::{Entity, Model};
use crate::error::{self, Cell};
use crate::tx::{BoundedTx, SqlTenantTx};

const TABLE: &str = "logout_notices";

/// Until the second attempt: longer than the first may take. Each later one waits four times as long.
const FIRST_WAIT: Ttl = Ttl::seconds(4);

#[async_trait]
impl LogoutStore for SqlTenantTx {
    async fn logout_notice_insert(&mut self, notice: &LogoutNotice) -> Stored<()> {
        let insert = "INSERT INTO logout_notices (tenant_id, family_id, client_id, user_id, due_at, retry_after, expires_at) \
             VALUES ($1, $2, $3, $4, 0, $5, $6) ON CONFLICT DO NOTHING";
        let values = [
            self.owner().into(),
            notice.family_id.as_uuid().into(),
            notice.client_id.as_str().into(),
            notice.user_id.as_uuid().into(),
            FIRST_WAIT.as_micros().into(),
            notice.expires_at.as_micros().into(),
        ];
        self.tx.execute_raw(statement(&self.tx, insert, values)).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn logout_notice(&mut self, family: FamilyId) -> Stored<Option<LogoutNotice>> {
        let row = Entity::find_by_id((self.owner(), family.as_uuid())).one(&self.tx).await.map_err(error::of(TABLE))?;
        let notice = |row: Model| {
            let family_id = FamilyId::from_uuid(row.family_id);
            let client_id = ClientId::try_from(row.client_id).map_err(|_| Cell { table: TABLE, row: family_id }.bad("client_id"))?;
            let (user_id, expires_at) = (UserId::from_uuid(row.user_id), Timestamp::from_micros(row.expires_at));
            Ok(LogoutNotice { family_id, client_id, user_id, expires_at })
        };
        row.map(notice).transpose()
    }

    async fn logout_notice_delete(&mut self, family: FamilyId) -> Stored<bool> {
        let deleted = Entity::delete_by_id((self.owner(), family.as_uuid())).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(deleted.rows_affected > 0)
    }
}

/// Takes what is due, by the database's clock. Whoever takes one has it until it would be due again: to take it is to plan the next attempt.
pub(crate) async fn claim(tx: &BoundedTx, limit: u32) -> Stored<Vec<(TenantId, FamilyId)>> {
    let (time, lock) = (dialect::database_time(tx), dialect::skip_locked(tx));
    let sql = format!(
        "UPDATE logout_notices SET due_at = {time} + retry_after, retry_after = retry_after * 4 WHERE (tenant_id, family_id) IN \
         (SELECT tenant_id, family_id FROM logout_notices WHERE due_at <= {time} ORDER BY due_at LIMIT $1{lock}) \
         RETURNING tenant_id, family_id"
    );
    let rows = tx.query_all_raw(statement(tx, sql, [i64::from(limit).into()])).await.map_err(error::of(TABLE))?;
    let taken = rows.iter().map(|row| {
        let (tenant, family) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok((TenantId::from_uuid(tenant), FamilyId::from_uuid(family)))
    });
    taken.collect::<Result<_, _>>().map_err(error::of(TABLE))
}

/// Whether anything is due, without disturbing a writer.
pub(crate) async fn is_any_due(tx: &BoundedTx) -> Stored<bool> {
    let sql = format!("SELECT 1 FROM logout_notices WHERE due_at <= {} LIMIT 1", dialect::database_time(tx));
    Ok(tx.query_one_raw(statement(tx, sql, [])).await.map_err(error::of(TABLE))?.is_some())
}
