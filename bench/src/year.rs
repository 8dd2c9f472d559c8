//! A year of scheduled rotations in virtual time: many rings, all made within one hour, advanced by the domain's own plans.
//!
//! One node's rotation clock is played as `keys` runs it: a sweep every interval, the longest overdue first, so many at most. At every
//! change, whoever verifies with a JWKS that he keeps for as long as he may, and whoever holds a token, is asked whether he is
//! still served.
//!
//! Invariant: nothing in here decides about a key; and no clock, no chance and no store is asked.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use domain::keys::plan::{self, DUE_BATCH, DUE_BATCHES, Intent, NewPublicKey, Plan, next_change, next_due};
use domain::keys::policy::{NodeTiming, RotationNumbers, RotationPolicy};
use domain::keys::ring::{Alg, KeyRing, Kid, PublicJwk, RingKey};
use domain::time::{Timestamp, Ttl};

use crate::Outcome;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rings, one for each tenant.
    #[arg(long, default_value_t = 100_000)]
    tenants: usize,
}

const BEGIN: Timestamp = Timestamp::from_seconds(1_795_000_000);
const YEAR: Ttl = Ttl::days(365);
/// All rings are made within this long: the worst that can happen to the days on which they rotate.
const BIRTHS: Ttl = Ttl::hours(1);

/// What the year showed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Year {
    /// Successors staged, on each day.
    by_day: Vec<u32>,
    /// Changes of any kind (a successor staged, a key retired), in the minute with the most of them.
    most_in_a_minute: u32,
    changes: u64,
    /// The longest that a change was due before it was made, in seconds.
    latest: u32,
    kids: usize,
    violations: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let begun = Instant::now();
    let year = play(options.tenants)?;
    let mut days = year.by_day.clone();
    days.sort_unstable();
    let rotations: u64 = days.iter().copied().map(u64::from).sum();
    println!("{} rings, all made within {} minutes, for {} days:", options.tenants, BIRTHS.as_seconds() / 60, days.len());
    println!("- rotations: {rotations}; a day: min {}, median {}, max {}", days[0], days[days.len() / 2], days[days.len() - 1]);
    println!(
        "- changes (staged or retired): {}; most in one minute: {}; the latest was {} s overdue",
        year.changes, year.most_in_a_minute, year.latest
    );
    println!("- keys: {}, no kid twice", year.kids);
    println!("- violations: {}", year.violations.len());
    println!("- computed in {:.1} s", begun.elapsed().as_secs_f64());
    for violation in year.violations.iter().take(10) {
        println!("  {violation}");
    }
    if year.violations.is_empty() { Ok(()) } else { Err("the ring's invariants do not hold".into()) }
}

/// Names that are as random as thumbprints, and the same in every run.
struct Kids(u64);

impl Kids {
    fn next(&mut self) -> Outcome<Kid> {
        let mut bytes = [0; 32];
        for part in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            part.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes());
        }
        Ok(URL_SAFE_NO_PAD.encode(bytes).parse()?)
    }

    fn apply(&mut self, plan: &Plan, ring: &KeyRing, policy: &RotationPolicy) -> Outcome<KeyRing> {
        let made = plan
            .stage
            .iter()
            .map(|_| Ok(NewPublicKey { kid: self.next()?, public: PublicJwk::OKP { crv: String::new(), x: String::new() } }));
        Ok(plan.apply(ring, policy, &made.collect::<Outcome<Vec<_>>>()?))
    }
}

/// The default, with one algorithm: each further one adds a series of keys that rotates by the same plan.
fn numbers() -> RotationNumbers {
    RotationNumbers { algs: vec![Alg::ES256], ..RotationNumbers::default() }
}

fn play(tenants: usize) -> Outcome<Year> {
    let policy = RotationPolicy::new(numbers(), NodeTiming::default())?;
    let numbers = policy.numbers().clone();
    let nothing = KeyRing { generation: 0, numbers, keys: Vec::new(), token_secrets: Vec::new(), older_caches_until: None };
    let mut kids = Kids(1);
    let mut seen = HashSet::new();
    let mut rings = Vec::with_capacity(tenants);
    let mut due = BinaryHeap::with_capacity(tenants);
    for number in 0..tenants {
        let born = BEGIN.plus(Ttl::seconds(u32::try_from(number * BIRTHS.as_seconds() as usize / tenants)?));
        let ring = kids.apply(&plan::first(&policy, policy.algs(), born), &nothing, &policy)?;
        due.extend(next_due(&ring, &policy, born).map(|at| Reverse((at, number))));
        rings.push(ring);
    }
    let mut year = Year { by_day: vec![0; YEAR.as_seconds() as usize / 86_400], ..Year::default() };
    for ring in &rings {
        note(ring, ring, &mut seen, &mut year.violations);
    }
    let end = BEGIN.plus(YEAR);
    let (mut now, mut minute, mut in_minute) = (BEGIN, 0, 0);
    while now < end {
        for _ in 0..DUE_BATCH * DUE_BATCHES {
            let Some(&Reverse((at, number))) = due.peek().filter(|Reverse((at, _))| *at <= now) else { break };
            due.pop();
            let (ring, plan) = (&rings[number], plan::plan(&rings[number], &policy, &Intent::Advance, now)?);
            if plan.is_empty() {
                year.violations.push(format!("ring {number} was due at {at} for nothing"));
                continue;
            }
            let next = kids.apply(&plan, ring, &policy)?;
            judge(number, ring, &next, &policy, now, &mut year.violations);
            note(ring, &next, &mut seen, &mut year.violations);
            year.by_day[now.seconds_after(BEGIN) as usize / 86_400] += u32::from(!plan.stage.is_empty());
            year.changes += 1;
            year.latest = year.latest.max(now.seconds_after(at));
            if now.seconds_after(BEGIN) / 60 != minute {
                (minute, in_minute) = (now.seconds_after(BEGIN) / 60, 0);
            }
            in_minute += 1;
            year.most_in_a_minute = year.most_in_a_minute.max(in_minute);
            due.extend(next_due(&next, &policy, now).map(|at| Reverse((at, number))));
            rings[number] = next;
        }
        now = now.plus(policy.timing().sweep_interval);
    }
    year.kids = seen.len();
    Ok(year)
}

/// Notes the keys of `next` that `ring` has not, or all of the first ring.
fn note(ring: &KeyRing, next: &KeyRing, seen: &mut HashSet<Kid>, violations: &mut Vec<String>) {
    let is_new = |key: &&RingKey| next.generation == 1 || ring.key(&key.kid).is_none();
    for key in next.keys.iter().filter(is_new) {
        if !seen.insert(key.kid.clone()) {
            violations.push(format!("the kid {} came twice", key.kid));
        }
    }
}

/// Holds a change at `now` against everybody whom it could break.
fn judge(number: usize, ring: &KeyRing, next: &KeyRing, policy: &RotationPolicy, now: Timestamp, violations: &mut Vec<String>) {
    let (skew, sweep) = (policy.timing().clock_skew, policy.timing().sweep_interval);
    let mut broken = |what: String| violations.push(format!("ring {number} at {now}: {what}"));

    // Between this change and the next one, at every moment at which another key may begin or end to sign, somebody signs.
    let until = next_due(next, policy, now).unwrap_or(now).max(now);
    let edges = next.keys.iter().flat_map(|key| [Some(key.sign_from), key.superseded.map(|end| end.sign_until)]).flatten();
    let moments: Vec<_> = edges.filter(|at| (now..=until).contains(at)).chain([now, until]).collect();
    for at in &moments {
        if next.signer_at(*at).is_none() {
            broken(format!("nobody signs at {at}"));
        }
    }

    // Whoever fetches just before the change, or a sweep later from a node that has not heard of it, and keeps what he got for as
    // long as he was told to. What was published then has to hold whoever signs until then.
    let change = next_change(ring, policy, now);
    for fetched in [now, now.plus(sweep)] {
        let keeps_until = fetched.plus(ring.max_age_at(change, fetched)).plus(skew);
        let knows = |kid: &Kid| ring.key(kid).is_some_and(RingKey::is_published);
        for at in moments.iter().copied().filter(|at| *at <= keeps_until).chain([fetched, keeps_until]) {
            if let Some(signer) = next.signer_at(at).filter(|signer| !knows(&signer.kid)) {
                broken(format!("{} signs at {at}, unknown to who fetched at {fetched}", signer.kid));
            }
        }
    }

    // A key that leaves the JWKS: the last token that it can have signed has expired, on whatever clock.
    for key in next.keys.iter().filter(|key| !key.is_published() && ring.key(&key.kid).is_some_and(RingKey::is_published)) {
        let last = key.superseded.map_or(now, |end| end.sign_until).plus(key.token_ttl_cap_seconds).plus(skew);
        if last > now {
            broken(format!("{} left before its last token, which lives until {last}", key.kid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_breaks_no_promise_and_rotates_every_ring() {
        let year = play(300).expect("played");
        assert_eq!(year.violations, Vec::<String>::new());
        // 90 days less up to 9 days, and a fifth one for whom chance shortens it most: four or so a year.
        let rotations: u32 = year.by_day.iter().sum();
        assert!((4 * 300..=5 * 300).contains(&rotations), "{rotations}");
        assert_eq!(year.kids, 300 + rotations as usize, "each rotation makes one key");
        assert!(year.latest <= 30, "one sweep is enough for so few");
    }

    #[test]
    fn a_change_that_breaks_a_promise_is_noticed() {
        let policy = RotationPolicy::new(numbers(), NodeTiming::default()).expect("safe");
        let numbers = policy.numbers().clone();
        let nothing = KeyRing { generation: 0, numbers, keys: Vec::new(), token_secrets: Vec::new(), older_caches_until: None };
        let mut kids = Kids(7);
        let ring = kids.apply(&plan::first(&policy, policy.algs(), BEGIN), &nothing, &policy).expect("made");
        let now = BEGIN.plus(Ttl::days(90));
        let plan = plan::plan(&ring, &policy, &Intent::Advance, now).expect("allowed");
        let next = kids.apply(&plan, &ring, &policy).expect("made");
        let found = |next: &KeyRing| {
            let mut violations = Vec::new();
            judge(0, &ring, next, &policy, now, &mut violations);
            violations
        };
        assert_eq!(found(&next), Vec::<String>::new());
        let mut hasty = next.clone();
        hasty.keys[1].sign_from = now;
        assert!(found(&hasty).iter().any(|what| what.contains("unknown to who fetched")), "{:?}", found(&hasty));
        let mut silent = next.clone();
        silent.keys.truncate(1);
        silent.keys[0].superseded = silent.keys[0].superseded.map(|end| domain::keys::ring::SupersededKey { sign_until: now, ..end });
        assert!(found(&silent).iter().any(|what| what.contains("nobody signs")), "{:?}", found(&silent));
        let mut short = next;
        short.keys[0].end = Some(domain::keys::ring::KeyEnd::Retired { at: now });
        assert!(found(&short).iter().any(|what| what.contains("left before its last token")), "{:?}", found(&short));
    }
}
