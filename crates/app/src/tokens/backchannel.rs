//! The client's side of backchannel authentication (OpenID CIBA Core 1.0): it names a user and asks ([`ask`]), and polls
//! ([`crate::tokens::device::poll`]) until they have answered on [their account page](crate::account::backchannel).
//!
//! Invariant: a client asks the user that it names, and nobody else answers; what is kept of what it polls with is a hash.

use domain::audit::{Actor, AuditEvent};
use domain::backchannel::{BackchannelRequest, BindingMessage};
use domain::client::{Client, ClientId, DeliveryMode};
use domain::device::DeviceGrant;
use domain::handle::HandleKind;
use domain::ids::{BackchannelRequestId, UserId};
use domain::mail::Letter;
use domain::resource::{self, ResourceSet, TargetRefused};
use domain::scope::Scope;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::text::LoginName;
use domain::time::Ttl;
use domain::user::User;

use crate::authorize::hinted;
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::mail::queue;
use crate::pings;
use crate::ports::store::{StoreError, TenantTx};
use crate::tokens::target::apis_of;

/// Whom a client means.
#[derive(Debug)]
pub enum Hint {
    /// A username, an address that is known to be the user's, or our own `sub`.
    Login(String),
    /// An ID token that this client got for the user.
    IdToken(String),
}

/// What a client asks for.
#[derive(Debug)]
pub struct AskUser {
    pub hint: Hint,
    /// With `openid`.
    pub scope: Scope,
    pub resources: ResourceSet,
    pub binding_message: Option<BindingMessage>,
    pub requested_expiry: Option<Ttl>,
    /// What the client wants to be told with; needed by one that is told.
    pub notification_token: Option<Secret<String>>,
}

/// What a client gets to poll with.
#[derive(Debug)]
pub struct AskedUser {
    pub auth_req_id: Secret<String>,
    pub expires_in: u32,
    pub interval: Ttl,
}

#[derive(Debug)]
pub enum AskUserDenied {
    /// `openid` is missing, or the client may not have it.
    InvalidScope,
    InvalidTarget(TargetRefused),
    /// The client is told of answers, and has not said with which token.
    NotificationToken,
    /// Nobody goes by that, or nobody who may log in.
    UnknownUser,
    /// The user is asked too much already.
    TooMany,
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for AskUserDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Begins to wait for a user, and has them told by mail where mails are sent and their address is known to be theirs.
///
/// # Errors
/// See [`AskUserDenied`].
///
/// Source: OpenID CIBA Core 1.0, 7.1, 7.3.
#[tracing::instrument(level = "debug", name = "app.ask_user", skip_all)]
pub async fn ask(ctx: &Ctx, tenant: &Tenant, client: &Client, command: AskUser, origin: &Origin) -> Result<AskedUser, AskUserDenied> {
    let AskUser { hint, scope, resources, binding_message, requested_expiry, notification_token } = command;
    let token = match (client.settings.backchannel_token_delivery_mode, notification_token) {
        (Some(DeliveryMode::Ping), None) => return Err(AskUserDenied::NotificationToken),
        (Some(DeliveryMode::Ping), token) => token,
        (Some(DeliveryMode::Poll) | None, _) => None,
    };
    let scope = scope.retain(|word| client.settings.scope.contains(word));
    let named = match hint {
        Hint::IdToken(token) => match hinted(ctx, tenant, &token).await? {
            // What another client was told is not this one's to ask by.
            Some((user, of)) if of == client.id => Named::Id(user),
            _ => return Err(AskUserDenied::UnknownUser),
        },
        Hint::Login(text) => Named::parse(&text).ok_or(AskUserDenied::UnknownUser)?,
    };
    let now = ctx.now();
    let code = ctx.handle(HandleKind::BackchannelRequest);
    let ping = match &token {
        Some(token) => Some(pings::sealed(ctx.keys.signer(tenant.id, 0).await?.as_ref(), &code.text(), token)?),
        None => None,
    };
    let mut tx = ctx.store.begin(tenant.id).await?;
    let Some(tenant) = tx.tenant().await?.filter(Tenant::is_active) else { return Err(AskUserDenied::UnknownUser) };
    let apis = apis_of(tx.as_mut(), client).await?;
    let aimed = resource::aimed(resources, scope, &apis, &tenant.issuer(&ctx.base_url));
    let (resources, scope) = aimed.map_err(AskUserDenied::InvalidTarget)?;
    if !scope.contains(Scope::OPENID) {
        return Err(AskUserDenied::InvalidScope);
    }
    let user = named.user(tx.as_mut()).await?.filter(|user| user.may_log_in().is_ok()).ok_or(AskUserDenied::UnknownUser)?;
    let waiting = tx.backchannel_of(user.id).await?;
    if waiting.iter().filter(|(_, request)| request.grant.is_open(now)).count() >= BackchannelRequest::MOST_PER_USER {
        return Err(AskUserDenied::TooMany);
    }
    let id = BackchannelRequestId::new(now, ctx.id_entropy());
    let source = origin.source.map(|address| address.to_string());
    let grant = DeviceGrant { resources, ..DeviceGrant::asked(client.id.clone(), scope, source, now) };
    let asked = BackchannelRequest::asked(id, user.id, grant, binding_message, requested_expiry, now);
    let request = BackchannelRequest { ping, ..asked };
    tx.backchannel_insert(&code.hash(), &request).await?;
    have_told(ctx, tx.as_mut(), &user, client, &request).await?;
    let event = AuditEvent::BackchannelAsked { user_id: user.id, client_id: client.id.clone() };
    tx.audit_append(&ctx.record(tenant.id, Actor::Client { client_id: client.id.clone() }, origin, event)).await?;
    tx.commit().await?;
    let expires_in = request.grant.expires_at.seconds_after(now);
    Ok(AskedUser { auth_req_id: code.text(), expires_in, interval: DeviceGrant::INTERVAL })
}

/// Has the user told that somebody waits for them.
async fn have_told(ctx: &Ctx, tx: &mut dyn TenantTx, user: &User, client: &Client, request: &BackchannelRequest) -> Result<(), StoreError> {
    let Some(address) = user.names.email().filter(|_| user.email_verified_at.is_some() && ctx.mail.is_on()) else { return Ok(()) };
    let letter = Letter::BackchannelRequest {
        address: address.clone(),
        client: client.shown_name(),
        binding_message: request.binding_message.as_ref().map(|message| message.as_str().to_owned()),
        place: request.grant.source.clone(),
        at: request.asked_at,
    };
    queue(ctx, tx, Some(user.id), letter, None).await
}

/// A user, as a client names them.
enum Named {
    Id(UserId),
    Login(LoginName),
}

impl Named {
    fn parse(text: &str) -> Option<Self> {
        text.parse().map(Self::Id).ok().or_else(|| text.parse().map(Self::Login).ok())
    }

    async fn user(self, tx: &mut dyn TenantTx) -> Result<Option<User>, StoreError> {
        Ok(match self {
            Self::Id(id) => tx.user_by_id(id).await?,
            Self::Login(name) => {
                let by_address = matches!(name, LoginName::Email(_));
                let user = tx.account_by_login(&name).await?.map(|account| account.user);
                // An address that somebody has only written down is nobody's.
                user.filter(|user| !by_address || user.email_verified_at.is_some())
            }
        })
    }
}

/// Whether this client may be asked for at all; for [`crate::account::backchannel`].
pub(crate) async fn asking(tx: &mut dyn TenantTx, id: &ClientId) -> Result<Option<Client>, StoreError> {
    Ok(tx.client_by_id(id).await?.filter(Client::is_active))
}
