//! Users of a tenant: who they are, what they may do, and whether they may log in.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::UserId;
use crate::text::{BadText, Email, Role, Username};
use crate::time::Timestamp;

/// One user. Has a username, an e-mail address, or both.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    pub id: UserId,
    pub names: UserNames,
    pub status: UserStatus,
    pub roles: Roles,
    pub claims: CustomClaims,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub password_changed_at: Timestamp,
    /// Since when the address is known to be the user's; none when it is not, or there is none.
    pub email_verified_at: Option<Timestamp>,
    /// Since when a new password is demanded before anything else; none when it is not.
    pub password_change_required_at: Option<Timestamp>,
}

/// The names a user logs in by: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserNames {
    username: Option<Username>,
    email: Option<Email>,
}

impl UserNames {
    /// # Errors
    /// When both are missing.
    pub fn new(username: Option<Username>, email: Option<Email>) -> Result<Self, BadText> {
        if username.is_none() && email.is_none() {
            return Err(BadText("a user needs a username, an email, or both"));
        }
        Ok(Self { username, email })
    }

    pub const fn username(&self) -> Option<&Username> {
        self.username.as_ref()
    }

    pub const fn email(&self) -> Option<&Email> {
        self.email.as_ref()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStatus {
    Active,
    Disabled { at: Timestamp },
}

/// Why a known user with the right password still gets no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MayNot {
    Disabled,
}

impl User {
    /// # Errors
    /// The fact that stands against a login.
    pub const fn may_log_in(&self) -> Result<(), MayNot> {
        match self.status {
            UserStatus::Active => Ok(()),
            UserStatus::Disabled { .. } => Err(MayNot::Disabled),
        }
    }

    /// What the user is called on pages: the username, else the address.
    pub fn display_name(&self) -> String {
        self.login_name()
    }

    /// One of the names that the user logs in by: the username, else the address.
    pub fn login_name(&self) -> String {
        let email = || self.names.email().map(ToString::to_string);
        self.names.username().map(ToString::to_string).or_else(email).unwrap_or_default()
    }

    /// Words an attacker who knows the user would try as a password.
    pub fn context_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(username) = self.names.username() {
            words.push(username.key().to_owned());
        }
        if let Some(email) = self.names.email() {
            words.push(email.key().to_owned());
            words.extend(email.key().split(['@', '.']).filter(|part| part.len() > 2).map(str::to_owned));
        }
        words
    }
}

/// The roles of a user: at most 64.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<Role>", into = "BTreeSet<Role>")]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    pub fn contains(&self, role: &str) -> bool {
        self.0.iter().any(|held| held.as_str() == role)
    }
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.0.iter()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeSet<Role>> for Roles {
    type Error = BadText;

    fn try_from(roles: BTreeSet<Role>) -> Result<Self, BadText> {
        if roles.len() <= 64 { Ok(Self(roles)) } else { Err(BadText("a user has at most 64 roles")) }
    }
}

impl From<Roles> for BTreeSet<Role> {
    fn from(roles: Roles) -> Self {
        roles.0
    }
}

/// Claims of the tenant's own making that go into the user's tokens: a JSON object of at most 32 members, 4 KiB and
/// depth 4, none of whose names Claviger or a standard has taken.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct CustomClaims(Map<String, Value>);

impl CustomClaims {
    /// Names with a meaning in a token that nobody may set by hand.
    pub const RESERVED: [&'static str; 33] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "scope",
        "auth_time",
        "sid",
        "roles",
        "email",
        "username",
        "email_verified",
        "preferred_username",
        "act",
        "may_act",
        "cnf",
        "acr",
        "amr",
        "azp",
        "nonce",
        "at_hash",
        "c_hash",
        "s_hash",
        "events",
        "authorization_details",
        "groups",
        "entitlements",
        "permissions",
        "typ",
        "active",
    ];

    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl TryFrom<Map<String, Value>> for CustomClaims {
    type Error = BadText;

    fn try_from(claims: Map<String, Value>) -> Result<Self, BadText> {
        fn depth(value: &Value) -> usize {
            match value {
                Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
                Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
                _ => 0,
            }
        }
        if claims.len() > 32 {
            return Err(BadText("at most 32 custom claims"));
        }
        if claims.keys().any(|name| name.is_empty() || name.len() > 128 || Self::RESERVED.contains(&name.as_str())) {
            return Err(BadText(
                "a custom claim has a name of 1 to 128 bytes that no standard or Claviger has taken (not iss, sub, aud, exp, roles, email, …)",
            ));
        }
        if claims.values().map(depth).max().unwrap_or(0) > 4 {
            return Err(BadText("custom claims nest at most 4 deep"));
        }
        if serde_json::to_string(&claims).map_or(usize::MAX, |text| text.len()) > 4_096 {
            return Err(BadText("custom claims take at most 4096 bytes as JSON"));
        }
        Ok(Self(claims))
    }
}

impl From<CustomClaims> for Map<String, Value> {
    fn from(claims: CustomClaims) -> Self {
        claims.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Result<CustomClaims, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn r72_reserved_claims_cannot_be_set_by_hand() {
        assert!(claims(r#"{"plan":"gold","org":{"id":7}}"#).is_ok());
        for name in CustomClaims::RESERVED {
            assert!(claims(&format!(r#"{{"{name}":1}}"#)).is_err(), "{name}");
        }
    }

    #[test]
    fn custom_claims_are_bounded() {
        assert!(claims(r#"{"a":[[[[[1]]]]]}"#).is_err());
        assert!(claims(&format!(r#"{{"a":"{}"}}"#, "x".repeat(4_096))).is_err());
    }
}
