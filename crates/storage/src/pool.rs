//! A pool of connections that notices when its database is away.
//!
//! While it is, callers wait for a connection only briefly, and one task keeps trying with all patience. A busy moment is not
//! an absence: then callers wait for their turn. A server in recovery is one: nobody works on a standby, nor on a primary that was demoted.
//!
//! Invariant: nothing but that task says that the database is back, so that one that is slow to connect to gets its chance.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use app::ports::store::{StoreError, Stored};
use sea_orm::{ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, TransactionOptions, TransactionTrait};
use tokio::runtime::Handle;

use crate::connect::TURN_PATIENCE;
use crate::places::{Place, Places, Whose};
use crate::tx::answered;
use crate::wal::Wal;
use crate::{dialect, error};

/// How long a use case waits for a connection to a database that is away. One use case may ask twice, and is to be over in a second.
const AWAY_PATIENCE: Duration = Duration::from_millis(400);
/// How long one of the places is waited for. Less than beginning a transaction may take as a whole: whoever gets one has time to use it,
/// so that a queue is never taken for a database that does not answer.
const PLACE_PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two tries to reach a database that is away.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) connections: DatabaseConnection,
    places: Arc<Places>,
    /// `None`: it cannot be away, because it is a file.
    is_away: Option<Arc<AtomicBool>>,
    /// Each transaction may find itself in another session than the one before.
    pub(crate) is_pooled: bool,
    /// Of a file.
    pub(crate) wal: Option<Arc<Wal>>,
}

impl Pool {
    pub(crate) fn of_a_file(connections: DatabaseConnection, count: u32, wal: Arc<Wal>) -> Self {
        Self { connections, places: Places::new(count), is_away: None, is_pooled: false, wal: Some(wal) }
    }

    /// `is_away` is shared with whoever looks at connections that come back: while it is true, they are not believed.
    pub(crate) fn of_a_server(connections: DatabaseConnection, count: u32, is_away: Arc<AtomicBool>, is_pooled: bool) -> Self {
        Self { connections, places: Places::new(count), is_away: Some(is_away), is_pooled, wal: None }
    }

    /// Waits until there is a connection for whoever wants one: before [`Self::begin`], which then has hardly to wait. Nobody takes turns
    /// at a database that is away: all find out at the same time.
    ///
    /// # Errors
    /// `Unavailable` when too many wait, or when none has come free in time.
    pub(crate) async fn place(&self, whose: Whose) -> Stored<Option<Place>> {
        if self.is_away() {
            return Ok(None);
        }
        let taken = tokio::time::timeout(PLACE_PATIENCE, self.places.take(whose)).await;
        taken.unwrap_or_else(|_| Err(StoreError::Unavailable("no database connection came free in time".to_owned()))).map(Some)
    }

    fn is_away(&self) -> bool {
        self.is_away.as_ref().is_some_and(|is_away| is_away.load(Ordering::SeqCst))
    }

    /// Begins a transaction. Connections that were cut while they lay idle, by a restart of the server, are passed over.
    pub(crate) async fn begin(&self, options: TransactionOptions) -> Result<DatabaseTransaction, DbErr> {
        loop {
            let patience = if self.is_away() { AWAY_PATIENCE } else { TURN_PATIENCE };
            match self.attempt(patience, self.connections.begin_with_options(options)).await {
                Err(cut) if error::is_cut(&cut) => {}
                begun => return begun,
            }
        }
    }

    /// Asks the database whether it is there. Cut connections are passed over.
    pub(crate) async fn ping(&self) -> Result<(), DbErr> {
        self.attempt(TURN_PATIENCE, ping(&self.connections)).await
    }

    /// Does `work` on one connection. When it fails, or is given up by whoever, the database is suspected to be away.
    async fn attempt<T>(&self, patience: Duration, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let mut work = pin!(work);
        // Dropped before `work` is: the connection comes back when the suspicion is known.
        let unfinished = Unfinished(self);
        let done = answered(patience, work.as_mut()).await;
        if done.is_ok() {
            std::mem::forget(unfinished);
        }
        done
    }

    /// Takes the database for one that is away until it is known better. Connections that come back meanwhile are looked at.
    pub(crate) fn suspect(&self) {
        if let Some(is_away) = &self.is_away
            && let Ok(runtime) = Handle::try_current()
            && !is_away.swap(true, Ordering::SeqCst)
        {
            runtime.spawn(wait_for(self.connections.clone(), Arc::clone(is_away)));
        }
    }
}

/// Work on a connection that has not come to a good end.
struct Unfinished<'a>(&'a Pool);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.suspect();
    }
}

async fn ping(connections: &DatabaseConnection) -> Result<(), DbErr> {
    loop {
        match connections.execute_unprepared(&dialect::sign_of_life(connections)).await {
            Err(cut) if error::is_cut(&cut) => {}
            answer => return answer.map(|_| ()),
        }
    }
}

/// Tries until the database answers or nobody wants it any more.
async fn wait_for(connections: DatabaseConnection, is_away: Arc<AtomicBool>) {
    loop {
        match answered(TURN_PATIENCE, ping(&connections)).await {
            Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)) => return,
            Err(error) => tracing::debug!(%error, "the database is still away"),
            Ok(_) => break,
        }
        tokio::time::sleep(PAUSE).await;
    }
    is_away.store(false, Ordering::SeqCst);
}
