//! What clients ask users for behind their backs, as rows.

use app::ports::store::{BackchannelStore, Stored};
use async_trait::async_trait;
use domain::backchannel::BackchannelRequest;
use domain::handle::HandleHash;
use domain::ids::UserId;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};

use crate::authorizations::hash;
use crate::entities::backchannel_requests::{Column, Entity, Model};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "backchannel_requests";

fn written(request: &BackchannelRequest) -> Stored<String> {
    error::written(TABLE, "granted", serde_json::to_string(request))
}

fn from_row(row: &Model) -> Stored<BackchannelRequest> {
    Cell { table: TABLE, row: "(a request)" }.json("granted", serde_json::from_str(&row.granted))
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
}
