//! Who fetches a tenant's JWKS.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jwks_verifiers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub verifier: String,
    pub first_seen: i64,
    pub last_seen: i64,
    pub generation: i64,
    pub max_age: i64,
    pub fetches: i64,
}

impl ActiveModelBehavior for ActiveModel {}
