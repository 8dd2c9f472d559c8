//! Clients that are still to be told of a logout, as rows.

use app::ports::store::{LogoutNotice, LogoutStore, Stored};
use async_trait::async_trait;
use domain::client::ClientId;
use domain::ids::{FamilyId, UserId};
use domain::time::{Timestamp, Ttl};
use sea_orm::{ConnectionTrait, EntityTrait};

use crate::dialect::statement;
use crate::entities::logout_notices::{Entity, Model};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

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
