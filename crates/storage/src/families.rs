//! Refresh-token families as rows. How a refresh reads and writes one is in `refresh.rs`.
//!
//! Invariant: a family that was revoked stays as it was revoked first.

use app::ports::store::{FamilyStore, Stored};
use async_trait::async_trait;
use domain::client::ClientId;
use domain::ids::{FamilyId, UserId};
use domain::resource::ResourceSet;
use domain::time::Timestamp;
use domain::token::family::{Binding, Generation, Head, RefreshFamily, Revocation, RevocationCause, Superseded};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use crate::entities::refresh_families::{Column, Entity, Model};
use crate::error::{self, Cell};
use crate::resources::{details, details_text, resources_text};
use crate::tx::SqlTenantTx;

pub(crate) const TABLE: &str = "refresh_families";

/// The superseded generations as JSON: `[[generation, microseconds], …]`, newest first.
pub(crate) fn superseded_text(head: &Head) -> Stored<String> {
    let pairs: Vec<(u32, i64)> = head.superseded.iter().flatten().map(|old| (old.generation.as_u32(), old.at.as_micros())).collect();
    error::written(TABLE, "superseded", serde_json::to_string(&pairs))
}

/// The hour, counted from the epoch, in which the family ends: what the sweep finds it by.
pub(crate) fn ends_hour(family: &RefreshFamily) -> i64 {
    hour_of(family.ends_at())
}

pub(crate) const fn hour_of(at: Timestamp) -> i64 {
    at.as_micros() / 3_600_000_000
}

pub(crate) fn to_row(tenant_id: Uuid, family: &RefreshFamily) -> Stored<Model> {
    Ok(Model {
        tenant_id,
        id: family.id.as_uuid(),
        user_id: family.user_id.as_uuid(),
        client_id: family.client_id.as_str().to_owned(),
        scope: family.scope.to_string(),
        resources: resources_text(TABLE, &family.resources)?,
        authorization_details: details_text(TABLE, &family.details)?,
        binding: family.binding.to_string(),
        auth_time: family.auth_time.as_micros(),
        current: i64::from(family.head.current.as_u32()),
        rotated_at: family.head.rotated_at.as_micros(),
        replays: i64::from(family.head.replays),
        superseded: superseded_text(&family.head)?,
        idle_expires_at: family.idle_expires_at.as_micros(),
        absolute_expires_at: family.absolute_expires_at.as_micros(),
        revoked_at: family.revoked.map(|revocation| revocation.at.as_micros()),
        revoked_cause: family.revoked.map(|revocation| revocation.cause.name().to_owned()),
        created_at: family.created_at.as_micros(),
        user_agent: family.user_agent.clone(),
        source: family.source.clone(),
        sign_on: family.sign_on.as_ref().map(|sign_on| error::document(TABLE, "sign_on", sign_on)).transpose()?,
        ends_hour: ends_hour(family),
    })
}

pub(crate) fn from_row(row: Model) -> Stored<RefreshFamily> {
    let id = FamilyId::from_uuid(row.id);
    let cell = Cell { table: TABLE, row: id };
    let pairs: Vec<(u32, i64)> = cell.json("superseded", serde_json::from_str(&row.superseded))?;
    let mut superseded = [None; Head::REMEMBERED];
    if pairs.len() > superseded.len() {
        return Err(cell.bad("superseded"));
    }
    for (place, (generation, at)) in superseded.iter_mut().zip(pairs) {
        *place = Some(Superseded { generation: Generation::from_u32(generation), at: Timestamp::from_micros(at) });
    }
    let revoked = match (row.revoked_at, row.revoked_cause) {
        (None, None) => None,
        (Some(at), Some(cause)) => {
            let cause = RevocationCause::from_name(&cause).ok_or_else(|| cell.bad("revoked_cause"))?;
            Some(Revocation { at: Timestamp::from_micros(at), cause })
        }
        _ => return Err(cell.bad("revoked_at")),
    };
    Ok(RefreshFamily {
        id,
        user_id: UserId::from_uuid(row.user_id),
        client_id: ClientId::try_from(row.client_id).map_err(|_| cell.bad("client_id"))?,
        scope: cell.parsed("scope", &row.scope)?,
        resources: cell.json("resources", row.resources.as_deref().map_or_else(|| Ok(ResourceSet::new()), serde_json::from_str))?,
        details: details(&cell, row.authorization_details.as_deref())?,
        binding: Binding::from_name(&row.binding).ok_or_else(|| cell.bad("binding"))?,
        auth_time: Timestamp::from_micros(row.auth_time),
        head: Head {
            current: Generation::from_u32(cell.number("current", row.current)?),
            rotated_at: Timestamp::from_micros(row.rotated_at),
            replays: cell.number("replays", row.replays)?,
            superseded,
        },
        idle_expires_at: Timestamp::from_micros(row.idle_expires_at),
        absolute_expires_at: Timestamp::from_micros(row.absolute_expires_at),
        revoked,
        created_at: Timestamp::from_micros(row.created_at),
        user_agent: row.user_agent,
        source: row.source,
        sign_on: row.sign_on.map(|text| cell.document("sign_on", &text)).transpose()?,
    })
}

#[async_trait]
impl FamilyStore for SqlTenantTx {
    async fn family_insert(&mut self, family: &RefreshFamily) -> Stored<()> {
        let row = to_row(self.owner(), family)?.into_active_model();
        Entity::insert(row).exec_without_returning(&self.tx).await.map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn family_by_id(&mut self, id: FamilyId) -> Stored<Option<RefreshFamily>> {
        let row = Entity::find_by_id((self.owner(), id.as_uuid())).one(&self.tx).await.map_err(error::of(TABLE))?;
        row.map(from_row).transpose()
    }

    async fn family_bind(&mut self, id: FamilyId, binding: Binding) -> Stored<()> {
        Entity::update_many()
            .col_expr(Column::Binding, Expr::value(binding.to_string()))
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Id.eq(id.as_uuid()))
            .filter(Column::RevokedAt.is_null())
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        Ok(())
    }

    async fn families_live(&mut self, user: UserId, now: Timestamp) -> Stored<Vec<RefreshFamily>> {
        let rows = Entity::find()
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::UserId.eq(user.as_uuid()))
            .filter(Column::RevokedAt.is_null())
            .filter(Column::IdleExpiresAt.gt(now.as_micros()))
            .filter(Column::AbsoluteExpiresAt.gt(now.as_micros()))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .all(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        rows.into_iter().map(from_row).collect()
    }

    async fn family_revoke(&mut self, id: FamilyId, revocation: Revocation) -> Stored<bool> {
        let revoked = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(revocation.at.as_micros()))
            .col_expr(Column::RevokedCause, Expr::value(revocation.cause.name()))
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::Id.eq(id.as_uuid()))
            .filter(Column::RevokedAt.is_null())
            .exec_with_returning(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        let at = revocation.at.as_micros();
        Ok(revoked.iter().any(|row| at < row.idle_expires_at && at < row.absolute_expires_at))
    }

    async fn families_last_end(&mut self) -> Stored<Option<Timestamp>> {
        let last: Option<Option<i64>> = Entity::find()
            .select_only()
            .column_as(Column::AbsoluteExpiresAt.max(), "last")
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::RevokedAt.is_null())
            .into_tuple()
            .one(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        Ok(last.flatten().map(Timestamp::from_micros))
    }

    async fn families_moved(&mut self, after: Timestamp, until: Timestamp) -> Stored<u64> {
        let moved = Entity::find()
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::RevokedAt.is_null())
            .filter(Column::RotatedAt.gt(after.as_micros()))
            .filter(Column::RotatedAt.lte(until.as_micros()));
        moved.count(&self.tx).await.map_err(error::of(TABLE))
    }

    async fn families_revoke(&mut self, user: UserId, revocation: Revocation) -> Stored<u64> {
        let revoked = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(revocation.at.as_micros()))
            .col_expr(Column::RevokedCause, Expr::value(revocation.cause.name()))
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::UserId.eq(user.as_uuid()))
            .filter(Column::RevokedAt.is_null())
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        Ok(revoked.rows_affected)
    }

    async fn families_revoke_opened(&mut self, before: Timestamp, revocation: Revocation, limit: u32) -> Stored<u64> {
        // In the order in which refreshes that share a transaction take their rows.
        let opened = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::RevokedAt.is_null())
            .filter(Column::CreatedAt.lt(before.as_micros()))
            .order_by_asc(Column::Id)
            .limit(u64::from(limit))
            .into_query();
        let revoked = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(revocation.at.as_micros()))
            .col_expr(Column::RevokedCause, Expr::value(revocation.cause.name()))
            .filter(Column::TenantId.eq(self.owner()))
            .filter(Column::RevokedAt.is_null())
            .filter(Column::Id.in_subquery(opened))
            .exec(&self.tx)
            .await
            .map_err(error::of(TABLE))?;
        Ok(revoked.rows_affected)
    }
}
