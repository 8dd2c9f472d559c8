//! OAuth clients. Until tenants register their own, one exists: the tenant's first-party application.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::BadText;

/// A `client_id` (RFC 6749, 2.2): 1 to 128 printable ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

impl ClientId {
    /// The built-in public client: the tenant's own application, trusted to see the user's password.
    pub fn first_party() -> Self {
        Self("first-party".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = BadText;

    fn try_from(text: String) -> Result<Self, BadText> {
        if (1..=128).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            Ok(Self(text))
        } else {
            Err(BadText("a client_id is 1 to 128 printable ASCII characters"))
        }
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
