//! The demo's clock: the machine's, and as much later as the story says.
//!
//! Invariant: it never goes back.

use std::sync::atomic::{AtomicU32, Ordering};

use app::ports::world::Clock;
use domain::time::{Timestamp, Ttl};

use crate::wire::SystemClock;

#[derive(Debug, Default)]
pub(super) struct DemoClock {
    ahead_seconds: AtomicU32,
}

impl DemoClock {
    /// Lets time pass.
    pub(super) fn pass(&self, time: Ttl) {
        self.ahead_seconds.fetch_add(time.as_seconds(), Ordering::SeqCst);
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(Ttl::seconds(self.ahead_seconds.load(Ordering::SeqCst)))
    }
}
