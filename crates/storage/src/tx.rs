//! One transaction on behalf of one tenant. Its ports are implemented in the files that are named after them.
//!
//! Invariant: the tenant is set when the transaction begins and cannot be changed.

use app::ports::store::{StoreError, Stored, TenantTx};
use async_trait::async_trait;
use domain::ids::TenantId;
use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use crate::dialect::Purpose;
use crate::error;

pub(crate) struct SqlTenantTx {
    pub(crate) tx: DatabaseTransaction,
    tenant: TenantId,
    purpose: Purpose,
}

impl SqlTenantTx {
    pub(crate) const fn new(tx: DatabaseTransaction, tenant: TenantId, purpose: Purpose) -> Self {
        Self { tx, tenant, purpose }
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
        self.tx.commit().await.map_err(error::of("(commit)"))
    }
}
