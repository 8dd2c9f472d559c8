//! The issuers that a tenant trusts, as its administrators handle them. What their assertions are good for is in
//! [`crate::tokens::jwt_bearer`].
//!
//! Invariant: within a tenant no two have the same `iss`, and none is the tenant itself: whoever writes holds the tenant's row.

use domain::audit::{Actor, AuditEvent};
use domain::client::metadata::BadMetadata;
use domain::ids::TrustedIssuerId;
use domain::tenant::Tenant;
use domain::trusted_issuer::{TrustedIssuer, TrustedIssuerForm, TrustedIssuerSettings};

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::store::TenantTx;

#[derive(Debug)]
pub enum TrustedIssuerDenied {
    Unknown,
    Bad(BadMetadata),
    /// The tenant trusts an issuer of this name.
    IssuerTaken,
    TooMany,
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for TrustedIssuerDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

fn refused(member: &'static str, why: &str) -> TrustedIssuerDenied {
    TrustedIssuerDenied::Bad(BadMetadata::new(member, why))
}

/// Whether the tenant has all the clients that may bring the issuer's assertions.
async fn fits(tx: &mut dyn TenantTx, settings: &TrustedIssuerSettings) -> Result<(), TrustedIssuerDenied> {
    for client in &settings.clients {
        if tx.client_by_id(client).await?.is_none() {
            return Err(refused("clients", &format!("there is no client {}", client.as_str())));
        }
    }
    Ok(())
}

/// # Errors
/// See [`TrustedIssuerDenied`].
pub async fn create(
    ctx: &Ctx,
    tenant: &Tenant,
    form: TrustedIssuerForm,
    actor: Actor,
    origin: &Origin,
) -> Result<TrustedIssuer, TrustedIssuerDenied> {
    let (issuer, settings) = form.validated().map_err(TrustedIssuerDenied::Bad)?;
    if issuer == tenant.issuer(&ctx.base_url) {
        return Err(refused("issuer", "is the tenant's own: its tokens say of nobody that they are here"));
    }
    let now = ctx.now();
    let mut tx = ctx.store.begin(tenant.id).await?;
    tx.tenant_locked().await?.ok_or(TrustedIssuerDenied::Unknown)?;
    if tx.trusted_issuers_page(None, TrustedIssuer::MOST).await?.len() >= TrustedIssuer::MOST as usize {
        return Err(TrustedIssuerDenied::TooMany);
    }
    if tx.trusted_issuer_named(&issuer).await?.is_some() {
        return Err(TrustedIssuerDenied::IssuerTaken);
    }
    fits(tx.as_mut(), &settings).await?;
    let trusted = TrustedIssuer { id: TrustedIssuerId::new(now, ctx.id_entropy()), issuer, settings, created_at: now, updated_at: now };
    tx.trusted_issuer_insert(&trusted).await?;
    let event = AuditEvent::TrustedIssuerCreated { trusted_issuer_id: trusted.id, issuer: trusted.issuer.clone() };
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    tx.commit().await?;
    Ok(trusted)
}

/// # Errors
/// When the tenant trusts no such issuer.
pub async fn get(ctx: &Ctx, tenant: &Tenant, id: TrustedIssuerId) -> Result<TrustedIssuer, TrustedIssuerDenied> {
    ctx.store.begin_read(tenant.id).await?.trusted_issuer_by_id(id).await?.ok_or(TrustedIssuerDenied::Unknown)
}

/// Issuers in the order of their ids, after `after`.
///
/// # Errors
/// When the database is away.
pub async fn list(ctx: &Ctx, tenant: &Tenant, after: Option<TrustedIssuerId>, limit: u32) -> Result<Vec<TrustedIssuer>, Fault> {
    Ok(ctx.store.begin_read(tenant.id).await?.trusted_issuers_page(after, limit).await?)
}

/// Replaces what is said about an issuer; what is left out gets its default. Counts from the next assertion on.
///
/// # Errors
/// See [`TrustedIssuerDenied`].
pub async fn replace(
    ctx: &Ctx,
    tenant: &Tenant,
    id: TrustedIssuerId,
    form: TrustedIssuerForm,
    actor: Actor,
    origin: &Origin,
) -> Result<TrustedIssuer, TrustedIssuerDenied> {
    let (issuer, settings) = form.validated().map_err(TrustedIssuerDenied::Bad)?;
    let mut tx = ctx.store.begin(tenant.id).await?;
    tx.tenant_locked().await?.ok_or(TrustedIssuerDenied::Unknown)?;
    let before = tx.trusted_issuer_by_id(id).await?.ok_or(TrustedIssuerDenied::Unknown)?;
    if before.issuer != issuer {
        return Err(refused("issuer", "does not change: trust another one instead"));
    }
    fits(tx.as_mut(), &settings).await?;
    let trusted = TrustedIssuer { settings, updated_at: ctx.now(), ..before };
    tx.trusted_issuer_update(&trusted).await?;
    let event = AuditEvent::TrustedIssuerChanged { trusted_issuer_id: id, issuer: trusted.issuer.clone() };
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    tx.commit().await?;
    Ok(trusted)
}

/// Trusts an issuer no more. Tokens that were given for its assertions live until they expire or are revoked.
///
/// # Errors
/// When the tenant trusts no such issuer.
pub async fn delete(ctx: &Ctx, tenant: &Tenant, id: TrustedIssuerId, actor: Actor, origin: &Origin) -> Result<(), TrustedIssuerDenied> {
    let mut tx = ctx.store.begin(tenant.id).await?;
    tx.tenant_locked().await?.ok_or(TrustedIssuerDenied::Unknown)?;
    let trusted = tx.trusted_issuer_by_id(id).await?.ok_or(TrustedIssuerDenied::Unknown)?;
    if !tx.trusted_issuer_delete(id).await? {
        return Err(TrustedIssuerDenied::Unknown);
    }
    let event = AuditEvent::TrustedIssuerDeleted { trusted_issuer_id: id, issuer: trusted.issuer };
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    Ok(tx.commit().await?)
}
