//! Mails to users: what is to be told to whom, and the links in them.
//!
//! Invariant: what waits to be sent holds no secret. A link is made when its mail is, and is then known by its hash alone.

use serde::{Deserialize, Serialize};

use crate::handle::{HandleHash, HandleKind};
use crate::ids::{MailId, UserId};
use crate::language::Language;
use crate::text::Email;
use crate::time::{Timestamp, Ttl};
use crate::user::User;

/// A mail that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMail {
    pub id: MailId,
    /// Absent while nobody has looked whether there is such a user.
    pub user_id: Option<UserId>,
    pub content: Content,
    pub asked_at: Timestamp,
    /// It is of no use any more after this; nor is its link.
    pub expires_at: Timestamp,
}

/// What is told, in which language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub letter: Letter,
    /// The tenant's own where nobody knows the reader's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Letter {
    /// Somebody asked for a new password. Whether anybody goes by this name, and has an address, is found out when it is sent: so
    /// whoever asks learns nothing by the time it takes.
    PasswordReset { identifier: String },
    /// Is this address yours?
    EmailVerification { address: Email },
    /// Is this address yours, and shall it replace the one you have?
    EmailChange { address: Email },
    /// To the address that was replaced.
    EmailChanged { old: Email, new: Email },
    /// A login from a place that was not seen before.
    NewSignIn { address: Email, user_agent: Option<String>, place: Option<String>, at: Timestamp },
    /// A client waits for an answer, which is given on the account page.
    BackchannelRequest { address: Email, client: String, binding_message: Option<String>, place: Option<String>, at: Timestamp },
}

impl Letter {
    /// How long it may take, and how long its link works.
    pub const fn ttl(&self) -> Ttl {
        match self {
            Self::PasswordReset { .. } => Ttl::minutes(30),
            Self::EmailVerification { .. } | Self::EmailChange { .. } => Ttl::minutes(60),
            Self::EmailChanged { .. } | Self::NewSignIn { .. } => Ttl::days(1),
            // Later it is an answer to nothing.
            Self::BackchannelRequest { .. } => Ttl::minutes(5),
        }
    }

    /// What the link in it opens; `None` where there is none that is secret.
    pub const fn link(&self) -> Option<HandleKind> {
        match self {
            Self::PasswordReset { .. } => Some(HandleKind::PasswordReset),
            Self::EmailVerification { .. } => Some(HandleKind::EmailVerification),
            Self::EmailChange { .. } => Some(HandleKind::EmailChange),
            Self::EmailChanged { .. } | Self::NewSignIn { .. } | Self::BackchannelRequest { .. } => None,
        }
    }

    /// Its name in the audit log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PasswordReset { .. } => "password_reset",
            Self::EmailVerification { .. } => "email_verification",
            Self::EmailChange { .. } => "email_change",
            Self::EmailChanged { .. } => "email_changed",
            Self::NewSignIn { .. } => "new_sign_in",
            Self::BackchannelRequest { .. } => "backchannel_request",
        }
    }
}

/// A link that was sent. Its kind is part of the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailLink {
    pub handle: HandleHash,
    pub user_id: UserId,
    /// Where it was sent to.
    pub address: Email,
    pub asked_at: Timestamp,
    pub expires_at: Timestamp,
}

impl MailLink {
    /// Whether it still opens something for `user`: it is not over, the user may log in, and nobody has a newer password than whoever
    /// asked for it knew.
    pub fn stands_for(&self, user: &User, now: Timestamp) -> bool {
        self.user_id == user.id && now < self.expires_at && user.may_log_in().is_ok() && user.password_changed_at <= self.asked_at
    }
}
