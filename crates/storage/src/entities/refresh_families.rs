//! Refresh-token families.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_families")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub client_id: String,
    pub scope: String,
    pub binding: String,
    pub auth_time: i64,
    pub current: i64,
    pub rotated_at: i64,
    pub replays: i64,
    pub superseded: String,
    pub idle_expires_at: i64,
    pub absolute_expires_at: i64,
    pub revoked_at: Option<i64>,
    pub revoked_cause: Option<String>,
    pub created_at: i64,
    pub user_agent: Option<String>,
    pub source: Option<String>,
    pub ends_hour: i64,
    pub sign_on: Option<String>,
    pub resources: Option<String>,
    pub authorization_details: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
