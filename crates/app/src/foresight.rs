//! What would become of a tenant's keys, its verifiers and its sessions if something were done, without doing it.
//!
//! Invariant: nothing is written here but that a drill took place, and nothing is decided that `domain::keys` does not decide.

use domain::audit::AuditEvent;
use domain::keys::forecast::{self, Forecast, VerifierOutlook};
use domain::keys::plan::{self, Intent};
use domain::keys::policy::RotationPolicy;
use domain::keys::ring::{KeyRing, Kid};
use domain::keys::verifier::Sighting;
use domain::tenant::Tenant;
use domain::time::{Timestamp, Ttl};

use crate::access::Admin;
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::keys::{KeyCommand, KeyCommandDenied, KeyFault, Rehearsal};
use crate::ports::store::TenantTx;

/// The answer to a what-if.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foresight {
    /// The ring that was looked at; of another one all may be different.
    pub generation: u64,
    /// Why it would be refused. The forecast is then that of the ring which is left alone.
    pub denied: Option<KeyCommandDenied>,
    pub forecast: Forecast,
    /// A key that is published now may sign from here at the earliest.
    pub earliest_sign_from: Timestamp,
    /// From here it signs when nobody asks for another moment.
    pub planned_sign_from: Timestamp,
    /// Sessions whose access token a revoked key may have signed; absent when no key is revoked.
    pub sessions_at_stake: Option<u64>,
    /// Whoever fetched the JWKS, and what it means for them; whoever fetched last first.
    pub verifiers: Vec<(Sighting, VerifierOutlook)>,
}

/// Plays a command that is not carried out. A refusal is a part of the answer: asking is no error.
///
/// # Errors
/// When the ring cannot be read.
#[tracing::instrument(level = "debug", name = "keys.foresee", skip_all)]
pub async fn foresee(ctx: &Ctx, tenant: &Tenant, command: &KeyCommand) -> Result<Foresight, Fault> {
    let timing = ctx.keys.published(tenant.id).await?.policy.timing();
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    let ring = tx.ring().await?.ok_or(KeyFault::NoRing)?;
    let now = ctx.now();
    let own = RotationPolicy::raised(ring.numbers.clone(), timing);
    let played = command.resolve(&ring, timing).map_err(KeyCommandDenied::from).and_then(|(policy, intent)| {
        let forecast = forecast::forecast(&ring, &policy, intent, now)?;
        Ok((policy, forecast))
    });
    let (policy, forecast, denied) = match played {
        Ok((policy, forecast)) => (policy, forecast, None),
        Err(denied) => (own.clone(), forecast::undisturbed(&ring, &own, now), Some(denied)),
    };
    let sessions_at_stake = match &forecast.breaks {
        Some(breaks) => Some(sessions_at_stake(&mut *tx, tenant, &ring, &breaks.revoked_kids, now).await?),
        None => None,
    };
    Ok(Foresight {
        generation: ring.generation,
        denied,
        earliest_sign_from: plan::known_from(&ring, &policy, now),
        planned_sign_from: plan::successor_signs_from(&ring, &policy, now),
        sessions_at_stake,
        verifiers: outlooks(tx.verifiers().await?, &forecast, &policy),
        forecast,
    })
}

fn outlooks(seen: Vec<Sighting>, forecast: &Forecast, policy: &RotationPolicy) -> Vec<(Sighting, VerifierOutlook)> {
    let outlook = |sighting: Sighting| {
        let outlook = forecast.outlook(sighting.last, policy.timing().clock_skew);
        (sighting, outlook)
    };
    seen.into_iter().map(outlook).collect()
}

/// Sessions that are alive and were opened or refreshed last when one of these keys signed, so recently that the access token
/// they got then can still be alive. The retry window counts, because a token that is presented again brings a new access token.
async fn sessions_at_stake(tx: &mut dyn TenantTx, tenant: &Tenant, ring: &KeyRing, revoked: &[Kid], now: Timestamp) -> Result<u64, Fault> {
    let longest = tenant.policy.access_ttl_seconds.plus(tenant.policy.retry_window_seconds);
    match ring.signed_between(revoked, now.minus(longest), now) {
        Some((since, until)) => Ok(tx.families_moved(since, until).await?),
        None => Ok(0),
    }
}

/// What a rehearsal of an emergency has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// The emergency, played as by [`foresee`]; its verifiers are those of the last day.
    pub foresight: Foresight,
    /// When the last of these verifiers is safe; absent when one of them is overdue, so that nobody can say.
    pub all_safe_from: Option<Timestamp>,
    /// What this node did for it, on a ring that nobody sees.
    pub rehearsal: Rehearsal,
}

/// How long ago a verifier fetched that a drill asks about.
const DRILLED: Ttl = Ttl::days(1);

/// Rehearses an emergency replacement: makes keys, seals them, signs and verifies with one, measures it, and tells what would
/// become of whom. Nothing changes but the audit log.
///
/// # Errors
/// When the ring cannot be read, or a step of the real thing would fail: then it would fail in an emergency, too.
#[tracing::instrument(level = "debug", name = "keys.drill", skip_all)]
pub async fn drill(ctx: &Ctx, tenant: &Tenant, admin: &Admin, origin: &Origin) -> Result<Drill, Fault> {
    let rehearsal = ctx.keys.rehearse(tenant.id).await?;
    let emergency = KeyCommand::Plan(Intent::Emergency { reason: "a drill".to_owned() });
    let mut foresight = foresee(ctx, tenant, &emergency).await?;
    let now = foresight.forecast.made_at;
    foresight.verifiers.retain(|(sighting, _)| sighting.last.at >= now.minus(DRILLED));
    let safe_from: Option<Vec<_>> = foresight.verifiers.iter().map(|(_, outlook)| outlook.safe_from(now)).collect();
    let all_safe_from = safe_from.map(|all| all.into_iter().max().unwrap_or(now));
    let event = AuditEvent::KeyDrill {
        generation: foresight.generation,
        verifiers: foresight.verifiers.len() as u64,
        all_safe_from,
        took_micros: rehearsal.total().as_micros().try_into().unwrap_or(u64::MAX),
    };
    let mut tx = ctx.store.begin(tenant.id).await?;
    tx.audit_append(&ctx.record(tenant.id, admin.actor(), origin, event)).await?;
    tx.commit().await?;
    Ok(Drill { foresight, all_safe_from, rehearsal })
}
