//! What clients ask users for behind their backs, as rows.

use app::ports::store::{BackchannelStore, Stored};
use async_trait::async_trait;
use domain::backchannel::{BackchannelPing, BackchannelRequest};
use domain::client::ClientId;
use domain::handle::HandleHash;
use domain::ids::{BackchannelRequestId, UserId};
use domain::time::{Timestamp, Ttl};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};

use crate::authorizations::hash;
use crate::dialect::statement;
use crate::entities::backchannel_pings;
use crate::entities::backchannel_requests::{Column, Entity, Model};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "backchannel_requests";
const PINGS: &str = "backchannel_pings";

/// Until the second attempt to tell a client: longer than the first may take. Each later one waits four times as long.
const FIRST_WAIT: Ttl = Ttl::seconds(4);

fn written(request: &BackchannelRequest) -> Stored<String> {
    error::document(TABLE, "granted", request)
}

fn from_row(row: &Model) -> Stored<BackchannelRequest> {
    Cell { table: TABLE, row: "(a request)" }.document("granted", &row.granted)
}

#[async_trait]
impl BackchannelStore for SqlTenantTx {
    async fn backchannel_insert(&mut self, code: &HandleHash, request: &BackchannelRequest) -> Stored<()> {
        let row = Model {
            tenant_id: self.owner(),
            code: code.0.to_vec(),
            user_id: request.user_id.as_uuid(),
            granted: written(request)?,
            expires_at: request.grant.expires_at.as_micros(),
        };
        Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn backchannel_by_code(&mut self, code: &HandleHash) -> Stored<Option<BackchannelRequest>> {
        let find = Entity::find_by_id((self.owner(), code.0.to_vec()));
        let find = if self.may_write() { find.lock_exclusive() } else { find };
        find.one(&self.tx).await.map_err(error::of(TABLE))?.map(|row| from_row(&row)).transpose()
    }

    async fn backchannel_of(&mut self, user: UserId) -> Stored<Vec<(HandleHash, BackchannelRequest)>> {
        let find = Entity::find().filter(Column::TenantId.eq(self.owner())).filter(Column::UserId.eq(user.as_uuid()));
        let rows = find.all(&self.tx).await.map_err(error::of(TABLE))?;
        rows.into_iter().map(|row| Ok((hash(TABLE, "code", row.code.clone())?, from_row(&row)?))).collect()
    }

    async fn backchannel_update(&mut self, code: &HandleHash, request: &BackchannelRequest) -> Stored<()> {
        Entity::update_many()
            .col_expr(Column::Granted, Expr::value(written(request)?))
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Code.eq(code.0.to_vec()))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn backchannel_delete(&mut self, code: &HandleHash) -> Stored<bool> {
        let deleted = Entity::delete_by_id((self.owner(), code.0.to_vec())).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(deleted.rows_affected > 0)
    }

    async fn backchannel_ping_insert(&mut self, ping: &BackchannelPing) -> Stored<()> {
        let insert = "INSERT INTO backchannel_pings (tenant_id, id, client_id, sealed, due_at, retry_after, expires_at) \
             VALUES ($1, $2, $3, $4, 0, $5, $6) ON CONFLICT DO NOTHING";
        let values = [
            self.owner().into(),
            ping.id.as_uuid().into(),
            ping.client_id.as_str().into(),
            ping.sealed.as_str().into(),
            FIRST_WAIT.as_micros().into(),
            ping.expires_at.as_micros().into(),
        ];
        self.tx.execute_raw(statement(&self.tx, insert, values)).await.map_err(error::of(PINGS))?;
        Ok(())
    }

    async fn backchannel_ping(&mut self, id: BackchannelRequestId) -> Stored<Option<BackchannelPing>> {
        let find = backchannel_pings::Entity::find_by_id((self.owner(), id.as_uuid()));
        let row = find.one(&self.tx).await.map_err(error::of(PINGS))?;
        let ping = |row: backchannel_pings::Model| {
            let client_id = ClientId::try_from(row.client_id).map_err(|_| Cell { table: PINGS, row: id }.bad("client_id"))?;
            Ok(BackchannelPing { id, client_id, sealed: row.sealed, expires_at: Timestamp::from_micros(row.expires_at) })
        };
        row.map(ping).transpose()
    }

    async fn backchannel_ping_delete(&mut self, id: BackchannelRequestId) -> Stored<bool> {
        let delete = backchannel_pings::Entity::delete_by_id((self.owner(), id.as_uuid()));
        Ok(delete.exec(&self.tx).await.map_err(error::of(PINGS))?.rows_affected > 0)
    }
}
