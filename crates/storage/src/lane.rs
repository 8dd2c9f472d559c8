//! The lanes on which refreshes travel: whoever waits while a commit is under way shares the next one.
//!
//! Tenants take turns: a storm of one of them lengthens its own line, and the next commit has room for the others.
//! A commit costs a flush of the disk, whether it holds one refresh or sixty-four. Nobody waits for company: a refresh that finds
//! a lane empty goes alone, at once. And nobody waits for somebody else's row: a family that another transaction holds (another
//! node's, or an administrator's) leaves the lane and waits by itself, so that transactions of many families never wait for
//! each other.
//!
//! Invariant: nobody is answered before the commit that holds their verdict, and a row that cannot be read harms only its owner.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use app::fair::Turns;
use app::ports::store::{StoreError, Stored};
use app::tokens::judgement::{Judgement, RefreshAttempt};
use domain::ids::TenantId;
use tokio::sync::{Notify, oneshot};

use crate::connect::Database;
use crate::dialect::Held;
use crate::places::Whose;
use crate::refresh::{Asked, refresh_together};
use crate::tx::{PATIENCE, within};

/// The most refreshes that share a commit, and the most that wait for the one after it.
const TOGETHER: usize = 64;
const WAITING: usize = 4_096;
/// Commits that are under way at once: SQLite has one writer; on PostgreSQL the next batch is read while one is flushed.
const LANES_SQLITE: usize = 1;
const LANES_POSTGRES: usize = 2;

type Reply = oneshot::Sender<Stored<Option<Judgement>>>;
type Waiting = Turns<TenantId, (Asked, Reply)>;

/// Who waits, and the bell that tells the lanes.
struct Line {
    /// `None`: nobody can come any more.
    waiting: Mutex<Option<Waiting>>,
    bell: Notify,
}

impl Line {
    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        // Whoever panicked with it did so between two whole states.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until somebody does, and takes up to [`TOGETHER`] of them; none when the line has been closed.
    async fn next(&self) -> Vec<(Asked, Reply)> {
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

/// A way onto the lanes. They end when the last one is gone.
#[derive(Clone)]
pub(crate) struct Lane(Arc<Door>);

struct Door(Arc<Line>);

impl Drop for Door {
    fn drop(&mut self) {
        *self.0.waiting() = None;
        self.0.bell.notify_waiters();
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

impl Lane {
    /// Starts the lanes on the current tokio runtime.
    pub(crate) fn start(db: &Database) -> Self {
        let line = Arc::new(Line { waiting: Mutex::new(Some(Turns::new(WAITING))), bell: Notify::new() });
        for _ in 0..if db.is_sqlite { LANES_SQLITE } else { LANES_POSTGRES } {
            tokio::spawn(run(db.clone(), Arc::clone(&line)));
        }
        Self(Arc::new(Door(line)))
    }

    pub(crate) async fn refresh(&self, tenant: TenantId, attempt: RefreshAttempt) -> Stored<Option<Judgement>> {
        let (reply, answer) = oneshot::channel();
        let Door(line) = &*self.0;
        let is_in = line.waiting().as_mut().is_some_and(|turns| turns.push(tenant, (Asked { tenant, attempt }, reply)).is_ok());
        if !is_in {
            return Err(StoreError::Unavailable("too many refreshes are waiting".to_owned()));
        }
        line.bell.notify_one();
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the refresh was interrupted".to_owned())))
    }
}

async fn run(db: Database, line: Arc<Line>) {
    loop {
        let (asked, replies): (Vec<_>, Vec<_>) = line.next().await.into_iter().unzip();
        if asked.is_empty() {
            return;
        }
        let judged = match within(PATIENCE, refresh_together(&db, Whose::Refreshes, &asked, Held::Skip)).await {
            // One of them cannot be read or written; by themselves, only that one is refused.
            Err(StoreError::Conflict | StoreError::Corrupt { .. }) => Ok(vec![None; asked.len()]),
            judged => judged,
        };
        let mut apart: HashMap<_, (Vec<_>, Vec<_>)> = HashMap::new();
        for ((asked, reply), answer) in asked.into_iter().zip(replies).zip(each(judged)) {
            if let Ok(None) = answer {
                let (family, replies) = apart.entry(asked.family()).or_default();
                family.push(asked);
                replies.push(reply);
            } else {
                // Whoever has gone away in the meantime needs no answer, here and below.
                let _ = reply.send(answer);
            }
        }
        for ((tenant, _), (family, replies)) in apart {
            tokio::spawn(by_themselves(db.clone(), Whose::Tenant(tenant), family, replies));
        }
    }
}

/// Refreshes of one family that others hold, that cannot be read, or that does not exist.
async fn by_themselves(db: Database, whose: Whose, asked: Vec<Asked>, replies: Vec<Reply>) {
    let judged = within(PATIENCE, refresh_together(&db, whose, &asked, Held::Wait)).await;
    for (reply, answer) in replies.into_iter().zip(each(judged)) {
        let _ = reply.send(answer);
    }
}

/// The answers one by one; a failure is everybody's.
fn each(judged: Stored<Vec<Option<Judgement>>>) -> Box<dyn Iterator<Item = Stored<Option<Judgement>>> + Send> {
    match judged {
        Ok(judgements) => Box::new(judgements.into_iter().map(Ok)),
        Err(error) => Box::new(std::iter::repeat_with(move || Err(error.clone()))),
    }
}
