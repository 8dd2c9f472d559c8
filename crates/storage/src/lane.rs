//! Lanes: work of the same kind shares a transaction. Whoever waits while one is under way shares the next one.
//!
//! Tenants take turns: a storm of one of them lengthens its own line, and the next transaction has room for the others.
//! Nobody waits for company: whoever finds a lane empty goes alone, at once. A lane runs on the runtime of whoever found it empty, so that
//! their question and its answer need not change threads, and those who are ready to ask there do so first.
//!
//! Invariant: nobody is answered before the transaction that their answer comes from has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use app::fair::Turns;
use app::ports::store::{StoreError, Stored};
use domain::ids::TenantId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

/// The most that share a transaction, and the most that wait for the one after it.
const TOGETHER: usize = 64;
const WAITING: usize = 4_096;

/// Where an answer goes to. Whoever has gone away in the meantime needs none.
pub(crate) type Reply<R> = oneshot::Sender<Stored<R>>;

/// Who waits for an answer.
type Waiting<A, R> = Turns<TenantId, (A, Reply<R>)>;

/// Does what those ask who share a transaction, and answers each of them.
type Together<A, R> = Box<dyn Fn(Vec<A>, Vec<Reply<R>>) -> BoxFuture<'static, ()> + Send + Sync>;

struct Line<A, R> {
    state: Mutex<State<A, R>>,
    lanes: usize,
    together: Together<A, R>,
}

struct State<A, R> {
    waiting: Waiting<A, R>,
    /// Lanes that are under way.
    under_way: usize,
}

impl<A, R> Line<A, R> {
    fn state(&self) -> MutexGuard<'_, State<A, R>> {
        // Whoever panicked with it did so between two whole states.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lane that is under way: it ends when nobody waits.
struct UnderWay<A, R>(Arc<Line<A, R>>);

impl<A, R> UnderWay<A, R> {
    async fn go_on(self) {
        loop {
            let batch: Vec<_> = {
                let mut state = self.0.state();
                let State { waiting, .. } = &mut *state;
                let batch: Vec<_> = std::iter::from_fn(|| waiting.pop()).take(TOGETHER).collect();
                if batch.is_empty() {
                    // Under the same lock: whoever comes now finds that this lane has ended.
                    state.under_way -= 1;
                    drop(state);
                    std::mem::forget(self);
                    return;
                }
                batch
            };
            let (asked, replies): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            (self.0.together)(asked, replies).await;
        }
    }
}

impl<A, R> Drop for UnderWay<A, R> {
    /// Broken off: its runtime has ended, or it panicked. Whoever waits shall ask again.
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        while state.waiting.pop().is_some() {}
    }
}

/// A way onto the lanes: `A` is asked, `R` is answered.
pub(crate) struct Lane<A, R>(Arc<Line<A, R>>);

impl<A, R> Clone for Lane<A, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A, R> std::fmt::Debug for Lane<A, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

impl<A: Send + 'static, R: Send + 'static> Lane<A, R> {
    /// So many lanes. `together` does what those ask who share a transaction, and answers each of them.
    pub(crate) fn new<W>(lanes: usize, together: impl Fn(Vec<A>, Vec<Reply<R>>) -> W + Send + Sync + 'static) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let state = Mutex::new(State { waiting: Turns::new(WAITING), under_way: 0 });
        let together = Box::new(move |asked, replies| together(asked, replies).boxed());
        Self(Arc::new(Line { state, lanes, together }))
    }

    /// Must be called on a tokio runtime: where no lane is free to be waited for, one begins there, beside whoever asks. It does not end
    /// when they go away.
    pub(crate) async fn ask(&self, tenant: TenantId, asked: A) -> Stored<R> {
        let (reply, answer) = oneshot::channel();
        let begins = {
            let mut state = self.0.state();
            let full = |_| StoreError::Unavailable("too many wait for the database".to_owned());
            state.waiting.push(tenant, (asked, reply)).map_err(full)?;
            let begins = state.under_way < self.0.lanes;
            state.under_way += usize::from(begins);
            begins
        };
        if begins {
            tokio::spawn(UnderWay(Arc::clone(&self.0)).go_on());
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("interrupted".to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use domain::time::Timestamp;
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    fn tenant(number: u8) -> TenantId {
        TenantId::new(Timestamp::EPOCH, [number; 10])
    }

    #[tokio::test]
    async fn whoever_comes_while_others_are_under_way_shares_the_next_one() {
        let (gate, batches) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let lane = {
            let (gate, batches) = (Arc::clone(&gate), Arc::clone(&batches));
            Lane::new(1, move |asked: Vec<u32>, replies: Vec<Reply<u32>>| {
                let (gate, batches) = (Arc::clone(&gate), Arc::clone(&batches));
                async move {
                    batches.lock().expect("whole").push(asked.len());
                    gate.acquire().await.expect("open").forget();
                    asked.into_iter().zip(replies).for_each(|(asked, reply)| reply.send(Ok(asked + 1)).expect("somebody waits"));
                }
            })
        };
        let first = tokio::spawn({
            let lane = lane.clone();
            async move { lane.ask(tenant(1), 0).await }
        });
        while batches.lock().expect("whole").is_empty() {
            tokio::task::yield_now().await;
        }
        let others = tokio::spawn({
            let lane = lane.clone();
            async move { join_all((1..=100).map(|number| lane.ask(tenant(number), u32::from(number)))).await }
        });
        tokio::task::yield_now().await;
        gate.add_permits(3);
        assert_eq!(first.await.expect("no panic"), Ok(1));
        assert_eq!(others.await.expect("no panic"), (2..=101).map(Ok).collect::<Vec<_>>());
        assert_eq!(*batches.lock().expect("whole"), [1, 64, 36]);
        gate.add_permits(1);
        assert_eq!(lane.ask(tenant(1), 7).await, Ok(8), "and a new one begins when they have ended");
    }

    #[tokio::test]
    async fn one_that_breaks_off_leaves_nobody_waiting_and_the_next_one_begins() {
        let times = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&times);
        let lane = Lane::new(1, move |asked: Vec<u32>, replies: Vec<Reply<u32>>| {
            let time = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(time > 0, "on purpose");
                asked.into_iter().zip(replies).for_each(|(asked, reply)| reply.send(Ok(asked)).expect("somebody waits"));
            }
        });
        let broken = Err(StoreError::Unavailable("interrupted".to_owned()));
        assert_eq!(lane.ask(tenant(1), 1).await, broken);
        assert_eq!(lane.ask(tenant(1), 2).await, Ok(2));
        assert_eq!(times.load(Ordering::SeqCst), 2);
    }
}
