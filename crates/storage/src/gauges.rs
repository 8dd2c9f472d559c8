//! Numbers for the metrics: how many connections there are, and how many refreshes share a commit.
//!
//! Invariant: only looks and counts; asks the database nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::pool::Pool;

use crate::connect::Database;

/// One pool of connections, at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    pub name: &'static str,
    pub idle: usize,
    pub busy: usize,
    /// The most it opens.
    pub most: usize,
}

/// Commits that held refreshes since the start, and how many those were.
#[derive(Debug, Default)]
pub(crate) struct RefreshCommits {
    commits: AtomicU64,
    refreshes: AtomicU64,
}

impl RefreshCommits {
    pub(crate) fn committed(&self, refreshes: usize) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.refreshes.fetch_add(refreshes as u64, Ordering::Relaxed);
    }
}

fn size<DB: sqlx::Database>(name: &'static str, pool: &Pool<DB>) -> PoolSize {
    let (open, idle) = (pool.size() as usize, pool.num_idle());
    PoolSize { name, idle, busy: open.saturating_sub(idle), most: pool.options().get_max_connections() as usize }
}

impl Database {
    /// The pools: a writer's and the readers' on SQLite, one for all on PostgreSQL.
    pub fn pools(&self) -> Vec<PoolSize> {
        if self.is_sqlite {
            let pools = [("writer", &self.writer), ("readers", &self.reader)];
            pools.map(|(name, db)| size(name, db.connections.get_sqlite_connection_pool())).to_vec()
        } else {
            vec![size("all", self.writer.connections.get_postgres_connection_pool())]
        }
    }

    /// Commits that held refreshes since the start, and how many refreshes those were.
    pub fn refresh_commits(&self) -> (u64, u64) {
        (self.refresh_commits.commits.load(Ordering::Relaxed), self.refresh_commits.refreshes.load(Ordering::Relaxed))
    }
}
