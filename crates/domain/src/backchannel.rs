//! What a client asks a user for behind the user's back (OpenID Client-Initiated Backchannel Authentication Core 1.0): no browser of
//! the client's is there; the user answers on the tenant's account page.
//!
//! What is waited for, and what a poll is told, is that of [`crate::device`].

use serde::{Deserialize, Serialize};

use crate::client::ClientId;
use crate::device::DeviceGrant;
use crate::ids::{BackchannelRequestId, UserId};
use crate::text::BadText;
use crate::time::{Timestamp, Ttl};

/// A request that waits for its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackchannelRequest {
    /// What the user's form names it by. It opens nothing.
    pub id: BackchannelRequestId,
    /// Who is asked, and nobody else.
    pub user_id: UserId,
    /// The same words are on the screen that the user looks at elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding_message: Option<BindingMessage>,
    pub asked_at: Timestamp,
    /// What its client is told with when there is an answer: sealed by a secret of the tenant, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping: Option<String>,
    pub grant: DeviceGrant,
}

/// A client that is still to be told that its user has answered (OpenID CIBA Core 1.0, 10.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackchannelPing {
    pub id: BackchannelRequestId,
    pub client_id: ClientId,
    /// As in [`BackchannelRequest::ping`].
    pub sealed: String,
    /// Nobody is told any more after this.
    pub expires_at: Timestamp,
}

/// Whether this can be the bearer token that a client wants to be told with (OpenID CIBA Core 1.0, 7.1).
pub fn is_notification_token(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !bare.is_empty() && text.len() <= 1_024 && bare.bytes().all(is_plain)
}

impl BackchannelRequest {
    /// How long a user has to answer, where the client does not say; and the bounds of what it may say.
    pub const TTL: Ttl = Ttl::minutes(5);
    const BOUNDS: (Ttl, Ttl) = (Ttl::seconds(30), Ttl::minutes(30));
    /// As many may wait for one user: more would be nothing but a nuisance.
    pub const MOST_PER_USER: usize = 10;

    /// Of `grant`, whose end is that of the request: as the client wished, within bounds.
    pub fn asked(
        id: BackchannelRequestId,
        user_id: UserId,
        grant: DeviceGrant,
        binding_message: Option<BindingMessage>,
        wished: Option<Ttl>,
        now: Timestamp,
    ) -> Self {
        let (shortest, longest) = Self::BOUNDS;
        let expires_at = now.plus(wished.unwrap_or(Self::TTL).clamp(shortest, longest));
        Self { id, user_id, binding_message, asked_at: now, ping: None, grant: DeviceGrant { expires_at, ..grant } }
    }
}

/// A word of the client's that its user compares: 1 to 128 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BindingMessage(String);

impl BindingMessage {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BindingMessage {
    type Error = BadText;

    fn try_from(text: String) -> Result<Self, BadText> {
        // Nothing that turns the words around it, either: what is compared is read as it stands.
        let is_plain = |c: char| {
            !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        };
        if (1..=128).contains(&text.chars().count()) && text.chars().all(is_plain) && !text.trim().is_empty() {
            Ok(Self(text))
        } else {
            Err(BadText("a binding message is 1 to 128 characters on one line"))
        }
    }
}

impl From<BindingMessage> for String {
    fn from(message: BindingMessage) -> Self {
        message.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Poll;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn asked(wished: Option<Ttl>) -> BackchannelRequest {
        let (id, user) = (BackchannelRequestId::new(NOW, [1; 10]), UserId::new(NOW, [2; 10]));
        let scope = "openid".parse().expect("a scope");
        BackchannelRequest::asked(id, user, DeviceGrant::asked(ClientId::first_party(), scope, None, NOW), None, wished, NOW)
    }

    #[test]
    fn a_client_says_how_long_it_waits_within_bounds() {
        for (wished, seconds) in [(None, 300), (Some(1), 30), (Some(120), 120), (Some(86_400), 1_800)] {
            let mut request = asked(wished.map(Ttl::seconds));
            assert_eq!(request.grant.expires_at, NOW.plus(Ttl::seconds(seconds)));
            let end = request.grant.expires_at;
            assert_eq!(request.grant.poll(&ClientId::first_party(), end), Poll::Expired);
        }
    }

    #[test]
    fn a_notification_token_is_one_that_a_header_takes() {
        for good in ["8d67dc78-7faa-4d41-aabd-67707b374255", "a", "a+/~._-=="] {
            assert!(is_notification_token(good), "{good}");
        }
        for bad in ["", "=", "a b", "a\r\nx: y", "a=b", "ä", &"x".repeat(1_025)] {
            assert!(!is_notification_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_binding_message_is_one_line_that_reads_as_it_stands() {
        for good in ["W4SCT", "Überweisung 12,50 € an Bob", "确认 1234", &"x".repeat(128)] {
            assert!(BindingMessage::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "  ", "a\nb", "a\u{202e}b", "a\u{200b}b", &"x".repeat(129)] {
            assert!(BindingMessage::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
