//! Scopes (RFC 6749, 3.3): a set of words, and what the built-in first-party client may ask for.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::BadText;

/// A set of scope tokens; shown in alphabetical order, separated by one space.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope(BTreeSet<String>);

impl Scope {
    /// Lets a token read `/me` and handle its own sessions.
    pub const ACCOUNT: &'static str = "account";
    /// Lets a token of a user with the role `claviger:admin` use the admin API of its tenant.
    pub const ADMIN: &'static str = "admin";

    /// Makes a request one of OpenID Connect.
    pub const OPENID: &'static str = "openid";
    /// Asks for a refresh token beyond the presence of the user (OpenID Connect Core, 11).
    pub const OFFLINE_ACCESS: &'static str = "offline_access";
    /// The scopes of OpenID Connect, which every tenant knows.
    pub const OF_OPENID: [&'static str; 6] = [Self::OPENID, "profile", "email", "address", "phone", Self::OFFLINE_ACCESS];

    pub const fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// What a login gets that asks for nothing.
    pub fn default_grant() -> Self {
        Self(BTreeSet::from([Self::ACCOUNT.to_owned()]))
    }

    /// Its tokens, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// What either of them holds.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().cloned());
        self
    }

    pub fn contains(&self, token: &str) -> bool {
        self.0.contains(token)
    }

    /// Whether every token of this scope is in `other` too.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens that also pass `keep`.
    #[must_use]
    pub fn retain(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|token| keep(token));
        self
    }
}

impl FromStr for Scope {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let refused = BadText("a scope is printable ASCII words separated by single spaces, at most 512 bytes");
        if text.len() > 512 {
            return Err(refused);
        }
        let mut tokens = BTreeSet::new();
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            // RFC 6749, appendix A.4: %x21 / %x23-5B / %x5D-7E
            if !token.bytes().all(|b| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b)) {
                return Err(refused);
            }
            tokens.insert(token.to_owned());
        }
        Ok(Self(tokens))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, token) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(token)?;
        }
        Ok(())
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_set() {
        let scope: Scope = "b a  b".parse().expect("parses");
        assert_eq!(scope.to_string(), "a b");
        assert!("a".parse::<Scope>().expect("parses").is_within(&scope));
        assert!(!"c".parse::<Scope>().expect("parses").is_within(&scope));
        for bad in ["a\"b", "a\\b", "ä", "a\tb"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }
}
