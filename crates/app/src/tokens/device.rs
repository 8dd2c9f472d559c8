//! The device's side of the device grant (RFC 8628): it asks ([`ask`]), shows its user a code, and polls ([`poll`]) until they have
//! answered on [our pages](crate::authorize::device). A client that asks [behind the back](crate::tokens::backchannel) polls like one.
//!
//! Invariant: what a user allowed is fetched once, and a poll that is refused is remembered when it came too early.

use domain::audit::{Actor, AuditEvent};
use domain::backchannel::BackchannelRequest;
use domain::client::{Client, ClientId};
use domain::details::AuthorizationDetails;
use domain::device::{DeviceGrant, Poll, UserCode};
use domain::handle::{Handle, HandleHash, HandleKind};
use domain::ids::{FamilyId, UserId};
use domain::resource::{self, ResourceSet, TargetRefused};
use domain::scope::Scope;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::token::claims::Confirmation;

use crate::authorize::device::{blinded, user_code};
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::keys::signer_for;
use crate::ports::store::{StoreError, TenantTx};
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

/// Begins to wait for a user: for `scope` as far as the client may have it, at the APIs that are named. A device that names no scope asks for
/// who its user is, as far as its client may know that; to stay for good and to do things in their name it has to say so.
///
/// # Errors
/// See [`AskDenied`].
///
/// Source: RFC 8628, 3.1, 3.2.
#[tracing::instrument(level = "debug", name = "app.ask_device", skip_all)]
pub async fn ask(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    scope: Option<Scope>,
    named: ResourceSet,
    origin: &Origin,
) -> Result<AskedDevice, AskDenied> {
    let own = &client.settings.scope;
    let usual = |token: &str| Scope::OF_OPENID.contains(&token) && token != Scope::OFFLINE_ACCESS;
    let scope = match scope {
        None => own.clone().retain(usual),
        Some(scope) => scope.retain(|token| own.contains(token)),
    };
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

/// What is polled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    Device,
    /// What was asked for by [`crate::tokens::backchannel`].
    Backchannel,
}

impl Awaited {
    const fn kind(self) -> HandleKind {
        match self {
            Self::Device => HandleKind::DeviceCode,
            Self::Backchannel => HandleKind::BackchannelRequest,
        }
    }

    fn signed_in(self, user_id: UserId, client_id: ClientId, session_id: FamilyId) -> AuditEvent {
        match self {
            Self::Device => AuditEvent::DeviceSignedIn { user_id, client_id, session_id },
            Self::Backchannel => AuditEvent::BackchannelSignedIn { user_id, client_id, session_id },
        }
    }

    fn refused(self, client_id: ClientId, reason: &str) -> AuditEvent {
        let reason = reason.to_owned();
        match self {
            Self::Device => AuditEvent::DeviceRefused { client_id, reason },
            Self::Backchannel => AuditEvent::BackchannelRefused { client_id, reason },
        }
    }

    async fn row(self, tx: &mut dyn TenantTx, code: &HandleHash) -> Result<Option<Row>, StoreError> {
        Ok(match self {
            Self::Device => tx.device_by_code(code).await?.map(Row::Device),
            Self::Backchannel => tx.backchannel_by_code(code).await?.map(Row::Backchannel),
        })
    }
}

/// What is kept of it.
enum Row {
    Device(DeviceGrant),
    Backchannel(BackchannelRequest),
}

impl Row {
    const fn grant(&mut self) -> &mut DeviceGrant {
        match self {
            Self::Device(grant) => grant,
            Self::Backchannel(request) => &mut request.grant,
        }
    }

    fn into_grant(self) -> DeviceGrant {
        match self {
            Self::Device(grant) => grant,
            Self::Backchannel(request) => request.grant,
        }
    }

    async fn update(&self, tx: &mut dyn TenantTx, code: &HandleHash) -> Result<(), StoreError> {
        match self {
            Self::Device(grant) => tx.device_update(code, grant).await,
            Self::Backchannel(request) => tx.backchannel_update(code, request).await,
        }
    }

    async fn delete(&self, tx: &mut dyn TenantTx, code: &HandleHash) -> Result<bool, StoreError> {
        match self {
            Self::Device(_) => tx.device_delete(code).await,
            Self::Backchannel(_) => tx.backchannel_delete(code).await,
        }
    }
}

/// Asks whether the user has answered, and opens the session of this client and this user when they have allowed it. The first tokens
/// are for `wanted`, or for all that was granted.
///
/// # Errors
/// See [`PollDenied`]. What must be remembered of the poll has been committed.
#[tracing::instrument(level = "debug", name = "app.poll", skip_all)]
#[expect(clippy::too_many_arguments, reason = "what a token request brings")]
pub async fn poll(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    awaited: Awaited,
    code: &Secret<String>,
    wanted: ResourceSet,
    proved: Option<Confirmation>,
    origin: &Origin,
) -> Result<IssuedTokens, PollDenied> {
    let code = Handle::parse(awaited.kind(), code.expose()).ok_or(PollDenied::InvalidGrant)?.hash();
    let signer = signer_for(ctx, tenant.id, client, 0).await?;
    let now = ctx.now();
    let mut tx = ctx.store.begin(tenant.id).await?;
    let Some(tenant) = tx.tenant().await?.filter(Tenant::is_active) else { return Err(PollDenied::InvalidGrant) };
    let mut row = awaited.row(tx.as_mut(), &code).await?.ok_or(PollDenied::InvalidGrant)?;
    let record = |event| ctx.record(tenant.id, Actor::Client { client_id: client.id.clone() }, origin, event);
    let refused = |reason: &str| record(awaited.refused(client.id.clone(), reason));
    let denied = match row.grant().poll(&client.id, now) {
        Poll::Granted { user_id, sign_on } => {
            row.delete(tx.as_mut(), &code).await?;
            let grant = row.into_grant();
            let Some(user) = standing(tx.as_mut(), user_id, &sign_on).await? else {
                tx.audit_append(&refused("ended")).await?;
                tx.commit().await?;
                return Err(PollDenied::InvalidGrant);
            };
            let issuer = tenant.issuer(&ctx.base_url);
            let target = target::of_grant(tx.as_mut(), client, &issuer, &grant.resources, wanted).await?;
            let target = target.map_err(PollDenied::InvalidTarget)?;
            let family_id = FamilyId::new(now, ctx.id_entropy());
            let event = awaited.signed_in(user_id, client.id.clone(), family_id);
            let granted = Granted {
                user,
                family_id,
                begun: None,
                scope: grant.scope,
                resources: grant.resources,
                target,
                // Nobody is asked for any on a device.
                details: AuthorizationDetails::none(),
                first_details: AuthorizationDetails::none(),
                nonce: None,
                sign_on,
                proved,
            };
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
    row.update(tx.as_mut(), &code).await?;
    tx.commit().await?;
    Err(denied)
}
