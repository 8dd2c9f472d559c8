//! Authorization requests that wait for their users.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "authorization_requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub handle: Vec<u8>,
    pub browser: Vec<u8>,
    pub request: String,
    pub progress: String,
    pub expires_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
