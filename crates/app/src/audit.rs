//! Reading and writing the audit log where it is not part of a larger transaction.

use domain::audit::AuditRecord;
use domain::ids::{EventId, TenantId};

use crate::ctx::Ctx;
use crate::fault::Fault;

/// Appends one record in a transaction of its own.
pub(crate) async fn append(ctx: &Ctx, record: &AuditRecord) -> Result<(), Fault> {
    let mut tx = ctx.store.begin(record.tenant_id).await?;
    tx.audit_append(record).await?;
    Ok(tx.commit().await?)
}

/// The tenant's audit log, newest first, before `before`.
///
/// # Errors
/// When the database is away.
pub async fn list(ctx: &Ctx, tenant: TenantId, before: Option<EventId>, limit: u32) -> Result<Vec<AuditRecord>, Fault> {
    Ok(ctx.store.begin_read(tenant).await?.audit_page(before, limit).await?)
}
