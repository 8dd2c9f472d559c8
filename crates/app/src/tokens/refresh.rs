//! The refresh grant (RFC 6749, 6): one presented token, one durable commit, one verdict.
//!
//! Invariant: all refusals look the same from outside; a token that this tenant never made costs no SQL.

use domain::client::Client;
use domain::details::{AuthorizationDetails, DetailsRefused};
use domain::ids::EventId;
use domain::resource::{ResourceSet, Target, TargetRefused};
use domain::scope::Scope;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::token::claims::Confirmation;
use domain::token::family::Binding;
use tracing::Instrument;

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::keys::signer_for;
use crate::tokens::issue::{Issue, IssuedTokens, issue};
use crate::tokens::judgement::{RefreshAttempt, Verdict};
use crate::tokens::target;

#[derive(Debug)]
pub struct RefreshCommand {
    pub refresh_token: String,
    pub client: Client,
    /// How the token came: in the body, or by cookie with this CSRF token.
    pub presented_by: PresentedBy,
    /// What was proved with it.
    pub proved: Option<Confirmation>,
    /// Narrows the access token; the session keeps its scope.
    pub scope: Option<Scope>,
    /// Narrows what the access token is for; all that was granted where nothing is named.
    pub wanted: ResourceSet,
    /// Narrows the details in the access token; all that are about what it is for where nothing is named.
    pub details: Option<AuthorizationDetails>,
}

#[derive(Debug, Clone)]
pub enum PresentedBy {
    Body,
    Cookie { csrf_token: Option<String> },
}

/// What happened, for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshOutcome {
    Rotated,
    Replayed,
    Replaced,
}

#[derive(Debug)]
pub enum RefreshDenied {
    /// Not a token of this tenant, expired, revoked, of another client…: one answer for all.
    InvalidGrant,
    /// The token had been used before; the session is over. From outside the same as [`Self::InvalidGrant`].
    Reused,
    SlowDown {
        retry_at: Timestamp,
    },
    /// More was asked for than the session has.
    InvalidScope,
    InvalidTarget(TargetRefused),
    InvalidDetails(DetailsRefused),
    /// The cookie came without its CSRF token.
    CsrfMissing,
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for RefreshDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Exchanges a refresh token for a new pair.
///
/// # Errors
/// See [`RefreshDenied`]. A refusal that must be remembered has been committed.
#[tracing::instrument(level = "debug", name = "app.refresh", skip_all)]
pub async fn refresh(
    ctx: &Ctx,
    tenant: &Tenant,
    command: RefreshCommand,
    origin: &Origin,
) -> Result<(RefreshOutcome, IssuedTokens), RefreshDenied> {
    // With a key for what the client gets, before its token is used up.
    let signer = signer_for(ctx, tenant.id, &command.client, 0).await?;
    let (family_id, generation) = signer.open_refresh(&command.refresh_token).ok_or(RefreshDenied::InvalidGrant)?;
    let binding = match &command.presented_by {
        PresentedBy::Body => command.proved.map_or(Binding::Bearer, Binding::from),
        PresentedBy::Cookie { csrf_token } => {
            if !csrf_token.as_ref().is_some_and(|token| signer.is_csrf_token(family_id, token)) {
                return Err(RefreshDenied::CsrfMissing);
            }
            Binding::Cookie
        }
    };
    let now = ctx.now();
    let issuer = tenant.issuer(&ctx.base_url);
    if command.scope.is_some() || !command.wanted.is_empty() || command.details.is_some() {
        // A wish for more must not cost the client its token: look before judging. What was granted to a session never changes.
        let mut tx = ctx.store.begin_read(tenant.id).await?;
        let family = tx.family_by_id(family_id).await?.ok_or(RefreshDenied::InvalidGrant)?;
        // Whose session it is comes first: nobody else learns what was granted to it.
        if family.client_id != command.client.id {
            drop(tx);
        } else {
            if command.scope.as_ref().is_some_and(|scope| scope.is_empty() || !scope.is_within(&family.scope)) {
                return Err(RefreshDenied::InvalidScope);
            }
            let target = target::of_grant(tx.as_mut(), &command.client, &issuer, &family.resources, command.wanted.clone()).await?;
            let target = target.map_err(RefreshDenied::InvalidTarget)?;
            let details = target::details_of(&target, &command.client, &family.details, command.details.clone());
            details.map_err(RefreshDenied::InvalidDetails)?;
        }
    }
    let attempt = RefreshAttempt {
        family_id,
        generation,
        client_id: command.client.id.clone(),
        binding,
        now,
        event_id: EventId::new(now, ctx.id_entropy()),
        source: origin.source.map(|address| address.to_string()),
        request_id: origin.request_id.clone(),
    };
    let judgement =
        ctx.store.refresh(tenant.id, attempt).instrument(tracing::debug_span!("db.refresh")).await?.ok_or(RefreshDenied::InvalidGrant)?;
    let outcome = match judgement.verdict {
        Verdict::Rotated => RefreshOutcome::Rotated,
        Verdict::Replayed => RefreshOutcome::Replayed,
        Verdict::Replaced => RefreshOutcome::Replaced,
        Verdict::Reused => {
            if generation > judgement.facts.family.head.current {
                // Only this installation can have made the token, so it is the database that has lost something.
                tracing::error!(
                    tenant = %tenant.id,
                    "a refresh token is newer than its session: the database was set back to an older state. Its session was ended; \
                     `claviger after-restore` ends all that must not come back"
                );
            }
            return Err(RefreshDenied::Reused);
        }
        Verdict::SlowDown { retry_at } => return Err(RefreshDenied::SlowDown { retry_at }),
        Verdict::Refused(_) => return Err(RefreshDenied::InvalidGrant),
    };
    let facts = judgement.facts;
    let user = facts.user.ok_or(RefreshDenied::InvalidGrant)?;
    let scope = command.scope.unwrap_or_else(|| facts.family.scope.clone());
    let cnf = command.proved;
    // The ring may have moved on since the snapshot was made: sign with what the row says.
    let is_recent = signer.generation() >= facts.ring_generation;
    let signer = if is_recent { signer } else { signer_for(ctx, tenant.id, &command.client, facts.ring_generation).await? };
    let (tenant, client, family) = (&facts.tenant, &command.client, &facts.family);
    let target = if family.resources.is_empty() && command.wanted.is_empty() {
        Target::usual()
    } else {
        let mut tx = ctx.store.begin_read(tenant.id).await?;
        let target = target::of_grant(tx.as_mut(), client, &issuer, &family.resources, command.wanted).await?;
        // The session goes on: its token before this one will do again.
        target.map_err(RefreshDenied::InvalidTarget)?
    };
    let details = target::details_of(&target, client, &family.details, command.details).map_err(RefreshDenied::InvalidDetails)?;
    let what = Issue { tenant, client, user: &user, family, scope, target, details, nonce: None, cnf, signer, now };
    Ok((outcome, issue(ctx, what).await?))
}
