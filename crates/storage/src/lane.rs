//! Lanes: work of the same kind shares a transaction. Whoever waits while one is under way shares the next one.
//!
//! Tenants take turns: a storm of one of them lengthens its own line, and the next transaction has room for the others.
//! Nobody waits for company: whoever finds a lane empty goes alone, at once.
//!
//! Invariant: nobody is answered before the transaction that their answer comes from has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use app::fair::Turns;
use app::ports::store::{StoreError, Stored};
use domain::ids::TenantId;
use tokio::sync::{Notify, oneshot};

/// The most that share a transaction, and the most that wait for the one after it.
const TOGETHER: usize = 64;
const WAITING: usize = 4_096;

/// Where an answer goes to. Whoever has gone away in the meantime needs none.
pub(crate) type Reply<R> = oneshot::Sender<Stored<R>>;

/// Who waits for an answer.
type Waiting<A, R> = Turns<TenantId, (A, Reply<R>)>;

/// Who waits, and the bell that tells the lanes.
struct Line<A, R> {
    /// `None`: nobody can come any more.
    waiting: Mutex<Option<Waiting<A, R>>>,
    bell: Notify,
}

impl<A, R> Line<A, R> {
    fn waiting(&self) -> MutexGuard<'_, Option<Waiting<A, R>>> {
        // Whoever panicked with it did so between two whole states.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until somebody does, and takes up to [`TOGETHER`] of them; none when the line has been closed.
    async fn next(&self) -> Vec<(A, Reply<R>)> {
        loop {
            let rung = self.bell.notified();
            {
                let mut waiting = self.waiting();
                let Some(turns) = waiting.as_mut() else { return Vec::new() };
                let batch: Vec<_> = std::iter::from_fn(|| turns.pop()).take(TOGETHER).collect();
                if !turns.is_empty() {
                    self.bell.notify_one();
                }
                if !batch.is_empty() {
                    return batch;
                }
            }
            rung.await;
        }
    }
}

/// A way onto the lanes: `A` is asked, `R` is answered. They end when the last one is gone.
pub(crate) struct Lane<A, R>(Arc<Door<A, R>>);

impl<A, R> Clone for Lane<A, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Door<A, R>(Arc<Line<A, R>>);

impl<A, R> Drop for Door<A, R> {
    fn drop(&mut self) {
        *self.0.waiting() = None;
        self.0.bell.notify_waiters();
    }
}

impl<A, R> std::fmt::Debug for Lane<A, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

impl<A: Send + 'static, R: Send + 'static> Lane<A, R> {
    /// Starts so many lanes on the current tokio runtime. `together` does what those ask who share a transaction, and answers each of them.
    pub(crate) fn start<W>(lanes: usize, together: impl Fn(Vec<A>, Vec<Reply<R>>) -> W + Clone + Send + Sync + 'static) -> Self
    where
        W: Future<Output = ()> + Send,
    {
        let line = Arc::new(Line { waiting: Mutex::new(Some(Turns::new(WAITING))), bell: Notify::new() });
        for _ in 0..lanes {
            let (line, together) = (Arc::clone(&line), together.clone());
            tokio::spawn(async move {
                loop {
                    let (asked, replies): (Vec<_>, Vec<_>) = line.next().await.into_iter().unzip();
                    if asked.is_empty() {
                        return;
                    }
                    together(asked, replies).await;
                }
            });
        }
        Self(Arc::new(Door(line)))
    }

    pub(crate) async fn ask(&self, tenant: TenantId, asked: A) -> Stored<R> {
        let (reply, answer) = oneshot::channel();
        let Door(line) = &*self.0;
        let is_in = line.waiting().as_mut().is_some_and(|turns| turns.push(tenant, (asked, reply)).is_ok());
        if !is_in {
            return Err(StoreError::Unavailable("too many wait for the database".to_owned()));
        }
        line.bell.notify_one();
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("interrupted".to_owned())))
    }
}
