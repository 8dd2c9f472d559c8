//! A pool of connections that notices when its database is away.
//!
//! While it is, callers wait for a connection only briefly, and one task keeps trying with all patience. A busy moment is not
//! an absence: then callers wait for their turn.
//!
//! Invariant: nothing but that task says that the database is back, so that one that is slow to connect to gets its chance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::{ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, TransactionOptions, TransactionTrait};

use crate::connect::TURN_PATIENCE;
use crate::error;
use crate::tx::answered;

/// How long a use case waits for a connection to a database that is away. One use case may ask twice, and is to be over in a second.
const AWAY_PATIENCE: Duration = Duration::from_millis(400);
/// The pause between two tries to reach a database that is away.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) connections: DatabaseConnection,
    /// `None`: it cannot be away, because it is a file.
    is_away: Option<Arc<AtomicBool>>,
}

impl Pool {
    pub(crate) const fn of_a_file(connections: DatabaseConnection) -> Self {
        Self { connections, is_away: None }
    }

    pub(crate) fn of_a_server(connections: DatabaseConnection) -> Self {
        Self { connections, is_away: Some(Arc::default()) }
    }

    /// Begins a transaction. Connections that were cut while they lay idle, by a restart of the server, are passed over.
    pub(crate) async fn begin(&self, options: TransactionOptions) -> Result<DatabaseTransaction, DbErr> {
        loop {
            let is_away = self.is_away.as_ref().is_some_and(|is_away| is_away.load(Ordering::Relaxed));
            let patience = if is_away { AWAY_PATIENCE } else { TURN_PATIENCE };
            match answered(patience, self.connections.begin_with_options(options)).await {
                Ok(begun) => return Ok(begun),
                Err(failed) => {
                    self.suspect();
                    if !error::is_cut(&failed) {
                        return Err(failed);
                    }
                }
            }
        }
    }

    fn suspect(&self) {
        if let Some(is_away) = &self.is_away
            && !is_away.swap(true, Ordering::Relaxed)
        {
            tokio::spawn(wait_for(self.connections.clone(), Arc::clone(is_away)));
        }
    }
}

/// Tries until the database answers or nobody wants it any more.
async fn wait_for(connections: DatabaseConnection, is_away: Arc<AtomicBool>) {
    loop {
        match answered(TURN_PATIENCE, connections.execute_unprepared("SELECT 1")).await {
            Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)) => return,
            Err(error) => tracing::debug!(%error, "the database is still away"),
            Ok(_) => break,
        }
        tokio::time::sleep(PAUSE).await;
    }
    is_away.store(false, Ordering::Relaxed);
}
