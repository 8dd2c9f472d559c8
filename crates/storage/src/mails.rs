//! Mails that wait to be sent and the links in them, as rows.

use app::ports::store::{MailStore, Stored};
use async_trait::async_trait;
use domain::handle::HandleHash;
use domain::ids::{MailId, UserId};
use domain::mail::{MailLink, QueuedMail};
use domain::time::{Timestamp, Ttl};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use crate::entities::{mail_links, mails};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "mails";
const LINKS: &str = "mail_links";

/// Until the second attempt: longer than the first may take.
const FIRST_WAIT: Ttl = Ttl::seconds(30);

#[async_trait]
impl MailStore for SqlTenantTx {
    async fn mail_insert(&mut self, mail: &QueuedMail) -> Stored<()> {
        let row = mails::Model {
            tenant_id: self.owner(),
            id: mail.id.as_uuid(),
            user_id: mail.user_id.map(UserId::as_uuid),
            content: error::document(TABLE, "content", &mail.content)?,
            asked_at: mail.asked_at.as_micros(),
            due_at: 0,
            retry_after: FIRST_WAIT.as_micros(),
            expires_at: mail.expires_at.as_micros(),
        };
        mails::Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn mail(&mut self, id: MailId) -> Stored<Option<QueuedMail>> {
        let row = mails::Entity::find_by_id((self.owner(), id.as_uuid())).one(&self.tx).await.map_err(error::of(TABLE))?;
        let mail = |row: mails::Model| {
            Ok(QueuedMail {
                id,
                user_id: row.user_id.map(UserId::from_uuid),
                content: Cell { table: TABLE, row: id }.document("content", &row.content)?,
                asked_at: Timestamp::from_micros(row.asked_at),
                expires_at: Timestamp::from_micros(row.expires_at),
            })
        };
        row.map(mail).transpose()
    }

    async fn mail_delete(&mut self, id: MailId) -> Stored<bool> {
        let deleted = mails::Entity::delete_by_id((self.owner(), id.as_uuid())).exec(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(deleted.rows_affected > 0)
    }

    async fn mail_link_insert(&mut self, link: &MailLink) -> Stored<bool> {
        use mail_links::{Column, Entity, Model};
        let row = Model {
            tenant_id: self.owner(),
            handle: link.handle.0.to_vec(),
            user_id: link.user_id.as_uuid(),
            address: link.address.to_string(),
            asked_at: link.asked_at.as_micros(),
            expires_at: link.expires_at.as_micros(),
            used_at: None,
        };
        let keep = OnConflict::columns([Column::TenantId, Column::Handle]).do_nothing().to_owned();
        let insert = Entity::insert(row.into_active_model()).on_conflict(keep);
        Ok(insert.exec_without_returning(&self.tx).await.map_err(error::of(LINKS))? > 0)
    }

    async fn mail_link(&mut self, handle: &HandleHash) -> Stored<Option<MailLink>> {
        let find = mail_links::Entity::find_by_id((self.owner(), handle.0.to_vec())).filter(mail_links::Column::UsedAt.is_null());
        let row = find.one(&self.tx).await.map_err(error::of(LINKS))?;
        let link = |row: mail_links::Model| {
            let user_id = UserId::from_uuid(row.user_id);
            let address = Cell { table: LINKS, row: user_id }.parsed("address", &row.address)?;
            let (asked_at, expires_at) = (Timestamp::from_micros(row.asked_at), Timestamp::from_micros(row.expires_at));
            Ok(MailLink { handle: *handle, user_id, address, asked_at, expires_at })
        };
        row.map(link).transpose()
    }

    async fn mail_link_use(&mut self, handle: &HandleHash, now: Timestamp) -> Stored<bool> {
        use mail_links::{Column, Entity};
        let used = Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(now.as_micros()))
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Handle.eq(handle.0.to_vec()))
            .filter(Column::UsedAt.is_null())
            .exec(&self.tx)
            .await
            .map_err(error::of(LINKS))?;
        Ok(used.rows_affected > 0)
    }
}
