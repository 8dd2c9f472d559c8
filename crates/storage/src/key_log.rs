//! The public log of a tenant's keys.
//!
//! Invariant: rows are added, never changed, but for the one that says where the log ends.

use std::ops::Range;

use app::ports::store::{KeyLogStore, LogGrowth, LogTip, StoreError, Stored};
use async_trait::async_trait;
use domain::ids::TenantId;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use transparency::tree::Hash;

use crate::entities::{key_log_entries, key_log_hashes, key_logs};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TIP: &str = "key_logs";
const ENTRIES: &str = "key_log_entries";
const HASHES: &str = "key_log_hashes";

fn column(table: &'static str, number: u64) -> Stored<i64> {
    i64::try_from(number).map_err(|_| error::corrupt(table, "number", number))
}

impl SqlTenantTx {
    /// Appends. `Conflict` when the log does not end where the growth begins.
    pub(crate) async fn key_log_grow(&self, growth: Option<&LogGrowth>) -> Stored<()> {
        let Some(growth) = growth else { return Ok(()) };
        let (tip, begins_at) = (&growth.tip, growth.begins_at());
        if begins_at == 0 {
            let row = key_logs::Model {
                tenant_id: self.owner(),
                size: column(TIP, tip.size)?,
                frontier: tip.frontier.clone(),
                vkey: tip.vkey.clone(),
                checkpoint: tip.checkpoint.clone(),
            };
            key_logs::Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await.map_err(error::of(TIP))?;
        } else {
            let updated = key_logs::Entity::update_many()
                .col_expr(key_logs::Column::Size, Expr::value(column(TIP, tip.size)?))
                .col_expr(key_logs::Column::Frontier, Expr::value(tip.frontier.clone()))
                .col_expr(key_logs::Column::Vkey, Expr::value(tip.vkey.clone()))
                .col_expr(key_logs::Column::Checkpoint, Expr::value(tip.checkpoint.clone()))
                .filter(key_logs::Column::TenantId.eq(self.owner()))
                .filter(key_logs::Column::Size.eq(column(TIP, begins_at)?))
                .exec(&self.tx)
                .await
                .map_err(error::of(TIP))?;
            if updated.rows_affected != 1 {
                return Err(StoreError::Conflict);
            }
        }
        if growth.entries.is_empty() {
            return Ok(());
        }
        let mut entries = Vec::new();
        for (number, entry) in (begins_at..).zip(&growth.entries) {
            let row = key_log_entries::Model { tenant_id: self.owner(), number: column(ENTRIES, number)?, entry: entry.clone() };
            entries.push(row.into_active_model());
        }
        key_log_entries::Entity::insert_many(entries).exec_without_returning(&self.tx).await.map_err(error::of(ENTRIES))?;
        let mut hashes = Vec::new();
        for (node, hash) in &growth.hashes {
            let (level, number) = (i64::from(node.level), column(HASHES, node.index)?);
            hashes.push(key_log_hashes::Model { tenant_id: self.owner(), level, number, hash: hash.to_vec() }.into_active_model());
        }
        key_log_hashes::Entity::insert_many(hashes).exec_without_returning(&self.tx).await.map_err(error::of(HASHES))?;
        Ok(())
    }
}

#[async_trait]
impl KeyLogStore for SqlTenantTx {
    async fn key_log_tip(&mut self) -> Stored<Option<LogTip>> {
        let row = key_logs::Entity::find_by_id(self.owner()).one(&self.tx).await.map_err(error::of(TIP))?;
        let Some(row) = row else { return Ok(None) };
        let cell = Cell { table: TIP, row: TenantId::from_uuid(row.tenant_id) };
        let size = cell.number("size", row.size)?;
        Ok(Some(LogTip { size, frontier: row.frontier, vkey: row.vkey, checkpoint: row.checkpoint }))
    }

    async fn key_log_entries(&mut self, range: Range<u64>) -> Stored<Vec<Vec<u8>>> {
        let rows = key_log_entries::Entity::find()
            .filter(key_log_entries::Column::TenantId.eq(self.owner()))
            .filter(key_log_entries::Column::Number.gte(column(ENTRIES, range.start)?))
            .filter(key_log_entries::Column::Number.lt(column(ENTRIES, range.end)?))
            .order_by_asc(key_log_entries::Column::Number)
            .all(&self.tx)
            .await
            .map_err(error::of(ENTRIES))?;
        Ok(rows.into_iter().map(|row| row.entry).collect())
    }

    async fn key_log_hashes(&mut self, level: u8, range: Range<u64>) -> Stored<Vec<Hash>> {
        let rows = key_log_hashes::Entity::find()
            .filter(key_log_hashes::Column::TenantId.eq(self.owner()))
            .filter(key_log_hashes::Column::Level.eq(i64::from(level)))
            .filter(key_log_hashes::Column::Number.gte(column(HASHES, range.start)?))
            .filter(key_log_hashes::Column::Number.lt(column(HASHES, range.end)?))
            .order_by_asc(key_log_hashes::Column::Number)
            .all(&self.tx)
            .await
            .map_err(error::of(HASHES))?;
        let cell = Cell { table: HASHES, row: TenantId::from_uuid(self.owner()) };
        rows.into_iter().map(|row| row.hash.try_into().map_err(|_| cell.bad("hash"))).collect()
    }
}
