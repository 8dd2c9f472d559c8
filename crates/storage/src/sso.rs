//! Users' sessions with the tenant's pages, as rows.

use app::ports::store::{SsoStore, Stored};
use async_trait::async_trait;
use domain::handle::HandleHash;
use domain::ids::{SsoSessionId, UserId};
use domain::sso::SsoSession;
use domain::time::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use crate::authorizations::hash;
use crate::entities::sso_sessions::{Column, Entity, Model};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "sso_sessions";

fn from_row(row: Model) -> Stored<SsoSession> {
    let id = SsoSessionId::from_uuid(row.id);
    let cell = Cell { table: TABLE, row: id };
    Ok(SsoSession {
        id,
        handle: hash(TABLE, "handle", row.handle)?,
        user_id: UserId::from_uuid(row.user_id),
        authentication: cell.document("authentication", &row.authentication)?,
        idle_expires_at: Timestamp::from_micros(row.idle_expires_at),
        absolute_expires_at: Timestamp::from_micros(row.absolute_expires_at),
        user_agent: row.user_agent,
        source: row.source,
    })
}

#[async_trait]
impl SsoStore for SqlTenantTx {
    async fn sso_insert(&mut self, session: &SsoSession) -> Stored<()> {
        let row = Model {
            tenant_id: self.owner(),
            handle: session.handle.0.to_vec(),
            id: session.id.as_uuid(),
            user_id: session.user_id.as_uuid(),
            authentication: error::document(TABLE, "authentication", &session.authentication)?,
            idle_expires_at: session.idle_expires_at.as_micros(),
            absolute_expires_at: session.absolute_expires_at.as_micros(),
            ends_at: session.ends_at().as_micros(),
            user_agent: session.user_agent.clone(),
            source: session.source.clone(),
        };
        Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn sso_by_handle(&mut self, handle: &HandleHash) -> Stored<Option<SsoSession>> {
        let row = Entity::find_by_id((self.owner(), handle.0.to_vec())).one(&self.tx).await.map_err(error::of(TABLE))?;
        row.map(from_row).transpose()
    }

    async fn sso_touch(&mut self, handle: &HandleHash, idle_expires_at: Timestamp) -> Stored<()> {
        // A session is never touched beyond its absolute end.
        Entity::update_many()
            .col_expr(Column::IdleExpiresAt, Expr::value(idle_expires_at.as_micros()))
            .col_expr(Column::EndsAt, Expr::value(idle_expires_at.as_micros()))
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Handle.eq(handle.0.to_vec()))
            .filter(Column::AbsoluteExpiresAt.gte(idle_expires_at.as_micros()))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn sso_delete(&mut self, handle: &HandleHash) -> Stored<bool> {
        let deleted = Entity::delete_by_id((self.owner(), handle.0.to_vec())).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(deleted.rows_affected > 0)
    }

    async fn sso_is_there(&mut self, user: UserId, id: SsoSessionId) -> Stored<bool> {
        let find = Entity::find()
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::UserId.eq(user.as_uuid()))
            .filter(Column::Id.eq(id.as_uuid()));
        Ok(find.one(&self.tx).await.map_err(error::of(TABLE))?.is_some())
    }

    async fn sso_of(&mut self, user: UserId, now: Timestamp) -> Stored<Vec<SsoSession>> {
        let find = Entity::find()
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::UserId.eq(user.as_uuid()))
            .filter(Column::EndsAt.gt(now.as_micros()))
            .order_by_desc(Column::Id);
        find.all(&self.tx).await.map_err(error::of(TABLE))?.into_iter().map(from_row).collect()
    }

    async fn sso_delete_of(&mut self, user: UserId) -> Stored<u64> {
        let all = Entity::delete_many().filter(Column::TenantId.eq(self.owner())).filter(Column::UserId.eq(user.as_uuid()));
        Ok(all.exec(&self.tx).await.map_err(error::of(TABLE))?.rows_affected)
    }

    async fn sso_delete_begun(&mut self, before: Timestamp) -> Stored<u64> {
        // A session ends a fixed time after its login.
        let begun = Column::AbsoluteExpiresAt.lt(before.plus(SsoSession::ABSOLUTE).as_micros());
        let all = Entity::delete_many().filter(Column::TenantId.eq(self.owner())).filter(begun);
        Ok(all.exec(&self.tx).await.map_err(error::of(TABLE))?.rows_affected)
    }
}
