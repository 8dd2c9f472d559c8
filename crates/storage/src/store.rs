//! The door: begins transactions, each for one tenant or for the platform.
//!
//! Invariant: nothing here takes longer than its patience, even when the network swallows what is sent.

use std::time::Duration;

use app::ports::store::{AuditStore, Grounds, NewTenant, PlatformTx, RingStore, Store, Stored, TenantStore, TenantTx, UserStore};
use app::tokens::judgement::{Judgement, RefreshAttempt};
use async_trait::async_trait;
use domain::client::{Client, ClientId};
use domain::ids::{FamilyId, TenantId};

use crate::connect::Database;
use crate::dialect::Purpose;
use crate::error;
use crate::grounds::{self, Asked, Readings};
use crate::places::Whose;
use crate::platform::SqlPlatformTx;
use crate::refresh::{self, Refreshes};
use crate::tx::{BoundedTx, PATIENCE, SqlTenantTx, within};

const PING_PATIENCE: Duration = Duration::from_secs(1);

/// The [`Store`] on a [`Database`].
#[derive(Debug, Clone)]
pub struct SqlStore {
    db: Database,
    refreshes: Refreshes,
    readings: Readings,
}

impl SqlStore {
    /// Must be called on a tokio runtime.
    pub fn new(db: Database) -> Self {
        let (refreshes, readings) = (refresh::lanes(&db), grounds::lanes(&db));
        Self { db, refreshes, readings }
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
        within(PATIENCE, self.refreshes.ask(tenant, refresh::Asked { tenant, attempt })).await
    }

    async fn client(&self, tenant: TenantId, id: &ClientId) -> Stored<Option<Client>> {
        let asked = Asked { tenant, client: Some(id.clone()), session: None, is_of_tenant: false };
        Ok(within(PATIENCE, self.readings.ask(tenant, asked)).await?.client)
    }

    async fn grounds(&self, tenant: TenantId, client: Option<&ClientId>, session: Option<FamilyId>) -> Stored<Grounds> {
        let asked = Asked { tenant, client: client.cloned(), session, is_of_tenant: true };
        within(PATIENCE, self.readings.ask(tenant, asked)).await
    }

    async fn tenants_insert(&self, tenants: &[NewTenant]) -> Stored<()> {
        let mut tx = BoundedTx::begin_for(&self.db.writer, Whose::Platform, tenants.iter().map(|new| new.tenant.id)).await?;
        for new in tenants {
            let mut of_one = SqlTenantTx::within(tx, new.tenant.id);
            of_one.tenant_insert(&new.tenant).await?;
            of_one.ring_insert(&new.data_key, &new.ring).await?;
            for (user, phc) in &new.users {
                of_one.user_insert(user, phc.as_ref()).await?;
            }
            for record in &new.audit {
                of_one.audit_append(record).await?;
            }
            tx = of_one.tx;
        }
        tx.commit().await
    }

    async fn ping(&self) -> Stored<()> {
        // A database that nothing can be written to for good is none.
        self.db.writer.wal.as_ref().map_or(Ok(()), |wal| wal.sound())?;
        within(PING_PATIENCE, async { self.db.reader.ping().await.map_err(error::of("(ping)")) }).await
    }
}
