//! Tokens with which clients may be registered (RFC 7591, 1.2): made, listed and ended by the tenant's administrators.
//!
//! Invariant: a token is shown once, to whoever asked for it, and never read again.

use domain::audit::{Actor, AuditEvent};
use domain::client::registration::InitialAccessToken;
use domain::handle::HandleKind;
use domain::ids::InitialAccessTokenId;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::text::DisplayName;
use domain::time::Timestamp;

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;

#[derive(Debug)]
pub struct MakeInitialToken {
    pub name: Option<DisplayName>,
    pub uses: u32,
    /// [`InitialAccessToken::USUAL_TTL`] from now where it is left out.
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug)]
pub enum InitialTokenDenied {
    Unknown,
    /// Not 1 to [`InitialAccessToken::MOST_USES`].
    Uses,
    /// Not in the future, or later than [`InitialAccessToken::LONGEST_TTL`].
    Expiry,
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for InitialTokenDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Makes a token; its text is known now and never again.
///
/// # Errors
/// When a number is out of bounds, or the tenant gone.
pub async fn make(
    ctx: &Ctx,
    tenant: &Tenant,
    command: MakeInitialToken,
    actor: Actor,
    origin: &Origin,
) -> Result<(InitialAccessToken, Secret<String>), InitialTokenDenied> {
    let (now, uses_left) = (ctx.now(), command.uses);
    let expires_at = command.expires_at.unwrap_or(now.plus(InitialAccessToken::USUAL_TTL));
    if !(1..=InitialAccessToken::MOST_USES).contains(&uses_left) {
        return Err(InitialTokenDenied::Uses);
    }
    if expires_at <= now || expires_at > now.plus(InitialAccessToken::LONGEST_TTL) {
        return Err(InitialTokenDenied::Expiry);
    }
    let (handle, id) = (ctx.handle(HandleKind::InitialAccessToken), InitialAccessTokenId::new(now, ctx.id_entropy()));
    let token = InitialAccessToken { id, hash: handle.hash(), name: command.name, uses_left, created_at: now, expires_at };
    let mut tx = ctx.store.begin(tenant.id).await?;
    if tx.tenant().await?.is_none() {
        return Err(InitialTokenDenied::Unknown);
    }
    tx.initial_token_insert(&token).await?;
    let event = AuditEvent::InitialAccessTokenCreated { initial_access_token_id: id, uses: uses_left, expires_at };
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    tx.commit().await?;
    Ok((token, handle.text()))
}

/// Tokens in the order of their ids, after `after`; those that are used up or over, too, until they are swept.
///
/// # Errors
/// When the database is away.
pub async fn list(ctx: &Ctx, tenant: &Tenant, after: Option<InitialAccessTokenId>, limit: u32) -> Result<Vec<InitialAccessToken>, Fault> {
    Ok(ctx.store.begin_read(tenant.id).await?.initial_tokens_page(after, limit).await?)
}

/// Ends a token at once; the clients that were registered with it stay.
///
/// # Errors
/// When the tenant has no such token.
pub async fn revoke(ctx: &Ctx, tenant: &Tenant, id: InitialAccessTokenId, actor: Actor, origin: &Origin) -> Result<(), InitialTokenDenied> {
    let mut tx = ctx.store.begin(tenant.id).await?;
    if !tx.initial_token_delete(id).await? {
        return Err(InitialTokenDenied::Unknown);
    }
    let event = AuditEvent::InitialAccessTokenRevoked { initial_access_token_id: id };
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    Ok(tx.commit().await?)
}
