//! The public keys of clients and of trusted issuers: as they are registered, or as their owner shows them at its `jwks_uri`, kept for a while.
//!
//! Invariant: whatever is presented, an address is asked once a minute at most by each node, and by one request at a time.

use std::sync::Arc;

use domain::certificate::Certificate;
use domain::client::jwks::{self, ClientKey, EncryptionKey};
use domain::client::{Client, ClientId, ClientKeys};
use domain::encryption::KeyManagement;
use domain::ids::{TenantId, TrustedIssuerId};
use domain::keys::ring::Alg;
use domain::time::{Timestamp, Ttl};
use tokio::sync::Mutex;

use crate::ctx::Ctx;
use crate::ports::keys::{ForeignRefused, ForeignToken, KeyFault};
use crate::warm::WarmMap;

/// Fetched keys are used this long without a look.
const FRESH: Ttl = Ttl::minutes(10);
/// They are used this long when there is nobody at the address.
const STALE: Ttl = Ttl::days(1);
/// Nobody is asked again before.
const PAUSE: Ttl = Ttl::minutes(1);

/// What somebody shows at an address.
#[derive(Debug, Default)]
struct Shown {
    for_signatures: Vec<ClientKey>,
    for_encryption: Vec<EncryptionKey>,
}

type Keys = Arc<Shown>;

#[derive(Debug, Default)]
struct Fetched {
    uri: String,
    tried_at: Option<Timestamp>,
    /// The last good answer and its time.
    keys: Option<(Keys, Timestamp)>,
}

/// Whose keys they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Signatory {
    Client(ClientId),
    Issuer(TrustedIssuerId),
}

/// What clients, and issuers that are trusted, have shown at their addresses.
#[derive(Debug)]
pub struct KeySets {
    sets: WarmMap<(TenantId, Signatory), Mutex<Fetched>>,
}

impl KeySets {
    /// Keys of about `most` clients, each of 64 KiB at the very most.
    pub fn new(most: usize) -> Self {
        Self { sets: WarmMap::new(most) }
    }

    /// The keys at `uri`; newer ones than are known, if `wants_newer` and that is possible. `None` when there are none to be had.
    async fn at(&self, ctx: &Ctx, owner: (TenantId, Signatory), uri: &str, wants_newer: bool) -> Option<Keys> {
        let now = ctx.now();
        let (entry, _) = self.sets.find_or_put(owner, now, Mutex::default);
        entry.touch(now);
        // One fetches; the others wait and use what it brings.
        let mut fetched = entry.value.lock().await;
        if fetched.uri != uri {
            *fetched = Fetched { uri: uri.to_owned(), ..Fetched::default() };
        }
        let is_fresh = fetched.keys.as_ref().is_some_and(|(_, at)| now < at.plus(FRESH));
        let may_ask = fetched.tried_at.is_none_or(|at| now >= at.plus(PAUSE));
        if may_ask && (wants_newer || !is_fresh) {
            fetched.tried_at = Some(now);
            match fetch(ctx, uri).await {
                Ok(keys) => fetched.keys = Some((Arc::new(keys), now)),
                Err(why) => tracing::info!(uri, why, "the keys at a jwks_uri could not be fetched"),
            }
        }
        fetched.keys.as_ref().filter(|(_, at)| now < at.plus(STALE)).map(|(keys, _)| Arc::clone(keys))
    }
}

async fn fetch(ctx: &Ctx, uri: &str) -> Result<Shown, String> {
    let answer = ctx.outbound.get(uri, "application/jwk-set+json, application/json").await.map_err(|fault| fault.to_string())?;
    if answer.status != 200 {
        return Err(format!("status {}", answer.status));
    }
    // Some file servers do not know JSON; a page of HTML is none.
    if !["application/json", "application/jwk-set+json", "application/octet-stream", "text/plain"].contains(&answer.content_type.as_str()) {
        return Err(format!("content type {:?}", answer.content_type));
    }
    let set = serde_json::from_slice(&answer.body).map_err(|_| "no JSON".to_owned())?;
    let for_signatures = jwks::read(&set).map_err(|bad| bad.to_string())?;
    // Whoever signs with a good key is not refused because of another one that is none.
    Ok(Shown { for_signatures, for_encryption: jwks::read_encryption(&set).unwrap_or_default() })
}

/// The key that something is encrypted to for `client` in this way: the first that fits of those that it shows. Where none does, its address is
/// asked once more, so no transaction may be held.
///
/// # Errors
/// [`KeyFault::NoEncryptionKey`] when it shows none.
pub(crate) async fn encryption_key(ctx: &Ctx, tenant: TenantId, client: &Client, alg: KeyManagement) -> Result<EncryptionKey, KeyFault> {
    let fitting = |keys: &[EncryptionKey]| keys.iter().find(|key| key.may_be(alg)).cloned();
    let found = match &client.settings.keys {
        None => None,
        Some(ClientKeys::Jwks(set)) => jwks::read_encryption(set).ok().and_then(|keys| fitting(&keys)),
        Some(ClientKeys::JwksUri(uri)) => {
            let keys = async |wants_newer| {
                let shown = ctx.key_sets.at(ctx, (tenant, Signatory::Client(client.id.clone())), uri, wants_newer).await;
                shown.and_then(|shown| fitting(&shown.for_encryption))
            };
            match keys(false).await {
                None => keys(true).await,
                found => found,
            }
        }
    };
    found.ok_or(KeyFault::NoEncryptionKey(alg))
}

/// Those that are shown at `uri` now, by somebody who is no client yet.
///
/// # Errors
/// Says why there are none.
pub(crate) async fn encryption_keys_at(ctx: &Ctx, uri: &str) -> Result<Vec<EncryptionKey>, &'static str> {
    fetch(ctx, uri).await.map(|shown| shown.for_encryption).map_err(|why| {
        tracing::info!(uri, why, "the keys at a jwks_uri could not be fetched");
        "could not be fetched, and answers are to be encrypted to a key that is there"
    })
}

/// Opens a token that `client` has signed by one of `algs`. A key that is not known makes its address be asked, once.
///
/// # Errors
/// Whenever anything is not as it must be; also when the client has no keys.
pub async fn open_signed(ctx: &Ctx, tenant: TenantId, client: &Client, token: &str, algs: &[Alg]) -> Result<ForeignToken, ForeignRefused> {
    match &client.settings.keys {
        None => Err(ForeignRefused::UnknownKey),
        Some(keys) => open_signed_by(ctx, (tenant, Signatory::Client(client.id.clone())), keys, token, algs).await,
    }
}

/// Opens a token that `owner` has signed with one of `keys`, by one of `algs`; otherwise like [`open_signed`].
///
/// # Errors
/// Whenever anything is not as it must be.
pub async fn open_signed_by(
    ctx: &Ctx,
    owner: (TenantId, Signatory),
    keys: &ClientKeys,
    token: &str,
    algs: &[Alg],
) -> Result<ForeignToken, ForeignRefused> {
    match keys {
        ClientKeys::Jwks(set) => ctx.keys.open_foreign(token, &jwks::read(set).map_err(|_| ForeignRefused::UnknownKey)?, algs),
        ClientKeys::JwksUri(uri) => {
            let keys = async |wants_newer| ctx.key_sets.at(ctx, owner.clone(), uri, wants_newer).await;
            let known = keys(false).await.unwrap_or_default();
            match ctx.keys.open_foreign(token, &known.for_signatures, algs) {
                Err(ForeignRefused::UnknownKey) => ctx.keys.open_foreign(token, &keys(true).await.unwrap_or_default().for_signatures, algs),
                opened => opened,
            }
        }
    }
}

/// Whether a certificate is one that `client` has registered, or has a key that it has (RFC 8705, 2.2). One that is not known makes its
/// address be asked, once.
pub(crate) async fn has_certificate(ctx: &Ctx, tenant: TenantId, client: &Client, certificate: &Certificate) -> bool {
    let is_there = |keys: &[ClientKey]| keys.iter().any(|key| key.is_of(certificate));
    match &client.settings.keys {
        None => false,
        Some(ClientKeys::Jwks(set)) => jwks::read(set).is_ok_and(|keys| is_there(&keys)),
        Some(ClientKeys::JwksUri(uri)) => {
            let keys = async |wants_newer| ctx.key_sets.at(ctx, (tenant, Signatory::Client(client.id.clone())), uri, wants_newer).await;
            keys(false).await.is_some_and(|keys| is_there(&keys.for_signatures))
                || keys(true).await.is_some_and(|keys| is_there(&keys.for_signatures))
        }
    }
}
