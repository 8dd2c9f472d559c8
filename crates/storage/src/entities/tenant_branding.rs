//! How each tenant's pages look, and its logo.
//!
//! Invariant: the columns are those of the newest migration.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenant_branding")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    pub branding: String,
    pub logo_name: Option<String>,
    pub logo: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
