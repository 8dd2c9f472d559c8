//! The device's side of the device grant (RFC 8628): it asks ([`ask`]), shows its user a code, and polls ([`poll`]) until they have
//! answered on [our pages](crate::authorize::device).
//!
//! Invariant: what a user allowed is fetched once, and a poll that is refused is remembered when it came too early.

use domain::audit::{Actor, AuditEvent};
use domain::client::Client;
use domain::device::{DeviceGrant, Poll, UserCode};
use domain::handle::{Handle, HandleKind};
use domain::ids::FamilyId;
use domain::resource::{self, ResourceSet, TargetRefused};
use domain::scope::Scope;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::token::claims::Confirmation;

use crate::authorize::device::{blinded, user_code};
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::keys::signer_of;
use crate::ports::store::StoreError;
use crate::tokens::issue::IssuedTokens;
use crate::tokens::open::{Granted, open, standing};
use crate::tokens::target::{self, apis_of};

/// What a device gets to poll with and to show.
#[derive(Debug)]
pub struct AskedDevice {
    pub device_code: Secret<String>,
    pub user_code: UserCode,
}

#[derive(Debug)]
pub enum AskDenied {
    /// Nothing that was asked for may be given to this client.
    InvalidScope,
    InvalidTarget(TargetRefused),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for AskDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Begins to wait for a user: for `scope` as far as the client may have it, or for all that it may have, at the APIs that are named.
///
/// # Errors
/// See [`AskDenied`].
///
/// Source: RFC 8628, 3.1, 3.2.
#[tracing::instrument(name = "app.ask_device", skip_all)]
pub async fn ask(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    scope: Option<Scope>,
    named: ResourceSet,
    origin: &Origin,
) -> Result<AskedDevice, AskDenied> {
    let own = &client.settings.scope;
    let scope = scope.map_or_else(|| own.clone(), |scope| scope.retain(|token| own.contains(token)));
    let apis = apis_of(ctx.store.begin_read(tenant.id).await?.as_mut(), client).await?;
    let aimed = resource::aimed(named, scope, &apis, &tenant.issuer(&ctx.base_url));
    let (resources, scope) = aimed.map_err(AskDenied::InvalidTarget)?;
    if scope.is_empty() && resources.is_empty() {
        return Err(AskDenied::InvalidScope);
    }
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let source = origin.source.map(|address| address.to_string());
    let grant = DeviceGrant { resources, ..DeviceGrant::asked(client.id.clone(), scope, source, ctx.now()) };
    // Two codes alike are as likely as a guess. Then another name makes another code.
    for _ in 0..4 {
        let code = ctx.handle(HandleKind::DeviceCode);
        let user_code = user_code(signer.as_ref(), &code.hash());
        let mut tx = ctx.store.begin(tenant.id).await?;
        match tx.device_insert(&code.hash(), &blinded(signer.as_ref(), &user_code), &grant).await {
            Ok(()) => {
                tx.commit().await?;
                return Ok(AskedDevice { device_code: code.text(), user_code });
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}

/// Why a poll gets no tokens (RFC 8628, 3.5).
#[derive(Debug)]
pub enum PollDenied {
    Pending,
    SlowDown,
    Denied,
    Expired,
    /// Unknown, fetched before, another client's, or what was allowed does not stand any more: one answer for all.
    InvalidGrant,
    /// What was allowed stays there for something that was granted.
    InvalidTarget(TargetRefused),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for PollDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Asks whether the user has answered, and opens the session of this client and this user when they have allowed it. The first tokens
/// are for `wanted`, or for all that was granted.
///
/// # Errors
/// See [`PollDenied`]. What must be remembered of the poll has been committed.
#[tracing::instrument(name = "app.poll_device", skip_all)]
pub async fn poll(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    code: &Secret<String>,
    wanted: ResourceSet,
    proved: Option<Confirmation>,
    origin: &Origin,
) -> Result<IssuedTokens, PollDenied> {
    let code = Handle::parse(HandleKind::DeviceCode, code.expose()).ok_or(PollDenied::InvalidGrant)?.hash();
    let signer = signer_of(ctx, tenant.id, client.settings.id_token_signed_response_alg, 0).await?;
    let now = ctx.now();
    let mut tx = ctx.store.begin(tenant.id).await?;
    let Some(tenant) = tx.tenant().await?.filter(Tenant::is_active) else { return Err(PollDenied::InvalidGrant) };
    let mut grant = tx.device_by_code(&code).await?.ok_or(PollDenied::InvalidGrant)?;
    let record = |event| ctx.record(tenant.id, Actor::Client { client_id: client.id.clone() }, origin, event);
    let refused = |reason: &str| record(AuditEvent::DeviceRefused { client_id: client.id.clone(), reason: reason.to_owned() });
    let denied = match grant.poll(&client.id, now) {
        Poll::Granted { user_id, sign_on } => {
            tx.device_delete(&code).await?;
            let Some(user) = standing(tx.as_mut(), user_id, &sign_on).await? else {
                tx.audit_append(&refused("ended")).await?;
                tx.commit().await?;
                return Err(PollDenied::InvalidGrant);
            };
            let issuer = tenant.issuer(&ctx.base_url);
            let target = target::of_grant(tx.as_mut(), client, &issuer, &grant.resources, wanted).await?;
            let target = target.map_err(PollDenied::InvalidTarget)?;
            let family_id = FamilyId::new(now, ctx.id_entropy());
            let event = AuditEvent::DeviceSignedIn { user_id, client_id: client.id.clone(), session_id: family_id };
            let granted = Granted { user, family_id, scope: grant.scope, resources: grant.resources, target, nonce: None, sign_on, proved };
            return Ok(open(ctx, &tenant, client, granted, tx, signer, &record(event), origin).await?);
        }
        Poll::OtherClient => {
            tx.audit_append(&refused("other_client")).await?;
            PollDenied::InvalidGrant
        }
        Poll::Pending => PollDenied::Pending,
        Poll::SlowDown => PollDenied::SlowDown,
        Poll::Denied => PollDenied::Denied,
        Poll::Expired => PollDenied::Expired,
    };
    tx.device_update(&code, &grant).await?;
    tx.commit().await?;
    Err(denied)
}
