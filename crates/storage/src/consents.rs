//! What users allowed clients, as rows.

use app::ports::store::{Consent, ConsentStore, Stored};
use async_trait::async_trait;
use domain::client::ClientId;
use domain::consent::Allowed;
use domain::ids::UserId;
use domain::resource::ResourceSet;
use domain::time::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::entities::consents::{Column, Entity, Model};
use crate::error::{self, Cell};
use crate::resources::{details, details_text, resources_text};
use crate::tx::SqlTenantTx;

const TABLE: &str = "consents";

impl SqlTenantTx {
    fn consent_key(&self, user: UserId, client: &ClientId) -> (Uuid, Uuid, String) {
        (self.owner(), user.as_uuid(), client.as_str().to_owned())
    }
}

fn allowed(cell: &Cell<UserId>, row: &Model) -> Stored<Allowed> {
    Ok(Allowed {
        scope: cell.parsed("scope", &row.scope)?,
        resources: cell.json("resources", row.resources.as_deref().map_or_else(|| Ok(ResourceSet::new()), serde_json::from_str))?,
        details: details(cell, row.authorization_details.as_deref())?,
    })
}

#[async_trait]
impl ConsentStore for SqlTenantTx {
    async fn consent(&mut self, user: UserId, client: &ClientId) -> Stored<Option<Allowed>> {
        let row = Entity::find_by_id(self.consent_key(user, client)).one(&self.tx).await.map_err(error::of(TABLE))?;
        let cell = Cell { table: TABLE, row: user };
        row.map(|row| allowed(&cell, &row)).transpose()
    }

    async fn consent_set(&mut self, user: UserId, client: &ClientId, wanted: &Allowed, now: Timestamp) -> Stored<()> {
        let (tenant_id, user_id, client_id) = self.consent_key(user, client);
        let (scope, resources) = (wanted.scope.to_string(), resources_text(TABLE, &wanted.resources)?);
        let authorization_details = details_text(TABLE, &wanted.details)?;
        let row = Model { tenant_id, user_id, client_id, scope, granted_at: now.as_micros(), resources, authorization_details };
        let replace = OnConflict::columns([Column::TenantId, Column::UserId, Column::ClientId])
            .update_columns([Column::Scope, Column::GrantedAt, Column::Resources, Column::AuthorizationDetails])
            .to_owned();
        let insert = Entity::insert(row.into_active_model()).on_conflict(replace);
        insert.exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn consents_of(&mut self, user: UserId) -> Stored<Vec<Consent>> {
        let find = Entity::find().filter(Column::TenantId.eq(self.owner())).filter(Column::UserId.eq(user.as_uuid()));
        let rows = find.order_by_asc(Column::ClientId).all(&self.tx).await.map_err(error::of(TABLE))?;
        let cell = Cell { table: TABLE, row: user };
        let consent = |row: Model| {
            let allowed = allowed(&cell, &row)?;
            let client_id = ClientId::try_from(row.client_id).map_err(|_| cell.bad("client_id"))?;
            Ok(Consent { client_id, allowed, granted_at: Timestamp::from_micros(row.granted_at) })
        };
        rows.into_iter().map(consent).collect()
    }

    async fn consent_delete(&mut self, user: UserId, client: &ClientId) -> Stored<bool> {
        let deleted = Entity::delete_by_id(self.consent_key(user, client)).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(deleted.rows_affected > 0)
    }
}
