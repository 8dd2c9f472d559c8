//! What devices without a browser ask for, as rows.

use app::ports::store::{DeviceStore, Stored};
use async_trait::async_trait;
use domain::device::DeviceGrant;
use domain::handle::HandleHash;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};

use crate::authorizations::hash;
use crate::entities::device_codes::{Column, Entity, Model};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "device_codes";

fn written(grant: &DeviceGrant) -> Stored<String> {
    error::document(TABLE, "granted", grant)
}

#[async_trait]
impl DeviceStore for SqlTenantTx {
    async fn device_insert(&mut self, code: &HandleHash, user_code: &[u8; 32], grant: &DeviceGrant) -> Stored<()> {
        let row = Model {
            tenant_id: self.owner(),
            code: code.0.to_vec(),
            user_code: user_code.to_vec(),
            granted: written(grant)?,
            expires_at: grant.expires_at.as_micros(),
        };
        Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn device_by_code(&mut self, code: &HandleHash) -> Stored<Option<DeviceGrant>> {
        let find = Entity::find_by_id((self.owner(), code.0.to_vec()));
        let find = if self.may_write() { find.lock_exclusive() } else { find };
        let row = find.one(&self.tx).await.map_err(error::of(TABLE))?;
        row.map(|row| Cell { table: TABLE, row: "(a device)" }.document("granted", &row.granted)).transpose()
    }

    async fn device_by_user_code(&mut self, user_code: &[u8; 32]) -> Stored<Option<HandleHash>> {
        let find = Entity::find().filter(Column::TenantId.eq(self.owner())).filter(Column::UserCode.eq(user_code.to_vec()));
        let row = find.one(&self.tx).await.map_err(error::of(TABLE))?;
        row.map(|row| hash(TABLE, "code", row.code)).transpose()
    }

    async fn device_update(&mut self, code: &HandleHash, grant: &DeviceGrant) -> Stored<()> {
        Entity::update_many()
            .col_expr(Column::Granted, Expr::value(written(grant)?))
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Code.eq(code.0.to_vec()))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn device_delete(&mut self, code: &HandleHash) -> Stored<bool> {
        let deleted = Entity::delete_by_id((self.owner(), code.0.to_vec())).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(deleted.rows_affected > 0)
    }
}
