//! One refresh: one row read under lock, one verdict, at most two writes, one durable commit.
//!
//! Invariant: every arm commits, so a verdict that must be remembered is remembered; only a broken database rolls back.

use std::fmt::Write as _;
use std::sync::LazyLock;

use app::ports::store::{StoreError, Stored};
use app::tokens::judgement::{Judgement, RefreshAttempt, RefreshFacts, judge};
use domain::ids::TenantId;
use domain::token::family::{Generation, RefreshFamily};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, IdenStatic, Iterable, QueryFilter, QueryResult,
};
use uuid::Uuid;

use crate::connect::Database;
use crate::dialect::{self, Purpose, statement};
use crate::entities::refresh_families::{Column, Entity};
use crate::entities::{refresh_families, tenants, users};
use crate::error::{self, Cell};
use crate::{audit, families, tenants as tenant_rows, users as user_rows};

const TABLE: &str = families::TABLE;

/// The family, its tenant, its user and its ring's generation in one row. The names of the columns begin with that of their
/// table: `f_`, `t_`, `u_`. All joins are within the tenant.
static FACTS: LazyLock<String> = LazyLock::new(|| {
    let mut sql = String::from("SELECT k.generation AS k_generation");
    columns::<refresh_families::Column>(&mut sql, 'f');
    columns::<tenants::Column>(&mut sql, 't');
    columns::<users::Column>(&mut sql, 'u');
    sql.push_str(
        " FROM refresh_families f JOIN tenants t ON t.id = f.tenant_id \
         LEFT JOIN users u ON u.tenant_id = f.tenant_id AND u.id = f.user_id \
         LEFT JOIN key_rings k ON k.tenant_id = f.tenant_id WHERE f.tenant_id = $1 AND f.id = $2",
    );
    sql
});

fn columns<C: IdenStatic + Iterable>(sql: &mut String, table: char) {
    for column in C::iter() {
        // Writing to a String cannot fail.
        let _ = write!(sql, ", {table}.{name} AS {table}_{name}", name = column.as_str());
    }
}

pub(crate) async fn refresh(db: &Database, tenant: TenantId, attempt: &RefreshAttempt) -> Stored<Option<Judgement>> {
    let tx = dialect::begin(&db.writer, Some(tenant), Purpose::Write).await?;
    let sql = format!("{}{}", *FACTS, dialect::lock_rows(&tx, "f"));
    let select = statement(&tx, sql, [tenant.as_uuid().into(), attempt.family_id.as_uuid().into()]);
    let row = tx.query_one_raw(select).await.map_err(error::of(TABLE))?;
    let judgement = match row {
        None => None,
        Some(row) => {
            let facts = facts_from(&row)?;
            let before = facts.family.head.current;
            let judgement = judge(tenant, facts, attempt);
            if judgement.is_changed {
                family_write(&tx, tenant.as_uuid(), &judgement.facts.family, before).await?;
            }
            if let Some(record) = &judgement.audit {
                audit::append(&tx, record).await?;
            }
            Some(judgement)
        }
    };
    tx.commit().await.map_err(error::of("(commit)"))?;
    Ok(judgement)
}

fn facts_from(row: &QueryResult) -> Stored<RefreshFacts> {
    let family = refresh_families::Model::from_query_result(row, "f_").map_err(error::of(TABLE))?;
    let tenant = tenants::Model::from_query_result(row, "t_").map_err(error::of("tenants"))?;
    let user_id: Option<Uuid> = row.try_get("", "u_id").map_err(error::of("users"))?;
    let user = user_id.map(|_| users::Model::from_query_result(row, "u_")).transpose().map_err(error::of("users"))?;
    let generation: Option<i64> = row.try_get("", "k_generation").map_err(error::of("key_rings"))?;
    let ring = Cell { table: "key_rings", row: TenantId::from_uuid(family.tenant_id) };
    Ok(RefreshFacts {
        tenant: tenant_rows::from_row(tenant)?,
        user: user.map(user_rows::from_row).transpose()?,
        family: families::from_row(family)?,
        ring_generation: ring.number("generation", generation.unwrap_or(0))?,
    })
}

/// Writes what a judgement may change. The row is locked; that `current` is still `before` is checked all the same.
async fn family_write(tx: &DatabaseTransaction, tenant: Uuid, family: &RefreshFamily, before: Generation) -> Stored<()> {
    let head = &family.head;
    let written = Entity::update_many()
        .col_expr(Column::Current, Expr::value(i64::from(head.current.as_u32())))
        .col_expr(Column::RotatedAt, Expr::value(head.rotated_at.as_micros()))
        .col_expr(Column::Replays, Expr::value(i64::from(head.replays)))
        .col_expr(Column::Superseded, Expr::value(families::superseded_text(head)?))
        .col_expr(Column::IdleExpiresAt, Expr::value(family.idle_expires_at.as_micros()))
        .col_expr(Column::RevokedAt, Expr::value(family.revoked.map(|revocation| revocation.at.as_micros())))
        .col_expr(Column::RevokedCause, Expr::value(family.revoked.map(|revocation| revocation.cause.name().to_owned())))
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::Id.eq(family.id.as_uuid()))
        .filter(Column::Current.eq(i64::from(before.as_u32())))
        .exec(tx)
        .await
        .map_err(error::of(TABLE))?;
    if written.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}
