//! Authorization codes, used or not.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "authorization_codes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub code: Vec<u8>,
    pub granted: String,
    pub expires_at: i64,
    pub used_at: Option<i64>,
    pub family_id: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}
