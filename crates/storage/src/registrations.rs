//! Tokens with which clients may be registered, as rows.
//!
//! Invariant: how often one was used is decided by a row count, never by an earlier read.

use app::ports::store::{RegistrationStore, Stored};
use async_trait::async_trait;
use domain::client::registration::InitialAccessToken;
use domain::handle::HandleHash;
use domain::ids::InitialAccessTokenId;
use domain::time::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};

use crate::authorizations::hash;
use crate::entities::initial_access_tokens::{Column, Entity, Model};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "initial_access_tokens";

fn from_row(row: Model) -> Stored<InitialAccessToken> {
    let id = InitialAccessTokenId::from_uuid(row.id);
    let cell = Cell { table: TABLE, row: id };
    Ok(InitialAccessToken {
        id,
        hash: hash(TABLE, "hash", row.hash)?,
        name: row.name.map(|name| cell.parsed("name", &name)).transpose()?,
        uses_left: cell.number("uses_left", row.uses_left)?,
        created_at: Timestamp::from_micros(row.created_at),
        expires_at: Timestamp::from_micros(row.expires_at),
    })
}

#[async_trait]
impl RegistrationStore for SqlTenantTx {
    async fn initial_token_insert(&mut self, token: &InitialAccessToken) -> Stored<()> {
        let row = Model {
            tenant_id: self.owner(),
            id: token.id.as_uuid(),
            hash: token.hash.0.to_vec(),
            name: token.name.as_ref().map(|name| name.as_str().to_owned()),
            uses_left: i64::from(token.uses_left),
            created_at: token.created_at.as_micros(),
            expires_at: token.expires_at.as_micros(),
        };
        Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn initial_token_by_hash(&mut self, hash: &HandleHash) -> Stored<Option<InitialAccessToken>> {
        let find = Entity::find().filter(Column::TenantId.eq(self.owner())).filter(Column::Hash.eq(hash.0.to_vec()));
        find.one(&self.tx).await.map_err(error::of(TABLE))?.map(from_row).transpose()
    }

    async fn initial_token_use(&mut self, id: InitialAccessTokenId, now: Timestamp) -> Stored<bool> {
        let used = Entity::update_many()
            .col_expr(Column::UsesLeft, Expr::col(Column::UsesLeft).sub(1))
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Id.eq(id.as_uuid()))
            .filter(Column::UsesLeft.gt(0))
            .filter(Column::ExpiresAt.gt(now.as_micros()))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        Ok(used.rows_affected > 0)
    }

    async fn initial_token_delete(&mut self, id: InitialAccessTokenId) -> Stored<bool> {
        let deleted = Entity::delete_by_id((self.owner(), id.as_uuid())).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(deleted.rows_affected > 0)
    }

    async fn initial_tokens_page(&mut self, after: Option<InitialAccessTokenId>, limit: u32) -> Stored<Vec<InitialAccessToken>> {
        let mut page = Entity::find().filter(Column::TenantId.eq(self.owner()));
        if let Some(after) = after {
            page = page.filter(Column::Id.gt(after.as_uuid()));
        }
        let rows = page.order_by_asc(Column::Id).limit(u64::from(limit)).all(&self.tx).await.map_err(error::of(TABLE))?;
        rows.into_iter().map(from_row).collect()
    }
}
