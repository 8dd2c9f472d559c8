//! Registered clients as rows.
//!
//! Invariant: settings and secrets are JSON that the domain has checked before it was written.

use app::ports::store::{ClientStore, StoreError, Stored};
use async_trait::async_trait;
use domain::client::registration::SelfRegistration;
use domain::client::{Client, ClientId, ClientStatus};
use domain::time::Timestamp;
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::authorizations::hash;
use crate::entities::clients::{Column, Entity, Model};
use crate::entities::consents;
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "clients";

fn to_row(tenant_id: Uuid, client: &Client) -> Stored<Model> {
    Ok(Model {
        tenant_id,
        id: client.id.as_str().to_owned(),
        settings: error::written(TABLE, "settings", serde_json::to_string(&client.settings))?,
        secrets: error::written(TABLE, "secrets", serde_json::to_string(&client.secrets))?,
        registration: client.registration.map(|registration| registration.token.0.to_vec()),
        unused_until: client.registration.and_then(|registration| registration.unused_until).map(|at| at.as_micros()),
        disabled_at: match client.status {
            ClientStatus::Active => None,
            ClientStatus::Disabled { at } => Some(at.as_micros()),
        },
        created_at: client.created_at.as_micros(),
        updated_at: client.updated_at.as_micros(),
    })
}

fn from_row(row: Model) -> Stored<Client> {
    let cell = Cell { table: TABLE, row: &row.id };
    Ok(Client {
        settings: cell.json("settings", serde_json::from_str(&row.settings))?,
        secrets: cell.json("secrets", serde_json::from_str(&row.secrets))?,
        registration: match row.registration {
            Some(bytes) => Some(SelfRegistration {
                token: hash(TABLE, "registration", bytes)?,
                unused_until: row.unused_until.map(Timestamp::from_micros),
            }),
            None => None,
        },
        id: ClientId::try_from(row.id.clone()).map_err(|_| cell.bad("id"))?,
        status: row.disabled_at.map_or(ClientStatus::Active, |at| ClientStatus::Disabled { at: Timestamp::from_micros(at) }),
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
    })
}

#[async_trait]
impl ClientStore for SqlTenantTx {
    async fn client_insert(&mut self, client: &Client) -> Stored<()> {
        let row = to_row(self.owner(), client)?.into_active_model();
        Entity::insert(row).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn client_by_id(&mut self, id: &ClientId) -> Stored<Option<Client>> {
        let find = Entity::find_by_id((self.owner(), id.as_str().to_owned()));
        find.one(&self.tx).await.map_err(error::of(TABLE))?.map(from_row).transpose()
    }

    async fn client_locked(&mut self, id: &ClientId) -> Stored<Option<Client>> {
        let find = Entity::find_by_id((self.owner(), id.as_str().to_owned())).lock_exclusive();
        find.one(&self.tx).await.map_err(error::of(TABLE))?.map(from_row).transpose()
    }

    async fn client_update(&mut self, client: &Client) -> Stored<()> {
        let mut row = to_row(self.owner(), client)?.into_active_model().reset_all();
        row.tenant_id = ActiveValue::NotSet;
        row.id = ActiveValue::NotSet;
        let updated = Entity::update_many()
            .set(row)
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Id.eq(client.id.as_str()))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        if updated.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn client_delete(&mut self, id: &ClientId) -> Stored<bool> {
        consents::Entity::delete_many()
            .filter(consents::Column::TenantId.eq(self.owner()))
            .filter(consents::Column::ClientId.eq(id.as_str()))
            .exec(&self.tx)
            .await
            .map_err(error::of("consents"))?;
        let deleted = Entity::delete_by_id((self.owner(), id.as_str().to_owned())).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(deleted.rows_affected > 0)
    }

    async fn clients_page(&mut self, after: Option<&ClientId>, limit: u32) -> Stored<Vec<Client>> {
        let mut page = Entity::find().filter(Column::TenantId.eq(self.owner()));
        if let Some(after) = after {
            page = page.filter(Column::Id.gt(after.as_str()));
        }
        let rows = page.order_by_asc(Column::Id).limit(u64::from(limit)).all(&self.tx).await.map_err(error::of(TABLE))?;
        rows.into_iter().map(from_row).collect()
    }
}
