//! What is to be done with a ring now. One pure function decides ([`plan`]), another carries the decision out on the
//! public side ([`Plan::apply`]); generating, sealing and storing are somebody else's.
//!
//! Invariant: a key is published for `jwks_max_age + sweep + skew` before it signs, and stays published until the last
//! token it can have signed has expired; only an emergency, which says what it breaks, may do otherwise.

use crate::keys::policy::RotationPolicy;
use crate::keys::ring::{Alg, KeyEnd, KeyRing, KeyState, Kid, PublicJwk, RingKey, SupersededKey, TokenSecretVersion};
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
    /// Authenticate new refresh tokens with a new secret. Every session that is open now has ended by `sessions_end_by`.
    RotateTokenSecret { sessions_end_by: Timestamp },
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

/// A version of the token secret to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTokenSecret {
    pub version: u16,
    /// How long the version before it is needed.
    pub older_verifies_until: Timestamp,
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
    /// A token secret to be made; the version before it is destroyed at the given moment, when there is one.
    pub new_token_secret: Option<NewTokenSecret>,
    /// Token secrets of which no token can be alive any more.
    pub destroy_token_secrets: Vec<u16>,
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
    #[error("tokens of {live} token secrets may still be alive; the oldest of them is destroyed at {earliest}")]
    TooManyTokenSecrets { live: usize, earliest: Timestamp },
    #[error("this ring keeps no {alg} key")]
    UnknownAlg { alg: Alg },
    #[error("no key {kid} in this ring")]
    UnknownKid { kid: Kid },
    #[error("key {kid} has already ended")]
    AlreadyEnded { kid: Kid },
}

impl RotationDenied {
    /// The earliest moment at which the same intent will be safe; `None` when waiting does not help.
    pub const fn earliest(&self) -> Option<Timestamp> {
        match self {
            Self::AlreadyStaged { earliest, .. }
            | Self::TooEarly { earliest }
            | Self::TooManyKeys { earliest, .. }
            | Self::TooManyTokenSecrets { earliest, .. } => Some(*earliest),
            Self::UnknownAlg { .. } | Self::UnknownKid { .. } | Self::AlreadyEnded { .. } => None,
        }
    }
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
            && self.new_token_secret.is_none()
            && self.destroy_token_secrets.is_empty()
    }

    /// The ring after the plan, one generation on. `made` are the generated keys, in the order of `self.stage`.
    #[must_use]
    pub fn apply(&self, ring: &KeyRing, policy: &RotationPolicy, made: &[NewPublicKey]) -> KeyRing {
        let now = self.at;
        let mut next = ring.clone();
        next.generation = ring.generation + 1;
        if self.adopt_policy {
            if ring.numbers.jwks_max_age_seconds > policy.jwks_max_age() {
                next.older_caches_until = Some(known_from(ring, policy, now));
            }
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
        next.token_secrets.retain(|secret| !self.destroy_token_secrets.contains(&secret.version));
        if let Some(NewTokenSecret { version, older_verifies_until }) = self.new_token_secret {
            if let Some(older) = next.token_secrets.last_mut() {
                older.verifies_until = Some(older_verifies_until);
            }
            next.token_secrets.push(TokenSecretVersion { version, created_at: now, verifies_until: None });
        }
        let mut ends: Vec<_> = next.keys.iter().filter_map(|key| key.end.as_ref().map(KeyEnd::at)).collect();
        if ends.len() > KeyRing::HISTORY {
            // Those that ended first: what ends now is remembered, however old the key is.
            ends.sort_unstable();
            let forgotten_until = ends[ends.len() - KeyRing::HISTORY];
            next.keys.retain(|key| key.end.as_ref().is_none_or(|end| end.at() >= forgotten_until));
        }
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

/// Rings that are claimed together when they are due, and how many such batches one sweep of a node takes at most: with a sweep
/// every 30 seconds, four million rings a day.
pub const DUE_BATCH: u32 = 100;
pub const DUE_BATCHES: u32 = 20;

/// The most published keys of one algorithm.
const MOST_LIVE: usize = 4;

/// The most token secrets of one ring: each is opened and kept by every node.
const MOST_TOKEN_SECRETS: usize = 8;

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
        Intent::RotateTokenSecret { sessions_end_by } => rotate_token_secret(ring, policy, *sessions_end_by, &mut plan)?,
    }
    Ok(plan)
}

/// The first plan of a tenant that nobody knows yet: its keys sign at once.
pub fn first(policy: &RotationPolicy, algs: &[Alg], now: Timestamp) -> Plan {
    let mut plan = Plan { at: now, ..Plan::default() };
    for alg in algs {
        stage(policy, *alg, now, &mut plan);
    }
    plan.new_token_secret = Some(NewTokenSecret { version: 1, older_verifies_until: now });
    plan
}

/// When [`Intent::Advance`] will next have something to do; `None` when never.
pub fn next_due(ring: &KeyRing, policy: &RotationPolicy, now: Timestamp) -> Option<Timestamp> {
    let spent = ring.token_secrets.iter().filter_map(|secret| secret.verifies_until);
    spent.chain(next_change(ring, policy, now)).min()
}

/// When the published keys will next change by plan; `None` when never.
pub fn next_change(ring: &KeyRing, policy: &RotationPolicy, now: Timestamp) -> Option<Timestamp> {
    let retirements = ring.keys.iter().filter(|key| key.is_live()).filter_map(|key| key.superseded.map(|s| s.published_until));
    let rotations = policy.algs().iter().filter_map(|alg| match ring.newest_of(*alg) {
        None => Some(now),
        Some(newest) if newest.superseded.is_some() => Some(now),
        Some(newest) => rotation_due(newest, policy),
    });
    let leavers =
        ring.keys.iter().filter(|key| key.is_live() && key.superseded.is_none() && !policy.algs().contains(&key.alg)).map(|_| now);
    retirements.chain(rotations).chain(leavers).min()
}

fn stage(policy: &RotationPolicy, alg: Alg, sign_from: Timestamp, plan: &mut Plan) {
    plan.stage.push(StageKey { alg, published_at: plan.at, sign_from, token_ttl_cap: policy.token_ttl_cap() });
}

/// Gives `key` its end: it signs until `sign_until`, and stays published until its last token has expired everywhere.
fn supersede(key: &RingKey, policy: &RotationPolicy, sign_until: Timestamp, plan: &mut Plan) {
    let skew = policy.timing().clock_skew;
    let overlap = policy.overlap().max(key.token_ttl_cap_seconds.plus(skew).plus(skew));
    plan.supersede.retain(|(kid, _)| *kid != key.kid);
    plan.supersede.push((key.kid.clone(), SupersededKey { sign_until, published_until: sign_until.plus(overlap) }));
}

/// From when every verifier knows a key that is published now, even one that fetched under an earlier policy: the earliest
/// moment from which such a key may sign.
pub fn known_from(ring: &KeyRing, policy: &RotationPolicy, now: Timestamp) -> Timestamp {
    let timing = policy.timing();
    let max_age = policy.jwks_max_age().max(ring.numbers.jwks_max_age_seconds);
    let known_from = now.plus(max_age).plus(timing.sweep_interval).plus(timing.clock_skew);
    ring.older_caches_until.map_or(known_from, |until| known_from.max(until))
}

/// From when a key that is staged now signs, if nobody asks for another moment.
pub fn successor_signs_from(ring: &KeyRing, policy: &RotationPolicy, now: Timestamp) -> Timestamp {
    now.plus(policy.lead()).max(known_from(ring, policy, now))
}

fn advance(ring: &KeyRing, policy: &RotationPolicy, plan: &mut Plan) {
    let now = plan.at;
    for key in ring.keys.iter().filter(|key| key.is_live()) {
        if key.superseded.is_some_and(|superseded| now >= superseded.published_until) {
            plan.retire.push(key.kid.clone());
        }
    }
    let spent = ring.token_secrets.iter().filter(|secret| secret.verifies_until.is_some_and(|until| now >= until));
    plan.destroy_token_secrets.extend(spent.map(|secret| secret.version));
    for &alg in policy.algs() {
        match ring.newest_of(alg).filter(|newest| newest.superseded.is_none()) {
            None => stage(policy, alg, successor_signs_from(ring, policy, now), plan),
            Some(newest) if rotation_due(newest, policy).is_some_and(|due| now >= due) && now >= newest.sign_from => {
                let sign_from = successor_signs_from(ring, policy, now);
                stage(policy, alg, sign_from, plan);
                supersede(newest, policy, sign_from, plan);
            }
            Some(_) => {}
        }
    }
    // Algorithms the policy has dropped: their keys end as soon as the wanted one signs, but not before every node knows.
    let wanted = policy.access_token_alg();
    let signs_from = ring
        .keys
        .iter()
        .filter(|key| key.alg == wanted && key.is_live() && key.superseded.is_none_or(|s| now < s.sign_until))
        .map(|key| key.sign_from)
        .chain(plan.stage.iter().filter(|stage| stage.alg == wanted).map(|stage| stage.sign_from))
        .min()
        .unwrap_or(now)
        .max(now.plus(policy.timing().sweep_interval).plus(policy.timing().clock_skew));
    for key in ring.keys.iter().filter(|key| key.is_live() && key.superseded.is_none() && !policy.algs().contains(&key.alg)) {
        supersede(key, policy, signs_from.max(key.sign_from), plan);
    }
    keep_signing(ring, policy, plan);
}

/// The old version is kept until the last session it can have made a token for has ended, also one that was opened by another
/// node that had not heard yet.
fn rotate_token_secret(ring: &KeyRing, policy: &RotationPolicy, sessions_end_by: Timestamp, plan: &mut Plan) -> Result<(), RotationDenied> {
    let live = ring.token_secrets.len();
    let newest = ring.token_secrets.iter().map(|secret| secret.version).max().unwrap_or(0);
    let (false, Some(version)) = (live >= MOST_TOKEN_SECRETS, newest.checked_add(1)) else {
        let earliest = ring.token_secrets.iter().filter_map(|secret| secret.verifies_until).min().unwrap_or(plan.at);
        return Err(RotationDenied::TooManyTokenSecrets { live, earliest });
    };
    let timing = policy.timing();
    let older_verifies_until = sessions_end_by.max(plan.at).plus(timing.sweep_interval).plus(timing.clock_skew);
    plan.new_token_secret = Some(NewTokenSecret { version, older_verifies_until });
    Ok(())
}

/// Sees to it that after the plan some key signs at every moment from now on.
fn keep_signing(ring: &KeyRing, policy: &RotationPolicy, plan: &mut Plan) {
    let mut covered_until = plan.at;
    loop {
        // Who signs from when until when, once the plan is carried out.
        let stays = |key: &&RingKey| key.is_live() && !plan.retire.contains(&key.kid) && plan.revoke.iter().all(|(kid, _)| *kid != key.kid);
        let mut spans: Vec<(Option<&RingKey>, Timestamp, Option<Timestamp>)> = Vec::new();
        for key in ring.keys.iter().filter(stays) {
            let sign_from = if plan.promote.contains(&key.kid) { plan.at } else { key.sign_from };
            let planned = plan.supersede.iter().find(|(kid, _)| *kid == key.kid).map(|(_, superseded)| *superseded);
            let superseded = if plan.resume.contains(&key.kid) { None } else { planned.or(key.superseded) };
            spans.push((Some(key), sign_from, superseded.map(|s| s.sign_until)));
        }
        spans.extend(plan.stage.iter().map(|stage| (None, stage.sign_from, None)));

        let signing = |at: Timestamp| spans.iter().filter(move |(_, from, until)| *from <= at && until.is_none_or(|until| at < until));
        if signing(covered_until).any(|(_, _, until)| until.is_none()) {
            return;
        }
        if let Some(until) = signing(covered_until).filter_map(|(_, _, until)| *until).max() {
            covered_until = until;
            continue;
        }
        // A gap. Whoever signs up to it goes on until the next one begins.
        let next = spans
            .iter()
            .filter(|(_, from, until)| *from > covered_until && until.is_none_or(|until| *from < until))
            .map(|(_, from, _)| *from)
            .min();
        let last =
            spans.iter().filter(|(_, _, until)| covered_until > plan.at && *until == Some(covered_until)).find_map(|(key, _, _)| *key);
        match (last, next) {
            (Some(last), Some(next)) => supersede(last, policy, next, plan),
            (Some(last), None) => {
                plan.supersede.retain(|(kid, _)| *kid != last.kid);
                plan.resume.push(last.kid.clone());
            }
            // A ring that has not begun to sign yet, or a clock that is behind the one it was made by.
            (None, Some(next)) if plan.revoke.is_empty() => covered_until = next,
            (None, None) if plan.revoke.is_empty() => return,
            // Its signer was just revoked: better a key that some do not know yet than none.
            (None, _) => {
                match ring.newest_of(policy.access_token_alg()).filter(|key| key.state_at(plan.at) == KeyState::Staged && stays(key)) {
                    Some(staged) => plan.promote.push(staged.kid.clone()),
                    None => stage(policy, policy.access_token_alg(), plan.at, plan),
                }
            }
        }
    }
}

fn rotate(
    ring: &KeyRing,
    policy: &RotationPolicy,
    algs: Option<&[Alg]>,
    sign_from: Option<Timestamp>,
    plan: &mut Plan,
) -> Result<(), RotationDenied> {
    let now = plan.at;
    let earliest = known_from(ring, policy, now);
    let sign_from = sign_from.unwrap_or_else(|| successor_signs_from(ring, policy, now));
    if sign_from < earliest {
        return Err(RotationDenied::TooEarly { earliest });
    }
    // Of several refusals the one that lasts longest, so that the moment it names is true for the whole intent.
    let mut denied: Option<(Timestamp, RotationDenied)> = None;
    for &alg in algs.unwrap_or_else(|| policy.algs()) {
        if !policy.algs().contains(&alg) {
            return Err(RotationDenied::UnknownAlg { alg });
        }
        if plan.stage.iter().any(|stage| stage.alg == alg) {
            continue; // Named twice.
        }
        let newest = ring.newest_of(alg);
        // A key that has run out does not count: it is only waiting to be retired.
        let live: Vec<_> =
            ring.keys.iter().filter(|key| key.alg == alg && !matches!(key.state_at(now), KeyState::Retired | KeyState::Revoked)).collect();
        let mut leave_at: Vec<_> = live.iter().filter_map(|key| key.superseded.map(|s| s.published_until)).collect();
        leave_at.sort_unstable();
        let room_at = live.len().checked_sub(MOST_LIVE).map(|too_many| leave_at.get(too_many).copied().unwrap_or(now));
        let refusal = match (newest.filter(|key| key.state_at(now) == KeyState::Staged), room_at) {
            (Some(staged), room_at) => {
                let (kid, sign_from) = (staged.kid.clone(), staged.sign_from);
                let earliest = room_at.map_or(sign_from, |at| at.max(sign_from));
                Some((earliest, RotationDenied::AlreadyStaged { alg, kid, sign_from, earliest }))
            }
            (None, Some(earliest)) => Some((earliest, RotationDenied::TooManyKeys { alg, live: live.len(), earliest })),
            (None, None) => None,
        };
        if let Some((earliest, refusal)) = refusal {
            if denied.as_ref().is_none_or(|(longest, _)| earliest > *longest) {
                denied = Some((earliest, refusal));
            }
            continue;
        }
        stage(policy, alg, sign_from, plan);
        if let Some(newest) = newest.filter(|key| key.superseded.is_none()) {
            supersede(newest, policy, sign_from, plan);
        }
    }
    denied.map_or(Ok(()), |(_, refusal)| Err(refusal))
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
        KeyState::Active => match ring.newest_of(key.alg).filter(|newest| newest.kid != *kid && newest.superseded.is_none()) {
            Some(staged) if staged.state_at(now) == KeyState::Staged => plan.promote.push(staged.kid.clone()),
            Some(_) => {}
            None if policy.algs().contains(&key.alg) => stage(policy, key.alg, now, plan),
            None => {}
        },
        KeyState::Retiring | KeyState::Retired | KeyState::Revoked => {}
    }
    keep_signing(ring, policy, plan);
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
