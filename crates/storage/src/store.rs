//! The door: begins transactions, each for one tenant or for the platform.
//!
//! Invariant: beginning a transaction and a whole refresh take no longer than [`PATIENCE`], even when the network swallows
//! what is sent.

use std::time::Duration;

use app::ports::store::{PlatformTx, Store, StoreError, Stored, TenantTx};
use app::tokens::judgement::{Judgement, RefreshAttempt};
use async_trait::async_trait;
use domain::ids::TenantId;
use sea_orm::ConnectionTrait;

use crate::connect::Database;
use crate::dialect::{self, Purpose};
use crate::error;
use crate::lane::Lane;
use crate::platform::SqlPlatformTx;
use crate::tx::SqlTenantTx;

pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
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

pub(crate) async fn within<T>(patience: Duration, work: impl Future<Output = Stored<T>>) -> Stored<T> {
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer in time".to_owned())))
}

#[async_trait]
impl Store for SqlStore {
    async fn begin(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>> {
        let tx = within(PATIENCE, dialect::begin(&self.db.writer, Some(tenant), Purpose::Write)).await?;
        Ok(Box::new(SqlTenantTx::new(tx, tenant, Purpose::Write)))
    }

    async fn begin_read(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>> {
        let tx = within(PATIENCE, dialect::begin(&self.db.reader, Some(tenant), Purpose::Read)).await?;
        Ok(Box::new(SqlTenantTx::new(tx, tenant, Purpose::Read)))
    }

    async fn begin_platform(&self) -> Stored<Box<dyn PlatformTx>> {
        Ok(Box::new(within(PATIENCE, SqlPlatformTx::begin(&self.db)).await?))
    }

    async fn refresh(&self, tenant: TenantId, attempt: RefreshAttempt) -> Stored<Option<Judgement>> {
        within(PATIENCE, self.lane.refresh(tenant, attempt)).await
    }

    async fn ping(&self) -> Stored<()> {
        let ping = async { self.db.reader.execute_unprepared("SELECT 1").await.map(|_| ()).map_err(error::of("(ping)")) };
        within(PING_PATIENCE, ping).await
    }
}
