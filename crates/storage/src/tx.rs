//! One transaction on behalf of one tenant. Its ports are implemented in the files that are named after them.
//!
//! Invariant: the tenant is set when the transaction begins and cannot be changed; and nothing in here waits for ever, even
//! when the network swallows what is sent.

use std::sync::Arc;
use std::time::Duration;

use app::ports::store::{StoreError, Stored, TenantTx};
use async_trait::async_trait;
use domain::ids::TenantId;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use uuid::Uuid;

use crate::dialect::{self, Purpose};
use crate::error;
use crate::places::{Place, Whose};
use crate::pool::Pool;
use crate::wal::Wal;

/// How long beginning a transaction may take, and a whole refresh.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);
/// How long the answer to one statement is waited for: a second longer than PostgreSQL works on it, so that a slow database
/// gets to say so itself.
const ANSWER_PATIENCE: Duration = Duration::from_secs(4);
const NO_ANSWER: &str = "no answer in time";

/// Gives up on `work` after `patience`.
pub(crate) async fn within<T>(patience: Duration, work: impl Future<Output = Stored<T>>) -> Stored<T> {
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(StoreError::Unavailable(NO_ANSWER.to_owned())))
}

/// A transaction whose statements are given up when no answer comes.
pub(crate) struct BoundedTx {
    tx: DatabaseTransaction,
    /// Left after the transaction has ended.
    place: Option<Place>,
    wal: Option<Arc<Wal>>,
    purpose: Purpose,
}

impl BoundedTx {
    pub(crate) async fn begin(db: &Pool, tenant: Option<TenantId>, purpose: Purpose) -> Stored<Self> {
        let (tx, place) = within(PATIENCE, dialect::begin(db, tenant, purpose)).await?;
        Ok(Self { tx, place, wal: db.wal.clone(), purpose })
    }

    /// One that may write for these tenants, and for no other.
    pub(crate) async fn begin_for(db: &Pool, whose: Whose, tenants: impl Iterator<Item = TenantId>) -> Stored<Self> {
        let tenants = tenants.map(|tenant| tenant.as_uuid());
        let purpose = Purpose::Write;
        let (tx, place) = within(PATIENCE, dialect::begin_for(db, whose, tenants, purpose)).await?;
        Ok(Self { tx, place, wal: db.wal.clone(), purpose })
    }

    /// Makes durable what was written; what was read, too, so that it may be sworn to.
    pub(crate) async fn commit(self) -> Stored<()> {
        let Self { tx, place, wal, purpose } = self;
        let doubt = wal.as_ref().filter(|_| purpose == Purpose::Write).map(|wal| wal.doubt());
        answered(ANSWER_PATIENCE, tx.commit()).await.map_err(error::of("(commit)"))?;
        // Nobody waits for a connection while the disk is flushed.
        drop(place);
        let Some(wal) = wal else { return Ok(()) };
        within(ANSWER_PATIENCE, async {
            match doubt {
                Some(doubt) => wal.durable(doubt, 1).await,
                None => wal.settled().await,
            }
        })
        .await
    }
}

/// Gives up on the answer to `statement` after `patience`.
pub(crate) async fn answered<T>(patience: Duration, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
    let answer = tokio::time::timeout(patience, statement).await;
    answer.unwrap_or_else(|_| Err(DbErr::Conn(RuntimeErr::Internal(NO_ANSWER.to_owned()))))
}

#[async_trait]
impl ConnectionTrait for BoundedTx {
    fn get_database_backend(&self) -> DbBackend {
        self.tx.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        answered(ANSWER_PATIENCE, self.tx.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        answered(ANSWER_PATIENCE, self.tx.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        answered(ANSWER_PATIENCE, self.tx.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        answered(ANSWER_PATIENCE, self.tx.query_all_raw(statement)).await
    }
}

pub(crate) struct SqlTenantTx {
    pub(crate) tx: BoundedTx,
    tenant: TenantId,
    purpose: Purpose,
}

impl SqlTenantTx {
    pub(crate) async fn begin(db: &Pool, tenant: TenantId, purpose: Purpose) -> Stored<Self> {
        Ok(Self { tx: BoundedTx::begin(db, Some(tenant), purpose).await?, tenant, purpose })
    }

    /// One tenant's part of a transaction that may write for it.
    pub(crate) const fn within(tx: BoundedTx, tenant: TenantId) -> Self {
        Self { tx, tenant, purpose: Purpose::Write }
    }

    /// Whether what is read here may be written next, so that its row is to be locked.
    pub(crate) fn may_write(&self) -> bool {
        self.purpose == Purpose::Write
    }

    /// The tenant, as the columns hold it.
    pub(crate) const fn owner(&self) -> Uuid {
        self.tenant.as_uuid()
    }

    /// Refuses a row that says it belongs to somebody else.
    pub(crate) fn check_owner(&self, owner: TenantId) -> Stored<()> {
        if owner == self.tenant { Ok(()) } else { Err(StoreError::Conflict) }
    }
}

#[async_trait]
impl TenantTx for SqlTenantTx {
    fn tenant_id(&self) -> TenantId {
        self.tenant
    }

    async fn commit(self: Box<Self>) -> Stored<()> {
        self.tx.commit().await
    }
}
