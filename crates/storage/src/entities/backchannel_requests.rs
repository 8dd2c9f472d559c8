//! What users were asked for behind their backs.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "backchannel_requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub code: Vec<u8>,
    pub user_id: Uuid,
    pub granted: String,
    pub expires_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
