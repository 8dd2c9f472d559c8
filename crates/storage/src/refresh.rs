//! Refreshes that share a transaction: one statement reads and locks their families, each gets its verdict, one statement
//! writes, one commit makes all of them durable. A refresh by itself is a transaction of one.
//!
//! Invariant: every arm commits, so a verdict that must be remembered is remembered; only a broken database rolls back.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::LazyLock;

use app::ports::store::{StoreError, Stored};
use app::tokens::judgement::{Judgement, RefreshAttempt, RefreshFacts, judge};
use domain::ids::TenantId;
use domain::token::family::{Generation, RefreshFamily};
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult, IdenStatic, Iterable, QueryResult, Value};
use uuid::Uuid;

use crate::connect::Database;
use crate::dialect::{self, Held, statement};
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

/// Where the facts of the families `w` are. CROSS JOIN: SQLite takes the few families first and looks each up by the primary key.
const TABLES: &str = " FROM w CROSS JOIN refresh_families f JOIN tenants t ON t.id = f.tenant_id AND t.deleted_at IS NULL \
                      LEFT JOIN users u ON u.tenant_id = f.tenant_id AND u.id = f.user_id \
                      LEFT JOIN key_rings k ON k.tenant_id = f.tenant_id WHERE f.tenant_id = w.tenant_id AND f.id = w.id";

fn columns<C: IdenStatic + Iterable>(sql: &mut String, table: char) {
    for column in C::iter() {
        // Writing to a String cannot fail.
        let _ = write!(sql, ", {table}.{name} AS {table}_{name}", name = column.as_str());
    }
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

/// One of the refreshes that share a transaction.
pub(crate) struct Asked {
    pub tenant: TenantId,
    pub attempt: RefreshAttempt,
}

impl Asked {
    pub(crate) const fn family(&self) -> (Uuid, Uuid) {
        (self.tenant.as_uuid(), self.attempt.family_id.as_uuid())
    }
}

/// Judges several refreshes in one transaction, in their order. `None`: there is no such family, or, with [`Held::Skip`],
/// somebody else holds it. Either all of them are answered or none.
pub(crate) async fn refresh_together(db: &Database, asked: &[Asked], held: Held) -> Stored<Vec<Option<Judgement>>> {
    let families: BTreeSet<_> = asked.iter().map(Asked::family).collect();
    let tx = dialect::begin_for(&db.writer, families.iter().map(|(tenant, _)| *tenant)).await?;
    let mut facts = facts_of(&tx, &families, held).await?;
    let before: HashMap<_, _> = facts.iter().map(|(family, facts)| (*family, facts.family.head.current)).collect();
    let mut changed = BTreeSet::new();
    let mut judgements = Vec::with_capacity(asked.len());
    for asked in asked {
        let Some(known) = facts.get_mut(&asked.family()) else {
            judgements.push(None);
            continue;
        };
        let judgement = judge(asked.tenant, known.clone(), &asked.attempt);
        if judgement.is_changed {
            known.family = judgement.facts.family.clone();
            changed.insert(asked.family());
        }
        if let Some(record) = &judgement.audit {
            audit::append(&tx, record).await?;
        }
        judgements.push(Some(judgement));
    }
    if !changed.is_empty() {
        let changed = changed.iter().map(|family| (family, before[family], &facts[family].family)).collect::<Vec<_>>();
        families_write(&tx, &changed).await?;
    }
    tx.commit().await.map_err(error::of("(commit)"))?;
    Ok(judgements)
}

/// The facts of those families that exist, by tenant and family; their rows are locked until the transaction ends.
async fn facts_of(tx: &DatabaseTransaction, families: &BTreeSet<(Uuid, Uuid)>, held: Held) -> Stored<HashMap<(Uuid, Uuid), RefreshFacts>> {
    let rows = families.iter().map(|(tenant, id)| [Value::from(*tenant), Value::from(*id)]).collect();
    let (wanted, values) = table_of(rows);
    let sql = format!("WITH w(tenant_id, id) AS ({wanted}) {}{TABLES}{}", *COLUMNS, dialect::lock_rows(tx, "f", held));
    let rows = tx.query_all_raw(statement(tx, sql, values)).await.map_err(error::of(TABLE))?;
    let mut facts = HashMap::with_capacity(rows.len());
    for row in rows {
        let tenant: Uuid = row.try_get("", "f_tenant_id").map_err(error::of(TABLE))?;
        let found = facts_from(&row)?;
        facts.insert((tenant, found.family.id.as_uuid()), found);
    }
    Ok(facts)
}

/// Writes what judgements may change. The rows are locked; that `current` is still what was read is checked all the same.
async fn families_write(tx: &DatabaseTransaction, changed: &[(&(Uuid, Uuid), Generation, &RefreshFamily)]) -> Stored<()> {
    let row = |((tenant, id), was, family): &(&(Uuid, Uuid), Generation, &RefreshFamily)| -> Stored<[Value; 11]> {
        let head = &family.head;
        Ok([
            (*tenant).into(),
            (*id).into(),
            i64::from(was.as_u32()).into(),
            i64::from(head.current.as_u32()).into(),
            head.rotated_at.as_micros().into(),
            i64::from(head.replays).into(),
            families::superseded_text(head)?.into(),
            family.idle_expires_at.as_micros().into(),
            families::ends_hour(family).into(),
            family.revoked.map(|revocation| revocation.at.as_micros()).into(),
            family.revoked.map(|revocation| revocation.cause.name().to_owned()).into(),
        ])
    };
    let (new, values) = table_of(changed.iter().map(row).collect::<Stored<_>>()?);
    let sql = format!(
        "WITH v(tenant_id, id, was, current, rotated_at, replays, superseded, idle_expires_at, ends_hour, revoked_at, revoked_cause) AS ({new}) \
         UPDATE refresh_families SET current = v.current, rotated_at = v.rotated_at, replays = v.replays, \
         superseded = v.superseded, idle_expires_at = v.idle_expires_at, ends_hour = v.ends_hour, revoked_at = v.revoked_at, \
         revoked_cause = v.revoked_cause \
         FROM v WHERE refresh_families.tenant_id = v.tenant_id AND refresh_families.id = v.id AND refresh_families.current = v.was"
    );
    let written = tx.execute_raw(statement(tx, sql, values)).await.map_err(error::of(TABLE))?;
    if written.rows_affected() == changed.len() as u64 { Ok(()) } else { Err(StoreError::Conflict) }
}

/// `VALUES ($1, $2), ($3, $4), …` and its values. The last row is repeated up to a power of two, which changes nothing about
/// what it joins to: so there are seven such statements to prepare and keep, not sixty-four.
fn table_of<const COLUMNS: usize>(mut rows: Vec<[Value; COLUMNS]>) -> (String, Vec<Value>) {
    if let Some(last) = rows.last().cloned() {
        rows.resize(rows.len().next_power_of_two(), last);
    }
    let mut sql = String::from("VALUES ");
    for row in 0..rows.len() {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..COLUMNS {
            // Writing to a String cannot fail.
            let _ = write!(sql, "{}${}", if column == 0 { "" } else { ", " }, row * COLUMNS + column + 1);
        }
        sql.push(')');
    }
    (sql, rows.into_iter().flatten().collect())
}
