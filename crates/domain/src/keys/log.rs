//! What a tenant's key log says: one entry for each fact about its keys, and what all of them together amount to.
//!
//! The facts of a change are the difference between two rings ([`facts`]), so that ring and log cannot tell different stories.
//! [`Replay`] goes the other way: from the entries back to the keys that should be published.
//!
//! Invariant: an entry is public for ever, so it holds no person, no address and no text that somebody typed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audit::Actor;
use crate::keys::ring::{Alg, KeyEnd, KeyRing, KeyState, Kid, PublicJwk, RingKey};
use crate::time::{Timestamp, Ttl};

/// One entry of the log. Its JSON, in the order of these members and without whitespace, is the leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The version of this format.
    pub v: u8,
    /// When it was decided.
    pub at: Timestamp,
    /// The generation of the ring that the change led to.
    pub generation: u64,
    pub ordered_by: OrderedBy,
    #[serde(flatten)]
    pub fact: KeyFact,
}

impl LogEntry {
    pub const VERSION: u8 = 1;
}

/// Who ordered a change, as coarsely as is still of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderedBy {
    /// The rotation clock, by the policy.
    Schedule,
    TenantAdmin,
    PlatformAdmin,
}

impl From<&Actor> for OrderedBy {
    fn from(actor: &Actor) -> Self {
        match actor {
            Actor::TenantAdmin { .. } => Self::TenantAdmin,
            Actor::PlatformAdmin => Self::PlatformAdmin,
            // Users and strangers order nothing about keys.
            Actor::System | Actor::User { .. } | Actor::Client { .. } | Actor::Anonymous => Self::Schedule,
        }
    }
}

/// Something that became true of a tenant's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum KeyFact {
    /// The whole new policy, as it is shown to administrators.
    PolicyChanged { policy: Value },
    /// A key came into the JWKS.
    KeyStaged { kid: Kid, alg: Alg, jwk: PublicJwk, published_at: Timestamp, sign_from: Timestamp },
    /// A key's end is known.
    KeySuperseded { kid: Kid, sign_until: Timestamp, published_until: Timestamp },
    /// A key has no end in sight any more.
    KeyResumed { kid: Kid },
    /// A key signs earlier than was planned.
    KeyPromoted { kid: Kid, sign_from: Timestamp },
    /// A key left the JWKS when its last token had expired.
    KeyRetired { kid: Kid },
    /// A key left the JWKS at once.
    KeyRevoked { kid: Kid, reason: RevocationReason },
}

/// Why a key was revoked. What an administrator typed stays in the audit log, unless it is one of these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReason {
    KeyCompromise,
    Superseded,
    CessationOfOperation,
    Unspecified,
}

impl RevocationReason {
    fn of(text: &str) -> Self {
        serde_json::from_value(Value::from(text)).unwrap_or(Self::Unspecified)
    }
}

/// The facts that lead from one ring to the next. From none: everything that is true of `after`.
pub fn facts(before: Option<&KeyRing>, after: &KeyRing) -> Vec<KeyFact> {
    let mut facts = Vec::new();
    if before.is_none_or(|before| before.numbers != after.numbers) {
        facts.push(KeyFact::PolicyChanged { policy: serde_json::to_value(&after.numbers).unwrap_or_default() });
    }
    for key in &after.keys {
        match before.and_then(|before| before.key(&key.kid)) {
            Some(known) => facts_of_key(known, key, &mut facts),
            None => {
                let RingKey { kid, alg, public, published_at, sign_from, .. } = key.clone();
                facts.push(KeyFact::KeyStaged { kid, alg, jwk: public, published_at, sign_from });
                facts_of_key(&RingKey { superseded: None, end: None, ..key.clone() }, key, &mut facts);
            }
        }
    }
    // A ring forgets only keys that have ended; were one to end and be forgotten in the same step, the log would know of it.
    let forgotten = before.iter().flat_map(|before| &before.keys).filter(|key| key.is_live() && after.key(&key.kid).is_none());
    facts.extend(forgotten.map(|key| KeyFact::KeyRetired { kid: key.kid.clone() }));
    facts
}

fn facts_of_key(before: &RingKey, after: &RingKey, facts: &mut Vec<KeyFact>) {
    let kid = &after.kid;
    if before.superseded != after.superseded {
        facts.push(match after.superseded {
            Some(end) => KeyFact::KeySuperseded { kid: kid.clone(), sign_until: end.sign_until, published_until: end.published_until },
            None => KeyFact::KeyResumed { kid: kid.clone() },
        });
    }
    if before.sign_from != after.sign_from {
        facts.push(KeyFact::KeyPromoted { kid: kid.clone(), sign_from: after.sign_from });
    }
    if before.end != after.end {
        facts.push(match &after.end {
            Some(KeyEnd::Revoked { reason, .. }) => KeyFact::KeyRevoked { kid: kid.clone(), reason: RevocationReason::of(reason) },
            Some(KeyEnd::Retired { .. }) | None => KeyFact::KeyRetired { kid: kid.clone() },
        });
    }
}

/// A key as the log tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedKey {
    pub alg: Alg,
    pub jwk: PublicJwk,
    pub published_at: Timestamp,
    /// Since when it is retired or revoked, if it is.
    pub ended: Option<(KeyState, Timestamp)>,
}

/// What all entries so far amount to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replay {
    pub keys: BTreeMap<Kid, LoggedKey>,
    /// The longest max-age of the JWKS that any policy has allowed.
    pub jwks_max_age: Ttl,
}

/// An entry that cannot follow the ones before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    #[error("key {0} is staged a second time")]
    StagedTwice(Kid),
    #[error("key {0} was never staged")]
    NeverStaged(Kid),
    #[error("key {0} had already ended")]
    Ended(Kid),
}

impl Replay {
    /// Takes one more entry into account.
    ///
    /// # Errors
    /// When it contradicts those before it; it then changes nothing.
    pub fn add(&mut self, entry: &LogEntry) -> Result<(), Impossible> {
        match &entry.fact {
            KeyFact::PolicyChanged { policy } => {
                let max_age = policy.get("jwks_max_age_seconds").and_then(Value::as_u64).and_then(|seconds| u32::try_from(seconds).ok());
                self.jwks_max_age = self.jwks_max_age.max(Ttl::seconds(max_age.unwrap_or(0)));
            }
            KeyFact::KeyStaged { kid, alg, jwk, published_at, .. } => {
                if self.keys.contains_key(kid) {
                    return Err(Impossible::StagedTwice(kid.clone()));
                }
                let key = LoggedKey { alg: *alg, jwk: jwk.clone(), published_at: *published_at, ended: None };
                self.keys.insert(kid.clone(), key);
            }
            KeyFact::KeySuperseded { kid, .. } | KeyFact::KeyResumed { kid } | KeyFact::KeyPromoted { kid, .. } => {
                self.living(kid)?;
            }
            KeyFact::KeyRetired { kid } => self.living(kid)?.ended = Some((KeyState::Retired, entry.at)),
            KeyFact::KeyRevoked { kid, .. } => self.living(kid)?.ended = Some((KeyState::Revoked, entry.at)),
        }
        Ok(())
    }

    fn living(&mut self, kid: &Kid) -> Result<&mut LoggedKey, Impossible> {
        match self.keys.get_mut(kid) {
            None => Err(Impossible::NeverStaged(kid.clone())),
            Some(LoggedKey { ended: Some(_), .. }) => Err(Impossible::Ended(kid.clone())),
            Some(key) => Ok(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::plan::Plan;
    use crate::keys::policy::{NodeTiming, RotationNumbers, RotationPolicy};
    use crate::keys::ring::SupersededKey;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn kid(n: u8) -> Kid {
        format!("{n:043}").parse().unwrap()
    }

    fn key(n: u8) -> RingKey {
        RingKey {
            kid: kid(n),
            alg: Alg::EdDSA,
            public: PublicJwk::OKP { crv: "Ed25519".to_owned(), x: "eA".to_owned() },
            published_at: NOW,
            sign_from: NOW.plus(Ttl::hours(1)),
            token_ttl_cap_seconds: Ttl::hours(1),
            superseded: None,
            end: None,
        }
    }

    fn ring(keys: Vec<RingKey>) -> KeyRing {
        KeyRing { generation: 1, numbers: RotationNumbers::default(), keys, token_secrets: Vec::new(), older_caches_until: None }
    }

    fn entry(fact: KeyFact) -> LogEntry {
        LogEntry { v: LogEntry::VERSION, at: NOW, generation: 2, ordered_by: OrderedBy::Schedule, fact }
    }

    #[test]
    fn an_entry_is_this_json_and_no_other() {
        let staged = facts(None, &ring(vec![key(1)])).pop().unwrap();
        let leaf = serde_json::to_string(&entry(staged.clone())).unwrap();
        let expected = format!(
            r#"{{"v":1,"at":"2026-11-18T11:06:40Z","generation":2,"ordered_by":"schedule","fact":"key_staged","kid":"{}","alg":"EdDSA","jwk":{{"kty":"OKP","crv":"Ed25519","x":"eA"}},"published_at":"2026-11-18T11:06:40Z","sign_from":"2026-11-18T12:06:40Z"}}"#,
            kid(1)
        );
        assert_eq!(leaf, expected);
        assert_eq!(serde_json::from_str::<LogEntry>(&leaf).unwrap(), entry(staged));
    }

    #[test]
    fn each_change_of_a_ring_is_a_fact() {
        let before = ring(vec![key(1), key(2), key(3)]);
        let mut after = before.clone();
        let end = SupersededKey { sign_until: NOW, published_until: NOW.plus(Ttl::hours(2)) };
        after.numbers.jwks_max_age_seconds = Ttl::seconds(77);
        after.keys[0].superseded = Some(end);
        after.keys[1].end = Some(KeyEnd::Revoked { at: NOW, reason: "key_compromise".to_owned() });
        after.keys[2].sign_from = NOW;
        after.keys.push(key(4));
        let found = facts(Some(&before), &after);
        assert!(matches!(&found[0], KeyFact::PolicyChanged { policy } if policy["jwks_max_age_seconds"] == 77));
        assert_eq!(found[1], KeyFact::KeySuperseded { kid: kid(1), sign_until: end.sign_until, published_until: end.published_until });
        assert_eq!(found[2], KeyFact::KeyRevoked { kid: kid(2), reason: RevocationReason::KeyCompromise });
        assert_eq!(found[3], KeyFact::KeyPromoted { kid: kid(3), sign_from: NOW });
        assert!(matches!(&found[4], KeyFact::KeyStaged { kid: of, .. } if *of == kid(4)));
        assert_eq!(found.len(), 5);

        let mut later = after.clone();
        later.keys[0].superseded = None;
        later.keys[2].end = Some(KeyEnd::Retired { at: NOW });
        later.keys.pop();
        let found = facts(Some(&after), &later);
        let retired = |n| KeyFact::KeyRetired { kid: kid(n) };
        assert_eq!(found, [KeyFact::KeyResumed { kid: kid(1) }, retired(3), retired(4)], "a forgotten living key is not passed over");
        assert_eq!(facts(Some(&later), &later), []);
    }

    #[test]
    fn an_old_key_that_ends_among_many_is_remembered_and_told_as_what_it_was() {
        let mut keys: Vec<_> = (1..=21).map(key).collect();
        for key in &mut keys[1..] {
            key.end = Some(KeyEnd::Retired { at: NOW });
        }
        let policy = RotationPolicy::new(RotationNumbers::default(), NodeTiming::default()).unwrap();
        let revoke = vec![(kid(1), "superseded".to_owned())];
        let before = ring(keys);
        let after = Plan { revoke, at: NOW.plus(Ttl::hours(1)), ..Plan::default() }.apply(&before, &policy, &[]);
        assert_eq!(facts(Some(&before), &after), [KeyFact::KeyRevoked { kid: kid(1), reason: RevocationReason::Superseded }]);
    }

    #[test]
    fn what_an_administrator_typed_is_not_published() {
        let mut after = ring(vec![key(1)]);
        after.keys[0].end = Some(KeyEnd::Revoked { at: NOW, reason: "alice@example.com has it".to_owned() });
        let text = serde_json::to_string(&facts(None, &after)).unwrap();
        assert!(text.contains(r#""reason":"unspecified""#) && !text.contains("alice"), "{text}");
    }

    #[test]
    fn a_contradiction_is_named_and_changes_nothing() {
        let mut replay = Replay::default();
        let staged = entry(facts(None, &ring(vec![key(1)])).pop().unwrap());
        let revoked = |n| entry(KeyFact::KeyRevoked { kid: kid(n), reason: RevocationReason::Unspecified });
        replay.add(&staged).unwrap();
        assert_eq!(replay.add(&staged), Err(Impossible::StagedTwice(kid(1))));
        assert_eq!(replay.add(&revoked(2)), Err(Impossible::NeverStaged(kid(2))));
        replay.add(&revoked(1)).unwrap();
        let before = replay.clone();
        assert_eq!(replay.add(&entry(KeyFact::KeyResumed { kid: kid(1) })), Err(Impossible::Ended(kid(1))));
        assert_eq!(replay.add(&entry(KeyFact::KeyRetired { kid: kid(1) })), Err(Impossible::Ended(kid(1))));
        assert_eq!(replay, before);
    }
}
