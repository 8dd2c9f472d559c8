//! RSA keys, for tenants whose policy asks for them: making one takes up to a few hundred milliseconds of a core.
//!
//! Invariant: one key is made at a time, so that however many rings are due, the other cores are left to logins; and one that nobody
//! waits for is made by a thread that gives way to all others. A key is handed out once. Keys in the pool belong to nobody yet and are wiped when the pool ends.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use app::ports::keys::KeyFault;
use domain::keys::ring::Alg;

use crate::keygen::{GeneratedKey, generate};

/// A few ready RSA keys, refilled by one thread as soon as one is taken. The thread ends when the pool is dropped.
///
/// It begins empty, and fills from [`RsaPool::keep_full`] on: the first keys of a node take a core that its start needs.
pub(crate) struct RsaPool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Held by whoever makes a key.
    turn: Mutex<()>,
    wake: Condvar,
    /// Told with every key that comes, and at the end.
    filled: Condvar,
    wanted: usize,
}

#[derive(Default)]
struct State {
    ready: VecDeque<GeneratedKey>,
    /// Whether a thread sees to it.
    is_filled: bool,
    has_ended: bool,
}

impl RsaPool {
    /// Of `wanted` keys at most; with 0 every key is made when it is needed.
    pub(crate) fn new(wanted: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                turn: Mutex::default(),
                wake: Condvar::new(),
                filled: Condvar::new(),
                wanted,
            }),
        }
    }

    /// Starts the thread that fills the pool. Once for each pool: a second thread would find nothing to do.
    pub(crate) fn keep_full(&self) {
        if self.shared.wanted > 0 {
            let refill = Arc::clone(&self.shared);
            match std::thread::Builder::new().name("rsa-pool".to_owned()).spawn(move || refill.refill()) {
                Ok(_) => self.shared.lock().is_filled = true,
                Err(error) => tracing::warn!(%error, "no thread for the RSA pool: keys are made when they are needed"),
            }
        }
    }

    /// A ready key, if there is one. Never waits for a key to be made.
    pub(crate) fn try_take(&self) -> Option<GeneratedKey> {
        let key = self.shared.lock().ready.pop_front();
        self.shared.wake.notify_one();
        key
    }

    /// A ready key, or one made now: blocks for as long as that takes, and until those before it are made.
    pub(crate) fn take_or_make(&self) -> Result<GeneratedKey, KeyFault> {
        self.try_take().map_or_else(|| self.shared.make(), Ok)
    }

    /// A ready key, waited for; made now where nobody fills the pool. For work that has time: on a busy node it may take seconds.
    pub(crate) fn take_when_ready(&self) -> Result<GeneratedKey, KeyFault> {
        let state = self.shared.lock();
        let state = self.shared.filled.wait_while(state, |state| state.is_filled && !state.has_ended && state.ready.is_empty());
        let key = state.unwrap_or_else(PoisonError::into_inner).ready.pop_front();
        self.shared.wake.notify_one();
        key.map_or_else(|| self.shared.make(), Ok)
    }

    pub(crate) fn ready(&self) -> usize {
        self.shared.lock().ready.len()
    }
}

impl Drop for RsaPool {
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.wake.notify_one();
        self.shared.filled.notify_all();
    }
}

/// How much the thread that makes keys ahead gives way (`nice`): beside one that answers requests it gets a thirtieth of a core.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 15;

impl Shared {
    /// The state is good after every statement, so a panic elsewhere while it was locked broke nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self) -> Result<GeneratedKey, KeyFault> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        generate(Alg::RS256)
    }

    fn refill(&self) {
        // Elsewhere a niceness is that of the whole process.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
            tracing::warn!(%error, "RSA keys are made at the usual priority");
        }
        loop {
            let state = self.lock();
            let state = self.wake.wait_while(state, |state| !state.has_ended && state.ready.len() >= self.wanted);
            if state.unwrap_or_else(PoisonError::into_inner).has_ended {
                return;
            }
            match self.make() {
                Ok(key) => {
                    self.lock().ready.push_back(key);
                    self.filled.notify_one();
                }
                Err(error) => {
                    tracing::warn!(%error, "the RSA pool could not make a key");
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_refills_and_hands_each_key_out_once() {
        let pool = RsaPool::new(2);
        pool.keep_full();
        let mut kids = Vec::new();
        while kids.len() < 4 {
            match pool.try_take() {
                Some(key) => kids.push(key.kid),
                None => std::thread::yield_now(),
            }
        }
        kids.sort();
        kids.dedup();
        assert_eq!(kids.len(), 4);
    }

    #[test]
    fn whoever_has_time_waits_for_the_pool() {
        let pool = RsaPool::new(1);
        pool.keep_full();
        std::thread::scope(|scope| {
            let takers: Vec<_> = (0..3).map(|_| scope.spawn(|| pool.take_when_ready().unwrap().kid)).collect();
            let kids: std::collections::BTreeSet<_> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
            assert_eq!(kids.len(), 3);
        });
    }

    #[test]
    fn an_empty_pool_makes_a_key_when_it_must() {
        let pool = RsaPool::new(0);
        assert!(pool.try_take().is_none());
        assert!(pool.take_or_make().is_ok());
        assert!(pool.take_when_ready().is_ok(), "nobody fills it");
    }
}
