//! What is to be done with a ring now. One pure function decides ([`plan`]), another carries the decision out on the
//! public side ([`Plan::apply`]); generating, sealing and storing are somebody else's.
//!
//! Invariant: a key is published for `jwks_max_age + sweep + skew` before it signs, and stays published until the last
//! token it can have signed has expired; only an emergency, which says what it breaks, may do otherwise.

use crate::keys::policy::RotationPolicy;
use crate::keys::ring::{Alg, KeyEnd, KeyRing, KeyState, Kid, PublicJwk, RingKey, SupersededKey};
use crate::time::{Timestamp, Ttl};

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Whatever the schedule says is due: stage successors, retire what has run out, fill up missing algorithms.
    Advance,
    /// Stage a successor for these algorithms (`None`: all of them) now; it signs from `sign_from`, or after the policy's lead.
    Rotate { algs: Option<Vec<Alg>>, sign_from: Option<Timestamp> },
    /// Replace and revoke every live key at once.
    Emergency { reason: String },
    /// Revoke one key, and put another in its place if it was needed.
    Revoke { kid: Kid, reason: String },
    /// From now on rotate by the policy given to [`plan`].
    AdoptPolicy,
}

/// A key to be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageKey {
    pub alg: Alg,
    pub published_at: Timestamp,
    pub sign_from: Timestamp,
    pub token_ttl_cap: Ttl,
}

/// The public half of a key that was just generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPublicKey {
    pub kid: Kid,
    pub public: PublicJwk,
}

/// The changes to make to a ring, all in one step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub stage: Vec<StageKey>,
    pub supersede: Vec<(Kid, SupersededKey)>,
    /// Keys whose successor was revoked before it signed: they go on.
    pub resume: Vec<Kid>,
    /// Staged keys that must sign at once.
    pub promote: Vec<Kid>,
    pub retire: Vec<Kid>,
    pub revoke: Vec<(Kid, String)>,
    pub adopt_policy: bool,
    /// The moment it was made for.
    pub at: Timestamp,
}

/// Why nothing was planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationDenied {
    #[error("{alg} already has a successor, {kid}, which signs from {sign_from}; the next rotation can begin at {earliest}")]
    AlreadyStaged { alg: Alg, kid: Kid, sign_from: Timestamp, earliest: Timestamp },
    #[error("verifiers may not know a new key before {earliest}")]
    TooEarly { earliest: Timestamp },
    #[error("{alg} still has {live} published keys; the oldest leaves at {earliest}")]
    TooManyKeys { alg: Alg, live: usize, earliest: Timestamp },
    #[error("this ring keeps no {alg} key")]
    UnknownAlg { alg: Alg },
    #[error("no key {kid} in this ring")]
    UnknownKid { kid: Kid },
    #[error("key {kid} has already ended")]
    AlreadyEnded { kid: Kid },
}

/// What an emergency breaks, for whoever ordered it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Consequences {
    /// Tokens signed by these keys are refused by every verifier that fetches the JWKS after now.
    pub revoked_kids: Vec<Kid>,
    /// Verifiers with a cached JWKS may go on trusting the revoked keys until this moment.
    pub caches_may_trust_until: Timestamp,
    /// Verifiers that do not fetch again for an unknown kid may refuse new tokens until this moment; absent when all
    /// of them can already know the key that signs now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_tokens_may_be_refused_until: Option<Timestamp>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.stage.is_empty()
            && self.supersede.is_empty()
            && self.resume.is_empty()
            && self.promote.is_empty()
            && self.retire.is_empty()
            && self.revoke.is_empty()
            && !self.adopt_policy
    }

    /// The ring after the plan, one generation on. `made` are the generated keys, in the order of `self.stage`.
    #[must_use]
    pub fn apply(&self, ring: &KeyRing, policy: &RotationPolicy, made: &[NewPublicKey]) -> KeyRing {
        let now = self.at;
        let mut next = ring.clone();
        next.generation = ring.generation + 1;
        if self.adopt_policy {
            next.numbers = policy.numbers().clone();
        }
        for key in &mut next.keys {
            if let Some((_, superseded)) = self.supersede.iter().find(|(kid, _)| *kid == key.kid) {
                key.superseded = Some(*superseded);
            }
            if self.resume.contains(&key.kid) {
                key.superseded = None;
            }
            if self.promote.contains(&key.kid) {
                key.sign_from = now;
            }
            if self.retire.contains(&key.kid) {
                key.end = Some(KeyEnd::Retired { at: now });
            }
            if let Some((_, reason)) = self.revoke.iter().find(|(kid, _)| *kid == key.kid) {
                key.end = Some(KeyEnd::Revoked { at: now, reason: reason.clone() });
            }
        }
        for (stage, new) in self.stage.iter().zip(made) {
            next.keys.push(RingKey {
                kid: new.kid.clone(),
                alg: stage.alg,
                public: new.public.clone(),
                published_at: stage.published_at,
                sign_from: stage.sign_from,
                token_ttl_cap_seconds: stage.token_ttl_cap,
                superseded: None,
                end: None,
            });
        }
        let ended = next.keys.iter().filter(|key| !key.is_live()).count();
        let mut to_forget = ended.saturating_sub(KeyRing::HISTORY);
        next.keys.retain(|key| {
            let forget = to_forget > 0 && !key.is_live();
            to_forget -= usize::from(forget);
            !forget
        });
        next
    }

    /// What the plan breaks, when it revokes something.
    pub fn consequences(&self, ring: &KeyRing, policy: &RotationPolicy) -> Option<Consequences> {
        if self.revoke.is_empty() {
            return None;
        }
        let now = self.at;
        let signs_now = |published_at: Timestamp| published_at.plus(policy.least_lead());
        let of_new = self.stage.iter().filter(|stage| stage.sign_from <= now).map(|stage| signs_now(stage.published_at));
        let of_promoted = ring.keys.iter().filter(|key| self.promote.contains(&key.kid)).map(|key| signs_now(key.published_at));
        Some(Consequences {
            revoked_kids: self.revoke.iter().map(|(kid, _)| kid.clone()).collect(),
            caches_may_trust_until: now.plus(policy.jwks_max_age()).plus(policy.timing().sweep_interval),
            new_tokens_may_be_refused_until: of_new.chain(of_promoted).max().filter(|until| *until > now),
        })
    }
}

/// The most published keys of one algorithm.
const MOST_LIVE: usize = 4;

/// Decides what is to be done with `ring` at `now`. `policy` is the ring's own, or the one to adopt.
///
/// # Errors
/// When it would be unsafe, or there is nothing it could mean; names the earliest moment at which it will be safe.
pub fn plan(ring: &KeyRing, policy: &RotationPolicy, intent: &Intent, now: Timestamp) -> Result<Plan, RotationDenied> {
    let mut plan = Plan { at: now, ..Plan::default() };
    match intent {
        Intent::Advance => advance(ring, policy, &mut plan),
        Intent::AdoptPolicy => {
            plan.adopt_policy = true;
            advance(ring, policy, &mut plan);
        }
        Intent::Rotate { algs, sign_from } => rotate(ring, policy, algs.as_deref(), *sign_from, &mut plan)?,
        Intent::Emergency { reason } => {
            for key in ring.keys.iter().filter(|key| key.is_live()) {
                plan.revoke.push((key.kid.clone(), reason.clone()));
            }
            for alg in policy.algs() {
                stage(policy, *alg, now, &mut plan);
            }
        }
        Intent::Revoke { kid, reason } => revoke(ring, policy, kid, reason, &mut plan)?,
    }
    Ok(plan)
}

/// The first plan of a tenant that nobody knows yet: its keys sign at once.
pub fn first(policy: &RotationPolicy, algs: &[Alg], now: Timestamp) -> Plan {
    let mut plan = Plan { at: now, ..Plan::default() };
    for alg in algs {
        stage(policy, *alg, now, &mut plan);
    }
    plan
}

/// When [`Intent::Advance`] will next have something to do; `None` when never.
pub fn next_due(ring: &KeyRing, policy: &RotationPolicy, now: Timestamp) -> Option<Timestamp> {
    let retirements = ring.keys.iter().filter(|key| key.is_live()).filter_map(|key| key.superseded.map(|s| s.published_until));
    let rotations = policy.algs().iter().filter_map(|alg| match ring.newest_of(*alg) {
        None => Some(now),
        Some(newest) => rotation_due(newest, policy),
    });
    let leavers = ring.keys.iter().filter(|key| key.is_live() && key.superseded.is_none() && !policy.algs().contains(&key.alg)).map(|_| now);
    retirements.chain(rotations).chain(leavers).min()
}

fn stage(policy: &RotationPolicy, alg: Alg, sign_from: Timestamp, plan: &mut Plan) {
    plan.stage.push(StageKey { alg, published_at: plan.at, sign_from, token_ttl_cap: policy.token_ttl_cap() });
}

/// Gives `key` its end: it signs until `sign_until`, and stays published until its last token has expired everywhere.
fn supersede(key: &RingKey, policy: &RotationPolicy, sign_until: Timestamp, plan: &mut Plan) {
    let skew = policy.timing().clock_skew;
    let overlap = policy.overlap().max(key.token_ttl_cap_seconds.plus(skew).plus(skew));
    plan.supersede.push((key.kid.clone(), SupersededKey { sign_until, published_until: sign_until.plus(overlap) }));
}

fn advance(ring: &KeyRing, policy: &RotationPolicy, plan: &mut Plan) {
    let now = plan.at;
    for key in ring.keys.iter().filter(|key| key.is_live()) {
        if key.superseded.is_some_and(|superseded| now >= superseded.published_until) {
            plan.retire.push(key.kid.clone());
        }
    }
    for &alg in policy.algs() {
        match ring.newest_of(alg).filter(|newest| newest.superseded.is_none()) {
            None => stage(policy, alg, now.plus(policy.lead()), plan),
            Some(newest) if rotation_due(newest, policy).is_some_and(|due| now >= due) && now >= newest.sign_from => {
                let sign_from = now.plus(policy.lead());
                stage(policy, alg, sign_from, plan);
                supersede(newest, policy, sign_from, plan);
            }
            Some(_) => {}
        }
    }
    // Algorithms the policy has dropped: their keys end as soon as the wanted one signs.
    let wanted = policy.access_token_alg();
    let signs_from = ring
        .keys
        .iter()
        .filter(|key| key.alg == wanted && key.is_live() && key.superseded.is_none_or(|s| now < s.sign_until))
        .map(|key| key.sign_from)
        .chain(plan.stage.iter().filter(|stage| stage.alg == wanted).map(|stage| stage.sign_from))
        .min()
        .unwrap_or(now);
    for key in ring.keys.iter().filter(|key| key.is_live() && key.superseded.is_none() && !policy.algs().contains(&key.alg)) {
        supersede(key, policy, signs_from.max(now).max(key.sign_from), plan);
    }
}

fn rotate(ring: &KeyRing, policy: &RotationPolicy, algs: Option<&[Alg]>, sign_from: Option<Timestamp>, plan: &mut Plan) -> Result<(), RotationDenied> {
    let now = plan.at;
    let earliest = now.plus(policy.least_lead());
    let sign_from = sign_from.unwrap_or_else(|| now.plus(policy.lead()));
    if sign_from < earliest {
        return Err(RotationDenied::TooEarly { earliest });
    }
    for &alg in algs.unwrap_or_else(|| policy.algs()) {
        if !policy.algs().contains(&alg) {
            return Err(RotationDenied::UnknownAlg { alg });
        }
        let newest = ring.newest_of(alg);
        if let Some(staged) = newest.filter(|key| key.state_at(now) == KeyState::Staged) {
            let (kid, sign_from) = (staged.kid.clone(), staged.sign_from);
            return Err(RotationDenied::AlreadyStaged { alg, kid, sign_from, earliest: sign_from });
        }
        let live: Vec<_> = ring.keys.iter().filter(|key| key.alg == alg && key.is_live()).collect();
        if live.len() >= MOST_LIVE {
            let earliest = live.iter().filter_map(|key| key.superseded.map(|s| s.published_until)).min().unwrap_or(now);
            return Err(RotationDenied::TooManyKeys { alg, live: live.len(), earliest });
        }
        stage(policy, alg, sign_from, plan);
        if let Some(newest) = newest.filter(|key| key.superseded.is_none()) {
            supersede(newest, policy, sign_from, plan);
        }
    }
    Ok(())
}

fn revoke(ring: &KeyRing, policy: &RotationPolicy, kid: &Kid, reason: &str, plan: &mut Plan) -> Result<(), RotationDenied> {
    let now = plan.at;
    let key = ring.key(kid).ok_or_else(|| RotationDenied::UnknownKid { kid: kid.clone() })?;
    if !key.is_live() {
        return Err(RotationDenied::AlreadyEnded { kid: kid.clone() });
    }
    plan.revoke.push((kid.clone(), reason.to_owned()));
    match key.state_at(now) {
        KeyState::Staged => {
            // Whoever waited for this key to take over goes on.
            for waiting in ring.keys.iter().filter(|other| other.alg == key.alg && other.is_live() && other.kid != *kid) {
                if waiting.superseded.is_some_and(|s| s.sign_until == key.sign_from) {
                    plan.resume.push(waiting.kid.clone());
                }
            }
        }
        KeyState::Active => match ring.newest_of(key.alg).filter(|newest| newest.state_at(now) == KeyState::Staged) {
            Some(staged) => plan.promote.push(staged.kid.clone()),
            None if policy.algs().contains(&key.alg) => stage(policy, key.alg, now, plan),
            None => {}
        },
        KeyState::Retiring | KeyState::Retired | KeyState::Revoked => {}
    }
    Ok(())
}

/// When the schedule wants a successor of `newest` to be staged.
fn rotation_due(newest: &RingKey, policy: &RotationPolicy) -> Option<Timestamp> {
    let every = policy.rotate_every()?;
    if newest.superseded.is_some() {
        return None;
    }
    let due = newest.sign_from.plus(every).minus(policy.lead()).minus(jitter(&newest.kid, every));
    Some(due.max(newest.sign_from))
}

/// Up to a tenth of the schedule, told by the kid: a hundred thousand tenants do not rotate in the same second.
fn jitter(kid: &Kid, every: Ttl) -> Ttl {
    let hash = kid.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let tenth = u64::from(every.as_seconds()) / 10;
    Ttl::seconds(u32::try_from((hash >> 16) % (tenth + 1)).unwrap_or(0))
}
