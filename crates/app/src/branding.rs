//! How a tenant's pages look: what everybody sees, and what its administrators change.

use domain::audit::{Actor, AuditEvent};
use domain::branding::{Appearance, Branding, Logo};
use domain::ids::TenantId;

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::store::TenantTx;
use crate::tenants::NoTenant;

/// How the tenant looks now; the default where it never said anything.
///
/// # Errors
/// When the database is away.
pub async fn appearance(ctx: &Ctx, tenant: TenantId) -> Result<Appearance, Fault> {
    Ok(ctx.store.begin_read(tenant).await?.branding().await?)
}

/// The tenant's logo.
///
/// # Errors
/// When the database is away.
pub async fn logo(ctx: &Ctx, tenant: TenantId) -> Result<Option<Logo>, Fault> {
    Ok(ctx.store.begin_read(tenant).await?.logo().await?)
}

/// Replaces all that the tenant decided, but not its logo.
///
/// # Errors
/// When the tenant is gone.
pub async fn set(ctx: &Ctx, tenant: TenantId, branding: &Branding, actor: Actor, origin: &Origin) -> Result<Appearance, NoTenant> {
    change(ctx, tenant, "branding", actor, origin, async |tx| Ok(tx.branding_set(branding).await?)).await
}

/// Replaces the logo, or takes it away.
///
/// # Errors
/// When the tenant is gone.
pub async fn set_logo(ctx: &Ctx, tenant: TenantId, logo: Option<&Logo>, actor: Actor, origin: &Origin) -> Result<Appearance, NoTenant> {
    change(ctx, tenant, "logo", actor, origin, async |tx| Ok(tx.logo_set(logo).await?)).await
}

async fn change(
    ctx: &Ctx,
    tenant: TenantId,
    what: &str,
    actor: Actor,
    origin: &Origin,
    write: impl AsyncFnOnce(&mut dyn TenantTx) -> Result<(), Fault>,
) -> Result<Appearance, NoTenant> {
    let mut tx = ctx.store.begin(tenant).await.map_err(Fault::from)?;
    tx.tenant_locked().await.map_err(Fault::from)?.ok_or(NoTenant::Unknown)?;
    write(&mut *tx).await?;
    let event = AuditEvent::TenantChanged { changed: vec![what.to_owned()] };
    tx.audit_append(&ctx.record(tenant, actor, origin, event)).await.map_err(Fault::from)?;
    let appearance = tx.branding().await.map_err(Fault::from)?;
    tx.commit().await.map_err(Fault::from)?;
    Ok(appearance)
}
