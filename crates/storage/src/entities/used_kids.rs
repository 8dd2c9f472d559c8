//! Every kid that was ever used, by anybody.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "used_kids")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub kid: String,
}

impl ActiveModelBehavior for ActiveModel {}
