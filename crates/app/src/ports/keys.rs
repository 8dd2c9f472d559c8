//! Somebody who keeps each tenant's keys: publishes, signs, rotates.
//!
//! Reading (`published`, `signer`) is a look at an immutable snapshot once a tenant is awake: no lock, no mailbox.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::answer::SignedAnswer;
use domain::audit::{Actor, AuditEvent};
use domain::client::ClientId;
use domain::client::assertion::MacAlg;
use domain::client::jwks::{ClientKey, EncryptionKey};
use domain::encryption::{Encryption, KeyManagement};
use domain::ids::{ClientSecretId, FamilyId, TenantId, UserId};
use domain::keys::plan::{Consequences, Intent, RotationDenied};
use domain::keys::policy::{NodeTiming, RotationNumbers, RotationPolicy, UnsafePolicy};
use domain::keys::ring::{Alg, KeyRing, PublicJwk};
use domain::openid::{Beside, IdClaims};
use domain::pseudonym::Pseudonym;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::time::{Timestamp, Ttl};
use domain::token::claims::AccessClaims;
use domain::token::family::Generation;
use serde_json::{Map, Value};

use crate::ports::store::{RingChange, SealedDataKey, StoreError};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error("the keys are unavailable: {0}")]
    Unavailable(String),
    /// The ring is for programs of a later release.
    #[error("{0}")]
    Newer(String),
    /// The tenant does not exist (any more).
    #[error("no key ring")]
    NoRing,
    /// A sealed key does not open: wrong key-encryption key, or a changed row.
    #[error("sealed: {0}")]
    Sealed(String),
    #[error("no key of this ring may sign")]
    NoSigner,
    /// The ring has keys, but none of the algorithms that the answer has to be signed by.
    #[error("the keys have none of {0:?}")]
    NoAlgorithm(Vec<Alg>),
    /// The client shows no key that the answer could be encrypted to, or one that is none.
    #[error("the client shows no good key for {}", .0.name())]
    NoEncryptionKey(KeyManagement),
}

impl From<StoreError> for KeyFault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Unavailable("another node is changing the same ring".to_owned()),
            StoreError::Unavailable(detail) => Self::Unavailable(detail),
            StoreError::Corrupt { .. } => Self::Sealed(error.to_string()),
            StoreError::Newer { .. } => Self::Newer(error.to_string()),
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
    /// The same of a token that may be for any of the tenant's APIs: `aud` is not looked at. It opens nothing here.
    ///
    /// # Errors
    /// Whenever anything else is not as it must be.
    fn verify_for_whomever(&self, token: &str, issuer: &str, now: Timestamp) -> Result<AccessClaims, TokenRefused>;
    /// Checks an ID token that comes back as a hint: signature, `typ`, `iss`; not its times, for a hint may be old.
    ///
    /// # Errors
    /// Whenever anything is not as it must be.
    fn verify_id(&self, token: &str, issuer: &str) -> Result<IdClaims, TokenRefused>;
}

/// The private side of a tenant's keys at one generation.
pub trait TokenSigner: Send + Sync {
    fn generation(&self) -> u64;
    /// Signs an access token with the ring's signer at `now`, or with its first one by a clock that is behind the ring's; with another key where
    /// that one is by none of the algorithms that this client's tokens may be signed by. Shortens its life if the key must not sign for longer.
    ///
    /// # Errors
    /// [`KeyFault::NoSigner`] when no key lives, [`KeyFault::NoAlgorithm`] when none of these does.
    fn sign(&self, claims: &mut AccessClaims, algs: &[Alg], now: Timestamp) -> Result<String, KeyFault>;
    /// Whether the ring has a key of one of these algorithms that signs at `now`.
    fn has(&self, algs: &[Alg], now: Timestamp) -> bool;
    /// Signs an ID token with the ring's key of this algorithm, and binds it to what is given with it. The first key of an algorithm signs
    /// as soon as it is published: a client that has registered for it accepts no other. Shortens its life like [`Self::sign`].
    ///
    /// # Errors
    /// [`KeyFault::NoAlgorithm`] when there is no key of this algorithm.
    fn sign_id(&self, claims: &mut IdClaims, alg: Alg, beside: Beside<'_>, now: Timestamp) -> Result<String, KeyFault>;
    /// Signs any other answer to a client, with the key that signs ID tokens of this algorithm. Shortens its life, where it has one (`exp`), like
    /// [`Self::sign`].
    ///
    /// # Errors
    /// [`KeyFault::NoAlgorithm`] when there is no key of this algorithm.
    fn sign_answer(&self, answer: SignedAnswer, claims: Map<String, Value>, alg: Alg, now: Timestamp) -> Result<String, KeyFault>;
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
    /// Seals something that is needed in clear again soon, such as a token that a client wants to be told with. It does not outlive
    /// the secret that it is sealed by. `domain` tells uses apart.
    ///
    /// # Errors
    /// When the library cannot seal.
    fn conceal(&self, domain: &str, plain: &[u8]) -> Result<Vec<u8>, KeyFault>;
    /// Opens what [`Self::conceal`] made for the same use; `None` for anything else.
    fn reveal(&self, domain: &str, sealed: &[u8]) -> Option<Secret<Vec<u8>>>;
    /// Seals a secret that a client signs with, by the tenant's data key, for as long as the client has it. Bound to tenant, client and
    /// secret.
    ///
    /// # Errors
    /// When the library cannot seal.
    fn seal_client_secret(&self, client: &ClientId, secret: ClientSecretId, plain: &[u8]) -> Result<Vec<u8>, KeyFault>;
    /// Opens what [`Self::seal_client_secret`] made for the same secret of the same client.
    ///
    /// # Errors
    /// [`KeyFault::Sealed`] for anything else.
    fn open_client_secret(&self, client: &ClientId, secret: ClientSecretId, sealed: &[u8]) -> Result<Secret<Vec<u8>>, KeyFault>;
}

/// A change somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyCommand {
    /// Do what [`Intent`] says, by the ring's own policy.
    Plan(Intent),
    /// Adopt these numbers. What the audit log says besides is written with them or not at all.
    ChangePolicy { numbers: RotationNumbers, event: Option<AuditEvent> },
}

impl KeyCommand {
    /// The policy it is planned by, and what is to be planned.
    ///
    /// # Errors
    /// When it asks for a policy that is unsafe.
    pub fn resolve(&self, ring: &KeyRing, timing: NodeTiming) -> Result<(RotationPolicy, &Intent), UnsafePolicy> {
        match self {
            Self::Plan(intent) => Ok((RotationPolicy::raised(ring.numbers.clone(), timing), intent)),
            Self::ChangePolicy { numbers, .. } => Ok((RotationPolicy::new(numbers.clone(), timing)?, &Intent::AdoptPolicy)),
        }
    }

    /// What the audit log says of it, besides what has become of the keys.
    pub const fn event(&self) -> Option<&AuditEvent> {
        match self {
            Self::Plan(_) => None,
            Self::ChangePolicy { event, .. } => event.as_ref(),
        }
    }
}

/// Why a change would not be made, whatever state the store and the keys are in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyCommandDenied {
    #[error(transparent)]
    Plan(#[from] RotationDenied),
    #[error(transparent)]
    Policy(#[from] UnsafePolicy),
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

/// How long the steps of an emergency took on this node, on a ring that nobody saw and that is gone again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// Making each of the keys. In an emergency RSA keys come from the pool, when it holds some.
    pub made: Vec<(Alg, Duration)>,
    /// Opening the tenant's data key with the key-encryption key.
    pub data_key_opened: Duration,
    /// Sealing all the new keys with it.
    pub sealed: Duration,
    /// Opening the new signing key again, and signing a token with it.
    pub signed: Duration,
    /// Verifying the token by the JWKS that would be published.
    pub verified: Duration,
}

impl Rehearsal {
    /// All steps, one after the other.
    pub fn total(&self) -> Duration {
        let made: Duration = self.made.iter().map(|(_, took)| *took).sum();
        made + self.data_key_opened + self.sealed + self.signed + self.verified
    }
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
    pub actor: Actor,
    pub source: Option<String>,
    pub request_id: Option<String>,
}

/// A token that a client has signed; what its claims are worth, says somebody else.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignToken {
    pub typ: Option<String>,
    /// Every name in it stood once.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

/// A token that is signed by the very key it brings along; whose key that is, says somebody else.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfSigned {
    pub typ: Option<String>,
    pub key: PublicJwk,
    /// Every name in it stood once.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignRefused {
    /// None of the keys may have signed it: the client may have a new one.
    UnknownKey,
    /// Anything else.
    Bad,
}

/// Signs what the installation itself vouches for, with a key that no tenant has.
pub trait Notary: Send + Sync {
    /// A JWS (RFC 7515, 7.1) of this payload, EdDSA (RFC 8037), with this `typ`.
    ///
    /// # Errors
    /// When the library cannot sign.
    fn certify(&self, typ: &str, payload: &serde_json::Value) -> Result<String, KeyFault>;
    /// The installation's JWK Set (RFC 7517, 5), ready to be sent.
    fn jwks(&self) -> Arc<[u8]>;
}

#[async_trait]
pub trait Keys: Send + Sync {
    /// The public side; wakes the tenant when it sleeps. Opens no private key.
    async fn published(&self, tenant: TenantId) -> Result<Arc<PublishedKeys>, KeyFault>;
    /// The private side, of generation `at_least` or later. Opens the keys at first use.
    async fn signer(&self, tenant: TenantId, at_least: u64) -> Result<Arc<dyn TokenSigner>, KeyFault>;
    /// Carries a change out, one at a time per tenant, and answers after its commit. Writes the audit events (key staged,
    /// revoked, retired, policy changed) and the key log in the same transaction. The change happens even if the caller goes away.
    async fn execute(&self, tenant: TenantId, command: KeyCommand, by: OrderedBy) -> Result<KeyChange, KeyCommandError>;
    /// Does the work of an emergency replacement without its result: new keys, sealed with the tenant's data key, a token signed
    /// and verified with them. Nothing is stored or published. An error is one that the real thing would meet.
    async fn rehearse(&self, tenant: TenantId) -> Result<Rehearsal, KeyFault>;
    /// Makes the first ring of a tenant by these numbers, or the default ones, as of the tenant's `created_at`, and begins its key
    /// log. Algorithms whose keys take long and are not in the pool are left to the rotation clock.
    ///
    /// # Errors
    /// When the numbers are unsafe.
    async fn prepare(&self, tenant: &Tenant, numbers: Option<RotationNumbers>, by: &Actor) -> Result<NewRing, KeyCommandError>;
    /// Forgets a tenant that was deleted.
    fn forget(&self, tenant: TenantId);
    /// What this sector of the tenant's clients knows the user by: the same for ever, and nothing that another sector or tenant knows
    /// (OpenID Connect Core, 8.1).
    async fn pseudonym(&self, tenant: TenantId, sector: &str, user: UserId) -> Result<Pseudonym, KeyFault>;
    /// Whom this sector knows by that name; `None` when it is none of its names.
    async fn named_by(&self, tenant: TenantId, sector: &str, pseudonym: &Pseudonym) -> Result<Option<UserId>, KeyFault>;
    /// HMAC-SHA-256 by the installation's own secret, for the platform admin's tokens.
    async fn installation_mac(&self, message: &[u8]) -> Result<[u8; 32], KeyFault>;
    /// Who signs for the installation itself.
    async fn notary(&self) -> Result<Arc<dyn Notary>, KeyFault>;
    /// Opens a token that a client has signed with one of `keys`, by one of `algs`: strict in its form, and no key in or linked from
    /// it is looked at (RFC 8725). Its times are left to the caller.
    ///
    /// # Errors
    /// Whenever anything is not as it must be.
    fn open_foreign(&self, token: &str, keys: &[ClientKey], algs: &[Alg]) -> Result<ForeignToken, ForeignRefused>;
    /// Opens a token that somebody has signed with one of `secrets`, by one of `algs`; otherwise like [`Self::open_foreign`].
    ///
    /// # Errors
    /// Whenever anything is not as it must be.
    fn open_shared(&self, token: &str, secrets: &[Secret<Vec<u8>>], algs: &[MacAlg]) -> Result<ForeignToken, ForeignRefused>;
    /// Opens a token by the public key in its own header, the only one that is looked at; otherwise like [`Self::open_foreign`].
    ///
    /// # Errors
    /// Whenever anything is not as it must be.
    fn open_self_signed(&self, token: &str, algs: &[Alg]) -> Result<SelfSigned, ForeignRefused>;
    /// A JWE (RFC 7516, 7.1) of a signed token, to this key of a client's.
    ///
    /// # Errors
    /// [`KeyFault::NoEncryptionKey`] when the key is none, such as a point that is on no curve.
    fn encrypt(&self, token: &str, key: &EncryptionKey, how: Encryption) -> Result<String, KeyFault>;
    /// Tenants whose secrets did not open when they were last asked for, at most ten.
    fn sealed_away(&self) -> Vec<TenantId>;
}
