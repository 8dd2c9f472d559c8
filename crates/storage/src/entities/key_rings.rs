//! Key rings.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "key_rings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    pub generation: i64,
    pub ring: String,
    pub next_due_at: Option<i64>,
    pub updated_at: i64,
    pub claimed_until: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
