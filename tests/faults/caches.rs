//! What verifiers hold: every JWKS that was served, for as long as its max-age lets them keep it, against every access token.
//!
//! The time is that of the test, which is no node's: a verifier goes by its own clock.
//! Invariant: a token verifies with any JWKS that somebody may hold while the token is good.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::caller::Caller;

/// How often a verifier fetches: far oftener than a real one, so that every state of the ring is seen by somebody.
const FETCHED_EVERY: Duration = Duration::from_millis(100);

/// A JWKS as one node served it, without a change in between.
#[derive(Debug)]
struct Served {
    node: usize,
    keys: Vec<String>,
    first: Instant,
    /// When the last who fetched it lets go of it.
    kept_until: Instant,
}

#[derive(Debug)]
struct Seen {
    token: String,
    kid: String,
    /// When somebody had it in hand.
    from: Instant,
    until: Instant,
}

/// All that was served and issued for one tenant.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    served: Mutex<Vec<Served>>,
    keys: Mutex<HashMap<String, Jwk>>,
    tokens: Mutex<Vec<Seen>>,
}

/// How much was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) tokens: usize,
    pub(crate) keys: usize,
    pub(crate) sets: usize,
    pub(crate) pairs: usize,
}

impl Caches {
    /// Fetches the JWKS of `node` from now on, until the handle is aborted. A node that does not answer is asked again.
    pub(crate) fn fetch_from(self: &Arc<Self>, node: usize, caller: Caller) -> JoinHandle<()> {
        let caches = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                caches.fetch_once(node, &caller).await;
                tokio::time::sleep(FETCHED_EVERY).await; // A verifier's pace.
            }
        })
    }

    pub(crate) async fn fetch_once(&self, node: usize, caller: &Caller) {
        // Whoever fetched this may have done so as early as it was asked for. The time that an answer takes counts as its age (RFC 9111,
        // 4.2.3). Verifiers that count from its arrival are what the clock skew of the settings is for, too: these tests set it to 0.
        let asked = Instant::now();
        let Ok(reply) = caller.jwks().await else { return };
        let reply = reply.is(200);
        let max_age = reply.header("cache-control").split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok());
        let kept_until = asked + Duration::from_secs(max_age.expect("a max-age"));
        let set: JwkSet = serde_json::from_str(&reply.text).expect("a JWK Set");
        let kid = |key: &Jwk| key.common.key_id.clone().expect("a kid");
        let keys: Vec<String> = set.keys.iter().map(kid).collect();
        self.keys.lock().expect("nobody panicked with it").extend(set.keys.iter().map(|key| (kid(key), key.clone())));
        let mut served = self.served.lock().expect("nobody panicked with it");
        match served.iter_mut().rev().find(|served| served.node == node) {
            Some(last) if last.keys == keys => last.kept_until = last.kept_until.max(kept_until),
            _ => served.push(Served { node, keys, first: asked, kept_until }),
        }
    }

    /// Notes an access token that was just given out and is good for `ttl`; answers its kid.
    pub(crate) fn note(&self, token: &str, ttl: Duration) -> String {
        let kid = decode_header(token).expect("a JWT").kid.expect("a kid");
        let from = Instant::now();
        self.tokens.lock().expect("nobody panicked with it").push(Seen {
            token: token.to_owned(),
            kid: kid.clone(),
            from,
            until: from + ttl,
        });
        kid
    }

    /// The kids that any node has served so far.
    pub(crate) fn kids(&self) -> HashSet<String> {
        self.keys.lock().expect("nobody panicked with it").keys().cloned().collect()
    }

    /// Compares each token with each JWKS that a verifier could hold while the token was good; answers what does not fit.
    pub(crate) fn compare(&self) -> (Compared, Vec<String>) {
        let (served, tokens) = (self.served.lock().expect("nobody panicked with it"), self.tokens.lock().expect("nobody panicked with it"));
        let known = self.keys.lock().expect("nobody panicked with it");
        let mut breaches = Vec::new();
        let mut validation = Validation::new(Algorithm::ES256);
        // The signature is looked at here; times are the clock's, which is what is tried.
        (validation.validate_exp, validation.validate_aud) = (false, false);
        let mut pairs = 0;
        for seen in tokens.iter() {
            for set in served.iter().filter(|set| set.kept_until >= seen.from && set.first <= seen.until) {
                pairs += 1;
                if !set.keys.contains(&seen.kid) {
                    let kept = set.kept_until.duration_since(seen.from);
                    breaches
                        .push(format!("a JWKS of node {} that is kept for {kept:?} more lacks the key {} of a token", set.node, seen.kid));
                }
            }
            let Some(key) = known.get(&seen.kid) else { continue };
            if let Err(error) = decode::<Value>(&seen.token, &DecodingKey::from_jwk(key).expect("a key"), &validation) {
                breaches.push(format!("a token does not verify with the key of its kid: {error}"));
            }
        }
        breaches.dedup();
        (Compared { tokens: tokens.len(), keys: known.len(), sets: served.len(), pairs }, breaches)
    }
}
