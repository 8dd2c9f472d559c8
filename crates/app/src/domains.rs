//! A host of a tenant's own as its issuer.
//!
//! Another issuer ends what the one before has begun: a token names its issuer, and so does whoever verifies it. Sessions end in the
//! transaction that changes the issuer, so that none of them ever gets tokens of two. Invariant: the tenant's row is held from the look at
//! what breaks until the commit.

use domain::audit::{Actor, AuditEvent};
use domain::host::HostName;
use domain::ids::TenantId;
use domain::keys::plan::Intent;
use domain::resource::Resource;
use domain::tenant::Tenant;
use domain::text::BadText;
use domain::time::Ttl;
use domain::token::family::{Revocation, RevocationCause};
use domain::trusted_issuer::TrustedIssuer;

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::keys::{KeyCommand, OrderedBy};
use crate::ports::store::{StoreError, TenantTx};

/// Families that one transaction ends.
const TOGETHER: u32 = 500;
/// Sessions are younger than the moment at which they are ended where another node's clock is ahead. No other is as far.
const ANY_CLOCK: Ttl = Ttl::days(1);

/// What a tenant's issuer is to be made of.
#[derive(Debug, Clone)]
pub struct ChangeDomain {
    /// `None`: of the installation's address and the slug.
    pub domain: Option<HostName>,
    /// The tenant's slug, by whoever knows what breaks.
    pub confirmation: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum DomainDenied {
    #[error("no such tenant")]
    Unknown,
    #[error("the domain is another tenant's")]
    Taken,
    #[error(transparent)]
    Unfit(#[from] BadText),
    #[error("it would break what there is")]
    NotConfirmed(Box<Breaks>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for DomainDenied {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

/// What another issuer means for those who know the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaks {
    pub issuer: String,
    pub next: String,
    /// Whether users are logged in.
    pub are_sessions: bool,
    /// Whether clients are registered.
    pub are_clients: bool,
}

/// Gives a tenant another issuer, and ends its sessions.
///
/// # Errors
/// When the domain cannot be this tenant's, or what breaks was not confirmed; then nothing has ended.
#[tracing::instrument(level = "debug", name = "app.change_domain", skip_all)]
pub async fn change(ctx: &Ctx, tenant: TenantId, command: ChangeDomain, actor: Actor, origin: &Origin) -> Result<Tenant, DomainDenied> {
    let ChangeDomain { domain, confirmation } = command;
    if let Some(domain) = &domain {
        domain.fits(&ctx.base_url)?;
        if ctx.hosts.are(domain.as_str()) {
            return Err(BadText("this is the installation's own host").into());
        }
    }
    loop {
        let now = ctx.now();
        let mut tx = ctx.store.begin(tenant).await?;
        let row = tx.tenant_locked().await?.ok_or(DomainDenied::Unknown)?;
        if row.custom_domain == domain {
            return Ok(row);
        }
        let next = Tenant { custom_domain: domain.clone(), updated_at: now, ..row.clone() };
        fits(ctx, tx.as_mut(), &next).await?;
        let breaks = Breaks {
            issuer: row.issuer(&ctx.base_url),
            next: next.issuer(&ctx.base_url),
            are_sessions: tx.families_last_end().await?.is_some_and(|end| end > now),
            are_clients: !tx.clients_page(None, 1).await?.is_empty(),
        };
        let is_confirmed = match &confirmation {
            Some(confirmation) => confirmation == row.slug.as_str(),
            None => !breaks.are_sessions && !breaks.are_clients,
        };
        if !is_confirmed {
            return Err(DomainDenied::NotConfirmed(Box::new(breaks)));
        }
        let revocation = Revocation { at: now, cause: RevocationCause::IssuerChanged };
        let count = tx.families_revoke_opened(now.plus(ANY_CLOCK), revocation, TOGETHER).await?;
        tx.sso_delete_begun(now.plus(ANY_CLOCK)).await?;
        if count > 0 {
            let event = AuditEvent::TenantSessionsRevoked { count, cause: revocation.cause.name().to_owned() };
            tx.audit_append(&ctx.record(tenant, actor.clone(), origin, event)).await?;
        }
        if count < u64::from(TOGETHER) {
            tx.tenant_update(&next).await.map_err(|error| match error {
                StoreError::Conflict => DomainDenied::Taken,
                other => other.into(),
            })?;
            let event = match (&next.custom_domain, &row.custom_domain) {
                (Some(domain), _) => AuditEvent::TenantDomainSet { domain: domain.to_string() },
                (None, before) => AuditEvent::TenantDomainRemoved { domain: before.as_ref().map(ToString::to_string).unwrap_or_default() },
            };
            tx.audit_append(&ctx.record(tenant, actor.clone(), origin, event)).await?;
            // Its key log has another name from now on; should nobody come to sign it below, the clock does.
            tx.ring_due(now).await?;
        }
        let committed = tx.commit().await;
        // A commit without an answer may have happened; if it has not, this was read once too often.
        ctx.tenants.forget_domain(&row, &next);
        committed?;
        if count < u64::from(TOGETHER) {
            sign_log(ctx, tenant).await;
            return Ok(next);
        }
    }
}

/// Has the tenant's key log signed under its new name. The domain is changed in any case.
async fn sign_log(ctx: &Ctx, tenant: TenantId) {
    let by = OrderedBy { actor: Actor::System, source: None, request_id: None };
    if let Err(error) = ctx.keys.execute(tenant, KeyCommand::Plan(Intent::Advance), by).await {
        tracing::warn!(%tenant, %error, "the key log was not signed under its new name yet; the rotation clock tries again");
    }
}

/// Whether the tenant's new issuer can be told from all that it knows already.
async fn fits(ctx: &Ctx, tx: &mut dyn TenantTx, next: &Tenant) -> Result<(), DomainDenied> {
    if next.custom_domain.is_none() {
        return Ok(());
    }
    let origin = next.origin(&ctx.base_url);
    let is_there = |address: &str| address.strip_prefix(&origin).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    if tx.resources_page(None, Resource::MOST).await?.iter().any(|resource| is_there(resource.identifier.as_str())) {
        return Err(BadText("the tenant has an API there: tokens for it could not be told from those for the issuer").into());
    }
    if tx.trusted_issuers_page(None, TrustedIssuer::MOST).await?.iter().any(|trusted| is_there(&trusted.issuer)) {
        return Err(BadText("the tenant trusts an issuer there").into());
    }
    Ok(())
}
