//! Counters of wrong guesses.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "guess_counters")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: Vec<u8>,
    pub attempts: i64,
    pub blocked_until: Option<i64>,
    pub touched_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
