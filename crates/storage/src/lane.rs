//! The lanes on which refreshes travel: whoever waits while a commit is under way shares the next one.
//!
//! A commit costs a flush of the disk, whether it holds one refresh or sixty-four. Nobody waits for company: a refresh that finds
//! a lane empty goes alone, at once. And nobody waits for somebody else's row: a family that another transaction holds (another
//! node's, or an administrator's) leaves the lane and waits by itself, so that transactions of many families never wait for
//! each other.
//!
//! Invariant: nobody is answered before the commit that holds their verdict, and a row that cannot be read harms only its owner.

use std::collections::HashMap;
use std::sync::Arc;

use app::ports::store::{StoreError, Stored};
use app::tokens::judgement::{Judgement, RefreshAttempt};
use domain::ids::TenantId;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::connect::Database;
use crate::dialect::Held;
use crate::refresh::{Asked, refresh_together};
use crate::tx::{PATIENCE, within};

/// The most refreshes that share a commit, and the most that wait for the one after it.
const TOGETHER: usize = 64;
const WAITING: usize = 4_096;
/// Commits that are under way at once: SQLite has one writer; on PostgreSQL the next batch is read while one is flushed.
const LANES_SQLITE: usize = 1;
const LANES_POSTGRES: usize = 2;

type Reply = oneshot::Sender<Stored<Option<Judgement>>>;

/// A way onto the lanes. They end when the last one is gone.
#[derive(Debug, Clone)]
pub(crate) struct Lane(mpsc::Sender<(Asked, Reply)>);

impl Lane {
    /// Starts the lanes on the current tokio runtime.
    pub(crate) fn start(db: &Database) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..if db.is_sqlite { LANES_SQLITE } else { LANES_POSTGRES } {
            tokio::spawn(run(db.clone(), Arc::clone(&receiver)));
        }
        Self(sender)
    }

    pub(crate) async fn refresh(&self, tenant: TenantId, attempt: RefreshAttempt) -> Stored<Option<Judgement>> {
        let (reply, answer) = oneshot::channel();
        let full = |_| StoreError::Unavailable("too many refreshes are waiting".to_owned());
        self.0.try_send((Asked { tenant, attempt }, reply)).map_err(full)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the refresh was interrupted".to_owned())))
    }
}

async fn run(db: Database, waiting: Arc<Mutex<mpsc::Receiver<(Asked, Reply)>>>) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while waiting.lock().await.recv_many(&mut batch, TOGETHER).await > 0 {
        let (asked, replies): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let judged = match within(PATIENCE, refresh_together(&db, &asked, Held::Skip)).await {
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
        for (family, replies) in apart.into_values() {
            tokio::spawn(by_themselves(db.clone(), family, replies));
        }
    }
}

/// Refreshes of one family that others hold, that cannot be read, or that does not exist.
async fn by_themselves(db: Database, asked: Vec<Asked>, replies: Vec<Reply>) {
    let judged = within(PATIENCE, refresh_together(&db, &asked, Held::Wait)).await;
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
