//! What would become of a ring if something were done with it: the same decisions as [`plan`](crate::keys::plan::plan), played
//! forward through time without doing them.
//!
//! Invariant: a forecast never decides anything itself; every step in it is what `plan` says at that moment.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::keys::plan::{Consequences, Intent, NewPublicKey, Plan, RotationDenied, next_due, plan};
use crate::keys::policy::RotationPolicy;
use crate::keys::ring::{Alg, KeyRing, KeyState, Kid, PublicJwk};
use crate::keys::verifier::Fetch;
use crate::time::{Timestamp, Ttl};

/// The most changes of the ring that are played; a policy at its tightest makes far fewer before the keys of today are gone.
const MOST_CHANGES: usize = 64;

/// The future of a ring, as long as the keys that the action touches live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// When it was made; nothing in it is certain to hold if the ring is changed afterwards.
    pub made_at: Timestamp,
    /// The moments at which something changes, in order; the first one is the action itself.
    pub steps: Vec<Step>,
    /// Every key that appears, in the order in which they sign.
    pub keys: Vec<KeyLine>,
    /// What an emergency breaks; absent when nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaks: Option<Consequences>,
}

/// How things stand from `at` until the next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub at: Timestamp,
    /// The key that signs, as an index into [`Forecast::keys`].
    pub signing: Option<usize>,
    /// How long a verifier that fetches the JWKS at this moment may keep it.
    pub jwks_max_age_seconds: Ttl,
    /// The state of every key, in the order of [`Forecast::keys`]; `None` for one that does not exist yet.
    pub states: Vec<Option<KeyState>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyLine {
    /// Absent for a key that the action, or the schedule after it, would make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<Kid>,
    pub alg: Alg,
    pub published_at: Timestamp,
    pub sign_from: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_until: Option<Timestamp>,
    /// When it leaves the JWKS by plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_until: Option<Timestamp>,
}

/// Plays `intent` and what the schedule does after it, until the keys of today that it ends are gone.
///
/// # Errors
/// What [`plan`] would refuse, with the earliest safe moment.
pub fn forecast(ring: &KeyRing, policy: &RotationPolicy, intent: &Intent, now: Timestamp) -> Result<Forecast, RotationDenied> {
    Ok(played(ring, policy, &plan(ring, policy, intent, now)?))
}

/// What happens to the ring when nobody orders anything: the keys of today until their known ends, and what the schedule does
/// in between.
pub fn undisturbed(ring: &KeyRing, policy: &RotationPolicy, now: Timestamp) -> Forecast {
    // The schedule is never refused.
    let first = plan(ring, policy, &Intent::Advance, now).unwrap_or(Plan { at: now, ..Plan::default() });
    played(ring, policy, &first)
}

fn played(ring: &KeyRing, policy: &RotationPolicy, first: &Plan) -> Forecast {
    let now = first.at;
    let breaks = first.consequences(ring, policy);
    let mut unmade = Unmade(0);
    let mut rings = vec![(now, unmade.apply(first, ring, policy))];
    let ended_by = |ring: &KeyRing| {
        let live = ring.keys.iter().filter(|key| key.is_live());
        live.flat_map(|key| [Some(key.sign_from), key.superseded.map(|s| s.published_until)]).flatten().max()
    };
    let horizon = ended_by(&rings[0].1).unwrap_or(now);
    while let Some((at, latest)) = rings.last()
        && rings.len() < MOST_CHANGES
        && let Some(due) = next_due(latest, policy, *at).filter(|due| *due <= horizon)
    {
        let due = due.max(*at);
        let Ok(next) = plan(latest, policy, &Intent::Advance, due) else { break };
        if next.is_empty() {
            break;
        }
        let ring = unmade.apply(&next, latest, policy);
        rings.push((due, ring));
    }
    Forecast { made_at: now, breaks, ..tell(&rings, policy, horizon) }
}

/// Stands in for keys that nobody has made.
struct Unmade(usize);

impl Unmade {
    const NAME: &'static str = "not-made-yet-";

    fn apply(&mut self, plan: &Plan, ring: &KeyRing, policy: &RotationPolicy) -> KeyRing {
        let stand_ins: Vec<_> = plan.stage.iter().filter_map(|_| self.next()).collect();
        plan.apply(ring, policy, &stand_ins)
    }

    fn next(&mut self) -> Option<NewPublicKey> {
        self.0 += 1;
        let kid = format!("{}{:030}", Self::NAME, self.0).parse().ok()?;
        Some(NewPublicKey { kid, public: PublicJwk::OKP { crv: String::new(), x: String::new() } })
    }

    fn is(kid: &Kid) -> bool {
        kid.as_str().starts_with(Self::NAME)
    }
}

/// Turns the rings, each of which holds from its moment on, into steps and lines.
fn tell(rings: &[(Timestamp, KeyRing)], policy: &RotationPolicy, horizon: Timestamp) -> Forecast {
    let Some((made_at, _)) = rings.first() else {
        return Forecast { made_at: horizon, steps: Vec::new(), keys: Vec::new(), breaks: None };
    };
    let mut keys: Vec<KeyLine> = Vec::new();
    let mut kids: Vec<Kid> = Vec::new();
    let mut moments = BTreeSet::from([*made_at]);
    for (at, ring) in rings {
        moments.insert(*at);
        // Keys that had ended before the action are history.
        let mut sorted: Vec<_> = ring.keys.iter().filter(|key| key.end.as_ref().is_none_or(|end| end.at() >= *made_at)).collect();
        sorted.sort_by(|a, b| (a.sign_from, &a.kid).cmp(&(b.sign_from, &b.kid)));
        for key in sorted {
            let line = KeyLine {
                kid: Some(key.kid.clone()).filter(|kid| !Unmade::is(kid)),
                alg: key.alg,
                published_at: key.published_at,
                sign_from: key.sign_from,
                sign_until: key.superseded.map(|s| s.sign_until),
                published_until: key.superseded.map(|s| s.published_until),
            };
            moments.extend([Some(line.sign_from), line.sign_until, line.published_until].into_iter().flatten());
            match kids.iter().position(|kid| *kid == key.kid) {
                Some(place) => keys[place] = line,
                None => {
                    kids.push(key.kid.clone());
                    keys.push(line);
                }
            }
        }
    }
    let mut steps: Vec<Step> = Vec::new();
    for at in moments.into_iter().filter(|at| at >= made_at && *at <= horizon.max(*made_at)) {
        let Some((_, ring)) = rings.iter().rev().find(|(since, _)| *since <= at) else { continue };
        let signer = ring.signer_at(at).map(|key| &key.kid);
        let step = Step {
            at,
            signing: kids.iter().position(|kid| Some(kid) == signer),
            jwks_max_age_seconds: ring.max_age_at(next_due(ring, policy, at), at),
            states: kids.iter().map(|kid| ring.key(kid).map(|key| key.state_at(at))).collect(),
        };
        if steps.last().is_none_or(|last| (last.signing, &last.states) != (step.signing, &step.states)) {
            steps.push(step);
        }
    }
    Forecast { made_at: *made_at, steps, keys, breaks: None }
}

/// What a forecast means for one verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum VerifierOutlook {
    /// It keeps to the max-age it was given: it knows every key before the key signs, and forgets none too early.
    Safe,
    /// It may refuse good tokens, unless it fetches again when it meets an unknown kid; and trusts the revoked keys as long.
    MayFailUntil { until: Timestamp },
    /// It knows every key that signs, but trusts the revoked ones until it fetches again.
    TrustsRevokedUntil { until: Timestamp },
    /// It has not fetched for longer than it may keep a JWKS: it does not fetch again, or it has gone. New tokens fail there from
    /// this moment on, and revoked keys are trusted, until it fetches.
    FailsFrom { from: Timestamp },
}

impl VerifierOutlook {
    /// From when it is safe if it goes on as it did; `None` when only its next fetch, which is overdue, makes it so.
    pub const fn safe_from(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Safe => Some(now),
            Self::MayFailUntil { until } | Self::TrustsRevokedUntil { until } => Some(*until),
            Self::FailsFrom { .. } => None,
        }
    }
}

impl Forecast {
    /// What becomes of a verifier that last fetched so. Past its max-age it is taken for one that does not fetch again.
    pub fn outlook(&self, fetch: Fetch, clock_skew: Ttl) -> VerifierOutlook {
        let keeps_until = fetch.keeps_until(clock_skew);
        // The first moment at which a key signs that it cannot have seen.
        let unknown_from = self.keys.iter().filter(|key| key.published_at > fetch.at).map(|key| key.sign_from).min();
        match unknown_from {
            Some(from) if keeps_until < self.made_at => VerifierOutlook::FailsFrom { from },
            Some(from) if keeps_until > from => VerifierOutlook::MayFailUntil { until: keeps_until },
            _ if self.breaks.is_some() && keeps_until > self.made_at => VerifierOutlook::TrustsRevokedUntil { until: keeps_until },
            _ => VerifierOutlook::Safe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::plan::first;
    use crate::keys::policy::{NodeTiming, RotationNumbers};

    const BORN: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn policy() -> RotationPolicy {
        let numbers = RotationNumbers { algs: vec![Alg::ES256], ..RotationNumbers::default() };
        RotationPolicy::new(numbers, NodeTiming::default()).expect("safe")
    }

    fn ring() -> KeyRing {
        let empty = KeyRing {
            generation: 0,
            numbers: policy().numbers().clone(),
            keys: Vec::new(),
            token_secrets: Vec::new(),
            older_caches_until: None,
        };
        let kid = "A".repeat(43).parse().expect("a kid");
        let made = NewPublicKey { kid, public: PublicJwk::OKP { crv: String::new(), x: String::new() } };
        first(&policy(), &[Alg::ES256], BORN).apply(&empty, &policy(), &[made])
    }

    fn rotate() -> Intent {
        Intent::Rotate { algs: None, sign_from: None }
    }

    #[test]
    fn a_rotation_is_told_from_its_order_to_the_old_keys_end() {
        let now = BORN.plus(Ttl::hours(5));
        let told = forecast(&ring(), &policy(), &rotate(), now).expect("allowed");
        let day = now.plus(Ttl::hours(24));
        let moments: Vec<_> = told.steps.iter().map(|step| (step.at, step.signing, step.states.clone())).collect();
        use KeyState::{Active, Retired, Retiring, Staged};
        assert_eq!(
            moments,
            [
                (now, Some(0), vec![Some(Active), Some(Staged)]),
                (day, Some(1), vec![Some(Retiring), Some(Active)]),
                (day.plus(Ttl::hours(2)), Some(1), vec![Some(Retired), Some(Active)]),
            ]
        );
        assert_eq!(told.keys.iter().map(|key| key.kid.is_some()).collect::<Vec<_>>(), [true, false]);
        assert!(told.steps.iter().all(|step| step.jwks_max_age_seconds == Ttl::minutes(5)));
        assert_eq!(told.breaks, None);
    }

    #[test]
    fn an_undisturbed_ring_shows_its_keys_until_their_known_ends() {
        let now = BORN.plus(Ttl::hours(5));
        let quiet = undisturbed(&ring(), &policy(), now);
        assert_eq!(quiet.steps.iter().map(|step| (step.at, step.signing)).collect::<Vec<_>>(), [(now, Some(0))]);
        let staged = plan(&ring(), &policy(), &rotate(), now).expect("allowed");
        let made = NewPublicKey { kid: "B".repeat(43).parse().expect("a kid"), public: ring().keys[0].public.clone() };
        let rotating = undisturbed(&staged.apply(&ring(), &policy(), &[made]), &policy(), now.plus(Ttl::hours(1)));
        assert_eq!(rotating.steps.iter().map(|step| step.signing).collect::<Vec<_>>(), [Some(0), Some(1), Some(1)]);
    }

    #[test]
    fn only_moments_in_which_a_key_was_the_signer_count_as_its_own() {
        let now = BORN.plus(Ttl::hours(5));
        let staged = plan(&ring(), &policy(), &rotate(), now).expect("allowed");
        let made = NewPublicKey { kid: "B".repeat(43).parse().expect("a kid"), public: ring().keys[0].public.clone() };
        let ring = staged.apply(&ring(), &policy(), &[made]);
        let (old, new) = ([ring.keys[0].kid.clone()], [ring.keys[1].kid.clone()]);
        let turn = now.plus(Ttl::hours(24));
        let (since, until) = (turn.minus(Ttl::minutes(10)), turn.plus(Ttl::minutes(5)));
        assert_eq!(ring.signed_between(&old, since, until), Some((since, turn)));
        assert_eq!(ring.signed_between(&new, since, until), Some((turn, until)));
        assert_eq!(ring.signed_between(&new, since, turn), None);
        assert_eq!(ring.signed_between(&[old, new].concat(), since, until), Some((since, until)));
    }

    #[test]
    fn an_emergency_says_what_it_breaks_and_refusals_are_the_plans_own() {
        let now = BORN.plus(Ttl::hours(5));
        let told = forecast(&ring(), &policy(), &Intent::Emergency { reason: "leaked".to_owned() }, now).expect("allowed");
        assert_eq!(told.steps[0].states, [Some(KeyState::Revoked), Some(KeyState::Active)]);
        assert!(told.breaks.is_some());
        let too_early = Intent::Rotate { algs: None, sign_from: Some(now) };
        assert_eq!(forecast(&ring(), &policy(), &too_early, now), plan(&ring(), &policy(), &too_early, now).map(|_| told));
    }

    #[test]
    fn verifiers_that_keep_to_their_max_age_are_safe_in_a_rotation_and_others_are_named() {
        let now = BORN.plus(Ttl::hours(5));
        let skew = Ttl::seconds(30);
        let fetch = |ago: Ttl| Fetch { at: now.minus(ago), generation: 1, max_age: Ttl::minutes(5) };
        let told = forecast(&ring(), &policy(), &rotate(), now).expect("allowed");
        assert_eq!(told.outlook(fetch(Ttl::minutes(1)), skew), VerifierOutlook::Safe);
        assert_eq!(told.outlook(fetch(Ttl::hours(2)), skew), VerifierOutlook::FailsFrom { from: now.plus(Ttl::hours(24)) });
        let told = forecast(&ring(), &policy(), &Intent::Emergency { reason: String::new() }, now).expect("allowed");
        let until = now.plus(Ttl::minutes(4)).plus(skew);
        let outlook = told.outlook(fetch(Ttl::minutes(1)), skew);
        assert_eq!(outlook, VerifierOutlook::MayFailUntil { until });
        assert_eq!(outlook.safe_from(now), Some(until));
        assert_eq!(told.outlook(fetch(Ttl::hours(2)), skew), VerifierOutlook::FailsFrom { from: now }, "long gone, or long deaf");
    }

    #[test]
    fn a_verifier_that_knows_the_next_key_still_trusts_the_revoked_one_until_it_fetches() {
        let staged_at = BORN.plus(Ttl::hours(5));
        let staged = plan(&ring(), &policy(), &rotate(), staged_at).expect("allowed");
        let made = NewPublicKey { kid: "B".repeat(43).parse().expect("a kid"), public: ring().keys[0].public.clone() };
        let ring = staged.apply(&ring(), &policy(), &[made]);
        let now = staged_at.plus(Ttl::hours(1));
        let revoke = Intent::Revoke { kid: ring.keys[0].kid.clone(), reason: String::new() };
        let told = forecast(&ring, &policy(), &revoke, now).expect("allowed");
        let skew = Ttl::seconds(30);
        let fetch = |ago: Ttl| Fetch { at: now.minus(ago), generation: 2, max_age: Ttl::minutes(5) };
        let until = now.plus(Ttl::minutes(4)).plus(skew);
        assert_eq!(told.outlook(fetch(Ttl::minutes(1)), skew), VerifierOutlook::TrustsRevokedUntil { until });
        assert_eq!(told.outlook(fetch(Ttl::hours(3)), skew), VerifierOutlook::FailsFrom { from: now }, "it does not know the next key");
    }
}
