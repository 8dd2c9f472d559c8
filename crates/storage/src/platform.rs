//! Work across tenants: finding them, what is due, and sweeping what has ended.
//!
//! On SQLite it reads on a reader's connection and takes the write lock at its first write, so that looking up a tenant
//! never waits for a writer.
//!
//! Invariant: nothing here reads a user, a family's content or a tenant's secret.

use app::ports::store::{PlatformTx, RingMark, Stored};
use async_trait::async_trait;
use domain::ids::TenantId;
use domain::tenant::Tenant;
use domain::text::Slug;
use domain::time::Timestamp;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::connect::Database;
use crate::dialect::{self, Purpose, statement};
use crate::entities::{key_rings, tenants};
use crate::error::{self, Cell};
use crate::tenants::from_row;

/// Values in one `IN (…)`: well below what either backend takes.
const CHUNK: usize = 500;

pub(crate) struct SqlPlatformTx {
    db: Database,
    pub(crate) tx: DatabaseTransaction,
    is_writing: bool,
}

impl SqlPlatformTx {
    pub(crate) async fn begin(db: &Database) -> Stored<Self> {
        // On PostgreSQL both are the same pool, and the transaction may write from the start.
        let purpose = if db.is_sqlite { Purpose::Read } else { Purpose::Write };
        let tx = dialect::begin(&db.reader, None, purpose).await?;
        Ok(Self { db: db.clone(), tx, is_writing: !db.is_sqlite })
    }

    /// The transaction, made one that may write.
    pub(crate) async fn writing(&mut self) -> Stored<&DatabaseTransaction> {
        if !self.is_writing {
            self.tx = dialect::begin(&self.db.writer, None, Purpose::Write).await?;
            self.is_writing = true;
        }
        Ok(&self.tx)
    }

    /// Deletes up to `limit` rows of `table`, whose primary key is `key`, for which `ended` holds; `$1` is `before`.
    async fn sweep(&mut self, table: &'static str, key: &str, ended: &str, before: Timestamp, limit: u64) -> Stored<u64> {
        let tx = self.writing().await?;
        let lock = dialect::skip_locked(tx);
        let sql = format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {ended} LIMIT $2{lock})");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let delete = statement(tx, sql, [before.as_micros().into(), limit.into()]);
        Ok(tx.execute_raw(delete).await.map_err(error::of(table))?.rows_affected())
    }
}

fn mark((tenant, generation): (Uuid, i64)) -> Stored<RingMark> {
    let tenant_id = TenantId::from_uuid(tenant);
    Ok(RingMark { tenant_id, generation: Cell { table: "key_rings", row: tenant_id }.number("generation", generation)? })
}

#[async_trait]
impl PlatformTx for SqlPlatformTx {
    async fn tenant_by_slug(&mut self, slug: &Slug) -> Stored<Option<Tenant>> {
        let found = tenants::Entity::find().filter(tenants::Column::Slug.eq(slug.as_str()));
        found.one(&self.tx).await.map_err(error::of("tenants"))?.map(from_row).transpose()
    }

    async fn tenant_by_id(&mut self, id: TenantId) -> Stored<Option<Tenant>> {
        let row = tenants::Entity::find_by_id(id.as_uuid()).one(&self.tx).await.map_err(error::of("tenants"))?;
        row.map(from_row).transpose()
    }

    async fn tenants_page(&mut self, after: Option<&Slug>, limit: u32) -> Stored<Vec<Tenant>> {
        let mut page = tenants::Entity::find();
        if let Some(after) = after {
            page = page.filter(tenants::Column::Slug.gt(after.as_str()));
        }
        let rows = page.order_by_asc(tenants::Column::Slug).limit(u64::from(limit)).all(&self.tx).await.map_err(error::of("tenants"))?;
        rows.into_iter().map(from_row).collect()
    }

    async fn rings_due(&mut self, now: Timestamp, limit: u32) -> Stored<Vec<RingMark>> {
        let rows: Vec<(Uuid, i64)> = key_rings::Entity::find()
            .select_only()
            .columns([key_rings::Column::TenantId, key_rings::Column::Generation])
            .filter(key_rings::Column::NextDueAt.lte(now.as_micros()))
            .order_by_asc(key_rings::Column::NextDueAt)
            .limit(u64::from(limit))
            .into_tuple()
            .all(&self.tx)
            .await
            .map_err(error::of("key_rings"))?;
        rows.into_iter().map(mark).collect()
    }

    async fn ring_generations(&mut self, tenants: &[TenantId]) -> Stored<Vec<RingMark>> {
        let mut marks = Vec::with_capacity(tenants.len());
        for chunk in tenants.chunks(CHUNK) {
            let rows: Vec<(Uuid, i64)> = key_rings::Entity::find()
                .select_only()
                .columns([key_rings::Column::TenantId, key_rings::Column::Generation])
                .filter(key_rings::Column::TenantId.is_in(chunk.iter().map(|tenant| tenant.as_uuid())))
                .into_tuple()
                .all(&self.tx)
                .await
                .map_err(error::of("key_rings"))?;
            for row in rows {
                marks.push(mark(row)?);
            }
        }
        Ok(marks)
    }

    async fn families_sweep(&mut self, before: Timestamp, limit: u32) -> Stored<u64> {
        let ended = "idle_expires_at < $1 OR absolute_expires_at < $1";
        self.sweep("refresh_families", "tenant_id, id", ended, before, u64::from(limit)).await
    }

    async fn guesses_sweep(&mut self, before: Timestamp, limit: u32) -> Stored<u64> {
        let limit = u64::from(limit);
        let counters = self.sweep("guess_counters", "tenant_id, scope, subject", "touched_at < $1", before, limit).await?;
        let sources =
            self.sweep("known_sources", "tenant_id, user_id, source", "seen_at < $1", before, limit.saturating_sub(counters)).await?;
        Ok(counters + sources)
    }

    async fn commit(self: Box<Self>) -> Stored<()> {
        self.tx.commit().await.map_err(error::of("(commit)"))
    }
}
