//! Key rings under random safe policies and random histories: whoever asks, rotates or adopts another policy at whatever
//! moment, no verifier that keeps to the cache life it was promised ever meets a valid token whose key it does not know.
//!
//! Caches are not sampled: of every version of a ring the longest time for which anybody can hold it is computed, from the
//! sweep interval, the clock skew and [`KeyRing::max_age_at`], so that each history is checked at its worst.

use std::collections::{BTreeSet, HashSet};

use domain::keys::log::{LogEntry, OrderedBy, Replay, facts};
use domain::keys::plan::{Intent, NewPublicKey, Plan, RotationDenied, first, next_change, next_due, plan};
use domain::keys::policy::{NodeTiming, RotationNumbers, RotationPolicy, UnsafePolicy};
use domain::keys::ring::{Alg, KeyRing, KeyState, Kid, PublicJwk, RingKey};
use domain::time::{Timestamp, Ttl};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

const FAR: Ttl = Ttl::days(4_000);

#[derive(Debug, Clone)]
enum Op {
    Wait(u32),
    /// Until the moment at which the schedule has something to do.
    WaitUntilDue,
    /// `clock` tells how far the planning node's clock is ahead, in percent of the allowed skew.
    Advance {
        clock: u32,
    },
    Rotate {
        clock: u32,
        algs: Option<Vec<Alg>>,
        sign_from_in: Option<u32>,
    },
    Adopt {
        clock: u32,
        numbers: RotationNumbers,
    },
    /// All sessions that are open end within `sessions_end_in` seconds.
    RotateTokenSecret {
        clock: u32,
        sessions_end_in: u32,
    },
    /// A node whose ring is `stale` percent of the sweep interval old signs a token.
    Sign {
        clock: u32,
        stale: u32,
    },
    Revoke {
        pick: prop::sample::Index,
    },
    Emergency,
}

fn algs() -> impl Strategy<Value = Vec<Alg>> {
    prop::sample::subsequence(vec![Alg::ES256, Alg::EdDSA, Alg::RS256], 1..=3)
}

/// Numbers that are safe on these nodes, often by nothing to spare.
fn numbers(timing: NodeTiming) -> impl Strategy<Value = RotationNumbers> {
    let spare = || prop_oneof![Just(0_u32), 0..20_000_u32];
    let of_ring = (algs(), any::<prop::sample::Index>(), 1..20_000_u32, 60..8_000_u32);
    (of_ring, spare(), spare(), prop::option::of(spare())).prop_map(move |((algs, pick, max_age, cap), lead, overlap, every)| {
        let skew = timing.clock_skew.as_seconds();
        let lead = max_age + timing.sweep_interval.as_seconds() + skew + lead;
        let overlap = cap + 2 * skew + overlap;
        RotationNumbers {
            access_token_alg: algs[pick.index(algs.len())],
            algs,
            rotate_every_seconds: every.map(|every| Ttl::seconds(lead + overlap + every)),
            lead_seconds: Ttl::seconds(lead),
            overlap_seconds: Ttl::seconds(overlap),
            jwks_max_age_seconds: Ttl::seconds(max_age),
            token_ttl_cap_seconds: Ttl::seconds(cap),
        }
    })
}

fn timing() -> impl Strategy<Value = NodeTiming> {
    (1..600_u32, 0..120_u32).prop_map(|(sweep, skew)| NodeTiming { sweep_interval: Ttl::seconds(sweep), clock_skew: Ttl::seconds(skew) })
}

fn ordinary(timing: NodeTiming) -> BoxedStrategy<Op> {
    let clock = || 0..=100_u32;
    prop_oneof![
        2 => prop_oneof![0..700_u32, 0..40_000_u32].prop_map(Op::Wait),
        2 => Just(Op::WaitUntilDue),
        3 => clock().prop_map(|clock| Op::Advance { clock }),
        3 => (clock(), prop::option::of(algs()), prop::option::of(0..60_000_u32))
            .prop_map(|(clock, algs, sign_from_in)| Op::Rotate { clock, algs, sign_from_in }),
        1 => (clock(), numbers(timing)).prop_map(|(clock, numbers)| Op::Adopt { clock, numbers }),
        1 => (clock(), 0..90_000_u32).prop_map(|(clock, sessions_end_in)| Op::RotateTokenSecret { clock, sessions_end_in }),
        4 => (clock(), clock()).prop_map(|(clock, stale)| Op::Sign { clock, stale }),
    ]
    .boxed()
}

fn with_revocations(timing: NodeTiming) -> BoxedStrategy<Op> {
    prop_oneof![
        8 => ordinary(timing),
        2 => any::<prop::sample::Index>().prop_map(|pick| Op::Revoke { pick }),
        1 => Just(Op::Emergency),
    ]
    .boxed()
}

fn history(op: fn(NodeTiming) -> BoxedStrategy<Op>) -> impl Strategy<Value = (NodeTiming, RotationNumbers, Vec<Op>)> {
    timing().prop_flat_map(move |timing| (Just(timing), numbers(timing), prop::collection::vec(op(timing), 1..40)))
}

/// A token that was signed: by which key, and the true times between which somebody may verify it.
#[derive(Debug)]
struct Signed {
    kid: Kid,
    at: Timestamp,
    until: Timestamp,
}

/// A ring and everything that was ever true of it.
struct Story {
    policy: RotationPolicy,
    /// The true time. Clocks of nodes and verifiers are up to the skew ahead of it, so differ by at most that.
    now: Timestamp,
    /// Every version with the true time of its commit.
    versions: Vec<(Timestamp, KeyRing)>,
    made: u32,
    signed: Vec<Signed>,
    revoked: HashSet<Kid>,
    /// What a reader of the key log knows.
    log: Replay,
    /// Versions of the token secret, and until when (true time) tokens of theirs may be alive.
    needed: Vec<(u16, Timestamp)>,
}

fn percent(of: Ttl, percent: u32) -> Ttl {
    Ttl::seconds(of.as_seconds() * percent / 100)
}

impl Story {
    fn begin(timing: NodeTiming, numbers: RotationNumbers) -> Self {
        let policy = RotationPolicy::new(numbers.clone(), timing).expect("the strategy makes safe numbers");
        let now = Timestamp::from_seconds(1_000_000);
        let empty = KeyRing { generation: 0, numbers, keys: Vec::new(), token_secrets: Vec::new(), older_caches_until: None };
        let mut story = Self {
            policy,
            now,
            versions: vec![(now, empty)],
            made: 0,
            signed: Vec::new(),
            revoked: HashSet::new(),
            log: Replay::default(),
            needed: Vec::new(),
        };
        let first = first(&story.policy, story.policy.algs(), now);
        story.commit(&first);
        // Nobody could fetch a ring of a tenant that did not exist.
        story.versions.remove(0);
        story
    }

    fn ring(&self) -> &KeyRing {
        &self.versions.last().expect("never empty").1
    }

    fn commit(&mut self, plan: &Plan) {
        let made: Vec<_> = plan
            .stage
            .iter()
            .map(|_| {
                self.made += 1;
                let kid = format!("{:043}", self.made).parse().expect("43 characters");
                NewPublicKey { kid, public: PublicJwk::OKP { crv: "Ed25519".to_owned(), x: String::new() } }
            })
            .collect();
        let next = plan.apply(self.ring(), &self.policy, &made);
        for fact in facts(Some(self.ring()).filter(|ring| ring.generation > 0), &next) {
            let entry = LogEntry { v: LogEntry::VERSION, at: plan.at, generation: next.generation, ordered_by: OrderedBy::Schedule, fact };
            self.log.add(&entry).expect("the log never contradicts itself");
        }
        self.versions.push((self.now, next));
    }

    /// A node's clock.
    fn clock(&self, ahead: u32) -> Timestamp {
        self.now.plus(percent(self.policy.timing().clock_skew, ahead))
    }

    fn go(&mut self, op: &Op) -> TestCaseResult {
        match op {
            Op::Wait(seconds) => self.now = self.now.plus(Ttl::seconds(*seconds)),
            Op::WaitUntilDue => self.now = next_due(self.ring(), &self.policy, self.now).unwrap_or(self.now).max(self.now),
            Op::Advance { clock } => {
                let plan = plan(self.ring(), &self.policy, &Intent::Advance, self.clock(*clock)).expect("advancing is never refused");
                if !plan.is_empty() {
                    self.commit(&plan);
                }
            }
            Op::Rotate { clock, algs, sign_from_in } => self.rotate(self.clock(*clock), algs.clone(), *sign_from_in)?,
            Op::Adopt { clock, numbers } => {
                self.policy = RotationPolicy::new(numbers.clone(), self.policy.timing()).expect("safe");
                let plan = plan(self.ring(), &self.policy, &Intent::AdoptPolicy, self.clock(*clock)).expect("adopting is never refused");
                self.commit(&plan);
            }
            Op::RotateTokenSecret { clock, sessions_end_in } => self.rotate_token_secret(self.clock(*clock), *sessions_end_in)?,
            Op::Sign { clock, stale } => self.sign(*clock, *stale)?,
            Op::Revoke { pick } => {
                let ring = self.ring();
                let kid = ring.keys[pick.index(ring.keys.len())].kid.clone();
                let was_live = ring.key(&kid).is_some_and(RingKey::is_live);
                match plan(ring, &self.policy, &Intent::Revoke { kid: kid.clone(), reason: "leaked".to_owned() }, self.now) {
                    Ok(plan) => {
                        prop_assert!(was_live);
                        prop_assert!(plan.consequences(ring, &self.policy).is_some_and(|c| c.revoked_kids == [kid.clone()]));
                        self.commit(&plan);
                        self.revoked.insert(kid);
                    }
                    Err(denied) => {
                        prop_assert!(!was_live);
                        prop_assert_eq!(denied, RotationDenied::AlreadyEnded { kid });
                    }
                }
            }
            Op::Emergency => {
                let live: Vec<_> = self.ring().keys.iter().filter(|key| key.is_live()).map(|key| key.kid.clone()).collect();
                let intent = Intent::Emergency { reason: "leaked".to_owned() };
                let plan = plan(self.ring(), &self.policy, &intent, self.now).expect("an emergency is never refused");
                self.commit(&plan);
                self.revoked.extend(live);
            }
        }
        Ok(())
    }

    fn rotate(&mut self, clock: Timestamp, algs: Option<Vec<Alg>>, sign_from_in: Option<u32>) -> TestCaseResult {
        let sign_from = sign_from_in.map(|seconds| clock.plus(Ttl::seconds(seconds)));
        let ask = |sign_from, at| plan(self.ring(), &self.policy, &Intent::Rotate { algs: algs.clone(), sign_from }, at);
        let plan = match ask(sign_from, clock) {
            Ok(plan) => plan,
            Err(RotationDenied::TooEarly { earliest }) => {
                prop_assert!(sign_from.is_some_and(|sign_from| sign_from < earliest));
                match ask(Some(earliest), clock) {
                    Ok(plan) => plan,
                    Err(RotationDenied::TooEarly { .. }) => return Err(TestCaseError::fail("the named moment is refused as well")),
                    Err(_) => return Ok(()),
                }
            }
            Err(RotationDenied::AlreadyStaged { earliest, .. } | RotationDenied::TooManyKeys { earliest, .. }) => {
                prop_assert!(earliest > clock);
                prop_assert!(ask(None, earliest).is_ok(), "refused until {earliest}, and then: {:?}", ask(None, earliest));
                return Ok(());
            }
            Err(RotationDenied::UnknownAlg { alg }) => {
                prop_assert!(!self.policy.algs().contains(&alg));
                return Ok(());
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        };
        self.commit(&plan);
        Ok(())
    }

    fn rotate_token_secret(&mut self, clock: Timestamp, sessions_end_in: u32) -> TestCaseResult {
        let sessions_end_by = clock.plus(Ttl::seconds(sessions_end_in));
        let ring = self.ring();
        match plan(ring, &self.policy, &Intent::RotateTokenSecret { sessions_end_by }, clock) {
            Ok(plan) => {
                let older = ring.token_secrets.last().expect("never empty").version;
                self.needed.push((older, sessions_end_by));
                self.commit(&plan);
            }
            Err(RotationDenied::TooManyTokenSecrets { live, earliest }) => {
                prop_assert_eq!(live, ring.token_secrets.len());
                let advanced = plan(ring, &self.policy, &Intent::Advance, earliest).expect("advancing is never refused");
                prop_assert!(!advanced.destroy_token_secrets.is_empty(), "no room at {}", earliest);
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
        Ok(())
    }

    fn check_token_secrets(&self) -> TestCaseResult {
        let secrets = &self.ring().token_secrets;
        prop_assert!(secrets.is_sorted_by(|a, b| a.version < b.version) && secrets.len() <= 8);
        prop_assert!(secrets.last().is_some_and(|newest| newest.verifies_until.is_none()), "nothing makes tokens");
        for (version, until) in self.needed.iter().filter(|(_, until)| self.now < *until) {
            prop_assert!(secrets.iter().any(|secret| secret.version == *version), "version {} is needed until {}", version, until);
        }
        Ok(())
    }

    fn sign(&mut self, clock: u32, stale: u32) -> TestCaseResult {
        let timing = self.policy.timing();
        let clock = self.clock(clock);
        let known_at = self.now.minus(percent(timing.sweep_interval, stale));
        let ring = &self.versions.iter().rev().find(|(at, _)| *at <= known_at).unwrap_or(&self.versions[0]).1;
        let Some(key) = ring.signer_at(clock) else { return Err(TestCaseError::fail("no signer")) };
        prop_assert!(key.is_published());
        // The verifier's clock may be behind, and it may allow for that once more.
        let until = clock.plus(key.token_ttl_cap_seconds).plus(timing.clock_skew);
        let signed = Signed { kid: key.kid.clone(), at: self.now, until };
        self.signed.push(signed);
        Ok(())
    }

    /// What must be true of a ring at every moment.
    fn check_ring(&self) -> TestCaseResult {
        self.check_token_secrets()?;
        let ring = self.ring();
        let kids: HashSet<_> = ring.keys.iter().map(|key| &key.kid).collect();
        prop_assert_eq!(kids.len(), ring.keys.len(), "a kid twice");
        // The latest that any clock can have been so far.
        let clock = self.clock(100);
        prop_assert!(ring.signer_at(clock).is_some(), "no signer at {clock}");
        for key in &ring.keys {
            let ends = [key.sign_from, key.superseded.map_or(key.sign_from, |superseded| superseded.sign_until)];
            for at in ends.into_iter().filter(|at| *at >= clock) {
                prop_assert!(ring.signer_at(at).is_some(), "no signer at {at}");
            }
        }
        let told: BTreeSet<_> = self.log.keys.iter().filter(|(_, key)| key.ended.is_none()).map(|(kid, _)| kid).collect();
        prop_assert_eq!(told, ring.published().iter().map(|key| &key.kid).collect(), "what the log says is published");
        for key in &ring.keys {
            let told = self.log.keys.get(&key.kid).and_then(|told| told.ended);
            prop_assert_eq!(told, key.end.as_ref().map(|end| (key.state_at(clock), end.at())), "how {} ended", key.kid);
        }
        prop_assert!(self.log.jwks_max_age >= self.policy.jwks_max_age());
        for kid in &self.revoked {
            prop_assert!(ring.published().iter().all(|key| key.kid != *kid), "a revoked key is published");
            prop_assert!(ring.key(kid).is_none_or(|key| key.state_at(clock) == KeyState::Revoked));
            prop_assert!(
                [clock, clock.plus(FAR)].iter().all(|at| ring.signer_at(*at).is_none_or(|key| key.kid != *kid)),
                "a revoked key signs"
            );
        }
        let advance = |at| plan(ring, &self.policy, &Intent::Advance, at).expect("advancing is never refused");
        match next_due(ring, &self.policy, clock) {
            None => prop_assert!(advance(clock.plus(FAR)).is_empty(), "never due, but: {:?}", advance(clock.plus(FAR))),
            Some(due) => {
                prop_assert!(!advance(due.max(clock)).is_empty(), "due at {due}, but nothing to do");
                let before = Timestamp::from_micros(due.as_micros() - 1);
                if before >= clock {
                    let between = Timestamp::from_micros(i64::midpoint(clock.as_micros(), before.as_micros()));
                    for at in [clock, between, before] {
                        prop_assert!(advance(at).is_empty(), "due at {due}, but at {at}: {:?}", advance(at));
                    }
                }
            }
        }
        Ok(())
    }

    /// Every token against every version of the ring that anybody can hold during its life. `late` is by how much nodes
    /// are slower to notice a change than the policy relies on.
    fn check_tokens(&self, late: Ttl) -> TestCaseResult {
        let timing = self.policy.timing();
        for (index, (from, ring)) in self.versions.iter().enumerate() {
            let policy = RotationPolicy::new(ring.numbers.clone(), timing).expect("safe");
            let held_until = self.versions.get(index + 1).map(|(replaced_at, _)| {
                let last_fetch = replaced_at.plus(timing.sweep_interval).plus(late);
                let held = |clock| last_fetch.plus(ring.max_age_at(next_change(ring, &policy, clock), clock));
                held(last_fetch).max(held(last_fetch.plus(timing.clock_skew)))
            });
            let published: HashSet<_> = ring.published().iter().map(|key| &key.kid).collect();
            for token in self.signed.iter().filter(|token| !published.contains(&token.kid)) {
                let is_met = *from < token.until && held_until.is_none_or(|until| token.at < until);
                prop_assert!(!is_met, "{token:?} is unknown to whoever holds generation {} ({from} to {held_until:?})", ring.generation);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_token_verifies_until_it_expires_whatever_the_history((timing, numbers, ops) in history(ordinary)) {
        let mut story = Story::begin(timing, numbers);
        for op in &ops {
            story.go(op)?;
            story.check_ring()?;
        }
        story.check_tokens(Ttl::ZERO)?;
    }

    #[test]
    fn a_revoked_key_is_gone_for_good_and_another_one_signs((timing, numbers, ops) in history(with_revocations)) {
        let mut story = Story::begin(timing, numbers);
        for op in &ops {
            // Who is stale may know no signer in an emergency; that is what the consequences say.
            if !matches!(op, Op::Sign { .. }) {
                story.go(op)?;
            }
            story.check_ring()?;
        }
    }

    #[test]
    fn unsafe_numbers_are_refused_with_a_least_one_that_is_accepted(
        timing in timing(),
        algs in algs(),
        [max_age, cap, lead, overlap] in [0..200_000_u32, 0..200_000_u32, 0..9_000_000_u32, 0..9_000_000_u32],
        every in prop::option::of(0..400_000_000_u32),
    ) {
        let mut numbers = RotationNumbers {
            access_token_alg: algs[0],
            algs,
            rotate_every_seconds: every.map(Ttl::seconds),
            lead_seconds: Ttl::seconds(lead),
            overlap_seconds: Ttl::seconds(overlap),
            jwks_max_age_seconds: Ttl::seconds(max_age),
            token_ttl_cap_seconds: Ttl::seconds(cap),
        };
        let mut refusals = Vec::new();
        while let Err(refusal) = RotationPolicy::new(numbers.clone(), timing) {
            prop_assert!(!refusals.contains(&refusal), "the advice did not help: {refusal}");
            match &refusal {
                UnsafePolicy::LeadTooShort { least, .. } => numbers.lead_seconds = Ttl::seconds(*least),
                UnsafePolicy::OverlapTooShort { least, .. } => numbers.overlap_seconds = Ttl::seconds(*least),
                UnsafePolicy::RotatesTooOften { least, .. } => numbers.rotate_every_seconds = Some(Ttl::seconds(*least)),
                UnsafePolicy::OutOfBounds { name, least, most } => {
                    let within = |value: Ttl| value.max(Ttl::seconds(*least)).min(Ttl::seconds(*most));
                    let number = match *name {
                        "jwks_max_age_seconds" => &mut numbers.jwks_max_age_seconds,
                        "token_ttl_cap_seconds" => &mut numbers.token_ttl_cap_seconds,
                        "lead_seconds" => &mut numbers.lead_seconds,
                        "overlap_seconds" => &mut numbers.overlap_seconds,
                        _ => numbers.rotate_every_seconds.as_mut().expect("it was refused"),
                    };
                    *number = within(*number);
                }
                UnsafePolicy::Algorithms => return Err(TestCaseError::fail("these algorithms are right")),
            }
            refusals.push(refusal);
        }
        let policy = RotationPolicy::new(numbers, timing).expect("the loop ended");
        prop_assert!(policy.lead() >= policy.least_lead());
    }
}

#[test]
fn the_check_notices_nodes_that_are_slower_than_the_policy_relies_on() {
    let timing = NodeTiming::default();
    // Nothing to spare, and no schedule whose next change would shorten the caches' lives.
    let numbers = RotationNumbers { lead_seconds: Ttl::seconds(360), rotate_every_seconds: None, ..RotationNumbers::default() };
    let mut story = Story::begin(timing, numbers);
    for op in [
        Op::Sign { clock: 0, stale: 0 },
        Op::Rotate { clock: 0, algs: None, sign_from_in: None },
        // The signer's clock is thirty seconds ahead, so it begins at 330.
        Op::Wait(330),
        Op::Sign { clock: 100, stale: 0 },
    ] {
        story.go(&op).expect("an ordinary history");
    }
    assert_ne!(story.signed[0].kid, story.signed[1].kid, "the new key signs");
    assert!(story.check_tokens(Ttl::ZERO).is_ok());
    assert!(story.check_tokens(Ttl::seconds(1)).is_err(), "one second more, and a verifier meets a key it does not know");
}
