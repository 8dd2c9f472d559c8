//! Introspection (RFC 7662): is this token alive, now, by the database?

use domain::ids::{FamilyId, UserId};
use domain::scope::Scope;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::token::claims::AccessClaims;

use crate::ctx::Ctx;
use crate::fault::Fault;

/// What is known of a living token.
#[derive(Debug)]
pub enum Living {
    Access(Box<AccessClaims>),
    Refresh { session_id: FamilyId, user_id: UserId, client_id: String, scope: Scope, expires_at: Timestamp, issued_at: Timestamp },
}

/// Looks at a token of this tenant; `None` for everything that is not alive, whatever the reason.
///
/// # Errors
/// When it could not be looked up.
pub async fn introspect(ctx: &Ctx, tenant: &Tenant, token: &str) -> Result<Option<Living>, Fault> {
    if let Some(claims) = living_access(ctx, tenant, token).await? {
        return Ok(Some(Living::Access(Box::new(claims))));
    }
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let Some((family_id, generation)) = signer.open_refresh(token) else { return Ok(None) };
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    let now = ctx.now();
    let Some(family) = tx.family_by_id(family_id).await?.filter(|family| family.is_live(now) && family.head.current == generation) else {
        return Ok(None);
    };
    let may = tx.user_by_id(family.user_id).await?.is_some_and(|user| user.may_log_in().is_ok());
    let is_active = tx.tenant().await?.is_some_and(|tenant| tenant.is_active());
    Ok((may && is_active).then(|| Living::Refresh {
        session_id: family.id,
        user_id: family.user_id,
        client_id: family.client_id.to_string(),
        expires_at: family.ends_at(),
        issued_at: family.head.rotated_at,
        scope: family.scope,
    }))
}

/// The claims of an access token that verifies and whose session, user and tenant are alive.
pub(crate) async fn living_access(ctx: &Ctx, tenant: &Tenant, token: &str) -> Result<Option<AccessClaims>, Fault> {
    let keys = ctx.keys.published(tenant.id).await?;
    let now = ctx.now();
    let Ok(claims) = keys.verifier.verify(token, &tenant.issuer(&ctx.base_url), now) else { return Ok(None) };
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    let session = tx.family_by_id(claims.sid).await?.is_some_and(|family| family.is_live(now) && family.user_id == claims.sub);
    let user = tx.user_by_id(claims.sub).await?.is_some_and(|user| user.may_log_in().is_ok());
    let is_active = tx.tenant().await?.is_some_and(|tenant| tenant.is_active());
    Ok((session && user && is_active).then_some(claims))
}
