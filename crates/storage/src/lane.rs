//! The lane on which SQLite's refreshes travel: whoever waits while one commit is under way shares the next one.
//!
//! A commit costs a flush of the disk, whether it holds one refresh or sixty-four. Nobody waits for company: a refresh that finds
//! the lane empty goes alone, at once.
//!
//! Invariant: nobody is answered before the commit that holds their verdict, and a row that cannot be read harms only its owner.

use app::ports::store::{StoreError, Stored};
use app::tokens::judgement::{Judgement, RefreshAttempt};
use domain::ids::TenantId;
use tokio::sync::{mpsc, oneshot};

use crate::connect::Database;
use crate::refresh::{Asked, refresh, refresh_together};

/// The most refreshes that share a commit, and the most that wait for the one after it.
const TOGETHER: usize = 64;
const WAITING: usize = 4_096;

struct Waiting {
    asked: Asked,
    reply: oneshot::Sender<Stored<Option<Judgement>>>,
}

/// A way onto the lane. The lane ends when the last one is gone.
#[derive(Debug, Clone)]
pub(crate) struct Lane(mpsc::Sender<Waiting>);

impl Lane {
    /// Starts the lane on the current tokio runtime.
    pub(crate) fn start(db: Database) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(run(db, receiver));
        Self(sender)
    }

    pub(crate) async fn refresh(&self, tenant: TenantId, attempt: RefreshAttempt) -> Stored<Option<Judgement>> {
        let (reply, answer) = oneshot::channel();
        let full = |_| StoreError::Unavailable("too many refreshes are waiting".to_owned());
        self.0.try_send(Waiting { asked: Asked { tenant, attempt }, reply }).map_err(full)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the refresh was interrupted".to_owned())))
    }
}

async fn run(db: Database, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while waiting.recv_many(&mut batch, TOGETHER).await > 0 {
        let (asked, replies): (Vec<_>, Vec<_>) = batch.drain(..).map(|waiting| (waiting.asked, waiting.reply)).unzip();
        // Whoever has gone away in the meantime needs no answer, here and below.
        match refresh_together(&db, &asked).await {
            Ok(judgements) => {
                for (reply, judgement) in replies.into_iter().zip(judgements) {
                    let _ = reply.send(Ok(judgement));
                }
            }
            Err(StoreError::Unavailable(detail)) => {
                for reply in replies {
                    let _ = reply.send(Err(StoreError::Unavailable(detail.clone())));
                }
            }
            // One of them cannot be read or written. Each by itself, so that only that one is refused.
            Err(StoreError::Conflict | StoreError::Corrupt { .. }) => {
                for (Asked { tenant, attempt }, reply) in asked.into_iter().zip(replies) {
                    let _ = reply.send(refresh(&db, tenant, &attempt).await);
                }
            }
        }
    }
}
