//! Users, without their hashes: those are read by name, one at a time (see `users.rs`).
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub username: Option<String>,
    pub username_key: Option<String>,
    pub email: Option<String>,
    pub email_key: Option<String>,
    pub status: String,
    pub disabled_at: Option<i64>,
    pub roles: String,
    pub claims: String,
    pub created_at: i64,
    pub updated_at: i64,
    pub password_changed_at: i64,
    pub email_verified_at: Option<i64>,
    pub password_change_required_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
