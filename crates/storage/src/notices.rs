//! Notices of changed key rings, from the node that changed one to all others.
//!
//! Invariant: a notice only hastens what the sweep finds anyway. Losing one loses nothing.

use std::time::Duration;

use app::ports::changes::{ListenForChanges, RingChanges};
use app::ports::store::{RingMark, StoreError, Stored};
use async_trait::async_trait;
use domain::ids::TenantId;
use sqlx::Executor;
use sqlx::postgres::{PgListener, PgPoolOptions};
use uuid::Uuid;

use crate::connect::TURN_PATIENCE;
use crate::error;
use crate::store::SqlStore;
use crate::tx::within;

const CHANNEL: &str = "claviger_rings";

/// A connection that waits for notices and does nothing else.
#[derive(Debug)]
pub struct RingNotices {
    listener: PgListener,
}

/// Silence is doubted after this long.
const SILENCE: Duration = Duration::from_secs(5);
/// How long the answer may take that ends the doubt.
const ANSWER: Duration = Duration::from_secs(3);

fn failed(cause: sqlx::Error) -> StoreError {
    error::of_sqlx(&cause, "(listen)")
}

impl RingNotices {
    pub(crate) async fn listen(url: &str) -> Stored<Self> {
        let listening = async {
            // As `PgListener::connect` does it, but without waiting half a minute.
            let one = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).acquire_timeout(TURN_PATIENCE);
            let mut listener = PgListener::connect_with(&one.connect(url).await.map_err(failed)?).await.map_err(failed)?;
            listener.listen(CHANNEL).await.map_err(failed)?;
            // Done in `next`, where it cannot be interrupted half-way.
            listener.eager_reconnect(false);
            Ok(Self { listener })
        };
        within(TURN_PATIENCE + ANSWER, listening).await
    }

    /// Waits for the next notice. `None`: the connection was lost for a while and there is a new one; notices may have
    /// been missed, so look at everything. A network that swallows what is sent looks like silence; so the database is asked
    /// for a sign of life when nothing has come for five seconds.
    ///
    /// # Errors
    /// `Unavailable` when the connection is lost and there is no new one. Ask again after a pause.
    pub async fn next(&mut self) -> Stored<Option<RingMark>> {
        loop {
            let Ok(heard) = tokio::time::timeout(SILENCE, self.listener.try_recv()).await else {
                self.sign_of_life().await?;
                continue;
            };
            let Some(notice) = heard.map_err(failed)? else {
                self.sign_of_life().await?;
                return Ok(None);
            };
            match parsed(notice.payload()) {
                Some(mark) => return Ok(Some(mark)),
                None => tracing::warn!(payload = notice.payload(), "a notice of a changed ring that nobody understands"),
            }
        }
    }

    /// Asks the database something, on a new connection that listens when the old one is known to be lost.
    async fn sign_of_life(&mut self) -> Stored<()> {
        within(ANSWER, async { self.listener.execute("SELECT 1").await.map(drop).map_err(failed) }).await
    }
}

#[async_trait]
impl RingChanges for RingNotices {
    async fn next(&mut self) -> Stored<Option<RingMark>> {
        Self::next(self).await
    }
}

#[async_trait]
impl ListenForChanges for SqlStore {
    async fn connect(&self) -> Stored<Box<dyn RingChanges>> {
        match self.database().notices().await? {
            Some(notices) => Ok(Box::new(notices)),
            None => Err(StoreError::Unavailable("this database gives no notices".to_owned())),
        }
    }
}

fn parsed(payload: &str) -> Option<RingMark> {
    let (tenant, generation) = payload.split_once(':')?;
    Some(RingMark { tenant_id: TenantId::from_uuid(Uuid::try_parse(tenant).ok()?), generation: generation.parse().ok()? })
}
