//! Sessions of a user, for the user and for administrators: listing and ending them.

use domain::audit::{Actor, AuditEvent};
use domain::ids::{FamilyId, SsoSessionId, UserId};
use domain::tenant::Tenant;
use domain::token::family::{RefreshFamily, Revocation, RevocationCause};

use crate::authorize::sign_out::have_told;
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::store::{StoreError, TenantTx};

/// The user's living sessions, newest first.
///
/// # Errors
/// When the database is away.
pub async fn list(ctx: &Ctx, tenant: &Tenant, user: UserId) -> Result<Vec<RefreshFamily>, Fault> {
    Ok(ctx.store.begin_read(tenant.id).await?.families_live(user, ctx.now()).await?)
}

/// Ends one session of this user. Answers whether there was one to end: another user's is none.
///
/// # Errors
/// When the database is away.
pub async fn end(
    ctx: &Ctx,
    tenant: &Tenant,
    user: UserId,
    session: FamilyId,
    cause: RevocationCause,
    actor: Actor,
    origin: &Origin,
) -> Result<bool, Fault> {
    let mut tx = ctx.store.begin(tenant.id).await?;
    if tx.family_by_id(session).await?.is_none_or(|family| family.user_id != user) {
        return Ok(false);
    }
    if !tx.family_revoke(session, Revocation { at: ctx.now(), cause }).await? {
        return Ok(false);
    }
    let event = AuditEvent::SessionRevoked { user_id: user, session_id: session, cause: cause.name().to_owned() };
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    tx.commit().await?;
    Ok(true)
}

/// Ends all sessions of this user, those with the tenant's own pages included; answers how many clients had.
///
/// # Errors
/// When the database is away.
pub async fn end_all(
    ctx: &Ctx,
    tenant: &Tenant,
    user: UserId,
    cause: RevocationCause,
    actor: Actor,
    origin: &Origin,
) -> Result<u64, Fault> {
    let mut tx = ctx.store.begin(tenant.id).await?;
    let count = tx.families_revoke(user, Revocation { at: ctx.now(), cause }).await?;
    let with_pages = tx.sso_delete_of(user).await?;
    if count > 0 || with_pages > 0 {
        let event = AuditEvent::SessionsRevoked { user_id: user, count, cause: cause.name().to_owned() };
        tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    }
    tx.commit().await?;
    Ok(count)
}

/// Ends these families and has their clients told; answers how many lived until now.
pub(crate) async fn revoke(
    ctx: &Ctx,
    tx: &mut dyn TenantTx,
    mut families: Vec<RefreshFamily>,
    cause: RevocationCause,
) -> Result<u64, StoreError> {
    let now = ctx.now();
    let mut count = 0;
    // Clients are locked as they are read: by everybody in the same order.
    families.sort_by(|one, other| one.client_id.cmp(&other.client_id));
    for family in families {
        if tx.family_revoke(family.id, Revocation { at: now, cause }).await? {
            have_told(tx, &family, now).await?;
            count += 1;
        }
    }
    Ok(count)
}

/// Ends all sessions of a user but one with the tenant's pages and what clients got by it.
pub(crate) async fn end_but(
    ctx: &Ctx,
    tx: &mut dyn TenantTx,
    user_id: UserId,
    kept: SsoSessionId,
    cause: RevocationCause,
    actor: Actor,
    origin: &Origin,
) -> Result<(), StoreError> {
    let now = ctx.now();
    let mut families = tx.families_live(user_id, now).await?;
    families.retain(|family| family.sign_on.as_ref().is_none_or(|sign_on| sign_on.session_id != kept));
    let count = revoke(ctx, tx, families, cause).await?;
    for session in tx.sso_of(user_id, now).await?.into_iter().filter(|session| session.id != kept) {
        tx.sso_delete(&session.handle).await?;
    }
    let event = AuditEvent::SessionsRevoked { user_id, count, cause: cause.name().to_owned() };
    tx.audit_append(&ctx.record(tx.tenant_id(), actor, origin, event)).await
}
