//! Somebody who sends mails.
//!
//! Invariant: whoever implements this vouches for the server that it hands mails to: a name that its certificate does not have is
//! refused.

use async_trait::async_trait;
use domain::branding::{Appearance, Link};
use domain::ids::MailId;
use domain::language::Language;
use domain::text::{DisplayName, Email};
use domain::time::Timestamp;

/// A mail that is ready to go, but for its words.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The same one at each attempt, so that who gets it twice can tell.
    pub id: MailId,
    pub to: Email,
    /// Whose users it goes to, and how that looks.
    pub tenant: DisplayName,
    pub appearance: Appearance,
    pub language: Language,
    pub message: Message,
}

/// What it says. A link in it may be a secret.
#[derive(Clone)]
pub enum Message {
    PasswordReset {
        account: String,
        link: Link,
        minutes: u32,
    },
    /// Is this address yours?
    Verification {
        link: Link,
        minutes: u32,
    },
    EmailChanged {
        account: String,
        new: Email,
        at: Timestamp,
    },
    NewSignIn {
        account: String,
        device: String,
        place: Option<String>,
        at: Timestamp,
        link: Link,
    },
    /// A client waits for an answer.
    BackchannelRequest {
        account: String,
        client: String,
        binding_message: Option<String>,
        place: Option<String>,
        at: Timestamp,
        link: Link,
    },
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PasswordReset { .. } => "PasswordReset",
            Self::Verification { .. } => "Verification",
            Self::EmailChanged { .. } => "EmailChanged",
            Self::NewSignIn { .. } => "NewSignIn",
            Self::BackchannelRequest { .. } => "BackchannelRequest",
        })
    }
}

/// Why a mail was not taken; the text names no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailFault {
    /// Nobody will ever take it: there is no such mailbox, or it takes no such mail.
    #[error("refused for good: {0}")]
    Refused(String),
    /// It may be taken later.
    #[error("{0}")]
    Failed(String),
}

#[async_trait]
pub trait Mailer: Send + Sync {
    /// Whether mails are sent at all. What needs one is not offered where they are not.
    fn is_on(&self) -> bool;
    /// Hands a mail over. Takes half a minute at most.
    async fn send(&self, mail: &Outgoing) -> Result<(), MailFault>;
}

/// Where no mails are sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMail;

#[async_trait]
impl Mailer for NoMail {
    fn is_on(&self) -> bool {
        false
    }

    async fn send(&self, _: &Outgoing) -> Result<(), MailFault> {
        Err(MailFault::Failed("this server sends no mails".to_owned()))
    }
}
