//! Somebody who keeps each tenant's keys: publishes, signs, rotates.
//!
//! Reading (`published`, `signer`) is a look at an immutable snapshot once a tenant is awake: no lock, no mailbox.

use std::sync::Arc;

use async_trait::async_trait;
use domain::ids::{FamilyId, TenantId};
use domain::keys::plan::{Consequences, Intent, RotationDenied};
use domain::keys::policy::{RotationNumbers, RotationPolicy, UnsafePolicy};
use domain::keys::ring::KeyRing;
use domain::time::{Timestamp, Ttl};
use domain::token::claims::AccessClaims;
use domain::token::family::Generation;

use crate::ports::store::{RingChange, SealedDataKey, StoreError};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error("the keys are unavailable: {0}")]
    Unavailable(String),
    /// The tenant does not exist (any more).
    #[error("no key ring")]
    NoRing,
    /// A sealed key does not open: wrong key-encryption key, or a changed row.
    #[error("sealed: {0}")]
    Sealed(String),
    #[error("no key of this ring may sign now")]
    NoSigner,
}

impl From<StoreError> for KeyFault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Unavailable("another node is changing the same ring".to_owned()),
            StoreError::Unavailable(detail) => Self::Unavailable(detail),
            StoreError::Corrupt { .. } => Self::Sealed(error.to_string()),
        }
    }
}

/// The public side of a tenant's keys at one generation.
#[derive(Clone)]
pub struct PublishedKeys {
    pub ring: KeyRing,
    pub policy: RotationPolicy,
    /// The JWK Set (RFC 7517, 5), ready to be sent.
    pub jwks: Arc<[u8]>,
    /// A strong entity tag of those bytes, quotes included.
    pub etag: String,
    /// When the published set will next change by plan.
    pub next_change: Option<Timestamp>,
    pub verifier: Arc<dyn TokenVerifier>,
}

impl std::fmt::Debug for PublishedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublishedKeys").field("generation", &self.ring.generation).finish_non_exhaustive()
    }
}

impl PublishedKeys {
    /// How long a verifier may keep the JWKS it fetches now.
    pub fn max_age(&self, now: Timestamp) -> Ttl {
        self.ring.max_age_at(self.next_change, now)
    }
}

/// The token is not one of this tenant's living access tokens. Deliberately without a reason: callers have one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRefused;

pub trait TokenVerifier: Send + Sync {
    /// Checks an access token: signature by a published key of this ring and by that key's algorithm, `typ`, `iss`, `aud`
    /// (must hold `issuer`), `exp`, `nbf`, no unknown `crit`. Allows for `leeway` of clock skew.
    ///
    /// # Errors
    /// Whenever anything is not as it must be.
    fn verify(&self, token: &str, issuer: &str, now: Timestamp) -> Result<AccessClaims, TokenRefused>;
}

/// The private side of a tenant's keys at one generation.
pub trait TokenSigner: Send + Sync {
    fn generation(&self) -> u64;
    /// Signs an access token with the ring's signer at `now`. Shortens its life if the key must not sign for longer.
    ///
    /// # Errors
    /// [`KeyFault::NoSigner`] when no key may sign.
    fn sign(&self, claims: &mut AccessClaims, now: Timestamp) -> Result<String, KeyFault>;
    /// Derives the text of a refresh token.
    fn mint_refresh(&self, family: FamilyId, generation: Generation) -> String;
    /// Reads a refresh token and checks its MAC, in constant time. `None` for anything that this tenant never made.
    fn open_refresh(&self, token: &str) -> Option<(FamilyId, Generation)>;
    /// A CSRF token for a cookie session: derived, and good for the session's life.
    fn csrf_token(&self, family: FamilyId) -> String;
    /// Whether this is a CSRF token of the session, in constant time. One that was given before the secret was rotated is.
    fn is_csrf_token(&self, family: FamilyId, token: &str) -> bool;
    /// A keyed hash of something that must not lie in clear in the database, such as an address. `domain` tells uses apart.
    fn blind(&self, domain: &str, text: &[u8]) -> [u8; 32];
}

/// A change somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyCommand {
    /// Do what [`Intent`] says, by the ring's own policy.
    Plan(Intent),
    /// Adopt these numbers.
    ChangePolicy(RotationNumbers),
}

/// What came of it. `changed` is false when there was nothing to do.
#[derive(Debug, Clone)]
pub struct KeyChange {
    pub changed: bool,
    pub keys: Arc<PublishedKeys>,
    pub consequences: Option<Consequences>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyCommandError {
    #[error(transparent)]
    Denied(#[from] RotationDenied),
    #[error(transparent)]
    Unsafe(#[from] UnsafePolicy),
    #[error(transparent)]
    Fault(#[from] KeyFault),
}

/// The keys of a tenant that is about to be created: to be stored with it in one transaction.
#[derive(Debug, Clone)]
pub struct NewRing {
    pub data_key: SealedDataKey,
    pub change: RingChange,
}

/// Who orders a key change, for the audit log that is written with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderedBy {
    pub actor: domain::audit::Actor,
    pub source: Option<String>,
    pub request_id: Option<String>,
}

#[async_trait]
pub trait Keys: Send + Sync {
    /// The public side; wakes the tenant when it sleeps. Opens no private key.
    async fn published(&self, tenant: TenantId) -> Result<Arc<PublishedKeys>, KeyFault>;
    /// The private side, of generation `at_least` or later. Opens the keys at first use.
    async fn signer(&self, tenant: TenantId, at_least: u64) -> Result<Arc<dyn TokenSigner>, KeyFault>;
    /// Carries a change out, one at a time per tenant, and answers after its commit. Writes the audit events (key staged,
    /// revoked, retired, policy changed) in the same transaction. The change happens even if the caller goes away.
    async fn execute(&self, tenant: TenantId, command: KeyCommand, by: OrderedBy) -> Result<KeyChange, KeyCommandError>;
    /// Makes the first ring of a tenant by the default policy, whose keys are made in no time.
    fn prepare(&self, tenant: TenantId, now: Timestamp) -> Result<NewRing, KeyFault>;
    /// Forgets a tenant that was deleted.
    fn forget(&self, tenant: TenantId);
    /// HMAC-SHA-256 by the installation's own secret, for the platform admin's tokens.
    async fn installation_mac(&self, message: &[u8]) -> Result<[u8; 32], KeyFault>;
}
