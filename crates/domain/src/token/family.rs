//! Refresh-token families: one session is one row, and each refresh moves its generation on.
//!
//! [`RefreshFamily::present`] is the whole protocol. It is used by the storage backends and by the exhaustively
//! checked model, so that there is one place where the rules are written down:
//!
//! | presented generation | answer |
//! |---|---|
//! | `current` | **Rotate**: the next generation becomes current |
//! | superseded within the retry window | **Replay**: the *same* current token again |
//! | `predecessor`, later, its successor never presented | **Replace**: the unused successor dies, a new one is current |
//! | anything else | **Reuse**: the family is revoked |
//!
//! Invariant: there is at most one live head, the `current` generation; no arm ever makes a second one.
//! Safety needs no clock: time only decides between Replay and Replace, which both leave one head.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::client::ClientId;
use crate::details::AuthorizationDetails;
use crate::ids::{FamilyId, UserId};
use crate::keys::thumbprint::Thumbprint;
use crate::resource::ResourceSet;
use crate::scope::Scope;
use crate::sso::SignOn;
use crate::time::{Timestamp, Ttl};
use crate::token::claims::Confirmation;

/// Which of a family's tokens: counts up from 1 and never repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u32);

impl Generation {
    pub const FIRST: Self = Self(1);

    pub const fn from_u32(number: u32) -> Self {
        Self(number)
    }
    pub const fn as_u32(self) -> u32 {
        self.0
    }
    /// The generation after this one. `None` after four thousand million refreshes.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

/// What else a token is tied to besides its client, and how one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// Whoever holds it may present it.
    Bearer,
    /// Lives in an httpOnly cookie and is presented by it, together with the session's CSRF token.
    Cookie,
    /// Comes with a proof of this key (RFC 9449, 5).
    Dpop(Thumbprint),
    /// Comes over a connection with this certificate (RFC 8705, 4).
    Certificate(Thumbprint),
}

impl Binding {
    const DPOP: &'static str = "dpop:";
    const CERTIFICATE: &'static str = "x5t#S256:";

    /// Reads what [`fmt::Display`] writes.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "bearer" => Some(Self::Bearer),
            "cookie" => Some(Self::Cookie),
            other => match other.strip_prefix(Self::CERTIFICATE) {
                Some(certificate) => certificate.parse().ok().map(Self::Certificate),
                None => other.strip_prefix(Self::DPOP)?.parse().ok().map(Self::Dpop),
            },
        }
    }

    /// Whether a token that is bound like this may come like that. Who proves a key or shows a certificate may have a token that is
    /// bound to none: a client that proves itself is bound by that, and may change them (RFC 9449, 5; RFC 8705, 7.1).
    pub fn takes(self, presented: Self) -> bool {
        self == presented || matches!((self, presented), (Self::Bearer, Self::Dpop(_) | Self::Certificate(_)))
    }
}

impl From<Confirmation> for Binding {
    fn from(proved: Confirmation) -> Self {
        match proved {
            Confirmation::Dpop(key) => Self::Dpop(key),
            Confirmation::Certificate(certificate) => Self::Certificate(certificate),
        }
    }
}

/// The stable name under which it is stored.
impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer => f.write_str("bearer"),
            Self::Cookie => f.write_str("cookie"),
            Self::Dpop(key) => write!(f, "{}{key}", Self::DPOP),
            Self::Certificate(certificate) => write!(f, "{}{certificate}", Self::CERTIFICATE),
        }
    }
}

/// Why a family came to its end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationCause {
    /// A token came back that had been used before: one of two holders stole it.
    Reuse,
    Logout,
    /// The client asked (RFC 7009).
    ClientRequest,
    /// The user ended one of their sessions.
    UserRequest,
    AdminRequest,
    UserDisabled,
    PasswordChanged,
    /// The authorization code that it began with was presented again: one of two holders stole it.
    CodeReuse,
    /// The database was set back to an older state, which has forgotten what became of the family since.
    DatabaseRestored,
    /// The tenant got another issuer.
    IssuerChanged,
}

impl RevocationCause {
    const ALL: [Self; 10] = [
        Self::Reuse,
        Self::Logout,
        Self::ClientRequest,
        Self::UserRequest,
        Self::AdminRequest,
        Self::UserDisabled,
        Self::PasswordChanged,
        Self::CodeReuse,
        Self::DatabaseRestored,
        Self::IssuerChanged,
    ];

    /// The stable name under which it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reuse => "reuse",
            Self::Logout => "logout",
            Self::ClientRequest => "client_request",
            Self::UserRequest => "user_request",
            Self::AdminRequest => "admin_request",
            Self::UserDisabled => "user_disabled",
            Self::PasswordChanged => "password_changed",
            Self::CodeReuse => "code_reuse",
            Self::DatabaseRestored => "database_restored",
            Self::IssuerChanged => "issuer_changed",
        }
    }
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revocation {
    pub at: Timestamp,
    pub cause: RevocationCause,
}

/// One session of one user: the state all its refresh tokens are judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshFamily {
    pub id: FamilyId,
    pub user_id: UserId,
    pub client_id: ClientId,
    pub scope: Scope,
    /// What its tokens may be for.
    pub resources: ResourceSet,
    /// What was granted in detail (RFC 9396).
    pub details: AuthorizationDetails,
    pub binding: Binding,
    /// When the user last proved who they are.
    pub auth_time: Timestamp,
    pub head: Head,
    pub idle_expires_at: Timestamp,
    pub absolute_expires_at: Timestamp,
    pub revoked: Option<Revocation>,
    pub created_at: Timestamp,
    /// Absent when it began with a login of the first-party application.
    pub sign_on: Option<SignOn>,
    /// What the user agent called itself at login, cut to 200 characters; for the session list.
    pub user_agent: Option<String>,
    /// The address the login came from; for the session list.
    pub source: Option<String>,
}

/// Where a family stands: the only part of it that a refresh changes, besides `idle_expires_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// The one generation that is alive.
    pub current: Generation,
    /// When `current` was made.
    pub rotated_at: Timestamp,
    /// How often `current` was handed out again.
    pub replays: u16,
    /// The generations that were presented and rotated away, newest first: `[0]` is the predecessor, the one that `current`
    /// was given for. Each stays replayable for the retry window, so that a slow tab is not mistaken for a thief because
    /// other tabs were quicker (docs/src/adr/0003-refresh-family-remembers-four.md).
    pub superseded: [Option<Superseded>; Head::REMEMBERED],
}

/// A generation that was rotated away, and when it was last given a new successor (by a Rotate or a Replace).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Superseded {
    pub generation: Generation,
    pub at: Timestamp,
}

impl Head {
    /// How many rotations back a slow request is still answered.
    pub const REMEMBERED: usize = 4;

    /// The head of a family that was just opened.
    pub const fn first(now: Timestamp) -> Self {
        Self { current: Generation::FIRST, rotated_at: now, replays: 0, superseded: [None; Self::REMEMBERED] }
    }

    /// The generation that `current` was given for; `None` before the first rotation.
    pub fn predecessor(&self) -> Option<Generation> {
        self.superseded[0].map(|superseded| superseded.generation)
    }

    /// The head after `current` was presented and `next` given for it.
    fn rotated(self, next: Generation, now: Timestamp) -> Self {
        let mut superseded = self.superseded;
        superseded.rotate_right(1);
        superseded[0] = Some(Superseded { generation: self.current, at: now });
        Self { current: next, rotated_at: now, replays: 0, superseded }
    }

    /// The head after the unused `current` was thrown away and `next` given for the same predecessor.
    fn replaced(self, next: Generation, now: Timestamp) -> Self {
        let mut superseded = self.superseded;
        if let Some(predecessor) = &mut superseded[0] {
            // Its retries have a window of their own, and keep it when somebody quicker rotates `next` away.
            predecessor.at = now;
        }
        Self { current: next, rotated_at: now, replays: 0, superseded }
    }

    /// Until when a superseded generation is answered with a replay; `None` when it is not remembered.
    fn replayable_until(&self, generation: Generation, window: Ttl) -> Option<Timestamp> {
        self.superseded.iter().flatten().find(|old| old.generation == generation).map(|old| old.at.plus(window))
    }
}

/// The part of the tenant's policy that families live under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshRules {
    /// How long a superseded token is answered with the same successor. Zero is strict: any old token is reuse.
    pub retry_window: Ttl,
    /// How often one successor is handed out again before the caller is told to slow down.
    pub replay_cap: u16,
    pub idle_ttl: Ttl,
}

impl RefreshRules {
    /// Enough for any number of tabs; a client in a loop is slowed, not logged out.
    pub const REPLAY_CAP: u16 = 200;
}

/// A token that somebody showed, after its MAC was found right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented<'a> {
    pub generation: Generation,
    pub client_id: &'a ClientId,
    pub binding: Binding,
}

/// What a presented token is worth. Everything but `Refused` and `SlowDown` changes the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presentation {
    /// The honest case: `head` and `idle_expires_at` replace the family's.
    Rotate { head: Head, idle_expires_at: Timestamp },
    /// The same successor again: only the count of replays changes.
    Replay { head: Head },
    /// A late retry: the successor nobody used dies, and `head` has a new one.
    Replace { head: Head, idle_expires_at: Timestamp },
    /// Theft, as far as anybody can tell: the family ends.
    Reuse,
    /// The family stays as it is; nothing is given.
    Refused(Refused),
    /// Right, but asked for too often within the window.
    SlowDown { retry_at: Timestamp },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    Revoked,
    Expired,
    /// Presented by another client than the one it was given to.
    OtherClient,
    /// Presented in another way than the one it is bound to.
    OtherBinding,
    /// Four thousand million refreshes.
    Exhausted,
}

impl RefreshFamily {
    /// The moment after which no token of this family is worth anything, revoked or not.
    pub fn ends_at(&self) -> Timestamp {
        self.idle_expires_at.min(self.absolute_expires_at)
    }

    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.ends_at()
    }

    /// Judges a presented token. See the table at the head of this module.
    pub fn present(&self, presented: Presented<'_>, rules: RefreshRules, now: Timestamp) -> Presentation {
        if self.revoked.is_some() {
            return Presentation::Refused(Refused::Revoked);
        }
        if now >= self.ends_at() {
            return Presentation::Refused(Refused::Expired);
        }
        if *presented.client_id != self.client_id {
            return Presentation::Refused(Refused::OtherClient);
        }
        if !self.binding.takes(presented.binding) {
            return Presentation::Refused(Refused::OtherBinding);
        }
        let head = self.head;
        let idle_expires_at = now.plus(rules.idle_ttl).min(self.absolute_expires_at);
        let is_strict = rules.retry_window.is_zero();

        if presented.generation == head.current {
            return match head.current.next() {
                Some(next) => Presentation::Rotate { head: head.rotated(next, now), idle_expires_at },
                None => Presentation::Refused(Refused::Exhausted),
            };
        }
        let is_predecessor = head.predecessor() == Some(presented.generation);
        if !is_strict
            && let Some(until) = head.replayable_until(presented.generation, rules.retry_window)
            && now < until
        {
            return if head.replays < rules.replay_cap {
                Presentation::Replay { head: Head { replays: head.replays + 1, ..head } }
            } else {
                Presentation::SlowDown { retry_at: until }
            };
        }
        if !is_strict && is_predecessor {
            return match head.current.next() {
                Some(next) => Presentation::Replace { head: head.replaced(next, now), idle_expires_at },
                None => Presentation::Refused(Refused::Exhausted),
            };
        }
        Presentation::Reuse
    }
}

#[cfg(test)]
mod tests;
