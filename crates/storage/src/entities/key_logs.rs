//! The end of each tenant's key log, signed.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "key_logs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    pub size: i64,
    pub frontier: Vec<u8>,
    pub vkey: String,
    pub checkpoint: String,
}

impl ActiveModelBehavior for ActiveModel {}
