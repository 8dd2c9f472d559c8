//! Whose pages may read an answer: those of origins where a client of the tenant runs. A preflight names no client, so it is asked of the tenant.
//!
//! What is known is kept in memory: all origins of a tenant where they are few, which is nearly always, else those that were asked for.
//! Invariant: whatever origins are invented, a tenant's are read once in [`PAUSE`] at most by each node, and one invented origin in
//! [`PROBE_PAUSE`] at most is looked for; and where it is not known, the answer is no.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::client::origin::WebOrigin;
use domain::ids::TenantId;
use domain::time::{Timestamp, Ttl};

use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::ports::store::StoreError;
use crate::warm::WarmMap;

/// An origin that was there may read this long without a look.
const FRESH: i64 = Ttl::seconds(30).as_micros();
/// For an origin that is not known, and after a failure, nobody looks again before.
const PAUSE: i64 = Ttl::seconds(2).as_micros();
/// With more origins than are kept: how long until the next unknown one is looked for, in microseconds.
const PROBE_PAUSE: i64 = 20_000;
/// So many of one tenant are kept.
const MOST: usize = 1_000;
/// How long somebody waits for the database to say whether they may read.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of one tenant.
#[derive(Debug, Default)]
struct Known {
    /// With the moment when it was there.
    origins: HashMap<WebOrigin, Timestamp>,
    /// Whether these were all.
    is_complete: bool,
    read_at: Option<Timestamp>,
    probed_at: Option<Timestamp>,
    failed_at: Option<Timestamp>,
}

/// What can be said without a look.
enum Said {
    Yes,
    No,
    /// Read them.
    Read,
    /// Look for this one.
    Probe,
}

/// Whether `at` is less than `micros` away; on either side, for a clock that was set back.
fn is_within(at: Option<Timestamp>, micros: i64, now: Timestamp) -> bool {
    at.is_some_and(|at| (now.as_micros() - at.as_micros()).abs() < micros)
}

impl Known {
    fn says(&self, origin: &WebOrigin, now: Timestamp) -> Said {
        if is_within(self.origins.get(origin).copied(), FRESH, now) {
            return Said::Yes;
        }
        if is_within(self.failed_at, PAUSE, now) {
            return Said::No;
        }
        match (is_within(self.read_at, PAUSE, now), self.is_complete) {
            (false, _) => Said::Read,
            (true, true) => Said::No,
            (true, false) if is_within(self.probed_at, PROBE_PAUSE, now) => Said::No,
            (true, false) => Said::Probe,
        }
    }

    fn has_read(&mut self, origins: Vec<WebOrigin>, now: Timestamp) {
        self.is_complete = origins.len() <= MOST;
        self.read_at = Some(now);
        if self.is_complete {
            self.origins.clear();
        }
        // Those that were looked for one by one stay while they are fresh.
        self.origins.retain(|_, at| is_within(Some(*at), FRESH, now));
        let room = (2 * MOST).saturating_sub(self.origins.len());
        self.origins.extend(origins.into_iter().take(MOST.min(room)).map(|origin| (origin, now)));
    }
}

#[derive(Debug, Default)]
struct OfTenant {
    known: Mutex<Known>,
    /// Whoever holds it asks the database; the others wait and use what comes.
    asking: tokio::sync::Mutex<()>,
}

impl OfTenant {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where clients run, of tenants that were asked lately.
#[derive(Debug)]
pub struct ClientOrigins {
    by_tenant: WarmMap<TenantId, OfTenant>,
}

impl ClientOrigins {
    /// Origins of about `most` tenants, two thousand of each at the very most.
    pub fn new(most: usize) -> Self {
        Self { by_tenant: WarmMap::new(most) }
    }

    /// A client of the tenant has changed.
    pub(crate) fn forget(&self, tenant: TenantId) {
        self.by_tenant.remove(&tenant);
    }
}

/// Whether pages of `origin`, the value of a header, may read what the tenant answers its clients.
///
/// # Errors
/// When it could not be looked up; then they may not.
pub async fn may_read(ctx: &Ctx, tenant: TenantId, origin: &str) -> Result<bool, Fault> {
    let Ok(origin) = origin.parse::<WebOrigin>() else { return Ok(false) };
    let now = ctx.now();
    let (entry, _) = ctx.origins.by_tenant.find_or_put(tenant, now, OfTenant::default);
    entry.touch(now);
    let of_tenant = &entry.value;
    match of_tenant.known().says(&origin, now) {
        Said::Yes => return Ok(true),
        Said::No => return Ok(false),
        Said::Read | Said::Probe => {}
    }
    let asked = tokio::time::timeout(PATIENCE, look(ctx, tenant, of_tenant, &origin)).await;
    let asked = asked.unwrap_or_else(|_| Err(StoreError::Unavailable("the origins of clients took too long".to_owned())));
    if asked.is_err() {
        of_tenant.known().failed_at = Some(ctx.now());
    }
    Ok(asked?)
}

/// Like [`may_read`], by what is in memory: for whoever may ask for nothing now.
pub fn is_known_to_read(ctx: &Ctx, slug: &str, origin: &str) -> bool {
    let known = || {
        let origin: WebOrigin = origin.parse().ok()?;
        let entry = ctx.origins.by_tenant.find(&ctx.tenants.known(slug, ctx.now())?)?;
        Some(matches!(entry.value.known().says(&origin, ctx.now()), Said::Yes))
    };
    known().unwrap_or(false)
}

async fn look(ctx: &Ctx, tenant: TenantId, of_tenant: &OfTenant, origin: &WebOrigin) -> Result<bool, StoreError> {
    let _turn = of_tenant.asking.lock().await;
    // Perhaps somebody brought it meanwhile.
    let mut said = of_tenant.known().says(origin, ctx.now());
    if matches!(said, Said::Read) {
        let most = u32::try_from(MOST + 1).unwrap_or(u32::MAX);
        let began_at = ctx.now();
        let origins = ctx.store.begin_read(tenant).await?.client_origins(most).await?;
        let mut known = of_tenant.known();
        known.has_read(origins, began_at);
        said = known.says(origin, began_at);
    }
    if matches!(said, Said::Probe) {
        let began_at = ctx.now();
        of_tenant.known().probed_at = Some(began_at);
        let is_there = ctx.store.begin_read(tenant).await?.client_origin_is_there(origin).await?;
        let mut known = of_tenant.known();
        if is_there && known.origins.len() < 2 * MOST {
            known.origins.insert(origin.clone(), began_at);
        }
        return Ok(is_there);
    }
    Ok(matches!(said, Said::Yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(n: usize) -> WebOrigin {
        format!("https://{n}.example").parse().expect("an origin")
    }

    fn after(at: Timestamp, micros: i64) -> Timestamp {
        Timestamp::from_micros(at.as_micros() + micros)
    }

    fn first(count: usize) -> Vec<WebOrigin> {
        (0..count).map(origin).collect()
    }

    #[test]
    fn what_is_not_known_is_looked_for_seldom_and_what_is_known_lasts() {
        let now = Timestamp::EPOCH.plus(Ttl::hours(1));
        let mut known = Known::default();
        assert!(matches!(known.says(&origin(1), now), Said::Read));
        known.has_read(first(2), now);
        assert!(matches!(known.says(&origin(1), now), Said::Yes));
        assert!(matches!(known.says(&origin(2), now), Said::No));
        let later = after(now, PAUSE);
        assert!(matches!(known.says(&origin(1), later), Said::Yes));
        assert!(matches!(known.says(&origin(2), later), Said::Read), "it may have come since");
        assert!(matches!(known.says(&origin(1), after(now, FRESH)), Said::Read), "it may have gone since");
        known.has_read(vec![origin(2)], later);
        assert!(matches!(known.says(&origin(1), later), Said::No));
        known.failed_at = Some(after(now, FRESH));
        assert!(matches!(known.says(&origin(1), after(now, FRESH)), Said::No), "closed while the database is away");
        assert!(matches!(known.says(&origin(1), after(after(now, FRESH), PAUSE)), Said::Read));
    }

    #[test]
    fn with_more_than_are_kept_the_others_are_looked_for_one_by_one() {
        let now = Timestamp::EPOCH.plus(Ttl::hours(1));
        let mut known = Known::default();
        known.has_read(first(MOST), now);
        assert!(known.is_complete && matches!(known.says(&origin(MOST), now), Said::No));
        known.has_read(first(MOST + 1), now);
        assert!(matches!(known.says(&origin(0), now), Said::Yes));
        assert!(matches!(known.says(&origin(MOST), now), Said::Probe));
        known.probed_at = Some(now);
        known.origins.insert(origin(MOST + 7), now);
        assert!(matches!(known.says(&origin(MOST), now), Said::No), "not so soon after another one");
        assert!(matches!(known.says(&origin(MOST), after(now, PROBE_PAUSE)), Said::Probe));
        let later = after(now, PAUSE);
        known.has_read(first(MOST + 1), later);
        assert!(matches!(known.says(&origin(MOST + 7), later), Said::Yes), "what was found stays");
        for n in 0..3 {
            known.has_read((n * MOST..(n + 1) * MOST + 1).map(origin).collect(), later);
        }
        assert!(known.origins.len() <= 2 * MOST);
    }
}
