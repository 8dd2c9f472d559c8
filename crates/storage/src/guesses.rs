//! Counters of wrong guesses, and the places users are known to come from.
//!
//! Invariant: a counter that was read stays locked until its transaction ends, also when there was none.

use app::ports::store::{GuessStore, GuessSubject, Stored};
use async_trait::async_trait;
use domain::guess::{GuessCounter, GuessScope};
use domain::ids::UserId;
use domain::time::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter};

use crate::dialect::{self, statement};
use crate::entities::{guess_counters, known_sources};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "guess_counters";

#[async_trait]
impl GuessStore for SqlTenantTx {
    async fn guess_counter(&mut self, scope: GuessScope, subject: &GuessSubject) -> Stored<GuessCounter> {
        let values = [self.owner().into(), scope.name().into(), subject.to_vec().into()];
        let read = statement(&self.tx, dialect::guess_counter_locked(&self.tx), values);
        let Some(row) = self.tx.query_one_raw(read).await.map_err(error::of(TABLE))? else {
            return Ok(GuessCounter::default());
        };
        let attempts: i64 = row.try_get("", "attempts").map_err(error::of(TABLE))?;
        let blocked_until: Option<i64> = row.try_get("", "blocked_until").map_err(error::of(TABLE))?;
        let cell = Cell { table: TABLE, row: scope.name() };
        Ok(GuessCounter { attempts: cell.number("attempts", attempts)?, blocked_until: blocked_until.map(Timestamp::from_micros) })
    }

    async fn guess_counter_set(&mut self, scope: GuessScope, subject: &GuessSubject, counter: GuessCounter, now: Timestamp) -> Stored<()> {
        use guess_counters::{Column, Entity, Model};
        let row = Model {
            tenant_id: self.owner(),
            scope: scope.name().to_owned(),
            subject: subject.to_vec(),
            attempts: i64::from(counter.attempts),
            blocked_until: counter.blocked_until.map(|at| at.as_micros()),
            touched_at: now.as_micros(),
        };
        let replace = OnConflict::columns([Column::TenantId, Column::Scope, Column::Subject])
            .update_columns([Column::Attempts, Column::BlockedUntil, Column::TouchedAt])
            .to_owned();
        let insert = Entity::insert(row.into_active_model()).on_conflict(replace);
        insert.exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn guess_counter_clear(&mut self, scope: GuessScope, subject: &GuessSubject) -> Stored<()> {
        let key = (self.owner(), scope.name().to_owned(), subject.to_vec());
        guess_counters::Entity::delete_by_id(key).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn source_is_known(&mut self, user: UserId, source: &GuessSubject, since: Timestamp) -> Stored<bool> {
        let known = known_sources::Entity::find_by_id((self.owner(), user.as_uuid(), source.to_vec()))
            .filter(known_sources::Column::SeenAt.gte(since.as_micros()))
            .count(&self.tx)
            .await
            .map_err(error::of("known_sources"))?;
        Ok(known > 0)
    }

    async fn source_remember(&mut self, user: UserId, source: &GuessSubject, now: Timestamp) -> Stored<()> {
        use known_sources::{Column, Entity, Model};
        let row = Model { tenant_id: self.owner(), user_id: user.as_uuid(), source: source.to_vec(), seen_at: now.as_micros() };
        let replace = OnConflict::columns([Column::TenantId, Column::UserId, Column::Source]).update_column(Column::SeenAt).to_owned();
        let insert = Entity::insert(row.into_active_model()).on_conflict(replace);
        insert.exec_without_returning(&self.tx).await.map_err(error::of("known_sources"))?;
        Ok(())
    }
}
