//! Ending a session by one of its tokens: revocation (RFC 7009) and logout.
//!
//! Any token of the session will do, current or not: whoever holds one may end it, and a thief gains nothing by that.

use domain::audit::{Actor, AuditEvent};
use domain::client::ClientId;
use domain::ids::FamilyId;
use domain::tenant::Tenant;
use domain::token::family::{Revocation, RevocationCause};

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;

/// Why a token was not revoked.
#[derive(Debug)]
pub enum RevokeDenied {
    /// It lives, and there is no session that could end, or it is another client's: what a client has for itself or by an exchange is over
    /// when it expires, or when that session ends (RFC 7009, 2.2.1).
    NoSession,
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for RevokeDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Revokes the session that `token` (refresh or access) belongs to. A token that is unknown, of another client or already
/// ended changes nothing and is no error (RFC 7009, 2.2). Answers whether a session ended.
///
/// # Errors
/// When it could not be done: then the answer must not be 200.
pub async fn revoke(
    ctx: &Ctx,
    tenant: &Tenant,
    token: &str,
    client_id: &ClientId,
    cause: RevocationCause,
    origin: &Origin,
) -> Result<bool, RevokeDenied> {
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let family_id = match signer.open_refresh(token) {
        Some((family_id, _)) => Some(family_id),
        None => {
            let keys = ctx.keys.published(tenant.id).await?;
            let claims = keys.verifier.verify_for_whomever(token, &tenant.issuer(&ctx.base_url), ctx.now()).ok();
            if let Some(claims) = claims.as_ref().filter(|claims| claims.client_id == *client_id) {
                // What a client has exchanged is of a session that is not its own to end.
                let is_own = match claims.sid {
                    Some(sid) => {
                        let family = ctx.store.begin_read(tenant.id).await?.family_by_id(sid).await?;
                        family.is_none_or(|family| family.client_id == *client_id)
                    }
                    None => false,
                };
                if !is_own {
                    return Err(RevokeDenied::NoSession);
                }
            }
            claims.and_then(|claims| claims.sid)
        }
    };
    match family_id {
        Some(family_id) => Ok(end_session(ctx, tenant, family_id, Some(client_id), cause, origin).await?),
        None => Ok(false),
    }
}

/// Ends one session; when `client_id` is given, only if it is that client's.
pub(crate) async fn end_session(
    ctx: &Ctx,
    tenant: &Tenant,
    family_id: FamilyId,
    client_id: Option<&ClientId>,
    cause: RevocationCause,
    origin: &Origin,
) -> Result<bool, Fault> {
    let mut tx = ctx.store.begin(tenant.id).await?;
    let Some(family) = tx.family_by_id(family_id).await?.filter(|family| client_id.is_none_or(|id| *id == family.client_id)) else {
        return Ok(false);
    };
    if !tx.family_revoke(family_id, Revocation { at: ctx.now(), cause }).await? {
        return Ok(false);
    }
    let event = AuditEvent::SessionRevoked { user_id: family.user_id, session_id: family_id, cause: cause.name().to_owned() };
    tx.audit_append(&ctx.record(tenant.id, Actor::User { user_id: family.user_id }, origin, event)).await?;
    tx.commit().await?;
    Ok(true)
}

/// Whether `csrf_token` is one of the cookie session that `refresh_token` belongs to. A token of nobody's session needs none.
///
/// # Errors
/// When the tenant's secrets cannot be had.
pub async fn has_csrf_token(ctx: &Ctx, tenant: &Tenant, refresh_token: &str, csrf_token: Option<&str>) -> Result<bool, Fault> {
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let Some((family_id, _)) = signer.open_refresh(refresh_token) else { return Ok(true) };
    Ok(csrf_token.is_some_and(|token| signer.is_csrf_token(family_id, token)))
}
