//! Keys of a tenant, as its administrators handle them. The decisions are `domain::keys::plan`'s, the work is the port's.

use std::sync::Arc;

use domain::answer::SignedAnswer;
use domain::audit::{Actor, AuditEvent};
use domain::client::Client;
use domain::client::lacks::Offer;
use domain::encryption::Encryption;
use domain::ids::TenantId;
use domain::keys::plan::Intent;
use domain::keys::policy::{RotationNumbers, RotationPolicy};
use domain::keys::ring::{Alg, Kid};
use domain::tenant::Tenant;
use domain::time::Timestamp;
use serde_json::{Map, Value};

use crate::access::Admin;
use crate::clients::key_sets::encryption_key;
use crate::clients::stranded::{Stranded, stranded};
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::keys::{KeyChange, KeyCommand, KeyCommandError, KeyFault, OrderedBy, PublishedKeys, TokenSigner};

/// The private side, with keys for all tokens of this client: access tokens by an algorithm of its profile, ID tokens by the one that it has
/// registered. See [`signer_of`]. Where its ID tokens are encrypted, it shows a key for that afterwards: no transaction is held.
///
/// # Errors
/// [`Fault::NoAlgorithm`] when the tenant's policy has none of them, or the client shows no such key.
pub(crate) async fn signer_for(ctx: &Ctx, tenant: TenantId, client: &Client, at_least: u64) -> Result<Arc<dyn TokenSigner>, Fault> {
    let settings = &client.settings;
    let has_users = settings.grant_types.iter().any(|grant| grant.has_users());
    let of_id_tokens = has_users.then_some(std::slice::from_ref(&settings.id_token_signed_response_alg));
    let wanted: Vec<&[Alg]> = of_id_tokens.into_iter().chain([settings.signing_algs()]).collect();
    if let Some(how) = settings.encryption.id_token().filter(|_| has_users) {
        encryption_key(ctx, tenant, client, how.alg).await?;
    }
    signer_of(ctx, tenant, &wanted, at_least).await
}

/// The private side, with a key of one of each of these sets of algorithms: one that the rotation clock has not come to yet is made now, which
/// takes as long as that takes.
///
/// # Errors
/// [`Fault::NoAlgorithm`] when the tenant's policy has dropped the algorithm, too.
pub(crate) async fn signer_of(ctx: &Ctx, tenant: TenantId, wanted: &[&[Alg]], at_least: u64) -> Result<Arc<dyn TokenSigner>, Fault> {
    let signer = ctx.keys.signer(tenant, at_least).await?;
    let lacks = |signer: &dyn TokenSigner| wanted.iter().find(|algs| !signer.has(algs, ctx.now())).map(|algs| algs.to_vec());
    if lacks(signer.as_ref()).is_none() {
        return Ok(signer);
    }
    let by = OrderedBy { actor: Actor::System, source: None, request_id: None };
    let made = match ctx.keys.execute(tenant, KeyCommand::Plan(Intent::Advance), by).await {
        Ok(made) => made.keys.ring.generation,
        Err(KeyCommandError::Fault(fault)) => return Err(fault.into()),
        Err(denied) => return Err(Fault::Broken(denied.to_string())),
    };
    let signer = ctx.keys.signer(tenant, made.max(at_least)).await?;
    match lacks(signer.as_ref()) {
        None => Ok(signer),
        Some(algs) => Err(KeyFault::NoAlgorithm(algs).into()),
    }
}

/// Signs an answer to this client, by the algorithm that it has registered for it or by one that the tenant has, and encrypts it where the client
/// has registered for that. No transaction is held: a key may have to be made, or fetched.
///
/// # Errors
/// [`Fault::NoAlgorithm`] when the tenant has no key that the client may be answered by, or the client none to encrypt to.
pub(crate) async fn sign_answer(
    ctx: &Ctx,
    tenant: TenantId,
    client: &Client,
    answer: SignedAnswer,
    claims: Map<String, Value>,
) -> Result<String, Fault> {
    let (alg, signer) = answerer(ctx, tenant, client, answer).await?;
    let token = signer.sign_answer(answer, claims, alg, ctx.now())?;
    encrypted(ctx, tenant, client, answer.encryption(&client.settings), token).await
}

/// The token as it leaves for this client: encrypted to a key of its own, where `how` says so (RFC 7519, 11.2). No transaction is held.
///
/// # Errors
/// [`Fault::NoAlgorithm`] when the client shows no good key: nothing is sent in clear instead.
pub(crate) async fn encrypted(
    ctx: &Ctx,
    tenant: TenantId,
    client: &Client,
    how: Option<Encryption>,
    token: String,
) -> Result<String, Fault> {
    let Some(how) = how else { return Ok(token) };
    let key = encryption_key(ctx, tenant, client, how.alg).await?;
    Ok(ctx.keys.encrypt(&token, &key, how)?)
}

/// Who signs such an answer to this client, and by which algorithm; to be asked before something is done that cannot be undone.
///
/// # Errors
/// See [`sign_answer`].
pub(crate) async fn answerer(
    ctx: &Ctx,
    tenant: TenantId,
    client: &Client,
    answer: SignedAnswer,
) -> Result<(Alg, Arc<dyn TokenSigner>), Fault> {
    let keys = ctx.keys.published(tenant).await?;
    let may = client.settings.signing_algs();
    let alg = answer.alg(&client.settings, &keys.ring.numbers).ok_or_else(|| KeyFault::NoAlgorithm(may.to_vec()))?;
    if let Some(how) = answer.encryption(&client.settings) {
        encryption_key(ctx, tenant, client, how.alg).await?;
    }
    Ok((alg, signer_of(ctx, tenant, &[&[alg]], 0).await?))
}

/// The tenant's ring as it stands.
///
/// # Errors
/// When it cannot be had.
pub async fn look(ctx: &Ctx, tenant: TenantId) -> Result<Arc<PublishedKeys>, Fault> {
    Ok(ctx.keys.published(tenant).await?)
}

/// How a rotation is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// Stage successors now, for these algorithms or all; they sign from the given moment or after the policy's lead.
    Planned { algs: Option<Vec<Alg>>, sign_from: Option<Timestamp> },
    /// Replace and revoke everything at once.
    Emergency { reason: String },
}

/// Rotates the tenant's keys.
///
/// # Errors
/// A refusal names the earliest safe moment.
#[tracing::instrument(level = "debug", name = "keys.rotate", skip_all)]
pub async fn rotate(ctx: &Ctx, tenant: TenantId, rotation: Rotation, admin: &Admin, origin: &Origin) -> Result<KeyChange, KeyCommandError> {
    let intent = match rotation {
        Rotation::Planned { algs, sign_from } => Intent::Rotate { algs, sign_from },
        Rotation::Emergency { reason } => Intent::Emergency { reason },
    };
    ctx.keys.execute(tenant, KeyCommand::Plan(intent), ordered_by(admin, origin)).await
}

/// Revokes one key; if it was signing, another takes its place in the same step.
///
/// # Errors
/// When there is no such key, or it has ended.
#[tracing::instrument(level = "debug", name = "keys.revoke", skip_all)]
pub async fn revoke(
    ctx: &Ctx,
    tenant: TenantId,
    kid: Kid,
    reason: String,
    admin: &Admin,
    origin: &Origin,
) -> Result<KeyChange, KeyCommandError> {
    ctx.keys.execute(tenant, KeyCommand::Plan(Intent::Revoke { kid, reason }), ordered_by(admin, origin)).await
}

/// Why a rotation policy is not adopted.
#[derive(Debug)]
pub enum PolicyDenied {
    Keys(KeyCommandError),
    /// Clients or APIs are registered for algorithms that would go, and nobody has said that it is meant.
    Strands(Box<Stranded>),
}

impl<E: Into<KeyCommandError>> From<E> for PolicyDenied {
    fn from(error: E) -> Self {
        Self::Keys(error.into())
    }
}

/// Adopts a rotation policy. `confirmation` is the tenant's slug, where the policy drops what clients are registered for.
///
/// # Errors
/// When a number is unsafe; names the least safe one. When clients are registered for what goes, unless that is confirmed.
#[tracing::instrument(level = "debug", name = "keys.change_policy", skip_all)]
pub async fn change_policy(
    ctx: &Ctx,
    tenant: &Tenant,
    numbers: RotationNumbers,
    confirmation: Option<&str>,
    admin: &Admin,
    origin: &Origin,
) -> Result<KeyChange, PolicyDenied> {
    let published = ctx.keys.published(tenant.id).await.map_err(KeyCommandError::Fault)?;
    RotationPolicy::new(numbers.clone(), published.policy.timing()).map_err(KeyCommandError::Unsafe)?;
    let offer = |algs| Offer { policy: &tenant.policy, algs };
    let stranded = stranded(ctx, tenant.id, offer(&published.ring.numbers.algs), offer(&numbers.algs)).await;
    let stranded = stranded.map_err(|error| KeyCommandError::Fault(error.into()))?;
    if stranded.is_some() && confirmation != Some(tenant.slug.as_str()) {
        return Err(PolicyDenied::Strands(Box::new(stranded.unwrap_or_default())));
    }
    let event = stranded.map(|stranded| AuditEvent::ClientsStranded { clients: stranded.count, lost: stranded.facts() });
    Ok(ctx.keys.execute(tenant.id, KeyCommand::ChangePolicy { numbers, event }, ordered_by(admin, origin)).await?)
}

/// Makes a new version of the secret that refresh tokens are authenticated with. Nobody is logged out: the version before it
/// verifies until every session that is open now has ended, and is destroyed then.
///
/// # Errors
/// When tokens of too many versions may still be alive; names the moment at which there will be room.
#[tracing::instrument(level = "debug", name = "keys.rotate_token_secret", skip_all)]
pub async fn rotate_token_secret(ctx: &Ctx, tenant: &Tenant, admin: &Admin, origin: &Origin) -> Result<KeyChange, KeyCommandError> {
    let mut tx = ctx.store.begin_read(tenant.id).await.map_err(KeyFault::from)?;
    let last_end = tx.families_last_end().await.map_err(KeyFault::from)?;
    drop(tx);
    // Whoever logs in while this is carried out.
    let of_newcomers = ctx.now().plus(tenant.policy.refresh_absolute_ttl_seconds);
    let sessions_end_by = last_end.map_or(of_newcomers, |last| last.max(of_newcomers));
    ctx.keys.execute(tenant.id, KeyCommand::Plan(Intent::RotateTokenSecret { sessions_end_by }), ordered_by(admin, origin)).await
}

fn ordered_by(admin: &Admin, origin: &Origin) -> OrderedBy {
    OrderedBy { actor: admin.actor(), source: origin.source.map(|address| address.to_string()), request_id: origin.request_id.clone() }
}
