//! The tenant's own row.
//!
//! Invariant: deleting a tenant leaves its audit log, its used kids and the certificate of its deletion, and nothing else.

use app::ports::store::{Destroyed, SecretStore, StoreError, Stored, TenantStore};
use async_trait::async_trait;
use domain::ids::TenantId;
use domain::tenant::{Tenant, TenantStatus};
use domain::time::Timestamp;
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use crate::entities::{
    data_keys, deletion_certificates, guess_counters, key_rings, known_sources, refresh_families, sealed_secrets, tenants, users,
};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "tenants";

pub(crate) fn to_row(tenant: &Tenant) -> Stored<tenants::Model> {
    let (status, suspended_at) = match tenant.status {
        TenantStatus::Active => ("active", None),
        TenantStatus::Suspended { at } => ("suspended", Some(at.as_micros())),
    };
    Ok(tenants::Model {
        id: tenant.id.as_uuid(),
        slug: tenant.slug.as_str().to_owned(),
        name: tenant.name.as_str().to_owned(),
        custom_domain: tenant.custom_domain.clone(),
        status: status.to_owned(),
        suspended_at,
        policy: error::written(TABLE, "policy", serde_json::to_string(&tenant.policy))?,
        created_at: tenant.created_at.as_micros(),
        updated_at: tenant.updated_at.as_micros(),
    })
}

pub(crate) fn from_row(row: tenants::Model) -> Stored<Tenant> {
    let id = TenantId::from_uuid(row.id);
    let cell = Cell { table: TABLE, row: id };
    let status = match (row.status.as_str(), row.suspended_at) {
        ("active", _) => TenantStatus::Active,
        ("suspended", Some(at)) => TenantStatus::Suspended { at: Timestamp::from_micros(at) },
        _ => return Err(cell.bad("status")),
    };
    Ok(Tenant {
        id,
        slug: cell.parsed("slug", &row.slug)?,
        name: cell.parsed("name", &row.name)?,
        custom_domain: row.custom_domain,
        status,
        policy: cell.json("policy", serde_json::from_str(&row.policy))?,
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
    })
}

#[async_trait]
impl TenantStore for SqlTenantTx {
    async fn tenant_insert(&mut self, tenant: &Tenant) -> Stored<()> {
        self.check_owner(tenant.id)?;
        let row = to_row(tenant)?.into_active_model();
        tenants::Entity::insert(row).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn tenant(&mut self) -> Stored<Option<Tenant>> {
        let row = tenants::Entity::find_by_id(self.owner()).one(&self.tx).await.map_err(error::of(TABLE))?;
        row.map(from_row).transpose()
    }

    async fn tenant_update(&mut self, tenant: &Tenant) -> Stored<()> {
        self.check_owner(tenant.id)?;
        let mut row = to_row(tenant)?.into_active_model().reset_all();
        row.id = ActiveValue::Unchanged(self.owner());
        row.slug = ActiveValue::NotSet;
        let updated = tenants::Entity::update_many()
            .set(row)
            .filter(tenants::Column::Id.eq(self.owner()))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        if updated.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn tenant_delete(&mut self) -> Stored<Destroyed> {
        macro_rules! delete_all {
            ($table:ident) => {
                $table::Entity::delete_many()
                    .filter($table::Column::TenantId.eq(self.owner()))
                    .exec(&self.tx)
                    .await
                    .map_err(error::of(stringify!($table)))?
                    .rows_affected
            };
        }
        let data_key = self.data_key().await?.map(|key| key.id);
        // First of all: if anything below should be left behind anywhere, it is unreadable.
        delete_all!(data_keys);
        let destroyed = Destroyed {
            data_key,
            secrets: delete_all!(sealed_secrets),
            sessions: delete_all!(refresh_families),
            known_sources: delete_all!(known_sources),
            guess_counters: delete_all!(guess_counters),
            users: delete_all!(users),
        };
        delete_all!(key_rings);
        tenants::Entity::delete_by_id(self.owner()).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(destroyed)
    }

    async fn deletion_certify(&mut self, certificate: &str, at: Timestamp) -> Stored<()> {
        let row = deletion_certificates::Model { tenant_id: self.owner(), at: at.as_micros(), certificate: certificate.to_owned() };
        let insert = deletion_certificates::Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await;
        insert.map(|_| ()).map_err(error::of("deletion_certificates"))
    }
}
