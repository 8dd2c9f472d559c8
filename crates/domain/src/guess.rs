//! How many wrong passwords are taken before somebody has to wait, and how long.
//!
//! An attempt is counted *before* the password is looked at ([`GuessCounter::attempt`]) and forgiven when it was right, so
//! that a thousand parallel guesses cannot slip through between a read and a write.
//!
//! Invariant: a wait ends by itself. Somebody who guesses from elsewhere never makes a user wait who comes from a
//! place this account has logged in from before: those two count in different buckets.

use crate::time::{Timestamp, Ttl};

/// What a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GuessScope {
    /// Attempts at one account from places it has never logged in from.
    AccountFromElsewhere,
    /// Attempts at one account from one place that it has logged in from before.
    AccountFromKnownSource,
    /// Attempts from one place at any account of the tenant.
    Source,
    /// Wrong secrets of one client from one place. The right one is never counted, so nobody makes its owner wait.
    ClientSecret,
    /// Mails that were asked for from one place.
    MailFrom,
    /// Mails that were asked for by, or for, one user.
    MailTo,
    /// Codes of devices typed from one place.
    DeviceCodeFromSource,
    /// Codes of devices typed anywhere in the tenant.
    DeviceCode,
    /// Registrations of clients from one place, where everybody may register them.
    Registration,
    /// Documents of clients that nobody here has seen before, from one place.
    ClientDocumentFromSource,
    /// The same from anywhere: strangers make a tenant fetch no more than this.
    ClientDocument,
}

impl GuessScope {
    /// The stable name under which it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountFromElsewhere => "account",
            Self::AccountFromKnownSource => "known",
            Self::Source => "source",
            Self::ClientSecret => "client",
            Self::MailFrom => "mail_from",
            Self::MailTo => "mail_to",
            Self::DeviceCodeFromSource => "device_source",
            Self::DeviceCode => "device",
            Self::Registration => "register",
            Self::ClientDocumentFromSource => "document_source",
            Self::ClientDocument => "document",
        }
    }

    /// Attempts in a row that cost nothing but the attempt.
    const fn free(self) -> u32 {
        match self {
            Self::MailTo => 5,
            Self::AccountFromElsewhere | Self::AccountFromKnownSource | Self::ClientSecret => 10,
            // An address can be an office or a mobile carrier.
            Self::Source | Self::MailFrom | Self::DeviceCodeFromSource | Self::ClientDocumentFromSource => 50,
            // So many guesses at as many living codes find one with a chance of 1 in 25,600.
            Self::DeviceCode | Self::ClientDocument => 1_000,
            // Nobody registers many clients by hand; whoever does it by a program has an initial access token.
            Self::Registration => 20,
        }
    }

    /// Attempts in a row after which one a day is left (NIST SP 800-63B-4, 3.2.2: at most 100).
    const fn last(self) -> Option<u32> {
        match self {
            Self::AccountFromElsewhere | Self::AccountFromKnownSource => Some(100),
            Self::Source
            | Self::ClientSecret
            | Self::MailFrom
            | Self::MailTo
            | Self::DeviceCodeFromSource
            | Self::DeviceCode
            | Self::Registration
            | Self::ClientDocumentFromSource
            | Self::ClientDocument => None,
        }
    }

    /// The longest wait in seconds, as long as [`Self::last`] is not reached.
    const fn longest_wait(self) -> u32 {
        match self {
            // Whoever guesses from many places makes the whole tenant wait: long enough for them, bearable for the others.
            Self::DeviceCode | Self::ClientDocument => GuessCounter::FIRST_WAIT,
            _ => 3_600,
        }
    }
}

/// Attempts in a row without a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuessCounter {
    pub attempts: u32,
    /// No further attempt is looked at before this moment.
    pub blocked_until: Option<Timestamp>,
}

/// The attempt is not looked at; the next one may be at `retry_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuessDenied {
    pub retry_at: Timestamp,
}

impl GuessCounter {
    /// A counter that nobody touched for this long starts anew and may be swept.
    pub const FORGET_AFTER: Ttl = Ttl::days(2);
    const FIRST_WAIT: u32 = 30;

    /// Counts one more attempt, or refuses to.
    ///
    /// # Errors
    /// While the wait is on. A refused attempt does not make the wait longer.
    pub fn attempt(self, scope: GuessScope, now: Timestamp) -> Result<Self, GuessDenied> {
        if let Some(until) = self.blocked_until
            && now < until
        {
            return Err(GuessDenied { retry_at: until });
        }
        let attempts = self.attempts.saturating_add(1);
        let wait = match scope.last() {
            Some(last) if attempts >= last => Some(86_400),
            _ if attempts >= scope.free() => {
                let doublings = (attempts - scope.free()).min(16);
                Some((Self::FIRST_WAIT << doublings).min(scope.longest_wait()))
            }
            _ => None,
        };
        Ok(Self { attempts, blocked_until: wait.map(|seconds| now.plus(Ttl::seconds(seconds))) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s137_at_most_a_hundred_attempts_in_a_row_then_one_a_day() {
        let scope = GuessScope::AccountFromElsewhere;
        let mut counter = GuessCounter::default();
        let mut now = Timestamp::from_seconds(1_000);
        for _ in 0..100 {
            counter = counter.attempt(scope, now).expect("allowed after the wait");
            now = counter.blocked_until.unwrap_or(now);
        }
        let denied = counter.attempt(scope, now.minus(Ttl::seconds(1))).expect_err("waits a day");
        assert_eq!(denied.retry_at.seconds_after(now), 0);
        assert!(counter.attempt(scope, now).is_ok(), "a wait ends by itself");
    }

    #[test]
    fn ten_attempts_are_free_and_then_the_wait_doubles_up_to_an_hour() {
        let scope = GuessScope::AccountFromKnownSource;
        let mut counter = GuessCounter::default();
        let now = Timestamp::from_seconds(1_000);
        for _ in 0..9 {
            counter = counter.attempt(scope, now).expect("free");
            assert_eq!(counter.blocked_until, None);
        }
        let mut waits = Vec::new();
        let mut at = now;
        for _ in 0..10 {
            counter = counter.attempt(scope, at).expect("allowed");
            let until = counter.blocked_until.expect("waits");
            waits.push(until.seconds_after(at));
            at = until;
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
    }

    #[test]
    fn a_refused_attempt_does_not_lengthen_the_wait() {
        let now = Timestamp::from_seconds(1_000);
        let blocked = GuessCounter { attempts: 10, blocked_until: Some(now.plus(Ttl::seconds(30))) };
        let first = blocked.attempt(GuessScope::Source, now);
        assert_eq!(first, blocked.attempt(GuessScope::Source, now.plus(Ttl::seconds(29))));
    }
}
