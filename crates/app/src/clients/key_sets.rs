//! The public keys of clients: as they are registered, or as the client shows them at its `jwks_uri`, kept for a while.
//!
//! Invariant: whatever is presented, a client's address is asked once a minute at most by each node, and by one request at a time.

use std::sync::Arc;

use domain::certificate::Certificate;
use domain::client::jwks::{self, ClientKey};
use domain::client::{Client, ClientId, ClientKeys};
use domain::ids::TenantId;
use domain::keys::ring::Alg;
use domain::time::{Timestamp, Ttl};
use tokio::sync::Mutex;

use crate::ctx::Ctx;
use crate::ports::keys::{ForeignRefused, ForeignToken};
use crate::warm::WarmMap;

/// Fetched keys are used this long without a look.
const FRESH: Ttl = Ttl::minutes(10);
/// They are used this long when there is nobody at the address.
const STALE: Ttl = Ttl::days(1);
/// Nobody is asked again before.
const PAUSE: Ttl = Ttl::minutes(1);

type Keys = Arc<Vec<ClientKey>>;

#[derive(Debug, Default)]
struct Fetched {
    uri: String,
    tried_at: Option<Timestamp>,
    /// The last good answer and its time.
    keys: Option<(Keys, Timestamp)>,
}

/// What clients have shown at their addresses.
#[derive(Debug)]
pub struct KeySets {
    sets: WarmMap<(TenantId, ClientId), Mutex<Fetched>>,
}

impl KeySets {
    /// Keys of about `most` clients, each of 64 KiB at the very most.
    pub fn new(most: usize) -> Self {
        Self { sets: WarmMap::new(most) }
    }

    /// The keys at `uri`; newer ones than are known, if `wants_newer` and that is possible. `None` when there are none to be had.
    async fn at(&self, ctx: &Ctx, owner: (TenantId, ClientId), uri: &str, wants_newer: bool) -> Option<Keys> {
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
                Err(why) => tracing::info!(uri, why, "the keys of a client could not be fetched"),
            }
        }
        fetched.keys.as_ref().filter(|(_, at)| now < at.plus(STALE)).map(|(keys, _)| Arc::clone(keys))
    }
}

async fn fetch(ctx: &Ctx, uri: &str) -> Result<Vec<ClientKey>, String> {
    let answer = ctx.outbound.get(uri, "application/jwk-set+json, application/json").await.map_err(|fault| fault.to_string())?;
    if answer.status != 200 {
        return Err(format!("status {}", answer.status));
    }
    // Some file servers do not know JSON; a page of HTML is none.
    if !["application/json", "application/jwk-set+json", "application/octet-stream", "text/plain"].contains(&answer.content_type.as_str()) {
        return Err(format!("content type {:?}", answer.content_type));
    }
    let set = serde_json::from_slice(&answer.body).map_err(|_| "no JSON".to_owned())?;
    jwks::read(&set).map_err(|bad| bad.to_string())
}

/// Opens a token that `client` has signed by one of `algs`. A key that is not known makes its address be asked, once.
///
/// # Errors
/// Whenever anything is not as it must be; also when the client has no keys.
pub async fn open_signed(ctx: &Ctx, tenant: TenantId, client: &Client, token: &str, algs: &[Alg]) -> Result<ForeignToken, ForeignRefused> {
    match &client.settings.keys {
        None => Err(ForeignRefused::UnknownKey),
        Some(ClientKeys::Jwks(set)) => ctx.keys.open_foreign(token, &jwks::read(set).map_err(|_| ForeignRefused::UnknownKey)?, algs),
        Some(ClientKeys::JwksUri(uri)) => {
            let keys = async |wants_newer| ctx.key_sets.at(ctx, (tenant, client.id.clone()), uri, wants_newer).await;
            let known = keys(false).await.unwrap_or_default();
            match ctx.keys.open_foreign(token, &known, algs) {
                Err(ForeignRefused::UnknownKey) => ctx.keys.open_foreign(token, &keys(true).await.unwrap_or_default(), algs),
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
            let keys = async |wants_newer| ctx.key_sets.at(ctx, (tenant, client.id.clone()), uri, wants_newer).await;
            keys(false).await.is_some_and(|keys| is_there(&keys)) || keys(true).await.is_some_and(|keys| is_there(&keys))
        }
    }
}
