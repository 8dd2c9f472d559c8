//! The audit log: written once, never changed.
//!
//! Invariant: there is no statement here that updates or deletes. Old records are removed by the sweep alone (`platform.rs`).

use app::ports::store::{AuditStore, Stored};
use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::ids::{EventId, TenantId};
use domain::time::Timestamp;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};

use crate::entities::audit_events::{Column, Entity, Model};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "audit_events";

/// Appends a record to the log of the tenant it names.
pub(crate) async fn append(tx: &impl ConnectionTrait, record: &AuditRecord) -> Stored<()> {
    let row = Model {
        tenant_id: record.tenant_id.as_uuid(),
        id: record.id.as_uuid(),
        at: record.at.as_micros(),
        actor: error::written(TABLE, "actor", serde_json::to_string(&record.actor))?,
        source: record.source.clone(),
        request_id: record.request_id.clone(),
        name: record.event.name(),
        event: error::written(TABLE, "event", serde_json::to_string(&record.event))?,
    };
    Entity::insert(row.into_active_model()).exec_without_returning(tx).await.map_err(error::of(TABLE))?;
    Ok(())
}

fn from_row(row: Model) -> Stored<AuditRecord> {
    let id = EventId::from_uuid(row.id);
    let cell = Cell { table: TABLE, row: id };
    Ok(AuditRecord {
        id,
        tenant_id: TenantId::from_uuid(row.tenant_id),
        at: Timestamp::from_micros(row.at),
        actor: cell.json("actor", serde_json::from_str(&row.actor))?,
        source: row.source,
        request_id: row.request_id,
        event: cell.json("event", serde_json::from_str(&row.event))?,
    })
}

#[async_trait]
impl AuditStore for SqlTenantTx {
    async fn audit_append(&mut self, record: &AuditRecord) -> Stored<()> {
        self.check_owner(record.tenant_id)?;
        append(&self.tx, record).await
    }

    async fn audit_page(&mut self, before: Option<EventId>, limit: u32) -> Stored<Vec<AuditRecord>> {
        let mut page = Entity::find().filter(Column::TenantId.eq(self.owner()));
        if let Some(before) = before {
            page = page.filter(Column::Id.lt(before.as_uuid()));
        }
        let rows = page.order_by_desc(Column::Id).limit(u64::from(limit)).all(&self.tx).await.map_err(error::of(TABLE))?;
        rows.into_iter().map(from_row).collect()
    }
}
