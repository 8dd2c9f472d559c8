//! The audit log.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub at: i64,
    pub actor: String,
    pub source: Option<String>,
    pub request_id: Option<String>,
    pub name: String,
    pub event: String,
}

impl ActiveModelBehavior for ActiveModel {}
