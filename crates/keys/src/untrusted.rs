//! What reads tokens that strangers bring, for whoever tries it with input of their own (the crate `fuzz`).
//!
//! Invariant: nothing here does more than what the rest of the crate does with the same token.

use app::ports::keys::{ForeignRefused, ForeignToken, KeyFault, SelfSigned, TokenVerifier};
use domain::client::jwks::ClientKey;
use domain::keys::ring::{Alg, KeyRing};
use domain::time::Ttl;

use crate::foreign;
use crate::verifier::RingVerifier;

/// What checks access tokens and ID token hints of the tenant with this ring.
///
/// # Errors
/// [`KeyFault::Sealed`] when a public key of the ring cannot be read.
pub fn verifier(ring: &KeyRing, leeway: Ttl) -> Result<Box<dyn TokenVerifier>, KeyFault> {
    Ok(Box::new(RingVerifier::new(ring, leeway)?))
}

/// Opens a token that one of `keys` has signed by one of `algs`: client assertions and request objects.
///
/// # Errors
/// When it is none.
pub fn open(token: &str, keys: &[ClientKey], algs: &[Alg]) -> Result<ForeignToken, ForeignRefused> {
    foreign::open(token, keys, algs)
}

/// Opens a token that the key in its header has signed: DPoP proofs.
///
/// # Errors
/// When it is none.
pub fn open_self_signed(token: &str, algs: &[Alg]) -> Result<SelfSigned, ForeignRefused> {
    foreign::open_self_signed(token, algs)
}
