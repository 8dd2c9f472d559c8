//! Clients that register themselves (RFC 7591), and change and remove themselves (RFC 7592), as far as the tenant lets them.
//!
//! Invariant: what a client may do is decided by [`domain::client::registration::settings`] alone; and a stranger is counted before
//! anything is done for them.

use domain::audit::{Actor, AuditEvent};
use domain::client::metadata::BadMetadata;
use domain::client::registration::{InitialAccessToken, RegistrationAccess, RegistrationPolicy, SelfRegistration, settings};
use domain::client::{Client, ClientId};
use domain::guess::GuessScope;
use domain::handle::{Handle, HandleHash, HandleKind};
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use serde_json::{Map, Value};

use super::secrets::{self, new_secret};
use super::{ShownSecret, fitness, new_client, takes_secret};
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::store::TenantTx;

/// A client, as it is shown to itself.
#[derive(Debug)]
pub struct Registered {
    pub client: Client,
    /// When it is new.
    pub secret: Option<ShownSecret>,
    /// The registration access token: a new one, or the one that was presented.
    pub token: Secret<String>,
}

#[derive(Debug)]
pub enum RegistrationDenied {
    /// The tenant lets nobody register clients.
    Off,
    NoToken,
    /// Unknown, used up, over or another client's: one answer for all.
    InvalidToken,
    TooManyAttempts {
        retry_at: Timestamp,
    },
    /// A software statement (RFC 7591, 2.3): nobody's are trusted here.
    SoftwareStatement,
    Metadata(BadMetadata),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for RegistrationDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

impl From<BadMetadata> for RegistrationDenied {
    fn from(bad: BadMetadata) -> Self {
        Self::Metadata(bad)
    }
}

/// The tenant's policy as it is now, if clients may register at all.
async fn policy(tx: &mut dyn TenantTx) -> Result<RegistrationPolicy, RegistrationDenied> {
    let policy = tx.tenant().await?.filter(Tenant::is_active).map(|tenant| tenant.policy.registration);
    policy.filter(|policy| policy.access != RegistrationAccess::Off).ok_or(RegistrationDenied::Off)
}

/// Registers the client that says this about itself.
///
/// # Errors
/// See [`RegistrationDenied`].
#[tracing::instrument(level = "debug", name = "app.register_client", skip_all)]
pub async fn register(
    ctx: &Ctx,
    tenant: &Tenant,
    token: Option<&str>,
    members: Map<String, Value>,
    origin: &Origin,
) -> Result<Registered, RegistrationDenied> {
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    let policy_now = policy(tx.as_mut()).await?;
    let initial = match token {
        Some(text) => Some(initial_token(ctx, tx.as_mut(), text).await?),
        None if policy_now.access == RegistrationAccess::Open => None,
        None => return Err(RegistrationDenied::NoToken),
    };
    drop(tx);
    if initial.is_none() {
        count(ctx, tenant, origin).await?;
    }
    let settings = read(ctx, tenant, members, policy_now, None).await?;
    fitness::check(ctx, tenant.id, &settings).await??;
    let handle = ctx.handle(HandleKind::RegistrationAccessToken);
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let (client, secret) = new_client(ctx, signer.as_ref(), settings, Some(SelfRegistration::new(handle.hash(), ctx.now())))?;
    let mut tx = ctx.store.begin(tenant.id).await?;
    if policy(tx.as_mut()).await? != policy_now {
        return Err(RegistrationDenied::Off);
    }
    if let Some(token) = &initial
        && !tx.initial_token_use(token.id, ctx.now()).await?
    {
        return Err(RegistrationDenied::InvalidToken);
    }
    tx.client_insert(&client).await?;
    let event = AuditEvent::ClientRegistered { client_id: client.id.clone(), initial_access_token_id: initial.map(|token| token.id) };
    tx.audit_append(&ctx.record(tenant.id, Actor::Anonymous, origin, event)).await?;
    tx.commit().await?;
    ctx.origins.forget(tenant.id);
    Ok(Registered { client, secret, token: handle.text() })
}

async fn initial_token(ctx: &Ctx, tx: &mut dyn TenantTx, text: &str) -> Result<InitialAccessToken, RegistrationDenied> {
    let handle = Handle::parse(HandleKind::InitialAccessToken, text).ok_or(RegistrationDenied::InvalidToken)?;
    let token = tx.initial_token_by_hash(&handle.hash()).await?;
    token.filter(|token| token.is_good(ctx.now())).ok_or(RegistrationDenied::InvalidToken)
}

/// Counts a registration without a token, by the place it comes from.
async fn count(ctx: &Ctx, tenant: &Tenant, origin: &Origin) -> Result<(), RegistrationDenied> {
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let (scope, place) = (GuessScope::Registration, signer.blind("registration", &origin.place()));
    let mut tx = ctx.store.begin(tenant.id).await?;
    let counter = tx.guess_counters(&[(scope, place)]).await?.pop().unwrap_or_default();
    let counter = counter.attempt(scope, ctx.now()).map_err(|denied| RegistrationDenied::TooManyAttempts { retry_at: denied.retry_at })?;
    tx.guess_counters_set(&[(scope, place, counter)], ctx.now()).await?;
    Ok(tx.commit().await?)
}

async fn read(
    ctx: &Ctx,
    tenant: &Tenant,
    members: Map<String, Value>,
    policy: RegistrationPolicy,
    before: Option<&Client>,
) -> Result<domain::client::ClientSettings, RegistrationDenied> {
    if members.get("software_statement").is_some_and(|statement| !statement.is_null()) {
        return Err(RegistrationDenied::SoftwareStatement);
    }
    let keys = ctx.keys.published(tenant.id).await?;
    Ok(settings(members, policy, &tenant.policy.response_types, &keys.ring.numbers, before.map(|client| &client.settings))?)
}

/// What a client brings that speaks of itself: the id in the address, and the hash of its token.
fn named(id: &str, token: Option<&str>) -> Result<(ClientId, HandleHash), RegistrationDenied> {
    let text = token.ok_or(RegistrationDenied::NoToken)?;
    let handle = Handle::parse(HandleKind::RegistrationAccessToken, text).ok_or(RegistrationDenied::InvalidToken)?;
    Ok((ClientId::try_from(id.to_owned()).map_err(|_| RegistrationDenied::InvalidToken)?, handle.hash()))
}

/// The client, if the token is its own. A disabled one has none.
fn proved(client: Option<Client>, hash: HandleHash) -> Result<Client, RegistrationDenied> {
    client
        .filter(|client| client.is_active() && client.registration.is_some_and(|own| own.token == hash))
        .ok_or(RegistrationDenied::InvalidToken)
}

/// The client `id` as it is (RFC 7592, 2.1). Its secret is not known here.
///
/// # Errors
/// See [`RegistrationDenied`].
pub async fn look(ctx: &Ctx, tenant: &Tenant, id: &str, token: Option<&str>) -> Result<Registered, RegistrationDenied> {
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    policy(tx.as_mut()).await?;
    let (id, hash) = named(id, token)?;
    let client = proved(tx.client_by_id(&id).await?, hash)?;
    Ok(Registered { client, secret: None, token: presented(token) })
}

fn presented(token: Option<&str>) -> Secret<String> {
    Secret::new(token.unwrap_or_default().to_owned())
}

/// What only we say of a client: it does not come back (RFC 7592, 2.2).
const OURS: [&str; 4] = ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"];

/// Replaces what the client says about itself (RFC 7592, 2.2). A secret that it needs and has not is made.
///
/// # Errors
/// See [`RegistrationDenied`].
pub async fn replace(
    ctx: &Ctx,
    tenant: &Tenant,
    id: &str,
    token: Option<&str>,
    members: Map<String, Value>,
    origin: &Origin,
) -> Result<Registered, RegistrationDenied> {
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    let policy_now = policy(tx.as_mut()).await?;
    let (id, hash) = named(id, token)?;
    let before = proved(tx.client_by_id(&id).await?, hash)?;
    drop(tx);
    let now = ctx.now();
    if members.get("client_id").and_then(Value::as_str) != Some(before.id.as_str()) {
        return Err(BadMetadata::new("client_id", "must be that of the client").into());
    }
    if let Some(ours) = OURS.into_iter().find(|name| members.contains_key(*name)) {
        return Err(BadMetadata::new(ours, "is not the client's to set (RFC 7592, 2.2)").into());
    }
    match members.get("client_secret") {
        None | Some(Value::Null) => {}
        Some(Value::String(secret)) if secrets::is_own(ctx, tenant.id, &before, secret).await? => {}
        Some(_) => return Err(BadMetadata::new("client_secret", "is not the one of the client, and the client cannot choose one").into()),
    }
    let settings = read(ctx, tenant, members, policy_now, Some(&before)).await?;
    fitness::check(ctx, tenant.id, &settings).await??;
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let mut tx = ctx.store.begin(tenant.id).await?;
    let mut client = proved(tx.client_locked(&id).await?, hash)?;
    if client != before || policy(tx.as_mut()).await? != policy_now {
        return Err(Fault::Unavailable("the client was changed meanwhile".to_owned()).into());
    }
    client.settings = settings;
    client.secrets.retain(|secret| secret.is_live(now));
    secrets::keep_fitting(&mut client);
    let is_needed = takes_secret(&client) && client.secrets.is_empty();
    let secret = is_needed.then(|| new_secret(ctx, signer.as_ref(), &client, None)).transpose()?;
    client.secrets.extend(secret.iter().map(|shown| shown.secret.clone()));
    client.updated_at = now;
    tx.client_update(&client).await?;
    let event = AuditEvent::ClientChanged { client_id: client.id.clone() };
    tx.audit_append(&ctx.record(tenant.id, Actor::Client { client_id: client.id.clone() }, origin, event)).await?;
    tx.commit().await?;
    ctx.origins.forget(tenant.id);
    Ok(Registered { client, secret, token: presented(token) })
}

/// Removes the client: its tokens are worth nothing from then on (RFC 7592, 2.3).
///
/// # Errors
/// See [`RegistrationDenied`].
pub async fn remove(ctx: &Ctx, tenant: &Tenant, id: &str, token: Option<&str>, origin: &Origin) -> Result<(), RegistrationDenied> {
    let mut tx = ctx.store.begin(tenant.id).await?;
    policy(tx.as_mut()).await?;
    let (id, hash) = named(id, token)?;
    let client = proved(tx.client_locked(&id).await?, hash)?;
    tx.client_delete(&client.id).await?;
    let event = AuditEvent::ClientDeleted { client_id: client.id.clone() };
    tx.audit_append(&ctx.record(tenant.id, Actor::Client { client_id: client.id }, origin, event)).await?;
    tx.commit().await?;
    ctx.origins.forget(tenant.id);
    Ok(())
}
