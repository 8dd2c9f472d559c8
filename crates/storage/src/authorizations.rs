//! Pending authorization requests and codes as rows.
//!
//! Invariant: who was first is decided by a row count, never by an earlier read.

use app::ports::store::{AuthorizationStore, CodeUse, PendingRequest, Stored};
use async_trait::async_trait;
use domain::authorize::code::CodeGrant;
use domain::handle::HandleHash;
use domain::ids::FamilyId;
use domain::interaction::Progress;
use domain::time::Timestamp;
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};

use crate::entities::{authorization_codes as codes, authorization_requests as requests};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const REQUESTS: &str = "authorization_requests";
const CODES: &str = "authorization_codes";

/// A hash as a row holds it.
pub(crate) fn hash(table: &'static str, column: &'static str, bytes: Vec<u8>) -> Stored<HandleHash> {
    let length = bytes.len();
    bytes.try_into().map(HandleHash).map_err(|_| error::corrupt(table, column, format!("{length} bytes")))
}

fn pending(row: requests::Model) -> Stored<PendingRequest> {
    let handle = hash(REQUESTS, "handle", row.handle)?;
    let name = handle.encoded();
    let cell = Cell { table: REQUESTS, row: &name };
    Ok(PendingRequest {
        handle,
        browser: hash(REQUESTS, "browser", row.browser)?,
        request: cell.document("request", &row.request)?,
        progress: cell.document("progress", &row.progress)?,
        expires_at: Timestamp::from_micros(row.expires_at),
    })
}

fn granted(row: &codes::Model) -> Stored<CodeGrant> {
    let cell = Cell { table: CODES, row: "(a code)" };
    cell.document("granted", &row.granted)
}

#[async_trait]
impl AuthorizationStore for SqlTenantTx {
    async fn pending_insert(&mut self, pending: &PendingRequest) -> Stored<()> {
        let row = requests::Model {
            tenant_id: self.owner(),
            handle: pending.handle.0.to_vec(),
            browser: pending.browser.0.to_vec(),
            request: error::document(REQUESTS, "request", &pending.request)?,
            progress: error::document(REQUESTS, "progress", &pending.progress)?,
            expires_at: pending.expires_at.as_micros(),
        };
        requests::Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await.map_err(error::of(REQUESTS))?;
        Ok(())
    }

    async fn pending_by_handle(&mut self, handle: &HandleHash) -> Stored<Option<PendingRequest>> {
        let find = requests::Entity::find_by_id((self.owner(), handle.0.to_vec()));
        let find = if self.may_write() { find.lock_exclusive() } else { find };
        find.one(&self.tx).await.map_err(error::of(REQUESTS))?.map(pending).transpose()
    }

    async fn pending_progress(&mut self, handle: &HandleHash, progress: Progress) -> Stored<()> {
        let text = error::document(REQUESTS, "progress", &progress)?;
        requests::Entity::update_many()
            .col_expr(requests::Column::Progress, Expr::value(text))
            .filter(requests::Column::TenantId.eq(self.owner()))
            .filter(requests::Column::Handle.eq(handle.0.to_vec()))
            .exec(&self.tx)
            .await
            .map_err(error::of(REQUESTS))?;
        Ok(())
    }

    async fn pending_delete(&mut self, handle: &HandleHash) -> Stored<bool> {
        let deleted =
            requests::Entity::delete_by_id((self.owner(), handle.0.to_vec())).exec(&self.tx).await.map_err(error::of(REQUESTS))?;
        Ok(deleted.rows_affected > 0)
    }

    async fn code_insert(&mut self, code: &HandleHash, grant: &CodeGrant) -> Stored<()> {
        let row = codes::Model {
            tenant_id: self.owner(),
            code: code.0.to_vec(),
            granted: error::document(CODES, "granted", grant)?,
            expires_at: grant.expires_at.as_micros(),
            used_at: None,
            family_id: grant.family_id.map(FamilyId::as_uuid),
        };
        codes::Entity::insert(row.into_active_model()).exec_without_returning(&self.tx).await.map_err(error::of(CODES))?;
        Ok(())
    }

    async fn code_use(&mut self, code: &HandleHash, family_id: FamilyId, now: Timestamp) -> Stored<CodeUse> {
        let used = codes::Entity::update_many()
            .col_expr(codes::Column::UsedAt, Expr::value(now.as_micros()))
            // One that a token beside the code has begun stays.
            .col_expr(
                codes::Column::FamilyId,
                Func::coalesce([Expr::col(codes::Column::FamilyId), Expr::value(family_id.as_uuid())]).into(),
            )
            .filter(codes::Column::TenantId.eq(self.owner()))
            .filter(codes::Column::Code.eq(code.0.to_vec()))
            .filter(codes::Column::UsedAt.is_null())
            .exec_with_returning(&self.tx)
            .await
            .map_err(error::of(CODES))?;
        if let Some(row) = used.first() {
            return Ok(CodeUse::First(Box::new(granted(row)?)));
        }
        let known = codes::Entity::find_by_id((self.owner(), code.0.to_vec())).one(&self.tx).await.map_err(error::of(CODES))?;
        let family_id = known.and_then(|row| row.family_id).map(FamilyId::from_uuid);
        Ok(family_id.map_or(CodeUse::Unknown, |family_id| CodeUse::Again { family_id }))
    }
}
