//! Notices of changed key rings, from the node that changed one to all others.
//!
//! Invariant: a notice only hastens what the sweep finds anyway. Losing one loses nothing.

use app::ports::changes::{ListenForChanges, RingChanges};
use app::ports::store::{RingMark, StoreError, Stored};
use async_trait::async_trait;
use domain::ids::TenantId;
use sqlx::postgres::{PgListener, PgPoolOptions};
use uuid::Uuid;

use crate::connect::TURN_PATIENCE;
use crate::error;
use crate::store::SqlStore;

const CHANNEL: &str = "claviger_rings";

/// A connection that waits for notices and does nothing else.
#[derive(Debug)]
pub struct RingNotices {
    listener: PgListener,
}

impl RingNotices {
    pub(crate) async fn listen(url: &str) -> Stored<Self> {
        let failed = |cause: sqlx::Error| error::of_sqlx(&cause, "(listen)");
        // As `PgListener::connect` does it, but without waiting half a minute.
        let one = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).acquire_timeout(TURN_PATIENCE);
        let pool = one.connect(url).await.map_err(failed)?;
        let mut listener = PgListener::connect_with(&pool).await.map_err(failed)?;
        listener.listen(CHANNEL).await.map_err(failed)?;
        Ok(Self { listener })
    }

    /// Waits for the next notice. `None`: the connection was lost for a while and there is a new one; notices may have
    /// been missed, so look at everything.
    ///
    /// # Errors
    /// `Unavailable` when the connection is lost and there is no new one. Ask again after a pause.
    pub async fn next(&mut self) -> Stored<Option<RingMark>> {
        loop {
            let notice = self.listener.try_recv().await.map_err(|cause| error::of_sqlx(&cause, "(listen)"))?;
            let Some(notice) = notice else { return Ok(None) };
            match parsed(notice.payload()) {
                Some(mark) => return Ok(Some(mark)),
                None => tracing::warn!(payload = notice.payload(), "a notice of a changed ring that nobody understands"),
            }
        }
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
