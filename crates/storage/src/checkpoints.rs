//! SQLite's checkpoints: what has been committed to the log is copied into the database file beside whoever writes, not before the next
//! commit.
//!
//! SQLite would do it within the commit that makes the log a thousand pages long, and everybody who writes would wait for tens of
//! milliseconds. Here a connection of its own does, well before that. What a busy moment leaves over is still done within such a commit, so
//! that the log begins anew and its file stops growing: a commit that makes a file longer waits for the file system's journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use app::ports::store::Stored;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::error;

/// So many rows between two checkpoints. A login writes about four pages for each of them.
const EVERY: u64 = 128;

/// Counts what is written, and has checkpoints made until it is dropped.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    counted: Arc<Counted>,
    connection: DatabaseConnection,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Counted {
    rows: AtomicU64,
    due: Notify,
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Checkpoints {
    /// By this connection. Must be called on a tokio runtime.
    pub(crate) fn by(connection: DatabaseConnection) -> Self {
        let counted = Arc::<Counted>::default();
        let task = tokio::spawn(go_on(Arc::clone(&counted), connection.clone())).abort_handle();
        Self { counted, connection, task }
    }

    /// So many rows, or more, were committed.
    pub(crate) fn written(&self, rows: usize) {
        let rows = rows as u64;
        let before = self.counted.rows.fetch_add(rows, Ordering::Relaxed);
        if before / EVERY != (before + rows) / EVERY {
            self.counted.due.notify_one();
        }
    }

    /// Makes no more of them.
    pub(crate) async fn close(&self) -> Stored<()> {
        self.task.abort();
        self.connection.close_by_ref().await.map_err(error::of("(close)"))
    }
}

async fn go_on(counted: Arc<Counted>, connection: DatabaseConnection) {
    loop {
        counted.due.notified().await;
        // Copies what nobody reads in the log any more; waits for nobody, and nobody waits for it.
        if let Err(error) = connection.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await {
            // A commit that finds the log too long does it.
            tracing::debug!(%error, "a checkpoint was not made");
        }
    }
}
