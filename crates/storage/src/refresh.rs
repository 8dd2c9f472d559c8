//! One refresh in a transaction of its own: one row read under lock, one verdict, at most two writes, one durable commit.
//!
//! Invariant: every arm commits, so a verdict that must be remembered is remembered; only a broken database rolls back.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::LazyLock;

use app::ports::store::{StoreError, Stored};
use app::tokens::judgement::{Judgement, RefreshAttempt, RefreshFacts, judge};
use domain::ids::TenantId;
use domain::token::family::{Generation, RefreshFamily};
use sea_orm::Value;
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
static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let mut sql = String::from("SELECT k.generation AS k_generation");
    columns::<refresh_families::Column>(&mut sql, 'f');
    columns::<tenants::Column>(&mut sql, 't');
    columns::<users::Column>(&mut sql, 'u');
    sql
});

/// What is joined to `refresh_families f`.
const JOINS: &str = " JOIN tenants t ON t.id = f.tenant_id LEFT JOIN users u ON u.tenant_id = f.tenant_id AND u.id = f.user_id \
                     LEFT JOIN key_rings k ON k.tenant_id = f.tenant_id";

fn columns<C: IdenStatic + Iterable>(sql: &mut String, table: char) {
    for column in C::iter() {
        // Writing to a String cannot fail.
        let _ = write!(sql, ", {table}.{name} AS {table}_{name}", name = column.as_str());
    }
}

pub(crate) async fn refresh(db: &Database, tenant: TenantId, attempt: &RefreshAttempt) -> Stored<Option<Judgement>> {
    let tx = dialect::begin(&db.writer, Some(tenant), Purpose::Write).await?;
    let sql = format!("{} FROM refresh_families f{JOINS} WHERE f.tenant_id = $1 AND f.id = $2{}", *COLUMNS, dialect::lock_rows(&tx, "f"));
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
    db.refresh_commits.committed(1);
    Ok(judgement)
}

pub(crate) fn facts_from(row: &QueryResult) -> Stored<RefreshFacts> {
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

/// One of several refreshes that share a transaction.
pub(crate) struct Asked {
    pub tenant: TenantId,
    pub attempt: RefreshAttempt,
}

/// Several refreshes in one transaction, judged in their order: one statement reads, one writes, one commit makes all of them
/// durable. For SQLite, whose one writer would else pay for each by itself. Either all of them are answered or none.
pub(crate) async fn refresh_together(db: &Database, asked: &[Asked]) -> Stored<Vec<Option<Judgement>>> {
    let tx = dialect::begin(&db.writer, None, Purpose::Write).await?;
    let mut facts = facts_of(&tx, asked).await?;
    let before: HashMap<_, _> = facts.iter().map(|(key, facts)| (*key, facts.family.head.current)).collect();
    let mut changed = BTreeSet::new();
    let mut judgements = Vec::with_capacity(asked.len());
    for Asked { tenant, attempt } in asked {
        let key = (tenant.as_uuid(), attempt.family_id.as_uuid());
        let Some(known) = facts.get_mut(&key) else {
            judgements.push(None);
            continue;
        };
        let judgement = judge(*tenant, known.clone(), attempt);
        if judgement.is_changed {
            known.family = judgement.facts.family.clone();
            changed.insert(key);
        }
        if let Some(record) = &judgement.audit {
            audit::append(&tx, record).await?;
        }
        judgements.push(Some(judgement));
    }
    if !changed.is_empty() {
        let mut values = Vec::with_capacity(changed.len() * 10);
        for key in &changed {
            let family = &facts[key].family;
            let head = &family.head;
            values.extend::<[Value; 10]>([
                key.0.into(),
                key.1.into(),
                i64::from(before[key].as_u32()).into(),
                i64::from(head.current.as_u32()).into(),
                head.rotated_at.as_micros().into(),
                i64::from(head.replays).into(),
                families::superseded_text(head)?.into(),
                family.idle_expires_at.as_micros().into(),
                family.revoked.map(|revocation| revocation.at.as_micros()).into(),
                family.revoked.map(|revocation| revocation.cause.name().to_owned()).into(),
            ]);
        }
        let sql = format!(
            "WITH v(tenant_id, id, was, current, rotated_at, replays, superseded, idle_expires_at, revoked_at, revoked_cause) AS ({}) \
             UPDATE refresh_families SET current = v.current, rotated_at = v.rotated_at, replays = v.replays, \
             superseded = v.superseded, idle_expires_at = v.idle_expires_at, revoked_at = v.revoked_at, revoked_cause = v.revoked_cause \
             FROM v WHERE refresh_families.tenant_id = v.tenant_id AND refresh_families.id = v.id AND refresh_families.current = v.was",
            rows_of(changed.len(), 10)
        );
        let written = tx.execute_raw(statement(&tx, sql, values)).await.map_err(error::of(TABLE))?;
        if written.rows_affected() != changed.len() as u64 {
            return Err(StoreError::Conflict);
        }
    }
    tx.commit().await.map_err(error::of("(commit)"))?;
    db.refresh_commits.committed(asked.len());
    Ok(judgements)
}

/// The facts of all families that are asked about and exist, by tenant and family.
async fn facts_of(tx: &DatabaseTransaction, asked: &[Asked]) -> Stored<HashMap<(Uuid, Uuid), RefreshFacts>> {
    let keys: BTreeSet<_> = asked.iter().map(|asked| (asked.tenant.as_uuid(), asked.attempt.family_id.as_uuid())).collect();
    // CROSS JOIN: SQLite takes the few keys first and looks each up by the primary key.
    let sql = format!(
        "WITH w(tenant_id, id) AS ({}) {} FROM w CROSS JOIN refresh_families f ON f.tenant_id = w.tenant_id AND f.id = w.id{JOINS}",
        rows_of(keys.len(), 2),
        *COLUMNS
    );
    let values = keys.iter().flat_map(|(tenant, id)| [Value::from(*tenant), Value::from(*id)]);
    let rows = tx.query_all_raw(statement(tx, sql, values)).await.map_err(error::of(TABLE))?;
    let mut facts = HashMap::with_capacity(rows.len());
    for row in rows {
        let tenant: Uuid = row.try_get("", "f_tenant_id").map_err(error::of(TABLE))?;
        let found = facts_from(&row)?;
        facts.insert((tenant, found.family.id.as_uuid()), found);
    }
    Ok(facts)
}

/// `VALUES ($1, $2), ($3, $4), …`
fn rows_of(rows: usize, columns: usize) -> String {
    let mut sql = String::from("VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            // Writing to a String cannot fail.
            let _ = write!(sql, "{}${}", if column == 0 { "" } else { ", " }, row * columns + column + 1);
        }
        sql.push(')');
    }
    sql
}
