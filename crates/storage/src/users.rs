//! Users and their password hashes.
//!
//! Invariant: a hash is read and written only by [`Account`]s, never with a user alone.

use app::ports::store::{Account, SsoStore, StoreError, Stored, UserStore};
use async_trait::async_trait;
use domain::ids::UserId;
use domain::secret::Secret;
use domain::text::LoginName;
use domain::time::Timestamp;
use domain::user::{User, UserNames, UserStatus};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, Select,
};
use uuid::Uuid;

use crate::dialect::statement;
use crate::entities::{consents, known_sources, refresh_families, users};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "users";

fn to_row(tenant_id: Uuid, user: &User) -> Stored<users::Model> {
    let (status, disabled_at) = match user.status {
        UserStatus::Active => ("active", None),
        UserStatus::Disabled { at } => ("disabled", Some(at.as_micros())),
    };
    let (username, email) = (user.names.username(), user.names.email());
    Ok(users::Model {
        tenant_id,
        id: user.id.as_uuid(),
        username: username.map(|name| name.as_str().to_owned()),
        username_key: username.map(|name| name.key().to_owned()),
        email: email.map(|mail| mail.as_str().to_owned()),
        email_key: email.map(|mail| mail.key().to_owned()),
        status: status.to_owned(),
        disabled_at,
        roles: error::written(TABLE, "roles", serde_json::to_string(&user.roles))?,
        claims: error::written(TABLE, "claims", serde_json::to_string(&user.claims))?,
        created_at: user.created_at.as_micros(),
        updated_at: user.updated_at.as_micros(),
        password_changed_at: user.password_changed_at.as_micros(),
        email_verified_at: user.email_verified_at.map(Timestamp::as_micros),
        password_change_required_at: user.password_change_required_at.map(Timestamp::as_micros),
    })
}

pub(crate) fn from_row(row: users::Model) -> Stored<User> {
    let id = UserId::from_uuid(row.id);
    let cell = Cell { table: TABLE, row: id };
    let username = row.username.map(|name| cell.parsed("username", &name)).transpose()?;
    let email = row.email.map(|mail| cell.parsed("email", &mail)).transpose()?;
    let status = match (row.status.as_str(), row.disabled_at) {
        ("active", _) => UserStatus::Active,
        ("disabled", Some(at)) => UserStatus::Disabled { at: Timestamp::from_micros(at) },
        _ => return Err(cell.bad("status")),
    };
    Ok(User {
        id,
        names: UserNames::new(username, email).map_err(|_| cell.bad("username"))?,
        status,
        roles: cell.json("roles", serde_json::from_str(&row.roles))?,
        claims: cell.json("claims", serde_json::from_str(&row.claims))?,
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        password_changed_at: Timestamp::from_micros(row.password_changed_at),
        email_verified_at: row.email_verified_at.map(Timestamp::from_micros),
        password_change_required_at: row.password_change_required_at.map(Timestamp::from_micros),
    })
}

/// The column of the hash, which the entity leaves out.
const PHC: &str = "phc";

#[derive(FromQueryResult)]
struct WithHash {
    #[sea_orm(nested)]
    user: users::Model,
    phc: Option<String>,
}

fn account(found: Result<Option<WithHash>, DbErr>) -> Stored<Option<Account>> {
    let account = |row: WithHash| Ok(Account { user: from_row(row.user)?, phc: row.phc.map(Secret::new) });
    found.map_err(error::of(TABLE))?.map(account).transpose()
}

impl SqlTenantTx {
    fn find(&self, id: UserId) -> Select<users::Entity> {
        let find = users::Entity::find_by_id((self.owner(), id.as_uuid()));
        // PostgreSQL locks the row, so that a login and a change of the password take turns; SQLite has the write lock.
        if self.may_write() { find.lock_exclusive() } else { find }
    }
}

#[async_trait]
impl UserStore for SqlTenantTx {
    async fn user_insert(&mut self, user: &User, phc: Option<&Secret<String>>) -> Stored<()> {
        let row = to_row(self.owner(), user)?.into_active_model();
        users::Entity::insert(row).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        match phc {
            Some(phc) => self.password_hash_set(user.id, phc).await,
            None => Ok(()),
        }
    }

    async fn user_by_id(&mut self, id: UserId) -> Stored<Option<User>> {
        self.find(id).one(&self.tx).await.map_err(error::of(TABLE))?.map(from_row).transpose()
    }

    async fn account_by_id(&mut self, id: UserId) -> Stored<Option<Account>> {
        account(self.find(id).expr_as(Expr::col((users::Entity, PHC)), PHC).into_model::<WithHash>().one(&self.tx).await)
    }

    async fn account_by_login(&mut self, name: &LoginName) -> Stored<Option<Account>> {
        let is_named = match name {
            LoginName::Username(username) => users::Column::UsernameKey.eq(username.key()),
            LoginName::Email(email) => users::Column::EmailKey.eq(email.key()),
        };
        let found = users::Entity::find().filter(users::Column::TenantId.eq(self.owner())).filter(is_named);
        account(found.expr_as(Expr::col((users::Entity, PHC)), PHC).into_model::<WithHash>().one(&self.tx).await)
    }

    async fn user_update(&mut self, user: &User) -> Stored<()> {
        let mut row = to_row(self.owner(), user)?.into_active_model().reset_all();
        row.tenant_id = ActiveValue::NotSet;
        row.id = ActiveValue::NotSet;
        let updated = users::Entity::update_many()
            .set(row)
            .filter(users::Column::TenantId.eq(self.owner()))
            .filter(users::Column::Id.eq(user.id.as_uuid()))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        if updated.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn user_delete(&mut self, id: UserId) -> Stored<bool> {
        refresh_families::Entity::delete_many()
            .filter(refresh_families::Column::TenantId.eq(self.owner()))
            .filter(refresh_families::Column::UserId.eq(id.as_uuid()))
            .exec(&self.tx)
            .await
            .map_err(error::of("refresh_families"))?;
        known_sources::Entity::delete_many()
            .filter(known_sources::Column::TenantId.eq(self.owner()))
            .filter(known_sources::Column::UserId.eq(id.as_uuid()))
            .exec(&self.tx)
            .await
            .map_err(error::of("known_sources"))?;
        consents::Entity::delete_many()
            .filter(consents::Column::TenantId.eq(self.owner()))
            .filter(consents::Column::UserId.eq(id.as_uuid()))
            .exec(&self.tx)
            .await
            .map_err(error::of("consents"))?;
        for table in ["mails", "mail_links", "backchannel_requests"] {
            let sql = format!("DELETE FROM {table} WHERE tenant_id = $1 AND user_id = $2");
            let values = [self.owner().into(), id.as_uuid().into()];
            self.tx.execute_raw(statement(&self.tx, sql, values)).await.map_err(error::of(table))?;
        }
        self.sso_delete_of(id).await?;
        let deleted = users::Entity::delete_by_id((self.owner(), id.as_uuid())).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(deleted.rows_affected > 0)
    }

    async fn users_page(&mut self, after: Option<UserId>, limit: u32) -> Stored<Vec<User>> {
        let mut page = users::Entity::find().filter(users::Column::TenantId.eq(self.owner()));
        if let Some(after) = after {
            page = page.filter(users::Column::Id.gt(after.as_uuid()));
        }
        let rows = page.order_by_asc(users::Column::Id).limit(u64::from(limit)).all(&self.tx).await.map_err(error::of(TABLE))?;
        rows.into_iter().map(from_row).collect()
    }

    async fn password_hash_set(&mut self, id: UserId, phc: &Secret<String>) -> Stored<()> {
        let values = [phc.expose().as_str().into(), self.owner().into(), id.as_uuid().into()];
        let update = statement(&self.tx, "UPDATE users SET phc = $1 WHERE tenant_id = $2 AND id = $3", values);
        let updated = self.tx.execute_raw(update).await.map_err(error::of(TABLE))?;
        if updated.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
