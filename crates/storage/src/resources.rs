//! A tenant's APIs as rows, and how other rows name them.
//!
//! Invariant: settings are JSON that the domain has checked before it was written.

use app::ports::store::{ResourceStore, StoreError, Stored};
use async_trait::async_trait;
use domain::details::AuthorizationDetails;
use domain::ids::ResourceId;
use domain::resource::{Resource, ResourceSet, ResourceUri};
use domain::time::Timestamp;
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};

use crate::entities::resources::{Column, Entity, Model};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "resources";

/// The names of several as a JSON array; `None` for no names.
pub(crate) fn resources_text(table: &'static str, named: &ResourceSet) -> Stored<Option<String>> {
    if named.is_empty() { Ok(None) } else { error::written(table, "resources", serde_json::to_string(named)).map(Some) }
}

/// Details as a row holds them; none are NULL.
pub(crate) fn details_text(table: &'static str, details: &AuthorizationDetails) -> Stored<Option<String>> {
    if details.is_empty() { Ok(None) } else { error::written(table, "authorization_details", serde_json::to_string(details)).map(Some) }
}

/// What [`details_text`] has written.
pub(crate) fn details<I: std::fmt::Display>(cell: &Cell<I>, text: Option<&str>) -> Stored<AuthorizationDetails> {
    let read = text.map_or_else(|| Ok(AuthorizationDetails::none()), serde_json::from_str);
    cell.json("authorization_details", read)
}

fn from_row(row: Model) -> Stored<Resource> {
    let id = ResourceId::from_uuid(row.id);
    let cell = Cell { table: TABLE, row: id };
    Ok(Resource {
        id,
        identifier: cell.parsed("identifier", &row.identifier)?,
        settings: cell.document("settings", &row.settings)?,
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
    })
}

#[async_trait]
impl ResourceStore for SqlTenantTx {
    async fn resource_insert(&mut self, resource: &Resource) -> Stored<()> {
        let row = Model {
            tenant_id: self.owner(),
            id: resource.id.as_uuid(),
            identifier: resource.identifier.as_str().to_owned(),
            settings: error::document(TABLE, "settings", &resource.settings)?,
            created_at: resource.created_at.as_micros(),
            updated_at: resource.updated_at.as_micros(),
        };
        Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn resource_by_id(&mut self, id: ResourceId) -> Stored<Option<Resource>> {
        let find = Entity::find_by_id((self.owner(), id.as_uuid()));
        find.one(&self.tx).await.map_err(error::of(TABLE))?.map(from_row).transpose()
    }

    async fn resource_update(&mut self, resource: &Resource) -> Stored<()> {
        let stands = Entity::find_by_id((self.owner(), resource.id.as_uuid())).select_only().column(Column::Settings);
        let old: Option<String> = stands.lock(LockType::NoKeyUpdate).into_tuple().one(&self.tx).await.map_err(error::of(TABLE))?;
        let cell = Cell { table: TABLE, row: resource.id };
        let settings = cell.rewritten("settings", &resource.settings, &old.ok_or(StoreError::Conflict)?)?;
        let updated = Entity::update_many()
            .col_expr(Column::Settings, Expr::value(settings))
            .col_expr(Column::UpdatedAt, Expr::value(resource.updated_at.as_micros()))
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Id.eq(resource.id.as_uuid()))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        if updated.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn resource_delete(&mut self, id: ResourceId) -> Stored<bool> {
        let deleted = Entity::delete_by_id((self.owner(), id.as_uuid())).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(deleted.rows_affected > 0)
    }

    async fn resources_page(&mut self, after: Option<ResourceId>, limit: u32) -> Stored<Vec<Resource>> {
        let mut page = Entity::find().filter(Column::TenantId.eq(self.owner()));
        if let Some(after) = after {
            page = page.filter(Column::Id.gt(after.as_uuid()));
        }
        let rows = page.order_by_asc(Column::Id).limit(u64::from(limit)).all(&self.tx).await.map_err(error::of(TABLE))?;
        rows.into_iter().map(from_row).collect()
    }

    async fn resources_named(&mut self, named: &ResourceSet) -> Stored<Vec<Resource>> {
        let find = Entity::find()
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Identifier.is_in(named.iter().map(ResourceUri::as_str)));
        let rows = find.all(&self.tx).await.map_err(error::of(TABLE))?;
        let mut all = rows.into_iter().map(from_row).collect::<Stored<Vec<_>>>()?;
        // By bytes: how a database sorts text depends on where it was set up.
        all.sort_by(|one, other| one.identifier.cmp(&other.identifier));
        Ok(all)
    }
}
