//! Places at the connections of a pool. Whoever finds one free takes it at once; while all are taken, tenants take turns.
//!
//! One of them holds at most three quarters of the places: however slow its statements are, the rest is for whoever else comes. Those
//! who share transactions, and what is done for the platform, have lines of their own, like tenants.
//!
//! Invariant: a place is held until its [`Place`] is dropped, wherever that happens; a waiter who goes away takes none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use app::fair::Turns;
use app::ports::store::{StoreError, Stored};
use tokio::sync::oneshot;
use uuid::Uuid;

/// The most who wait. One tenant has at most half of it.
const WAITING: usize = 4_096;

/// Who has a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    Tenant(Uuid),
    /// The lanes: tenants have taken turns already.
    Lanes,
    Platform,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Places(Mutex<State>);

#[derive(Debug)]
struct State {
    taken: Taken,
    waiting: Turns<Whose, (Whose, oneshot::Sender<Place>)>,
}

#[derive(Debug)]
struct Taken {
    free: usize,
    most_each: usize,
    held: HashMap<Whose, usize>,
}

impl Taken {
    fn may_enter(&self, whose: Whose) -> bool {
        self.free > 0 && self.held.get(&whose).is_none_or(|held| *held < self.most_each)
    }

    fn enter(&mut self, whose: Whose) {
        self.free -= 1;
        *self.held.entry(whose).or_default() += 1;
    }

    fn leave(&mut self, whose: Whose) {
        self.free += 1;
        if let Some(held) = self.held.get_mut(&whose) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&whose);
            }
        }
    }
}

impl State {
    /// Lets in whoever is next and has not gone away.
    fn next(&mut self) -> Option<(Whose, oneshot::Sender<Place>)> {
        loop {
            let (whose, reply) = self.waiting.pop_if(|whose| self.taken.may_enter(*whose))?;
            if !reply.is_closed() {
                self.taken.enter(whose);
                return Some((whose, reply));
            }
        }
    }
}

impl Places {
    /// `count` places, at least one.
    pub(crate) fn new(count: u32) -> Arc<Self> {
        let free = count.max(1) as usize;
        let taken = Taken { free, most_each: free - free / 4, held: HashMap::new() };
        Arc::new(Self(Mutex::new(State { taken, waiting: Turns::new(WAITING) })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done with it panics between two whole states.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// `Unavailable` when too many wait.
    pub(crate) async fn take(self: &Arc<Self>, whose: Whose) -> Stored<Place> {
        let full = || StoreError::Unavailable("too many wait for a database connection".to_owned());
        let turn = {
            let mut state = self.state();
            // Whoever waits may not enter now, else it would have when the last place was left.
            if state.taken.may_enter(whose) {
                state.taken.enter(whose);
                return Ok(Place { places: Arc::clone(self), whose });
            }
            let (reply, turn) = oneshot::channel();
            state.waiting.push(whose, (whose, reply)).map_err(|_| full())?;
            turn
        };
        turn.await.map_err(|_| full())
    }
}

/// One place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    whose: Whose,
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = {
            let mut state = self.places.state();
            state.taken.leave(self.whose);
            state.next()
        };
        if let Some((whose, reply)) = next {
            // Whoever goes away at this very moment drops it again.
            let _ = reply.send(Self { places: Arc::clone(&self.places), whose });
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, poll};

    use super::*;

    const A: Whose = Whose::Tenant(Uuid::from_u128(1));
    const B: Whose = Whose::Tenant(Uuid::from_u128(2));

    #[tokio::test]
    async fn one_tenant_leaves_a_quarter_and_waits_for_its_own_places() {
        let places = Places::new(8);
        let mut held: Vec<_> = (0..6).map(|_| places.take(A).now_or_never().expect("a free place").expect("a place")).collect();
        let mut seventh = Box::pin(places.take(A));
        assert!(poll!(&mut seventh).is_pending());
        let others: Vec<_> = (0..2).map(|_| places.take(B).now_or_never().expect("a free place")).collect();
        drop(others);
        assert!(poll!(&mut seventh).is_pending(), "what others left is not for it");
        held.pop();
        assert!(poll!(&mut seventh).is_ready());
    }

    #[tokio::test]
    async fn tenants_that_wait_take_turns_and_whoever_went_away_takes_none() {
        let places = Places::new(1);
        let mut held = places.take(A).await.expect("a place");
        let mut waiting: Vec<_> = [A, A, A, B].map(|whose| Some(Box::pin(places.take(whose)))).into_iter().collect();
        for turn in waiting.iter_mut().flatten() {
            assert!(poll!(turn).is_pending());
        }
        waiting[1] = None;
        for next in [0, 3, 2] {
            drop(held);
            let mut turn = waiting[next].take().expect("still waits");
            held = turn.as_mut().now_or_never().expect("its turn").expect("a place");
        }
        // Let in, and gone before it heard of it.
        let mut gone = Box::pin(places.take(B));
        assert!(poll!(&mut gone).is_pending());
        drop(held);
        drop(gone);
        assert!(places.take(A).now_or_never().expect("it came back").is_ok());
    }
}
