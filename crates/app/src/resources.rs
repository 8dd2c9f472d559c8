//! The APIs of a tenant, as its administrators handle them. What tokens for one are like is in [`domain::resource`].
//!
//! Invariant: within a tenant no two APIs have the same name, or a scope word in common: whoever writes holds the tenant's row.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::audit::{Actor, AuditEvent};
use domain::details::DetailTypeName;
use domain::ids::{ResourceId, TenantId};
use domain::keys::ring::Alg;
use domain::resource::{Resource, ResourceSettings, ResourceUri};
use domain::tenant::Tenant;
use domain::text::BadMember;
use domain::time::{Timestamp, Ttl};

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::keys::signer_of;
use crate::ports::store::TenantTx;
use crate::tenants::patient;
use crate::warm::WarmMap;

#[derive(Debug)]
pub enum ResourceDenied {
    Unknown,
    Bad(BadMember),
    /// The tenant has an API of this name.
    IdentifierTaken,
    /// The name of an API never changes.
    OtherIdentifier,
    /// The identifier is an address of this very server.
    Ours,
    /// Another API of the tenant has this scope word.
    ScopeTaken {
        word: String,
    },
    /// Another API of the tenant has this type of authorization details.
    DetailTypeTaken {
        name: DetailTypeName,
    },
    /// The tenant's key policy has not this algorithm, but these.
    AlgNotKept {
        kept: Vec<Alg>,
    },
    TooMany,
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for ResourceDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Checks what can be checked without the other APIs, and makes the first key of the algorithm where there is none yet.
async fn checked(ctx: &Ctx, tenant: &Tenant, settings: ResourceSettings) -> Result<ResourceSettings, ResourceDenied> {
    let settings = settings.validated().map_err(ResourceDenied::Bad)?;
    if let Some(alg) = settings.signing_alg {
        let keys = ctx.keys.published(tenant.id).await?;
        let kept = &keys.ring.numbers.algs;
        if !kept.contains(&alg) {
            return Err(ResourceDenied::AlgNotKept { kept: kept.to_vec() });
        }
        signer_of(ctx, tenant.id, &[&[alg]], 0).await?;
    }
    Ok(settings)
}

/// Whether the other APIs leave room for this one. Whoever asks holds the tenant's row.
async fn fits(tx: &mut dyn TenantTx, id: ResourceId, settings: &ResourceSettings) -> Result<(), ResourceDenied> {
    let all = tx.resources_page(None, Resource::MOST + 1).await?;
    let others = all.iter().filter(|other| other.id != id);
    if others.clone().count() >= Resource::MOST as usize {
        return Err(ResourceDenied::TooMany);
    }
    let is_taken = |name: &&DetailTypeName| others.clone().any(|other| other.settings.authorization_details_types.contains_key(*name));
    if let Some(name) = settings.authorization_details_types.keys().find(is_taken) {
        return Err(ResourceDenied::DetailTypeTaken { name: name.clone() });
    }
    let taken = |word: &&str| others.clone().any(|other| other.settings.scope.contains(word));
    match settings.scope.iter().find(taken) {
        Some(word) => Err(ResourceDenied::ScopeTaken { word: word.to_owned() }),
        None => Ok(()),
    }
}

/// # Errors
/// See [`ResourceDenied`].
pub async fn create(
    ctx: &Ctx,
    tenant: &Tenant,
    identifier: ResourceUri,
    settings: ResourceSettings,
    actor: Actor,
    origin: &Origin,
) -> Result<Resource, ResourceDenied> {
    let is_at = |origin: &str| identifier.as_str().strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    if is_at(&ctx.base_url) || is_at(&tenant.origin(&ctx.base_url)) {
        return Err(ResourceDenied::Ours);
    }
    let settings = checked(ctx, tenant, settings).await?;
    let now = ctx.now();
    let id = ResourceId::new(now, ctx.id_entropy());
    let mut tx = ctx.store.begin(tenant.id).await?;
    tx.tenant_locked().await?.ok_or(ResourceDenied::Unknown)?;
    fits(tx.as_mut(), id, &settings).await?;
    if !tx.resources_named(&[identifier.clone()].into()).await?.is_empty() {
        return Err(ResourceDenied::IdentifierTaken);
    }
    let resource = Resource { id, identifier, settings, created_at: now, updated_at: now };
    tx.resource_insert(&resource).await?;
    let event = AuditEvent::ResourceCreated { resource_id: id, identifier: resource.identifier.to_string() };
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    tx.commit().await?;
    ctx.detail_types.forget(tenant.id);
    Ok(resource)
}

/// # Errors
/// When this tenant has no such API.
pub async fn get(ctx: &Ctx, tenant: &Tenant, id: ResourceId) -> Result<Resource, ResourceDenied> {
    ctx.store.begin_read(tenant.id).await?.resource_by_id(id).await?.ok_or(ResourceDenied::Unknown)
}

/// APIs in the order of their ids, after `after`.
///
/// # Errors
/// When the database is away.
pub async fn list(ctx: &Ctx, tenant: &Tenant, after: Option<ResourceId>, limit: u32) -> Result<Vec<Resource>, Fault> {
    Ok(ctx.store.begin_read(tenant.id).await?.resources_page(after, limit).await?)
}

/// Replaces what is said about an API; what is left out gets its default. Counts from the next token on.
///
/// # Errors
/// See [`ResourceDenied`].
pub async fn replace(
    ctx: &Ctx,
    tenant: &Tenant,
    id: ResourceId,
    identifier: &ResourceUri,
    settings: ResourceSettings,
    actor: Actor,
    origin: &Origin,
) -> Result<Resource, ResourceDenied> {
    let settings = checked(ctx, tenant, settings).await?;
    let mut tx = ctx.store.begin(tenant.id).await?;
    tx.tenant_locked().await?.ok_or(ResourceDenied::Unknown)?;
    let before = tx.resource_by_id(id).await?.ok_or(ResourceDenied::Unknown)?;
    if before.identifier != *identifier {
        return Err(ResourceDenied::OtherIdentifier);
    }
    fits(tx.as_mut(), id, &settings).await?;
    let resource = Resource { settings, updated_at: ctx.now(), ..before };
    tx.resource_update(&resource).await?;
    let event = AuditEvent::ResourceChanged { resource_id: id, identifier: resource.identifier.to_string() };
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    tx.commit().await?;
    ctx.detail_types.forget(tenant.id);
    Ok(resource)
}

/// Deletes an API: there are no more tokens for it. Those that are out live until they expire.
///
/// # Errors
/// When this tenant has no such API.
pub async fn delete(ctx: &Ctx, tenant: &Tenant, id: ResourceId, actor: Actor, origin: &Origin) -> Result<(), ResourceDenied> {
    let mut tx = ctx.store.begin(tenant.id).await?;
    tx.tenant_locked().await?.ok_or(ResourceDenied::Unknown)?;
    let resource = tx.resource_by_id(id).await?.ok_or(ResourceDenied::Unknown)?;
    if !tx.resource_delete(id).await? {
        return Err(ResourceDenied::Unknown);
    }
    let event = AuditEvent::ResourceDeleted { resource_id: id, identifier: resource.identifier.to_string() };
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    tx.commit().await?;
    ctx.detail_types.forget(tenant.id);
    Ok(())
}

/// How long the names of types are shown without a look.
const FRESH: i64 = Ttl::seconds(10).as_micros();

#[derive(Debug)]
struct Names {
    names: Arc<[String]>,
    read_at: Timestamp,
}

/// The types of authorization details that tenants have (RFC 9396, 10), for their metadata, which is read often and also while the database is
/// away. Nothing is decided by them.
#[derive(Debug)]
pub struct DetailTypes {
    by_tenant: WarmMap<TenantId, Names>,
}

impl DetailTypes {
    /// Those of about `most` tenants.
    pub fn new(most: usize) -> Self {
        Self { by_tenant: WarmMap::new(most) }
    }

    fn forget(&self, tenant: TenantId) {
        self.by_tenant.remove(&tenant);
    }
}

/// The types of details that clients of the tenant may ask for, in their order; as they were a few seconds ago, or longer while the database
/// is away.
pub async fn detail_types(ctx: &Ctx, tenant: TenantId) -> Arc<[String]> {
    let now = ctx.now();
    let known = ctx.detail_types.by_tenant.find(&tenant);
    if let Some(known) = &known
        && (now.as_micros() - known.value.read_at.as_micros()).abs() < FRESH
    {
        known.touch(now);
        return Arc::clone(&known.value.names);
    }
    let read = async { ctx.store.begin_read(tenant).await?.resources_page(None, Resource::MOST + 1).await };
    let names: Arc<[String]> = match patient(read).await {
        Ok(all) => {
            let names: BTreeSet<_> = all.iter().flat_map(|api| api.settings.authorization_details_types.keys()).collect();
            names.into_iter().map(ToString::to_string).collect()
        }
        // Else each of those who read the metadata would wait for the database.
        Err(_) => known.map_or_else(|| Arc::from([]), |known| Arc::clone(&known.value.names)),
    };
    ctx.detail_types.by_tenant.put(tenant, now, Names { names: Arc::clone(&names), read_at: now });
    names
}
