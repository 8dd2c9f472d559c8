//! Typed ids: a UUIDv7 with a prefix that says what it names, such as `usr_01k…` (26 characters of Crockford base32).
//!
//! Invariant: an id is never a secret (it shows its creation time) and is never used twice, not even after deletion.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::time::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_ followed by 26 characters")]
pub struct NotAnId {
    prefix: &'static str,
}

fn encode(prefix: &str, id: Uuid) -> String {
    let mut text = String::with_capacity(prefix.len() + 27);
    text.push_str(prefix);
    text.push('_');
    let value = id.as_u128();
    for place in (0..26).rev() {
        text.push(char::from(ALPHABET[((value >> (place * 5)) & 31) as usize]));
    }
    text
}

fn decode(prefix: &'static str, text: &str) -> Result<Uuid, NotAnId> {
    let refused = NotAnId { prefix };
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or(refused.clone())?;
    // The first digit carries the top three bits only: more would not fit into 128.
    if digits.len() != 26 || digits.as_bytes()[0] > b'7' {
        return Err(refused);
    }
    let mut value: u128 = 0;
    for digit in digits.bytes() {
        let place = ALPHABET.iter().position(|&known| known == digit).ok_or(refused.clone())?;
        value = (value << 5) | place as u128;
    }
    Ok(Uuid::from_u128(value))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind begins with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id for something that begins at `now`, told apart by 80 bits of `entropy`.
            pub fn new(now: Timestamp, entropy: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &entropy).into_uuid())
            }

            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            pub const fn as_uuid(self) -> Uuid {
                self.0
            }

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&encode($prefix, self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                decode($prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Names a tenant: `ten_…`.
    TenantId,
    "ten"
);
impl TenantId {
    /// The installation itself, where it owns secrets as a tenant does. No tenant has this id: theirs are made from a time.
    pub const INSTALLATION: Self = Self(Uuid::nil());
}
id!(
    /// Names a data key, the key that an owner's secrets are sealed with: `dek_…`.
    DataKeyId,
    "dek"
);
id!(
    /// Names a user inside a tenant, and is the `sub` of its tokens: `usr_…`.
    UserId,
    "usr"
);
id!(
    /// Names a refresh-token family, which is one session of one user, and is the `sid` of its tokens: `ses_…`.
    FamilyId,
    "ses"
);
id!(
    /// Names one of a client's secrets: `sec_…`.
    ClientSecretId,
    "sec"
);
id!(
    /// Names a registered client, and is its `client_id`: `cli_…`.
    RegisteredClientId,
    "cli"
);
id!(
    /// Names a token with which clients may be registered: `iat_…`.
    InitialAccessTokenId,
    "iat"
);
id!(
    /// Names an API of a tenant: `api_…`. Tokens say its URI, not this.
    ResourceId,
    "api"
);
id!(
    /// Names an issuer that a tenant trusts: `iss_…`. Assertions say its `iss`, not this.
    TrustedIssuerId,
    "iss"
);
id!(
    /// Names what a client asks a user for behind their back: `bcr_…`. It opens nothing.
    BackchannelRequestId,
    "bcr"
);
id!(
    /// Names a user's session with the tenant's own pages: `sso_…`.
    SsoSessionId,
    "sso"
);
id!(
    /// Names one access token: its `jti`, `tok_…`.
    TokenId,
    "tok"
);
id!(
    /// Names one entry of the audit log: `evt_…`.
    EventId,
    "evt"
);

id!(
    /// Names a mail, also to whom it comes: `mail_…`.
    MailId,
    "mail"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = UserId::new(Timestamp::from_seconds(1_795_000_000), [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 30);
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = UserId::new(Timestamp::EPOCH, [1; 10]).to_string();
        assert!(id.parse::<TenantId>().is_err());
        assert!(id.to_uppercase().parse::<UserId>().is_err());
        assert!(format!("{id}0").parse::<UserId>().is_err());
        assert!("usr_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<UserId>().is_err(), "129 bits do not fit");
    }
}
