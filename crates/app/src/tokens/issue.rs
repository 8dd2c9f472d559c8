//! Issuing: an access token, and the refresh token that goes with it.

use domain::ids::TokenId;
use domain::scope::Scope;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::token::claims::{AccessClaims, Grant};
use domain::token::family::{Binding, RefreshFamily};
use domain::user::User;

use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::ports::keys::TokenSigner;

/// What a client gets (RFC 6749, 5.1).
#[derive(Debug)]
pub struct IssuedTokens {
    pub access_token: Secret<String>,
    /// Seconds until the access token expires.
    pub expires_in: u32,
    pub refresh_token: Secret<String>,
    pub scope: Scope,
    pub binding: Binding,
    /// For cookie sessions: what must come with every use of the cookie.
    pub csrf_token: Option<Secret<String>>,
    /// When the refresh token's session ends if it is not refreshed: the life of its cookie.
    pub session_ends_at: Timestamp,
}

/// Signs an access token for the session and derives the refresh token of its current generation. Touches no database.
///
/// # Errors
/// When no key may sign.
pub(crate) fn issue(
    ctx: &Ctx,
    tenant: &Tenant,
    user: &User,
    family: &RefreshFamily,
    scope: Scope,
    signer: &dyn TokenSigner,
    now: Timestamp,
) -> Result<IssuedTokens, Fault> {
    let issuer = tenant.issuer(&ctx.base_url);
    let jti = TokenId::new(now, ctx.id_entropy());
    let grant = Grant { session_id: family.id, client_id: &family.client_id, scope: scope.clone(), auth_time: family.auth_time };
    let mut claims = AccessClaims::new(tenant, &issuer, user, grant, jti, family.absolute_expires_at, now);
    let access_token = Secret::new(signer.sign(&mut claims, now)?);
    Ok(IssuedTokens {
        access_token,
        expires_in: claims.expires_in(now),
        refresh_token: Secret::new(signer.mint_refresh(family.id, family.head.current)),
        scope,
        binding: family.binding,
        csrf_token: (family.binding == Binding::Cookie).then(|| Secret::new(signer.csrf_token(family.id))),
        session_ends_at: family.ends_at(),
    })
}
