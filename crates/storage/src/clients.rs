//! Registered clients as rows.
//!
//! Invariant: settings and secrets are JSON that the domain has checked before it was written; a client's origins are written with it.

use app::ports::store::{ClientStore, StoreError, Stored};
use async_trait::async_trait;
use domain::client::origin::WebOrigin;
use domain::client::registration::SelfRegistration;
use domain::client::{Client, ClientId, ClientStatus};
use domain::time::Timestamp;
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::authorizations::hash;
use crate::entities::clients::{Column, Entity, Model};
use crate::entities::{client_origins, consents};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "clients";
const ORIGINS: &str = "client_origins";

fn to_row(tenant_id: Uuid, client: &Client) -> Stored<Model> {
    Ok(Model {
        tenant_id,
        id: client.id.as_str().to_owned(),
        settings: error::document(TABLE, "settings", &client.settings)?,
        secrets: error::document(TABLE, "secrets", &client.secrets)?,
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

pub(crate) fn from_row(row: Model) -> Stored<Client> {
    let cell = Cell { table: TABLE, row: &row.id };
    Ok(Client {
        settings: cell.document("settings", &row.settings)?,
        secrets: cell.document("secrets", &row.secrets)?,
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

impl SqlTenantTx {
    /// Writes down where the client runs in browsers, in place of what was known of it.
    async fn client_origins_set(&self, client: &Client) -> Stored<()> {
        let now: Vec<String> = client.origins().iter().map(ToString::to_string).collect();
        client_origins::Entity::delete_many()
            .filter(client_origins::Column::TenantId.eq(self.owner()))
            .filter(client_origins::Column::ClientId.eq(client.id.as_str()))
            .filter(client_origins::Column::Origin.is_not_in(now.clone()))
            .exec(&self.tx)
            .await
            .map_err(error::of(ORIGINS))?;
        if now.is_empty() {
            return Ok(());
        }
        let row = |origin| client_origins::Model { tenant_id: self.owner(), origin, client_id: client.id.as_str().to_owned() };
        let key = [client_origins::Column::TenantId, client_origins::Column::Origin, client_origins::Column::ClientId];
        // Those that are there already become what they are.
        let same = OnConflict::columns(key).update_column(client_origins::Column::Origin).to_owned();
        let insert = client_origins::Entity::insert_many(now.into_iter().map(|origin| row(origin).into_active_model())).on_conflict(same);
        insert.exec_without_returning(&self.tx).await.map_err(error::of(ORIGINS))?;
        Ok(())
    }
}

#[async_trait]
impl ClientStore for SqlTenantTx {
    async fn client_insert(&mut self, client: &Client) -> Stored<()> {
        let row = to_row(self.owner(), client)?.into_active_model();
        Entity::insert(row).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        self.client_origins_set(client).await
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
        let stands = Entity::find_by_id((self.owner(), client.id.as_str().to_owned())).select_only();
        let stands = stands.columns([Column::Settings, Column::Secrets]).lock(LockType::NoKeyUpdate).into_tuple();
        let (settings, secrets): (String, String) = stands.one(&self.tx).await.map_err(error::of(TABLE))?.ok_or(StoreError::Conflict)?;
        let cell = Cell { table: TABLE, row: &client.id };
        let mut row = to_row(self.owner(), client)?;
        row.settings = cell.rewritten("settings", &client.settings, &settings)?;
        row.secrets = cell.rewritten("secrets", &client.secrets, &secrets)?;
        let mut row = row.into_active_model().reset_all();
        row.tenant_id = ActiveValue::NotSet;
        row.id = ActiveValue::NotSet;
        let updated = Entity::update_many()
            .set(row)
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Id.eq(client.id.as_str()))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        if updated.rows_affected == 1 { self.client_origins_set(client).await } else { Err(StoreError::Conflict) }
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

    async fn clients_with_signs(
        &mut self,
        signs: &[String],
        after: Option<&ClientId>,
        most: u32,
    ) -> Stored<(Vec<Client>, Option<ClientId>)> {
        if signs.is_empty() {
            return Ok((Vec::new(), None));
        }
        let mut stretch = Condition::all().add(Column::TenantId.eq(self.owner()));
        if let Some(after) = after {
            stretch = stretch.add(Column::Id.gt(after.as_str()));
        }
        // The key alone is read for that, so that no statement looks into more settings than these, however few of them have a sign.
        let last = Entity::find().select_only().column(Column::Id).filter(stretch.clone()).order_by_asc(Column::Id);
        let last = last.offset(u64::from(most.saturating_sub(1))).limit(1).into_tuple::<String>().one(&self.tx);
        let last = last.await.map_err(error::of(TABLE))?;
        if let Some(last) = &last {
            stretch = stretch.add(Column::Id.lte(last));
        }
        // An underscore stands for any character in it, which finds no fewer.
        let any = signs.iter().fold(Condition::any(), |any, sign| any.add(Column::Settings.contains(sign)));
        let found = Entity::find().filter(stretch).filter(Column::DisabledAt.is_null()).filter(any).order_by_asc(Column::Id);
        let found = found.all(&self.tx).await.map_err(error::of(TABLE))?.into_iter().map(from_row).collect::<Result<_, _>>()?;
        let last = last.map(|id| ClientId::try_from(id.clone()).map_err(|_| Cell { table: TABLE, row: &id }.bad("id")));
        Ok((found, last.transpose()?))
    }

    async fn client_origins(&mut self, limit: u32) -> Stored<Vec<WebOrigin>> {
        let find = client_origins::Entity::find().select_only().column(client_origins::Column::Origin).distinct();
        let find = find.filter(client_origins::Column::TenantId.eq(self.owner())).order_by_asc(client_origins::Column::Origin);
        let origins: Vec<String> = find.limit(u64::from(limit)).into_tuple().all(&self.tx).await.map_err(error::of(ORIGINS))?;
        let cell = Cell { table: ORIGINS, row: self.owner() };
        origins.iter().map(|origin| cell.parsed("origin", origin)).collect()
    }

    async fn client_origin_is_there(&mut self, origin: &WebOrigin) -> Stored<bool> {
        let find = client_origins::Entity::find().filter(client_origins::Column::TenantId.eq(self.owner()));
        let find = find.filter(client_origins::Column::Origin.eq(origin.as_str())).limit(1);
        Ok(find.one(&self.tx).await.map_err(error::of(ORIGINS))?.is_some())
    }
}
