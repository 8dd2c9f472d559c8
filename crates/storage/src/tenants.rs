//! The tenant's own row.
//!
//! A tenant is deleted in two steps: its row is marked, which hides it from everybody at once, and then all it owns goes in
//! portions, so that no transaction is as large as the tenant. The row goes last; until then the sweep finds what is left.
//!
//! Invariant: an erased tenant leaves its audit log, its used kids and the certificate of its deletion, and nothing else.

use app::ports::store::{Destroyed, SecretStore, StoreError, Stored, TenantStore};
use async_trait::async_trait;
use domain::ids::TenantId;
use domain::tenant::{Tenant, TenantStatus};
use domain::time::Timestamp;
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    Value,
};

use crate::dialect::statement;
use crate::entities::{data_keys, deletion_certificates, key_rings, refresh_families, sealed_secrets, tenants, users};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "tenants";

/// What a tenant owns in any number, with its primary key.
const OWNED: [(&str, &str); 25] = [
    ("initial_access_tokens", "tenant_id, id"),
    ("spent_names", "tenant_id, name"),
    ("logout_notices", "tenant_id, family_id"),
    ("mails", "tenant_id, id"),
    ("mail_links", "tenant_id, handle"),
    ("authorization_requests", "tenant_id, handle"),
    ("authorization_codes", "tenant_id, code"),
    ("device_codes", "tenant_id, code"),
    ("backchannel_requests", "tenant_id, code"),
    ("backchannel_pings", "tenant_id, id"),
    ("sso_sessions", "tenant_id, handle"),
    ("consents", "tenant_id, user_id, client_id"),
    ("client_origins", "tenant_id, origin, client_id"),
    ("clients", "tenant_id, id"),
    ("resources", "tenant_id, id"),
    ("trusted_issuers", "tenant_id, id"),
    ("tenant_branding", "tenant_id"),
    ("jwks_verifiers", "tenant_id, verifier"),
    ("refresh_families", "tenant_id, id"),
    ("known_sources", "tenant_id, user_id, source"),
    ("guess_counters", "tenant_id, scope, subject"),
    ("users", "tenant_id, id"),
    ("key_log_entries", "tenant_id, number"),
    ("key_log_hashes", "tenant_id, level, number"),
    ("key_logs", "tenant_id"),
];

pub(crate) fn to_row(tenant: &Tenant) -> Stored<tenants::Model> {
    let (status, suspended_at) = match tenant.status {
        TenantStatus::Active => ("active", None),
        TenantStatus::Suspended { at } => ("suspended", Some(at.as_micros())),
    };
    Ok(tenants::Model {
        id: tenant.id.as_uuid(),
        slug: tenant.slug.as_str().to_owned(),
        name: tenant.name.as_str().to_owned(),
        name_key: tenant.name.key(),
        custom_domain: tenant.custom_domain.as_ref().map(ToString::to_string),
        status: status.to_owned(),
        suspended_at,
        policy: error::document(TABLE, "policy", &tenant.policy)?,
        created_at: tenant.created_at.as_micros(),
        updated_at: tenant.updated_at.as_micros(),
        deleted_at: None,
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
        custom_domain: row.custom_domain.map(|domain| cell.parsed("custom_domain", &domain)).transpose()?,
        status,
        policy: cell.document("policy", &row.policy)?,
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
    })
}

impl SqlTenantTx {
    async fn tenant_row(&self, lock: Option<LockType>) -> Stored<Option<Tenant>> {
        let mut find = tenants::Entity::find_by_id(self.owner()).filter(tenants::Column::DeletedAt.is_null());
        if let Some(lock) = lock {
            find = find.lock(lock);
        }
        find.one(&self.tx).await.map_err(error::of(TABLE))?.map(from_row).transpose()
    }
}

/// Deletes up to `limit` rows of `table`, whose primary key is `key`, for which `condition` holds; `$1` in it is `value`.
/// `lock` ends the select that picks them. Answers how many.
pub(crate) async fn delete_some(
    tx: &impl ConnectionTrait,
    table: &'static str,
    key: &str,
    condition: &str,
    value: Value,
    limit: u64,
    lock: &str,
) -> Stored<u64> {
    let sql = format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {condition} LIMIT $2{lock})");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let delete = statement(tx, sql, [value, limit.into()]);
    Ok(tx.execute_raw(delete).await.map_err(error::of(table))?.rows_affected())
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
        // Shared by all who write for the tenant, but not with whoever deletes it.
        self.tenant_row(self.may_write().then_some(LockType::KeyShare)).await
    }

    async fn tenant_locked(&mut self) -> Stored<Option<Tenant>> {
        self.tenant_row(Some(LockType::Update)).await
    }

    async fn tenant_update(&mut self, tenant: &Tenant) -> Stored<()> {
        self.check_owner(tenant.id)?;
        let stands = tenants::Entity::find_by_id(self.owner()).filter(tenants::Column::DeletedAt.is_null());
        let stands = stands.select_only().column(tenants::Column::Policy).lock(LockType::NoKeyUpdate).into_tuple();
        let old: String = stands.one(&self.tx).await.map_err(error::of(TABLE))?.ok_or(StoreError::Conflict)?;
        let mut row = to_row(tenant)?;
        row.policy = Cell { table: TABLE, row: tenant.id }.rewritten("policy", &tenant.policy, &old)?;
        let mut row = row.into_active_model().reset_all();
        row.id = ActiveValue::Unchanged(self.owner());
        row.slug = ActiveValue::NotSet;
        let updated = tenants::Entity::update_many()
            .set(row)
            .filter(tenants::Column::Id.eq(self.owner()))
            .filter(tenants::Column::DeletedAt.is_null())
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        if updated.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn tenant_delete(&mut self, at: Timestamp) -> Stored<Destroyed> {
        self.tenant_locked().await?.ok_or(StoreError::Conflict)?;
        let data_key = self.data_key().await?.map(|key| key.id);
        // First of all: if anything below should be left behind anywhere, it is unreadable.
        data_keys::Entity::delete_by_id(self.owner()).exec(&self.tx).await.map_err(error::of("data_keys"))?;
        tenants::Entity::update_many()
            .col_expr(tenants::Column::DeletedAt, Expr::value(at.as_micros()))
            .filter(tenants::Column::Id.eq(self.owner()))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        // Few rows, and what must not wait: from here on nothing can be signed or opened for this tenant.
        let secrets = sealed_secrets::Entity::delete_many().filter(sealed_secrets::Column::TenantId.eq(self.owner()));
        let secrets = secrets.exec(&self.tx).await.map_err(error::of("sealed_secrets"))?.rows_affected;
        key_rings::Entity::delete_by_id(self.owner()).exec(&self.tx).await.map_err(error::of("key_rings"))?;
        let users = users::Entity::find().filter(users::Column::TenantId.eq(self.owner())).count(&self.tx);
        let users = users.await.map_err(error::of("users"))?;
        let sessions = refresh_families::Entity::find().filter(refresh_families::Column::TenantId.eq(self.owner())).count(&self.tx);
        let sessions = sessions.await.map_err(error::of("refresh_families"))?;
        Ok(Destroyed { data_key, secrets, users, sessions })
    }

    async fn deletion_certify(&mut self, certificate: &str, at: Timestamp) -> Stored<()> {
        let row = deletion_certificates::Model { tenant_id: self.owner(), at: at.as_micros(), certificate: certificate.to_owned() };
        let insert = deletion_certificates::Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await;
        insert.map(|_| ()).map_err(error::of("deletion_certificates"))
    }

    async fn tenant_erase(&mut self, limit: u32) -> Stored<bool> {
        let deleted = tenants::Entity::find_by_id(self.owner()).filter(tenants::Column::DeletedAt.is_not_null()).lock_exclusive();
        if deleted.one(&self.tx).await.map_err(error::of(TABLE))?.is_none() {
            return Ok(true);
        }
        let mut left = u64::from(limit);
        for (table, key) in OWNED {
            left -= delete_some(&self.tx, table, key, "tenant_id = $1", self.owner().into(), left, "").await?;
            if left == 0 {
                return Ok(false);
            }
        }
        tenants::Entity::delete_by_id(self.owner()).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(true)
    }
}
