//! The device grant (RFC 8628): a device that has no browser shows a code, and its user types it into a browser elsewhere.
//!
//! What the device polls with is a [`crate::handle::Handle`]; this file has the short code that people type, and what a poll is
//! worth. Invariant: a user's answer is given once, to a code that is pending, and fetched once, by the client that asked.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::client::ClientId;
use crate::ids::UserId;
use crate::resource::ResourceSet;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::sso::SignOn;
use crate::time::{Timestamp, Ttl};

/// What a device shows and a user types: eight of twenty letters, 2.56 × 10^10 codes (RFC 8628, 6.1). No vowels, so that it spells no
/// word; no digits, so that none is taken for a letter.
#[derive(Clone)]
pub struct UserCode(Secret<String>);

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(…)")
    }
}

impl UserCode {
    const LETTERS: &'static [u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
    const LENGTH: usize = 8;

    /// A code of these random bits. 128 of them are so many more than a code needs that all codes are as likely.
    pub fn new(bits: [u8; 16]) -> Self {
        let mut rest = u128::from_be_bytes(bits);
        let mut letters = String::with_capacity(Self::LENGTH);
        for _ in 0..Self::LENGTH {
            letters.push(char::from(Self::LETTERS[(rest % 20) as usize]));
            rest /= 20;
        }
        Self(Secret::new(letters))
    }

    /// Reads what somebody typed: in capitals or not, with whatever they put between the letters. `None` when it is no code.
    pub fn parse(typed: &str) -> Option<Self> {
        let is_between = |c: char| c.is_whitespace() || c.is_ascii_punctuation() || matches!(c, '\u{2010}'..='\u{2015}');
        let letters: String = typed.chars().take(64).filter(|c| !is_between(*c)).map(|c| c.to_ascii_uppercase()).collect();
        let is_code = letters.len() == Self::LENGTH && letters.bytes().all(|letter| Self::LETTERS.contains(&letter));
        is_code.then(|| Self(Secret::new(letters)))
    }

    /// The letters alone: what is hashed.
    pub fn letters(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }

    /// As people read it: `WDJB-MJHT`.
    pub fn shown(&self) -> String {
        let (left, right) = self.0.expose().split_at(Self::LENGTH / 2);
        format!("{left}-{right}")
    }
}

/// What a device asked for, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceGrant {
    pub client_id: ClientId,
    pub scope: Scope,
    /// What its tokens may be for.
    #[serde(default, skip_serializing_if = "ResourceSet::is_empty")]
    pub resources: ResourceSet,
    /// The address that the device asked from, for its user to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    pub answer: DeviceAnswer,
    /// How long the device has to wait between two polls.
    pub interval: Ttl,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polled_at: Option<Timestamp>,
    pub expires_at: Timestamp,
}

/// What the user said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceAnswer {
    Pending,
    Allowed { user_id: UserId, sign_on: SignOn },
    Denied,
}

/// What a poll is told (RFC 8628, 3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Poll {
    Pending,
    /// It came too early: from now on the device waits five seconds more.
    SlowDown,
    Granted {
        user_id: UserId,
        sign_on: SignOn,
    },
    Denied,
    Expired,
    /// Of another client, to whom it is nothing; it stays as it is.
    OtherClient,
}

impl DeviceGrant {
    /// How long a user has to find a browser, type and agree.
    pub const TTL: Ttl = Ttl::minutes(10);
    /// Between two polls, at first; and what each poll that is too early adds (RFC 8628, 3.2, 3.5).
    pub const INTERVAL: Ttl = Ttl::seconds(5);
    /// How much earlier than told a poll may come: clocks of devices and networks are not exact.
    const TOLERANCE: Ttl = Ttl::seconds(1);

    pub fn asked(client_id: ClientId, scope: Scope, source: Option<String>, now: Timestamp) -> Self {
        let (answer, interval, resources) = (DeviceAnswer::Pending, Self::INTERVAL, ResourceSet::new());
        Self { client_id, scope, resources, source, answer, interval, polled_at: None, expires_at: now.plus(Self::TTL) }
    }

    /// Whether a user may still answer.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.answer == DeviceAnswer::Pending && now < self.expires_at
    }

    /// Judges one poll and notes that it came. Whoever is granted something takes the row away.
    pub fn poll(&mut self, client: &ClientId, now: Timestamp) -> Poll {
        if self.client_id != *client {
            return Poll::OtherClient;
        }
        if now >= self.expires_at {
            return Poll::Expired;
        }
        let is_early = self.polled_at.is_some_and(|last| now.plus(Self::TOLERANCE) < last.plus(self.interval));
        self.polled_at = Some(now);
        match &self.answer {
            DeviceAnswer::Denied => Poll::Denied,
            _ if is_early => {
                self.interval = self.interval.plus(Self::INTERVAL);
                Poll::SlowDown
            }
            DeviceAnswer::Pending => Poll::Pending,
            DeviceAnswer::Allowed { user_id, sign_on } => Poll::Granted { user_id: *user_id, sign_on: sign_on.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn asked() -> DeviceGrant {
        DeviceGrant::asked(ClientId::first_party(), Scope::default_grant(), None, NOW)
    }

    #[test]
    fn s089_a_user_code_is_eight_letters_without_vowels_however_it_is_typed() {
        assert_eq!(UserCode::LETTERS.len().pow(8), 25_600_000_000);
        let code = UserCode::new(*b"sixteen of chaos");
        let shown = code.shown();
        assert_eq!((shown.len(), &shown[4..5]), (9, "-"));
        for typed in [shown.clone(), shown.to_lowercase(), shown.replace('-', ""), format!(" {} ", shown.replace('-', "\u{2013}"))] {
            assert_eq!(UserCode::parse(&typed).expect("the code").letters(), code.letters(), "{typed}");
        }
        for bad in ["", "WDJB-MJH", "WDJB-MJHTT", "WDJB-MJHA", "WDJB-MJH1", "WDJB-MJHẞ"] {
            assert!(UserCode::parse(bad).is_none(), "{bad}");
        }
        assert!(!format!("{code:?}").contains(&shown[..4]));
    }

    #[test]
    fn all_letters_come_at_all_places() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..2_000_u128 {
            let code = UserCode::new((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes());
            seen.extend(code.letters().iter().copied().enumerate());
        }
        assert_eq!(seen.len(), 8 * 20);
    }

    #[test]
    fn s088_who_polls_too_fast_waits_five_seconds_more_each_time() {
        let mut grant = asked();
        let client = ClientId::first_party();
        assert_eq!(grant.poll(&client, NOW), Poll::Pending);
        assert_eq!(grant.poll(&client, NOW.plus(Ttl::seconds(1))), Poll::SlowDown);
        assert_eq!(grant.interval, Ttl::seconds(10));
        assert_eq!(grant.poll(&client, NOW.plus(Ttl::seconds(6))), Poll::SlowDown, "5 s are not enough any more");
        assert_eq!(grant.interval, Ttl::seconds(15));
        assert_eq!(grant.poll(&client, NOW.plus(Ttl::seconds(21))), Poll::Pending);
        assert_eq!(grant.poll(&client, NOW.plus(Ttl::seconds(35))), Poll::Pending, "a second early is on time");
        grant.answer = DeviceAnswer::Denied;
        assert_eq!(grant.poll(&client, NOW.plus(Ttl::seconds(36))), Poll::Denied, "who is told so has no reason to come again");
        assert_eq!(grant.poll(&client, grant.expires_at), Poll::Expired);
    }

    #[test]
    fn s090_another_client_learns_nothing_and_changes_nothing() {
        let mut grant = asked();
        let before = grant.clone();
        let other = ClientId::try_from("other".to_owned()).expect("an id");
        assert_eq!(grant.poll(&other, NOW), Poll::OtherClient);
        assert_eq!(grant.poll(&other, grant.expires_at), Poll::OtherClient);
        assert_eq!(grant, before);
    }
}
