//! A tenant's key ring: which keys exist, since when they are published, and which of them signs at a given moment.
//!
//! States follow from times: `staged → active → retiring → retired`, and `revoked` from anywhere. The signer is computed
//! from (ring, now), so a promotion needs no event and all nodes agree by the clock.
//!
//! Invariant: a ring holds public halves only.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::keys::policy::RotationNumbers;
use crate::keys::thumbprint::Thumbprint;
use crate::text::BadText;
use crate::time::{Timestamp, Ttl};

/// A JWS algorithm (RFC 7518, 3.1; RFC 8037) that Claviger signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Alg {
    ES256,
    RS256,
    EdDSA,
    PS256,
    ES384,
}

impl Alg {
    pub const ALL: [Self; 5] = [Self::ES256, Self::RS256, Self::EdDSA, Self::PS256, Self::ES384];

    /// The name in a JWS header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
            Self::EdDSA => "EdDSA",
            Self::PS256 => "PS256",
            Self::ES384 => "ES384",
        }
    }

    /// Whether making a key takes tens of milliseconds, so that it comes from the pool.
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::RS256 | Self::PS256)
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key id: the RFC 7638 SHA-256 thumbprint of the public key, 43 characters of base64url.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Kid(String);

impl Kid {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Kid {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        if text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadText("a kid is the 43 characters of a SHA-256 thumbprint in base64url"))
        }
    }
}

impl From<Thumbprint> for Kid {
    fn from(thumbprint: Thumbprint) -> Self {
        Self(thumbprint.to_string())
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Kid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Kid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The public half of a key, as the members of its JWK (RFC 7518, 6; RFC 8037, 2) in base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum PublicJwk {
    EC { crv: String, x: String, y: String },
    RSA { n: String, e: String },
    OKP { crv: String, x: String },
}

/// One key of a ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingKey {
    pub kid: Kid,
    pub alg: Alg,
    pub public: PublicJwk,
    /// Since when it is in the JWKS.
    pub published_at: Timestamp,
    /// From when it signs.
    pub sign_from: Timestamp,
    /// The longest life of a token it may sign: no key signs what it cannot outlive.
    pub token_ttl_cap_seconds: Ttl,
    /// Set as soon as its end is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded: Option<SupersededKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<KeyEnd>,
}

/// When a key stops to sign, and when it leaves the JWKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupersededKey {
    pub sign_until: Timestamp,
    pub published_until: Timestamp,
}

/// How a key ended. Its private half is destroyed with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum KeyEnd {
    Retired { at: Timestamp },
    Revoked { at: Timestamp, reason: String },
}

impl KeyEnd {
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Retired { at } | Self::Revoked { at, .. } => *at,
        }
    }
}

/// Where a key stands at a given moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    Staged,
    Active,
    Retiring,
    Retired,
    Revoked,
}

impl KeyState {
    pub const ALL: [Self; 5] = [Self::Staged, Self::Active, Self::Retiring, Self::Retired, Self::Revoked];

    /// The name it is shown by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }
}

impl RingKey {
    pub fn state_at(&self, now: Timestamp) -> KeyState {
        match (&self.end, self.superseded) {
            (Some(KeyEnd::Revoked { .. }), _) => KeyState::Revoked,
            (Some(KeyEnd::Retired { .. }), _) => KeyState::Retired,
            (None, Some(superseded)) if now >= superseded.published_until => KeyState::Retired,
            (None, Some(superseded)) if now >= superseded.sign_until => KeyState::Retiring,
            _ if now < self.sign_from => KeyState::Staged,
            _ => KeyState::Active,
        }
    }

    /// Whether the key is in the JWKS at `now`. A key that is due to leave stays until the ring says it was retired:
    /// leaving late harms nobody.
    pub const fn is_published(&self) -> bool {
        self.end.is_none()
    }

    fn may_sign(&self, now: Timestamp) -> bool {
        self.state_at(now) == KeyState::Active
    }

    /// Neither retired nor revoked.
    pub const fn is_live(&self) -> bool {
        self.end.is_none()
    }
}

/// A version of the secret that refresh tokens are authenticated with. The secret itself is sealed elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSecretVersion {
    pub version: u16,
    pub created_at: Timestamp,
    /// Set when a newer version took its place: from then on no token that it authenticates can be alive, and it is destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifies_until: Option<Timestamp>,
}

/// All keys of one tenant, with the numbers it rotates by. `generation` counts its changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRing {
    #[serde(skip)]
    pub generation: u64,
    pub numbers: RotationNumbers,
    pub keys: Vec<RingKey>,
    /// Oldest first; the last one makes new tokens.
    pub token_secrets: Vec<TokenSecretVersion>,
    /// Until when verifiers may hold a JWKS that was fetched under an earlier policy with a longer max-age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_caches_until: Option<Timestamp>,
}

impl KeyRing {
    /// How many ended keys a ring remembers for its readers. (That a kid is never used again is kept elsewhere, for ever.)
    pub const HISTORY: usize = 20;

    /// The key that signs access tokens at `now`: the newest of the wanted algorithm; of any other one, as long as the
    /// wanted one has no key that may sign yet.
    pub fn signer_at(&self, now: Timestamp) -> Option<&RingKey> {
        let newest = |wanted: Option<Alg>| {
            self.keys
                .iter()
                .filter(|key| wanted.is_none_or(|alg| alg == key.alg) && key.may_sign(now))
                .max_by_key(|key| (key.sign_from, &key.kid))
        };
        newest(Some(self.numbers.access_token_alg)).or_else(|| newest(None))
    }

    /// The key that signs, at `now`, access tokens that may be signed by these algorithms alone: the signer of all others where it is by one of
    /// them; else a key of the first of them that has one.
    pub fn signer_among(&self, algs: &[Alg], now: Timestamp) -> Option<&RingKey> {
        let usual = self.signer_at(now).or_else(|| self.first_signer());
        let active = || algs.iter().find_map(|alg| self.newest_signer_of(*alg, now));
        let any = || algs.iter().find_map(|alg| self.signer_of(*alg, now));
        usual.filter(|key| algs.contains(&key.alg)).or_else(active).or_else(any)
    }

    /// The key that signs, at `now`, what has to be signed by this algorithm: the newest that may; or the first that will, so that an
    /// algorithm signs as soon as it has a key at all. Never one that has stopped: what it signed now could outlive it.
    pub fn signer_of(&self, alg: Alg, now: Timestamp) -> Option<&RingKey> {
        self.newest_signer_of(alg, now).or_else(|| self.next_signer_of(alg, now))
    }

    /// The newest key of this algorithm that may sign at `now`, whatever access tokens are signed with.
    fn newest_signer_of(&self, alg: Alg, now: Timestamp) -> Option<&RingKey> {
        self.keys.iter().filter(|key| key.alg == alg && key.may_sign(now)).max_by_key(|key| (key.sign_from, &key.kid))
    }

    /// The key of this algorithm that will sign first.
    fn next_signer_of(&self, alg: Alg, now: Timestamp) -> Option<&RingKey> {
        let staged = self.keys.iter().filter(|key| key.alg == alg && key.state_at(now) == KeyState::Staged);
        staged.min_by_key(|key| (key.sign_from, &key.kid))
    }

    /// The key that will sign first, for a clock that is behind the one by which the ring was changed: when all keys were replaced
    /// at once, none may sign yet by such a clock, though one does everywhere else.
    pub fn first_signer(&self) -> Option<&RingKey> {
        let is_other = |key: &RingKey| key.alg != self.numbers.access_token_alg;
        self.keys.iter().filter(|key| key.is_live()).min_by_key(|key| (is_other(key), key.sign_from, &key.kid))
    }

    /// When, between `since` and `until`, one of these keys was the signer: the first such moment and the last, by the ring as it
    /// is now. `None` when none of them was.
    pub fn signed_between(&self, kids: &[Kid], since: Timestamp, until: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let turns = self.keys.iter().flat_map(|key| [Some(key.sign_from), key.superseded.map(|superseded| superseded.sign_until)]);
        let mut moments: Vec<_> = turns.flatten().filter(|at| since < *at && *at < until).chain([since, until]).collect();
        moments.sort_unstable();
        let mut spans = moments.windows(2).filter(|span| self.signer_at(span[0]).is_some_and(|key| kids.contains(&key.kid)));
        let first = spans.next()?;
        let last = spans.next_back().unwrap_or(first);
        Some((first[0], last[1]))
    }

    /// The keys in the JWKS, newest first.
    pub fn published(&self) -> Vec<&RingKey> {
        let mut keys: Vec<_> = self.keys.iter().filter(|key| key.is_published()).collect();
        keys.sort_by(|a, b| (b.sign_from, &b.kid).cmp(&(a.sign_from, &a.kid)));
        keys
    }

    pub fn key(&self, kid: &Kid) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.kid == *kid)
    }

    /// The newest live key of an algorithm, staged or active; one whose end is known only when there is no other.
    pub fn newest_of(&self, alg: Alg) -> Option<&RingKey> {
        self.keys.iter().filter(|key| key.alg == alg && key.is_live()).max_by_key(|key| (key.superseded.is_none(), key.sign_from, &key.kid))
    }

    /// How long a verifier that fetches now may keep the JWKS: the policy's max-age, but never past the next planned change.
    pub fn max_age_at(&self, next_change: Option<Timestamp>, now: Timestamp) -> Ttl {
        let most = self.numbers.jwks_max_age_seconds;
        match next_change {
            Some(at) if at > now => {
                // Rounded down: a promise is kept.
                let seconds = at.as_micros().saturating_sub(now.as_micros()) / 1_000_000;
                most.min(Ttl::seconds(u32::try_from(seconds).unwrap_or(u32::MAX)))
            }
            Some(_) => Ttl::ZERO,
            None => most,
        }
    }
}
