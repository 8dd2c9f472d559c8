//! Users' sessions with the tenants' pages.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sso_sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub handle: Vec<u8>,
    pub id: Uuid,
    pub user_id: Uuid,
    pub authentication: String,
    pub idle_expires_at: i64,
    pub absolute_expires_at: i64,
    pub ends_at: i64,
    pub user_agent: Option<String>,
    pub source: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
