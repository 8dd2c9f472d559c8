//! Who fetches a tenant's public keys, as far as it is known: a name, and what it was given last.
//!
//! Invariant: no address and no user agent is here; whoever does not name itself is known by a keyed hash.

use std::fmt;
use std::str::FromStr;

use crate::keys::policy::NodeTiming;
use crate::keys::ring::KeyRing;
use crate::text::BadText;
use crate::time::{Timestamp, Ttl};

/// What a verifier calls itself: 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifierLabel(Box<str>);

impl VerifierLabel {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this text is a label.
    pub fn fits(text: &str) -> bool {
        matches!(text.len(), 1..=64) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    }
}

impl FromStr for VerifierLabel {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        match Self::fits(text) {
            true => Ok(Self(text.into())),
            false => Err(BadText("a verifier's label is 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")),
        }
    }
}

/// Whom fetches are counted for. Its text tells the three kinds apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VerifierName {
    /// It says who it is. Anybody may say so.
    Labelled(VerifierLabel),
    /// A keyed hash of what can be seen of it.
    Hashed(u128),
    /// All for whom there was no room.
    Others,
}

impl fmt::Display for VerifierName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Labelled(label) => write!(f, "label:{}", label.as_str()),
            Self::Hashed(hash) => write!(f, "hash:{hash:032x}"),
            Self::Others => f.write_str("others"),
        }
    }
}

impl FromStr for VerifierName {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let bad = BadText("a verifier is label:…, hash:… or others");
        match text.split_once(':') {
            Some(("label", label)) => label.parse().map(Self::Labelled),
            Some(("hash", hash)) if hash.len() == 32 && !hash.starts_with('+') => {
                u128::from_str_radix(hash, 16).map(Self::Hashed).map_err(|_| bad)
            }
            None if text == "others" => Ok(Self::Others),
            _ => Err(bad),
        }
    }
}

/// One fetch of the JWKS. An answer that nothing has changed is one, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    pub at: Timestamp,
    /// The ring's generation that it got.
    pub generation: u64,
    /// How long it may keep that JWKS.
    pub max_age: Ttl,
}

impl Fetch {
    /// Until when it may go by what it got, on its own clock.
    pub const fn keeps_until(&self, clock_skew: Ttl) -> Timestamp {
        self.at.plus(self.max_age).plus(clock_skew)
    }

    /// Whether a key that was published at `published_at`, in this ring or one before, was in what it got. A node may have been
    /// behind by its sweep interval, so that only what is older than that is sure.
    pub const fn has_seen(&self, published_at: Timestamp, ring: &KeyRing, timing: NodeTiming) -> bool {
        self.generation >= ring.generation || self.at.as_micros() >= published_at.plus(timing.sweep_interval).as_micros()
    }
}

/// All that is known of one verifier of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    pub verifier: VerifierName,
    pub first_seen: Timestamp,
    pub last: Fetch,
    pub fetches: u64,
}

impl Sighting {
    /// Takes in what another node, or another time, has seen of the same verifier. The order does not matter.
    pub fn merge(&mut self, other: &Self) {
        self.first_seen = self.first_seen.min(other.first_seen);
        if other.last.at >= self.last.at {
            self.last = other.last;
        }
        self.fetches = self.fetches.saturating_add(other.fetches);
    }

    /// Whether it looks gone: no fetch for more than three times as long as anybody may keep a JWKS of this ring.
    pub fn looks_abandoned(&self, ring: &KeyRing, now: Timestamp) -> bool {
        // What it was given may have been short because a change was near.
        let max_age = self.last.max_age.max(ring.numbers.jwks_max_age_seconds);
        now > self.last.at.plus(max_age).plus(max_age).plus(max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::policy::RotationNumbers;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn ring(generation: u64) -> KeyRing {
        KeyRing { generation, numbers: RotationNumbers::default(), keys: Vec::new(), token_secrets: Vec::new(), older_caches_until: None }
    }

    fn sighting(at: Timestamp, generation: u64) -> Sighting {
        let last = Fetch { at, generation, max_age: Ttl::minutes(5) };
        Sighting { verifier: VerifierName::Others, first_seen: at, last, fetches: 2 }
    }

    #[test]
    fn a_name_survives_its_text_and_kinds_do_not_mix() {
        let longest = format!("label:{}", "a".repeat(64));
        for text in ["label:gateway-1.eu_west", &longest, "label:others", "hash:0000000000000000000000000000002a", "others"] {
            assert_eq!(text.parse::<VerifierName>().expect("a name").to_string(), text);
        }
        let too_long = format!("label:{}", "a".repeat(65));
        for text in
            ["", "label:", "label:a b", "label:ä", "label:<x>", &too_long, "hash:2a", "hash:+000000000000000000000000000002a", "gateway"]
        {
            assert!(text.parse::<VerifierName>().is_err(), "{text}");
        }
    }

    #[test]
    fn sightings_merge_in_any_order() {
        let (early, late) = (sighting(NOW, 7), sighting(NOW.plus(Ttl::minutes(1)), 6));
        let merged = |mut one: Sighting, other: &Sighting| {
            one.merge(other);
            one
        };
        let both = merged(early.clone(), &late);
        assert_eq!(both, merged(late.clone(), &early));
        assert_eq!((both.first_seen, both.last, both.fetches), (NOW, late.last, 4), "what it got last counts, not the most");
    }

    #[test]
    fn a_verifier_has_seen_a_key_when_no_node_can_have_left_it_out() {
        let timing = NodeTiming::default();
        let fetch = |ago: u32, generation| Fetch { at: NOW.minus(Ttl::seconds(ago)), generation, max_age: Ttl::minutes(5) };
        let published_at = NOW.minus(Ttl::minutes(1));
        assert!(fetch(59, 4).has_seen(published_at, &ring(4), timing), "it got this very ring");
        assert!(!fetch(59, 3).has_seen(published_at, &ring(4), timing), "from a node that had not heard");
        assert!(fetch(30, 3).has_seen(published_at, &ring(4), timing), "later changes do not matter");
        assert!(!fetch(61, 3).has_seen(published_at, &ring(4), timing));
    }

    #[test]
    fn a_verifier_is_abandoned_after_three_max_ages() {
        let seen = sighting(NOW, 1);
        assert!(!seen.looks_abandoned(&ring(1), NOW.plus(Ttl::minutes(15))));
        assert!(seen.looks_abandoned(&ring(1), NOW.plus(Ttl::seconds(901))));
    }
}
