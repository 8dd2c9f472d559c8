//! The door: begins transactions, each for one tenant or for the platform.
//!
//! Invariant: nothing here takes longer than its patience, even when the network swallows what is sent.

use std::time::Duration;

use app::ports::store::{PlatformTx, Store, Stored, TenantTx};
use app::tokens::judgement::{Judgement, RefreshAttempt};
use async_trait::async_trait;
use domain::ids::TenantId;

use crate::connect::Database;
use crate::dialect::Purpose;
use crate::error;
use crate::lane::Lane;
use crate::platform::SqlPlatformTx;
use crate::tx::{PATIENCE, SqlTenantTx, within};

const PING_PATIENCE: Duration = Duration::from_secs(1);

/// The [`Store`] on a [`Database`].
#[derive(Debug, Clone)]
pub struct SqlStore {
    db: Database,
    lane: Lane,
}

impl SqlStore {
    /// Must be called on a tokio runtime.
    pub fn new(db: Database) -> Self {
        let lane = Lane::start(&db);
        Self { db, lane }
    }

    pub const fn database(&self) -> &Database {
        &self.db
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn begin(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>> {
        Ok(Box::new(SqlTenantTx::begin(&self.db.writer, tenant, Purpose::Write).await?))
    }

    async fn begin_read(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>> {
        Ok(Box::new(SqlTenantTx::begin(&self.db.reader, tenant, Purpose::Read).await?))
    }

    async fn begin_platform(&self) -> Stored<Box<dyn PlatformTx>> {
        Ok(Box::new(SqlPlatformTx::begin(&self.db).await?))
    }

    async fn refresh(&self, tenant: TenantId, attempt: RefreshAttempt) -> Stored<Option<Judgement>> {
        within(PATIENCE, self.lane.refresh(tenant, attempt)).await
    }

    async fn ping(&self) -> Stored<()> {
        within(PING_PATIENCE, async { self.db.reader.ping().await.map_err(error::of("(ping)")) }).await
    }
}
