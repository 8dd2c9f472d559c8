//! What readers see of a tenant: immutable snapshots, swapped whole.
//!
//! Invariant: a signer is never newer news than the snapshot: when the ring changes, the signer goes first, so that nobody
//! signs with a key that has just been revoked.

use std::sync::Arc;

use app::ports::keys::{KeyFault, PublishedKeys};
use arc_swap::ArcSwapOption;
use domain::keys::plan::next_change;
use domain::keys::policy::RotationPolicy;
use domain::keys::ring::KeyRing;

use crate::jwks::JwkSet;
use crate::node::Node;
use crate::signer::TenantSigner;
use crate::verifier::RingVerifier;

/// One tenant's snapshots. Written by its actor, read by everybody.
#[derive(Default)]
pub(crate) struct Snapshots {
    published: ArcSwapOption<PublishedKeys>,
    signer: ArcSwapOption<TenantSigner>,
}

impl Snapshots {
    pub(crate) fn published(&self) -> Option<Arc<PublishedKeys>> {
        self.published.load_full()
    }

    /// The signer, if it is of this generation or later.
    pub(crate) fn signer(&self, at_least: u64) -> Option<Arc<TenantSigner>> {
        use app::ports::keys::TokenSigner;
        self.signer.load_full().filter(|signer| signer.generation() >= at_least)
    }

    pub(crate) fn is_unsealed(&self) -> bool {
        self.signer.load().is_some()
    }

    /// Puts `ring` in place, unless it is there already, and answers what is there now. Called by the tenant's actor only,
    /// with a ring read after the one before.
    pub(crate) fn publish(&self, ring: KeyRing, node: &Node) -> Result<Arc<PublishedKeys>, KeyFault> {
        if let Some(current) = self.published().filter(|current| current.ring.generation == ring.generation) {
            return Ok(current);
        }
        let new = Arc::new(snapshot(ring, node)?);
        self.signer.store(None);
        self.published.store(Some(Arc::clone(&new)));
        Ok(new)
    }

    pub(crate) fn unseal(&self, signer: TenantSigner) -> Arc<TenantSigner> {
        let signer = Arc::new(signer);
        self.signer.store(Some(Arc::clone(&signer)));
        signer
    }
}

/// Builds the public side of a ring.
fn snapshot(ring: KeyRing, node: &Node) -> Result<PublishedKeys, KeyFault> {
    let (timing, now) = (node.timing, node.clock.now());
    let policy = RotationPolicy::raised(ring.numbers.clone(), timing);
    let JwkSet { bytes, etag } = JwkSet::of(&ring)?;
    Ok(PublishedKeys {
        next_change: next_change(&ring, &policy, now),
        verifier: Arc::new(RingVerifier::new(&ring, timing.clock_skew)?.remembering(&node.verified)),
        jwks: bytes,
        etag,
        policy,
        ring,
    })
}
