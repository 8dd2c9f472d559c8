//! Single sign-on: a user's session with the pages of one tenant, in one browser.
//!
//! Invariant: a session is only made by proving who one is, and a step-up makes a new one: its handle is never older than the
//! proof it stands for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::handle::HandleHash;
use crate::ids::{SsoSessionId, UserId};
use crate::openid::ClaimsRequest;
use crate::time::{Timestamp, Ttl};
use crate::user::User;

/// A way to prove who one is. Passkeys and one-time passwords come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Password,
}

impl Method {
    /// Its name in `amr` (RFC 8176, 2).
    pub const fn amr(self) -> &'static str {
        match self {
            Self::Password => "pwd",
        }
    }
}

/// How surely a user was recognised: the `acr` of tokens. Ordered: a higher one satisfies who asked for a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Acr {
    /// One factor.
    One,
    /// Two different ones.
    Two,
}

impl Acr {
    /// What a login can reach today.
    pub const REACHABLE: [Self; 1] = [Self::One];

    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Two => "2",
        }
    }
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::One, Self::Two].into_iter().find(|acr| acr.name() == name)
    }
}

/// What a user proved, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    pub at: Timestamp,
    pub methods: BTreeSet<Method>,
}

impl Authentication {
    pub fn by(method: Method, at: Timestamp) -> Self {
        Self { at, methods: BTreeSet::from([method]) }
    }

    pub fn acr(&self) -> Acr {
        if self.methods.len() > 1 { Acr::Two } else { Acr::One }
    }

    pub fn amr(&self) -> Vec<&'static str> {
        let mfa = (self.methods.len() > 1).then_some("mfa");
        self.methods.iter().map(|method| method.amr()).chain(mfa).collect()
    }
}

/// A session as it is kept; the browser has its handle in a cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SsoSession {
    pub id: SsoSessionId,
    pub handle: HandleHash,
    pub user_id: UserId,
    pub authentication: Authentication,
    pub idle_expires_at: Timestamp,
    pub absolute_expires_at: Timestamp,
    /// What the browser called itself at login, cut to 200 characters; for the list of sessions.
    pub user_agent: Option<String>,
    /// The address the login came from; for the list of sessions.
    pub source: Option<String>,
}

impl SsoSession {
    /// So many accounts of one tenant may a browser be logged in to.
    pub const MOST: usize = 5;
    /// It ends when nobody came for this long,
    pub const IDLE: Ttl = Ttl::hours(12);
    /// and after this long in any case (NIST SP 800-63B-4 allows 30 days with one factor).
    pub const ABSOLUTE: Ttl = Ttl::days(7);
    /// It is written down again that somebody came after this long, not at each visit.
    pub const TOUCH_AFTER: Ttl = Ttl::minutes(5);

    /// The session that begins with this proof, in a browser that is not known yet.
    pub fn begin(id: SsoSessionId, handle: HandleHash, user_id: UserId, authentication: Authentication) -> Self {
        let at = authentication.at;
        let (idle_expires_at, absolute_expires_at) = (at.plus(Self::IDLE), at.plus(Self::ABSOLUTE));
        Self { id, handle, user_id, authentication, idle_expires_at, absolute_expires_at, user_agent: None, source: None }
    }

    /// When somebody came last, as far as it was written down.
    pub fn last_used_at(&self) -> Timestamp {
        self.idle_expires_at.minus(Self::IDLE).max(self.authentication.at)
    }

    pub fn ends_at(&self) -> Timestamp {
        self.idle_expires_at.min(self.absolute_expires_at)
    }

    /// Whether it still stands for `user`: it has not ended, the user may log in, and neither has nor needs a newer password than it
    /// knows of.
    pub fn stands_for(&self, user: &User, now: Timestamp) -> bool {
        self.user_id == user.id
            && now < self.ends_at()
            && user.may_log_in().is_ok()
            && user.password_changed_at <= self.authentication.at
            && user.password_change_required_at.is_none()
    }

    /// When it ends if nobody comes any more after `now`; `None` when that was written down lately.
    pub fn touched(&self, now: Timestamp) -> Option<Timestamp> {
        let idle = now.plus(Self::IDLE).min(self.absolute_expires_at);
        (idle >= self.idle_expires_at.plus(Self::TOUCH_AFTER)).then_some(idle)
    }
}

/// How a refresh family began, when it began on our pages: what its ID tokens say again, and what its userinfo may say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOn {
    pub session_id: SsoSessionId,
    pub authentication: Authentication,
    #[serde(default)]
    pub claims: ClaimsRequest,
}

impl SignOn {
    /// By this session, with these claims asked for.
    pub fn of(session: &SsoSession, claims: ClaimsRequest) -> Self {
        Self { session_id: session.id, authentication: session.authentication.clone(), claims }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lives_on_by_visits_until_its_end() {
        let at = Timestamp::from_seconds(1_000_000);
        let user_id = UserId::new(at, [1; 10]);
        let session =
            SsoSession::begin(SsoSessionId::new(at, [2; 10]), HandleHash([3; 32]), user_id, Authentication::by(Method::Password, at));
        assert_eq!(session.touched(at.plus(Ttl::minutes(4))), None);
        assert_eq!(session.touched(at.plus(Ttl::minutes(5))), Some(at.plus(Ttl::minutes(5)).plus(SsoSession::IDLE)));
        let late = SsoSession { idle_expires_at: at.plus(SsoSession::ABSOLUTE), ..session };
        assert_eq!(late.touched(at.plus(Ttl::days(6)).plus(Ttl::hours(23))), None, "never beyond its end");
        assert_eq!(late.authentication.acr(), Acr::One);
        assert_eq!(late.authentication.amr(), ["pwd"]);
    }
}
