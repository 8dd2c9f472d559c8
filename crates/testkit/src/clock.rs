//! A clock that only moves when it is told to.
//!
//! Invariant: it never reads the system's clock.

use std::sync::atomic::{AtomicI64, Ordering};

use app::ports::world::Clock;
use domain::time::{Timestamp, Ttl};

/// A [`Clock`] to set.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    pub const fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_micros()))
    }

    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    pub fn advance(&self, by: Ttl) {
        self.0.fetch_add(by.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}
