//! Clients of a tenant, as its administrators handle them. How one proves itself is in [`authenticate`], how one registers itself in
//! [`registration`].
//!
//! Invariant: a secret is shown once, to whoever asked for it, and never read again.

use domain::audit::{Actor, AuditEvent};
use domain::client::metadata::{BadMetadata, ClientMetadata};
use domain::client::registration::SelfRegistration;
use domain::client::{Client, ClientId, ClientSecret, ClientSettings, ClientStatus};
use domain::ids::{ClientSecretId, RegisteredClientId};
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::time::Timestamp;

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::keys::TokenSigner;
use secrets::new_secret;

pub mod authenticate;
pub mod documents;
mod fitness;
pub mod initial_tokens;
pub mod key_sets;
pub mod origins;
pub mod registration;
mod secrets;
pub mod stranded;

#[derive(Debug)]
pub enum ClientChangeDenied {
    Unknown,
    Metadata(BadMetadata),
    /// Two secrets are alive: one has to go first.
    TooManySecrets,
    /// The client proves itself in another way, or not at all.
    TakesNoSecret,
    /// A secret that would be over before it began.
    ExpiresTooEarly,
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for ClientChangeDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// A secret that was just made: the only time that it is known.
#[derive(Debug)]
pub struct ShownSecret {
    pub secret: ClientSecret,
    pub text: Secret<String>,
}

fn takes_secret(client: &Client) -> bool {
    client.settings.token_endpoint_auth_method.is_by_secret()
}

/// A client that is not stored yet, with a first secret when it needs one.
fn new_client(
    ctx: &Ctx,
    signer: &dyn TokenSigner,
    settings: ClientSettings,
    registration: Option<SelfRegistration>,
) -> Result<(Client, Option<ShownSecret>), Fault> {
    let (now, status) = (ctx.now(), ClientStatus::Active);
    let id = RegisteredClientId::new(now, ctx.id_entropy()).to_string();
    let id = ClientId::try_from(id).map_err(|bad| Fault::Broken(bad.to_string()))?;
    let mut client = Client { id, settings, secrets: Vec::new(), registration, status, created_at: now, updated_at: now };
    let shown = takes_secret(&client).then(|| new_secret(ctx, signer, &client, None)).transpose()?;
    client.secrets.extend(shown.iter().map(|shown| shown.secret.clone()));
    Ok((client, shown))
}

/// Registers a client, with a first secret when it needs one.
///
/// # Errors
/// When the metadata will not do.
pub async fn create(
    ctx: &Ctx,
    tenant: &Tenant,
    metadata: ClientMetadata,
    actor: Actor,
    origin: &Origin,
) -> Result<(Client, Option<ShownSecret>), ClientChangeDenied> {
    let keys = ctx.keys.published(tenant.id).await?;
    let settings = metadata.with_usual_alg(&keys.ring.numbers).validated().map_err(ClientChangeDenied::Metadata)?;
    fitness::check(ctx, tenant.id, &settings).await?.map_err(ClientChangeDenied::Metadata)?;
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let (client, shown) = new_client(ctx, signer.as_ref(), settings, None)?;
    let mut tx = ctx.store.begin(tenant.id).await?;
    if tx.tenant().await?.is_none() {
        return Err(ClientChangeDenied::Unknown);
    }
    tx.client_insert(&client).await?;
    tx.audit_append(&ctx.record(tenant.id, actor, origin, AuditEvent::ClientCreated { client_id: client.id.clone() })).await?;
    tx.commit().await?;
    ctx.origins.forget(tenant.id);
    Ok((client, shown))
}

/// # Errors
/// When this tenant has no such client.
pub async fn get(ctx: &Ctx, tenant: &Tenant, id: &ClientId) -> Result<Client, ClientChangeDenied> {
    ctx.store.begin_read(tenant.id).await?.client_by_id(id).await?.ok_or(ClientChangeDenied::Unknown)
}

/// Clients in the order of their ids, after `after`.
///
/// # Errors
/// When the database is away.
pub async fn list(ctx: &Ctx, tenant: &Tenant, after: Option<&ClientId>, limit: u32) -> Result<Vec<Client>, ClientChangeDenied> {
    Ok(ctx.store.begin_read(tenant.id).await?.clients_page(after, limit).await?)
}

/// Reads a client, lets `change` change it and say what happened, and writes both.
async fn changed<T: Send>(
    ctx: &Ctx,
    tenant: &Tenant,
    id: &ClientId,
    actor: Actor,
    origin: &Origin,
    change: impl FnOnce(&mut Client) -> Result<(T, AuditEvent), ClientChangeDenied> + Send,
) -> Result<(Client, T), ClientChangeDenied> {
    let mut tx = ctx.store.begin(tenant.id).await?;
    let mut client = tx.client_locked(id).await?.ok_or(ClientChangeDenied::Unknown)?;
    let (made, event) = change(&mut client)?;
    client.updated_at = ctx.now();
    tx.client_update(&client).await?;
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    tx.commit().await?;
    ctx.origins.forget(tenant.id);
    Ok((client, made))
}

/// Replaces the metadata; what is left out gets its default. Secrets stay, unless the client takes none any more, or others.
///
/// # Errors
/// When there is no such client, or the metadata will not do.
pub async fn replace(
    ctx: &Ctx,
    tenant: &Tenant,
    id: &ClientId,
    metadata: ClientMetadata,
    actor: Actor,
    origin: &Origin,
) -> Result<Client, ClientChangeDenied> {
    let keys = ctx.keys.published(tenant.id).await?;
    let settings = metadata.with_usual_alg(&keys.ring.numbers).validated().map_err(ClientChangeDenied::Metadata)?;
    fitness::check(ctx, tenant.id, &settings).await?.map_err(ClientChangeDenied::Metadata)?;
    let change = |client: &mut Client| {
        client.settings = settings;
        secrets::keep_fitting(client);
        Ok(((), AuditEvent::ClientChanged { client_id: client.id.clone() }))
    };
    Ok(changed(ctx, tenant, id, actor, origin, change).await?.0)
}

/// Disables a client, whose tokens are worth nothing from then on, or enables it again.
///
/// # Errors
/// When there is no such client.
pub async fn set_active(
    ctx: &Ctx,
    tenant: &Tenant,
    id: &ClientId,
    is_active: bool,
    actor: Actor,
    origin: &Origin,
) -> Result<Client, ClientChangeDenied> {
    let now = ctx.now();
    let change = |client: &mut Client| {
        let client_id = client.id.clone();
        let (status, event) = match (is_active, client.status) {
            (true, _) => (ClientStatus::Active, AuditEvent::ClientEnabled { client_id }),
            (false, ClientStatus::Disabled { at }) => (ClientStatus::Disabled { at }, AuditEvent::ClientDisabled { client_id }),
            (false, ClientStatus::Active) => (ClientStatus::Disabled { at: now }, AuditEvent::ClientDisabled { client_id }),
        };
        client.status = status;
        Ok(((), event))
    };
    Ok(changed(ctx, tenant, id, actor, origin, change).await?.0)
}

/// Deletes a client: its tokens are worth nothing from then on.
///
/// # Errors
/// When there is no such client.
pub async fn delete(ctx: &Ctx, tenant: &Tenant, id: &ClientId, actor: Actor, origin: &Origin) -> Result<(), ClientChangeDenied> {
    let mut tx = ctx.store.begin(tenant.id).await?;
    if !tx.client_delete(id).await? {
        return Err(ClientChangeDenied::Unknown);
    }
    tx.audit_append(&ctx.record(tenant.id, actor, origin, AuditEvent::ClientDeleted { client_id: id.clone() })).await?;
    tx.commit().await?;
    ctx.origins.forget(tenant.id);
    Ok(())
}

/// Gives the client a second secret, beside the one in use.
///
/// # Errors
/// When two are alive.
pub async fn add_secret(
    ctx: &Ctx,
    tenant: &Tenant,
    id: &ClientId,
    expires_at: Option<Timestamp>,
    actor: Actor,
    origin: &Origin,
) -> Result<ShownSecret, ClientChangeDenied> {
    let now = ctx.now();
    if expires_at.is_some_and(|end| end <= now) {
        return Err(ClientChangeDenied::ExpiresTooEarly);
    }
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let change = |client: &mut Client| {
        if !takes_secret(client) {
            return Err(ClientChangeDenied::TakesNoSecret);
        }
        let shown = new_secret(ctx, signer.as_ref(), client, expires_at)?;
        let event = AuditEvent::ClientSecretCreated { client_id: client.id.clone(), secret_id: shown.secret.id };
        client.secret_add(shown.secret.clone(), now).map_err(|_| ClientChangeDenied::TooManySecrets)?;
        Ok((shown, event))
    };
    Ok(changed(ctx, tenant, id, actor, origin, change).await?.1)
}

/// Ends a secret at once.
///
/// # Errors
/// When the client has no such secret.
pub async fn remove_secret(
    ctx: &Ctx,
    tenant: &Tenant,
    id: &ClientId,
    secret_id: ClientSecretId,
    actor: Actor,
    origin: &Origin,
) -> Result<(), ClientChangeDenied> {
    let change = |client: &mut Client| {
        let before = client.secrets.len();
        client.secrets.retain(|secret| secret.id != secret_id);
        if client.secrets.len() == before {
            return Err(ClientChangeDenied::Unknown);
        }
        Ok(((), AuditEvent::ClientSecretDeleted { client_id: client.id.clone(), secret_id }))
    };
    changed(ctx, tenant, id, actor, origin, change).await.map(|_| ())
}
