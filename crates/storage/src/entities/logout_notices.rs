//! Clients that are still to be told of a logout.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "logout_notices")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub family_id: Uuid,
    pub client_id: String,
    pub user_id: Uuid,
    pub due_at: i64,
    pub retry_after: i64,
    pub expires_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
