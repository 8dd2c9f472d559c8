//! Issuers that tenants trust, as rows.
//!
//! Invariant: settings are JSON that the domain has checked before it was written.

use app::ports::store::{StoreError, Stored, TrustedIssuerStore};
use async_trait::async_trait;
use domain::ids::TrustedIssuerId;
use domain::time::Timestamp;
use domain::trusted_issuer::TrustedIssuer;
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};

use crate::entities::trusted_issuers::{Column, Entity, Model};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "trusted_issuers";

fn from_row(row: Model) -> Stored<TrustedIssuer> {
    let id = TrustedIssuerId::from_uuid(row.id);
    let cell = Cell { table: TABLE, row: id };
    Ok(TrustedIssuer {
        id,
        issuer: row.issuer,
        settings: cell.document("settings", &row.settings)?,
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
    })
}

#[async_trait]
impl TrustedIssuerStore for SqlTenantTx {
    async fn trusted_issuer_insert(&mut self, issuer: &TrustedIssuer) -> Stored<()> {
        let row = Model {
            tenant_id: self.owner(),
            id: issuer.id.as_uuid(),
            issuer: issuer.issuer.clone(),
            settings: error::document(TABLE, "settings", &issuer.settings)?,
            created_at: issuer.created_at.as_micros(),
            updated_at: issuer.updated_at.as_micros(),
        };
        Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn trusted_issuer_by_id(&mut self, id: TrustedIssuerId) -> Stored<Option<TrustedIssuer>> {
        let find = Entity::find_by_id((self.owner(), id.as_uuid()));
        find.one(&self.tx).await.map_err(error::of(TABLE))?.map(from_row).transpose()
    }

    async fn trusted_issuer_named(&mut self, issuer: &str) -> Stored<Option<TrustedIssuer>> {
        let find = Entity::find().filter(Column::TenantId.eq(self.owner())).filter(Column::Issuer.eq(issuer));
        find.one(&self.tx).await.map_err(error::of(TABLE))?.map(from_row).transpose()
    }

    async fn trusted_issuer_update(&mut self, issuer: &TrustedIssuer) -> Stored<()> {
        let stands = Entity::find_by_id((self.owner(), issuer.id.as_uuid())).select_only().column(Column::Settings);
        let old: Option<String> = stands.lock(LockType::NoKeyUpdate).into_tuple().one(&self.tx).await.map_err(error::of(TABLE))?;
        let cell = Cell { table: TABLE, row: issuer.id };
        let settings = cell.rewritten("settings", &issuer.settings, &old.ok_or(StoreError::Conflict)?)?;
        let updated = Entity::update_many()
            .col_expr(Column::Settings, Expr::value(settings))
            .col_expr(Column::UpdatedAt, Expr::value(issuer.updated_at.as_micros()))
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Id.eq(issuer.id.as_uuid()))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        if updated.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn trusted_issuer_delete(&mut self, id: TrustedIssuerId) -> Stored<bool> {
        let deleted = Entity::delete_by_id((self.owner(), id.as_uuid())).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(deleted.rows_affected > 0)
    }

    async fn trusted_issuers_page(&mut self, after: Option<TrustedIssuerId>, limit: u32) -> Stored<Vec<TrustedIssuer>> {
        let mut page = Entity::find().filter(Column::TenantId.eq(self.owner()));
        if let Some(after) = after {
            page = page.filter(Column::Id.gt(after.as_uuid()));
        }
        let rows = page.order_by_asc(Column::Id).limit(u64::from(limit)).all(&self.tx).await.map_err(error::of(TABLE))?;
        rows.into_iter().map(from_row).collect()
    }
}
