//! Counters of wrong guesses, and the places users are known to come from.
//!
//! Invariant: a counter that was read stays locked until its transaction ends, also when there was none.

use app::ports::store::{GuessStore, GuessSubject, Stored};
use async_trait::async_trait;
use domain::guess::{GuessCounter, GuessScope};
use domain::ids::UserId;
use domain::time::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter};

use crate::dialect::{self, statement};
use crate::entities::{guess_counters, known_sources};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "guess_counters";

#[async_trait]
impl GuessStore for SqlTenantTx {
    async fn guess_counters(&mut self, asked: &[(GuessScope, GuessSubject)]) -> Stored<Vec<GuessCounter>> {
        let subjects = asked.iter().flat_map(|(scope, subject)| [scope.name().into(), subject.to_vec().into()]);
        let values = std::iter::once(self.owner().into()).chain(subjects);
        let read = statement(&self.tx, dialect::guess_counters_locked(&self.tx, asked.len()), values);
        let rows = self.tx.query_all_raw(read).await.map_err(error::of(TABLE))?;
        let mut counters = vec![GuessCounter::default(); asked.len()];
        for row in rows {
            let (scope, subject): (String, Vec<u8>) =
                row.try_get_many("", &["scope".into(), "subject".into()]).map_err(error::of(TABLE))?;
            let (attempts, blocked_until): (i64, Option<i64>) =
                row.try_get_many("", &["attempts".into(), "blocked_until".into()]).map_err(error::of(TABLE))?;
            let cell = Cell { table: TABLE, row: &scope };
            let counter =
                GuessCounter { attempts: cell.number("attempts", attempts)?, blocked_until: blocked_until.map(Timestamp::from_micros) };
            let places = asked.iter().zip(&mut counters).filter(|((of, whose), _)| of.name() == scope && whose[..] == subject[..]);
            places.for_each(|(_, place)| *place = counter);
        }
        Ok(counters)
    }

    async fn guess_counters_set(&mut self, counters: &[(GuessScope, GuessSubject, GuessCounter)], now: Timestamp) -> Stored<()> {
        use guess_counters::{Column, Entity, Model};
        let row = |(scope, subject, counter): &(GuessScope, GuessSubject, GuessCounter)| Model {
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
        let insert = Entity::insert_many(counters.iter().map(|counter| row(counter).into_active_model())).on_conflict(replace);
        insert.exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn guess_counter_clear(&mut self, scope: GuessScope, subject: &GuessSubject) -> Stored<()> {
        let key = (self.owner(), scope.name().to_owned(), subject.to_vec());
        guess_counters::Entity::delete_by_id(key).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn guess_forgive(&mut self, scope: GuessScope, subject: &GuessSubject) -> Stored<()> {
        let forgive =
            "UPDATE guess_counters SET attempts = attempts - 1 WHERE tenant_id = $1 AND scope = $2 AND subject = $3 AND attempts > 0";
        let values = [self.owner().into(), scope.name().into(), subject.to_vec().into()];
        self.tx.execute_raw(statement(&self.tx, forgive, values)).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn source_seen(&mut self, user: UserId, source: &GuessSubject) -> Stored<Option<Timestamp>> {
        let find = known_sources::Entity::find_by_id((self.owner(), user.as_uuid(), source.to_vec()));
        let seen = find.one(&self.tx).await.map_err(error::of("known_sources"))?;
        Ok(seen.map(|row| Timestamp::from_micros(row.seen_at)))
    }

    async fn source_is_any(&mut self, user: UserId) -> Stored<bool> {
        use known_sources::{Column, Entity};
        let find = Entity::find().filter(Column::TenantId.eq(self.owner())).filter(Column::UserId.eq(user.as_uuid()));
        Ok(find.one(&self.tx).await.map_err(error::of("known_sources"))?.is_some())
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
