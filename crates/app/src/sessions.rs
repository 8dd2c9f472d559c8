//! Sessions of a user, for the user and for administrators: listing and ending them.

use domain::audit::{Actor, AuditEvent};
use domain::ids::{FamilyId, UserId};
use domain::tenant::Tenant;
use domain::token::family::{RefreshFamily, Revocation, RevocationCause};

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;

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
