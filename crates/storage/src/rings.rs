//! Key rings, and the kids that are taken for ever.
//!
//! Invariant: of two changes of one generation exactly one is written, and a kid is never written twice, by anybody.

use std::collections::BTreeSet;

use app::ports::store::{RingChange, RingStore, SealedDataKey, SecretStore, StoreError, Stored};
use async_trait::async_trait;
use domain::ids::TenantId;
use domain::keys::ring::{KeyRing, Kid};
use domain::time::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter};

use crate::dialect;
use crate::entities::{key_rings, sealed_secrets, used_kids};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "key_rings";

fn from_row(row: &key_rings::Model) -> Stored<KeyRing> {
    let cell = Cell { table: TABLE, row: TenantId::from_uuid(row.tenant_id) };
    let ring: KeyRing = cell.document("ring", &row.ring)?;
    Ok(KeyRing { generation: cell.number("generation", row.generation)?, ..ring })
}

fn kids(ring: &KeyRing) -> BTreeSet<&Kid> {
    ring.keys.iter().map(|key| &key.kid).collect()
}

/// The newest moment a change itself knows of: no clock reaches this far down.
fn changed_at(ring: &KeyRing) -> i64 {
    let published = ring.keys.iter().map(|key| key.published_at);
    published.chain(ring.token_secrets.iter().map(|secret| secret.created_at)).max().unwrap_or_default().as_micros()
}

fn generation_column(generation: u64) -> Stored<i64> {
    i64::try_from(generation).map_err(|_| error::corrupt(TABLE, "generation", generation))
}

impl SqlTenantTx {
    async fn ring_row(&self) -> Stored<Option<key_rings::Model>> {
        key_rings::Entity::find_by_id(self.owner()).one(&self.tx).await.map_err(error::of(TABLE))
    }

    async fn kids_claim<'a>(&self, kids: impl Iterator<Item = &'a &'a Kid>) -> Stored<()> {
        let rows: Vec<_> = kids.map(|kid| used_kids::Model { kid: kid.as_str().to_owned() }.into_active_model()).collect();
        if !rows.is_empty() {
            used_kids::Entity::insert_many(rows).exec_without_returning(&self.tx).await.map_err(error::of("used_kids"))?;
        }
        Ok(())
    }
}

#[async_trait]
impl RingStore for SqlTenantTx {
    async fn ring_insert(&mut self, data_key: &SealedDataKey, change: &RingChange) -> Stored<()> {
        let row = key_rings::Model {
            tenant_id: self.owner(),
            generation: generation_column(change.ring.generation)?,
            ring: error::document(TABLE, "ring", &change.ring)?,
            next_due_at: change.next_due_at.map(|at| at.as_micros()),
            updated_at: changed_at(&change.ring),
            claimed_until: None,
        };
        key_rings::Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        self.kids_claim(kids(&change.ring).iter()).await?;
        self.data_key_insert(data_key).await?;
        self.secrets_insert(&change.new_secrets).await?;
        self.key_log_grow(change.log.as_ref()).await
    }

    async fn ring(&mut self) -> Stored<Option<KeyRing>> {
        self.ring_row().await?.as_ref().map(from_row).transpose()
    }

    async fn ring_replace(&mut self, change: &RingChange) -> Stored<()> {
        let generation = generation_column(change.ring.generation)?;
        let old = self.ring_row().await?.ok_or(StoreError::Conflict)?;
        if old.generation != generation - 1 {
            return Err(StoreError::Conflict);
        }
        let cell = Cell { table: TABLE, row: TenantId::from_uuid(self.owner()) };
        let ring = cell.rewritten("ring", &change.ring, &old.ring)?;
        let updated = key_rings::Entity::update_many()
            .col_expr(key_rings::Column::Generation, Expr::value(generation))
            .col_expr(key_rings::Column::Ring, Expr::value(ring))
            .col_expr(key_rings::Column::NextDueAt, Expr::value(change.next_due_at.map(|at| at.as_micros())))
            .col_expr(key_rings::Column::UpdatedAt, Expr::value(changed_at(&change.ring)))
            .col_expr(key_rings::Column::ClaimedUntil, Expr::value(None::<i64>))
            .filter(key_rings::Column::TenantId.eq(self.owner()))
            .filter(key_rings::Column::Generation.eq(generation - 1))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        if updated.rows_affected != 1 {
            return Err(StoreError::Conflict);
        }
        // The guard held, so what was read is what was replaced, and the difference is what is new.
        let old = from_row(&old)?;
        self.kids_claim(kids(&change.ring).difference(&kids(&old))).await?;
        self.secrets_insert(&change.new_secrets).await?;
        self.key_log_grow(change.log.as_ref()).await?;
        if !change.destroyed.is_empty() {
            sealed_secrets::Entity::delete_many()
                .filter(sealed_secrets::Column::TenantId.eq(self.owner()))
                .filter(sealed_secrets::Column::Name.is_in(&change.destroyed))
                .exec(&self.tx)
                .await
                .map_err(error::of("sealed_secrets"))?;
        }
        dialect::notify_ring(&self.tx, TenantId::from_uuid(self.owner()), change.ring.generation).await
    }

    async fn ring_due(&mut self, at: Timestamp) -> Stored<()> {
        let due = key_rings::Column::NextDueAt;
        key_rings::Entity::update_many()
            .col_expr(due, Expr::value(at.as_micros()))
            .filter(key_rings::Column::TenantId.eq(self.owner()))
            .filter(Condition::any().add(due.is_null()).add(due.gt(at.as_micros())))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        Ok(())
    }
}
