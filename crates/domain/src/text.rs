//! Words people type, each parsed once into a type that cannot hold a wrong one.
//!
//! Invariant: two spellings that mean the same account have the same `key()`, and only keys are compared.

use std::fmt;
use std::str::FromStr;

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::UsernameCaseMapped;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;

/// Why a word was refused, in words for the one who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadText(pub &'static str);

/// Which member of something will not do, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {reason}")]
pub struct BadMember {
    /// The way to it, such as `authorization_details_types.payment.words.en`.
    pub member: String,
    pub reason: BadText,
}

impl BadMember {
    pub fn new(member: impl Into<String>, reason: &'static str) -> Self {
        Self { member: member.into(), reason: BadText(reason) }
    }

    /// The same, where what it is a member of is one of something else.
    #[must_use]
    pub fn within(self, outer: impl fmt::Display) -> Self {
        Self { member: format!("{outer}.{}", self.member), ..self }
    }
}

macro_rules! text_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// The name of a tenant in its URLs: 1 to 63 of `a-z`, `0-9`, `-`, not beginning or ending with `-` (a DNS label).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slug(String);

impl Slug {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let ok = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        // An id can never be taken for a slug: `_` is not in the alphabet.
        if ok {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadText("a slug is 1 to 63 of a-z, 0-9 and '-', and does not begin or end with '-'"))
        }
    }
}
text_serde!(Slug);

/// A name to show to people: 1 to 100 characters after NFC and trimming, no control characters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DisplayName(String);

impl DisplayName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// What a search compares: the name in lower case.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl FromStr for DisplayName {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let refused = BadText("a name is 1 to 100 characters without control characters");
        if text.len() > 1_600 {
            return Err(refused);
        }
        let name: String = text.trim().nfc().collect();
        let length = name.chars().count();
        if length == 0 || length > 100 || name.chars().any(is_unshowable) {
            return Err(refused);
        }
        Ok(Self(name))
    }
}
text_serde!(DisplayName);

/// Control characters, and the marks that turn the reading direction of what follows.
pub(crate) fn is_unshowable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// A user name: as typed for showing, and its key for comparing (RFC 8265 UsernameCaseMapped: width and case mapped,
/// NFC, bidi rule). At most 64 characters. Holds no `@`, so that no user name can shadow an e-mail address.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Username {
    shown: String,
    key: String,
}

impl Username {
    pub fn as_str(&self) -> &str {
        &self.shown
    }
    /// What is compared and must be unique inside a tenant.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl FromStr for Username {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let refused = BadText("a username is 1 to 64 letters, digits or punctuation without spaces and without '@'");
        if text.len() > 256 || text.contains('@') {
            return Err(refused);
        }
        let shown: String = text.nfc().collect();
        if !(1..=64).contains(&shown.chars().count()) {
            return Err(refused);
        }
        let key = UsernameCaseMapped::enforce(shown.as_str()).map_err(|_| refused.clone())?.into_owned();
        // Compatibility forms could hide an '@' (U+FF20), so it is looked for again after mapping.
        if key.contains('@') {
            return Err(refused);
        }
        Ok(Self { shown, key })
    }
}
text_serde!(Username);

/// An e-mail address: as typed for sending, and its key for comparing (local part NFC and lower case, domain as IDNA
/// A-labels by UTS 46). At most 254 bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Email {
    shown: String,
    key: String,
}

impl Email {
    pub fn as_str(&self) -> &str {
        &self.shown
    }
    /// What is compared and must be unique inside a tenant.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl FromStr for Email {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let refused = BadText("an e-mail address is local@domain, at most 254 bytes, without spaces or comments");
        let shown: String = if text.len() <= 254 { text.trim().nfc().collect() } else { return Err(refused) };
        let (local, domain) = shown.split_once('@').ok_or(refused.clone())?;
        let local_ok = (1..=64).contains(&local.len())
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && local.chars().all(|c| {
                c.is_alphanumeric() || (!c.is_ascii() && !c.is_whitespace() && !is_unshowable(c)) || "!#$%&'*+-/=?^_`{|}~.".contains(c)
            });
        let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| refused.clone())?;
        let domain_ok = ascii.contains('.')
            && ascii.len() <= 253
            && ascii.split('.').all(|label| !label.is_empty())
            && ascii.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if !local_ok || !domain_ok {
            return Err(refused);
        }
        let key = format!("{}@{ascii}", local.to_lowercase().nfc().collect::<String>());
        Ok(Self { key, shown })
    }
}
text_serde!(Email);

/// What somebody typed to say who they are: a user name, or an e-mail address where it holds an `@`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LoginName {
    Username(Username),
    Email(Email),
}

impl LoginName {
    /// The canonical form: the same for all spellings of one account name. Used to count guesses at unknown names.
    pub fn key(&self) -> &str {
        match self {
            Self::Username(username) => username.key(),
            Self::Email(email) => email.key(),
        }
    }
}

impl FromStr for LoginName {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        if text.contains('@') { text.parse().map(Self::Email) } else { text.parse().map(Self::Username) }
    }
}

/// The name of a role: 1 to 64 of `a-z`, `0-9` and `: . _ -`, beginning with a letter or digit.
///
/// Names that begin with `claviger:` are Claviger's own; the ones that exist are the constants here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Role(String);

impl Role {
    /// May administer its own tenant, when the token also carries the scope `admin`.
    pub const ADMIN: &'static str = "claviger:admin";
    /// May ask the introspection endpoint of its own tenant.
    pub const INTROSPECT: &'static str = "claviger:introspect";

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Role {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let ok = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b":._-".contains(&b))
            && text.as_bytes()[0].is_ascii_alphanumeric();
        if !ok {
            return Err(BadText("a role is 1 to 64 of a-z, 0-9 and ':', '.', '_', '-', beginning with a letter or digit"));
        }
        if text.starts_with("claviger:") && text != Self::ADMIN && text != Self::INTROSPECT {
            return Err(BadText(
                "roles that begin with 'claviger:' are reserved; the known ones are claviger:admin and claviger:introspect",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}
text_serde!(Role);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_username_share_a_key() {
        let key = |text: &str| text.parse::<Username>().map(|name| name.key().to_owned());
        assert_eq!(key("Alice"), key("alice"));
        assert_eq!(key("Ａlice"), key("alice"), "full-width letters are mapped");
        assert_eq!(key("E\u{301}mile"), key("émile"), "decomposed and composed are one");
        assert_ne!(key("straße"), key("strasse"), "RFC 8265 lower-cases, it does not fold");
        for bad in ["", " alice", "al ice", "a@b", "a＠b", "\u{0}", "a\u{202e}b"] {
            assert!(key(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn spellings_of_one_address_share_a_key() {
        let key = |text: &str| text.parse::<Email>().map(|mail| mail.key().to_owned());
        assert_eq!(key("Alice@Example.COM"), Ok("alice@example.com".to_owned()));
        assert_eq!(key("a@bücher.example"), key("a@xn--bcher-kva.example"));
        for bad in ["", "a", "a@", "@b.c", "a@b", "a b@c.d", "a@@b.c", "a@b@c.de", "a.@b.c", "a@b..c", "a@-b.c", "a\n@b.c"] {
            assert!(key(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn slugs_are_dns_labels() {
        for good in ["a", "acme", "a-1", &"x".repeat(63)] {
            assert!(good.parse::<Slug>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", "a/b", &"x".repeat(64)] {
            assert!(bad.parse::<Slug>().is_err(), "{bad}");
        }
    }

    #[test]
    fn roles_of_our_own_cannot_be_invented() {
        assert!("claviger:admin".parse::<Role>().is_ok());
        assert!("claviger:root".parse::<Role>().is_err());
        assert!("billing:read".parse::<Role>().is_ok());
    }
}
