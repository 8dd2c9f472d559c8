//! What may be used once, as rows.

use app::ports::store::{OnceStore, Stored};
use async_trait::async_trait;
use domain::time::Timestamp;
use sea_orm::ConnectionTrait;

use crate::dialect::statement;
use crate::error;
use crate::tx::SqlTenantTx;

#[async_trait]
impl OnceStore for SqlTenantTx {
    async fn spend(&mut self, name: &[u8; 32], expires_at: Timestamp) -> Stored<bool> {
        let insert = "INSERT INTO spent_names (tenant_id, name, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let values = [self.owner().into(), name.to_vec().into(), expires_at.as_micros().into()];
        let written = self.tx.execute_raw(statement(&self.tx, insert, values)).await.map_err(error::of("spent_names"))?;
        Ok(written.rows_affected() > 0)
    }
}
