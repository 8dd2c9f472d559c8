//! How a tenant's pages look.
//!
//! Invariant: a page reads the name of the logo, and never its bytes.

use app::ports::store::{BrandingStore, Stored};
use async_trait::async_trait;
use domain::branding::{Appearance, Branding, Logo};
use domain::ids::TenantId;
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{EntityTrait, QuerySelect, Set};

use crate::entities::tenant_branding::{ActiveModel, Column, Entity};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "tenant_branding";

fn text(branding: &Branding) -> Stored<String> {
    error::document(TABLE, "branding", branding)
}

impl SqlTenantTx {
    /// Writes `row`; of a row that is there, only `columns` change.
    async fn branding_write(&self, row: ActiveModel, columns: &[Column]) -> Stored<()> {
        let mut kept = OnConflict::column(Column::TenantId);
        kept.update_columns(columns.iter().copied());
        Entity::insert(row).on_conflict(kept).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }
}

#[async_trait]
impl BrandingStore for SqlTenantTx {
    async fn branding(&mut self) -> Stored<Appearance> {
        let row = Entity::find_by_id(self.owner()).select_only().columns([Column::Branding, Column::LogoName]);
        let found: Option<(String, Option<String>)> = row.into_tuple().one(&self.tx).await.map_err(error::of(TABLE))?;
        let Some((branding, logo_name)) = found else { return Ok(Appearance::default()) };
        let cell = Cell { table: TABLE, row: TenantId::from_uuid(self.owner()) };
        Ok(Appearance { branding: cell.document("branding", &branding)?, logo_name })
    }

    async fn branding_set(&mut self, branding: &Branding) -> Stored<()> {
        let stands = Entity::find_by_id(self.owner()).select_only().column(Column::Branding).lock(LockType::NoKeyUpdate).into_tuple();
        let old: Option<String> = stands.one(&self.tx).await.map_err(error::of(TABLE))?;
        let cell = Cell { table: TABLE, row: TenantId::from_uuid(self.owner()) };
        let new = old.map_or_else(|| text(branding), |old| cell.rewritten("branding", branding, &old))?;
        let row = ActiveModel { tenant_id: Set(self.owner()), branding: Set(new), logo_name: Set(None), logo: Set(None) };
        self.branding_write(row, &[Column::Branding]).await
    }

    async fn logo(&mut self) -> Stored<Option<Logo>> {
        let row = Entity::find_by_id(self.owner()).one(&self.tx).await.map_err(error::of(TABLE))?;
        let cell = Cell { table: TABLE, row: TenantId::from_uuid(self.owner()) };
        row.and_then(|row| row.logo).map(|bytes| Logo::new(bytes).map_err(|_| cell.bad("logo"))).transpose()
    }

    async fn logo_set(&mut self, logo: Option<&Logo>) -> Stored<()> {
        let row = ActiveModel {
            tenant_id: Set(self.owner()),
            branding: Set(text(&Branding::default())?),
            logo_name: Set(logo.map(Logo::file_name)),
            logo: Set(logo.map(|logo| logo.bytes().to_vec())),
        };
        self.branding_write(row, &[Column::LogoName, Column::Logo]).await
    }
}
