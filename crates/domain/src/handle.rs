//! Handles: 256 random bits that somebody holds and of which we keep the SHA-256 alone: authorization codes, client secrets,
//! browsers, sessions, pending requests.
//!
//! A plain hash is enough here, unlike for a password: nobody searches 2^256 values, however quick the hash is. And unlike a keyed
//! one it never changes with a key. Invariant: what is stored cannot be presented.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::secret::Secret;

/// What a handle opens; the beginning of its text, so that one kind is never taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandleKind {
    AuthorizationCode,
    /// An authorization request that waits for its user.
    PendingRequest,
    /// An authorization request that a client has pushed (RFC 9126); its text is the `request_uri`.
    PushedRequest,
    /// What a device polls with (RFC 8628).
    DeviceCode,
    /// What a client polls with that asks a user behind their back (OpenID CIBA Core 1.0): its `auth_req_id`.
    BackchannelRequest,
    /// An authorization challenge that waits for its client's next step (OAuth 2.0 for First-Party Applications, 5.3.1).
    AuthSession,
    /// A user's session with the tenant's pages.
    SsoSession,
    /// A browser, by which pages that belong together know each other.
    Browser,
    ClientSecret,
    /// A link by which a user gets a new password.
    PasswordReset,
    /// A link by which a user shows that an address is theirs.
    EmailVerification,
    /// A link by which a user takes another address.
    EmailChange,
    /// What an administrator gives to those who may register clients (RFC 7591, 1.2).
    InitialAccessToken,
    /// With which a client that registered itself changes itself (RFC 7592).
    RegistrationAccessToken,
}

impl HandleKind {
    /// What every text of this kind begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "ac1_",
            Self::PendingRequest => "ar1_",
            Self::PushedRequest => "urn:ietf:params:oauth:request_uri:",
            Self::DeviceCode => "dc1_",
            Self::BackchannelRequest => "bc1_",
            Self::AuthSession => "as1_",
            Self::SsoSession => "ss1_",
            Self::Browser => "br1_",
            Self::ClientSecret => "cs1_",
            Self::PasswordReset => "pr1_",
            Self::EmailVerification => "ev1_",
            Self::EmailChange => "ec1_",
            Self::InitialAccessToken => "ia1_",
            Self::RegistrationAccessToken => "ra1_",
        }
    }
}

/// A handle as its holder has it.
#[derive(Clone)]
pub struct Handle {
    kind: HandleKind,
    bits: Secret<[u8; 32]>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({:?})", self.kind)
    }
}

impl Handle {
    /// A handle of these random bits.
    pub const fn new(kind: HandleKind, bits: [u8; 32]) -> Self {
        Self { kind, bits: Secret::new(bits) }
    }

    /// Reads a handle of this kind; `None` for anything else. One handle has exactly one spelling.
    pub fn parse(kind: HandleKind, text: &str) -> Option<Self> {
        let digits = text.strip_prefix(kind.prefix()).filter(|digits| digits.len() == 43)?;
        let bits: [u8; 32] = URL_SAFE_NO_PAD.decode(digits).ok()?.try_into().ok()?;
        Some(Self::new(kind, bits))
    }

    /// What its holder is given: its kind's prefix and 43 characters of base64url.
    pub fn text(&self) -> Secret<String> {
        Secret::new(format!("{}{}", self.kind.prefix(), URL_SAFE_NO_PAD.encode(self.bits.expose())))
    }

    /// What is kept of it.
    pub fn hash(&self) -> HandleHash {
        HandleHash(Sha256::digest([self.kind.prefix().as_bytes(), self.bits.expose()].concat()).into())
    }
}

/// The SHA-256 of a handle, compared in constant time.
#[derive(Clone, Copy, PartialOrd, Ord, Eq, Hash)]
#[expect(clippy::derived_hash_with_manual_eq, reason = "equality is the same, only its time is not")]
pub struct HandleHash(pub [u8; 32]);

impl PartialEq for HandleHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl HandleHash {
    /// For columns and JSON: 43 characters of base64url.
    pub fn encoded(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for HandleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandleHash({:.8}…)", self.encoded())
    }
}

impl serde::Serialize for HandleHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encoded())
    }
}

impl<'de> serde::Deserialize<'de> for HandleHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("a hash is 43 characters of base64url"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_has_one_spelling_and_one_kind() {
        let handle = Handle::new(HandleKind::AuthorizationCode, [7; 32]);
        let text = handle.text();
        let parsed = Handle::parse(HandleKind::AuthorizationCode, text.expose()).expect("parses");
        assert_eq!(parsed.hash(), handle.hash());
        assert!(Handle::parse(HandleKind::SsoSession, text.expose()).is_none());
        for cut in 0..text.expose().len() {
            assert!(Handle::parse(HandleKind::AuthorizationCode, &text.expose()[..cut]).is_none(), "cut at {cut}");
        }
        assert!(Handle::parse(HandleKind::AuthorizationCode, &format!("{}A", text.expose())).is_none());
        assert_ne!(Handle::new(HandleKind::Browser, [7; 32]).hash(), handle.hash(), "the same bits of another kind");
        assert!(!format!("{handle:?}{:?}", handle.hash()).contains(&text.expose()[4..]));
    }
}
