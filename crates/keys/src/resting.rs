//! Rings that could not be advanced: each is left alone for a while, longer each time, so that it harms nobody but itself.
//!
//! Invariant: what is here delays the clock only; whoever orders a change by hand is never held back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::ids::TenantId;
use domain::time::{Timestamp, Ttl};

/// However often a ring has failed, it is tried again after this long: what was wrong may have been mended.
const LONGEST: Ttl = Ttl::minutes(15);

#[derive(Debug, Clone, Copy)]
struct Rest {
    failures: u32,
    until: Timestamp,
}

/// The rings that rest, by tenant.
#[derive(Debug, Default)]
pub(crate) struct Resting(Mutex<HashMap<TenantId, Rest>>);

impl Resting {
    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Rest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a ring to rest: twice as long at every failure, beginning with `first`. Answers until when.
    pub(crate) fn failed(&self, tenant: TenantId, first: Ttl, now: Timestamp) -> Timestamp {
        let mut map = self.lock();
        let rest = map.entry(tenant).or_insert(Rest { failures: 0, until: now });
        let seconds = u64::from(first.as_seconds().max(1)) << rest.failures.min(20);
        rest.failures = rest.failures.saturating_add(1);
        rest.until = now.plus(Ttl::seconds(u32::try_from(seconds).unwrap_or(u32::MAX)).min(LONGEST));
        rest.until
    }

    pub(crate) fn recovered(&self, tenant: TenantId) {
        self.lock().remove(&tenant);
    }

    /// Whether the ring is to be left alone still.
    pub(crate) fn is_resting(&self, tenant: TenantId, now: Timestamp) -> bool {
        self.lock().get(&tenant).is_some_and(|rest| now < rest.until)
    }

    /// Rings that have failed and not recovered.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Forgets those whose rest ended long ago and that were not tried again: another node has done the work, or the tenant is gone.
    pub(crate) fn forget_old(&self, now: Timestamp) {
        self.lock().retain(|_, rest| now < rest.until.plus(LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::fakes::{NOW, tenant};

    #[test]
    fn each_failure_doubles_the_rest_up_to_the_longest() {
        let resting = Resting::default();
        let rests: Vec<_> = (0..40).map(|_| resting.failed(tenant(1), Ttl::seconds(30), NOW).seconds_after(NOW)).collect();
        assert_eq!(rests[..6], [30, 60, 120, 240, 480, 900]);
        assert!(rests[6..].iter().all(|rest| *rest == 900));
        assert!(resting.is_resting(tenant(1), NOW.plus(Ttl::seconds(899))) && !resting.is_resting(tenant(2), NOW));
        assert!(!resting.is_resting(tenant(1), NOW.plus(Ttl::minutes(15))));
        resting.recovered(tenant(1));
        assert!(!resting.is_resting(tenant(1), NOW));
        assert_eq!(resting.failed(tenant(1), Ttl::seconds(30), NOW), NOW.plus(Ttl::seconds(30)), "from the beginning");
        resting.forget_old(NOW.plus(Ttl::minutes(15)));
        assert_eq!(resting.count(), 1);
        resting.forget_old(NOW.plus(Ttl::minutes(16)));
        assert_eq!(resting.count(), 0);
    }
}
