//! Refreshes that share a transaction: one statement reads and locks their families, each gets its verdict, one statement
//! writes, one commit makes all of them durable. A refresh by itself is a transaction of one.
//!
//! Invariant: every arm commits, so a verdict that must be remembered is remembered; only a broken database rolls back.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::LazyLock;

use app::ports::store::{StoreError, Stored};
use app::tokens::judgement::{Judgement, RefreshAttempt, RefreshFacts, judge};
use domain::ids::TenantId;
use domain::tenant::Tenant;
use domain::token::family::{Generation, RefreshFamily};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, TryGetable, Value};
use uuid::Uuid;

use crate::connect::Database;
use crate::dialect::{self, Held, statement};
use crate::entities::{refresh_families, tenants, users};
use crate::error::{self, Cell};
use crate::places::Whose;
use crate::{audit, families, tenants as tenant_rows, users as user_rows};

const TABLE: &str = families::TABLE;

/// The columns of one table, and how a row of them is read: by position, which spares a look-up by name for each cell.
macro_rules! read_in_order {
    ($columns:ident, $read:ident => $entity:ident { $($column:ident),+ }) => {
        const $columns: &[&str] = &[$(stringify!($column)),+];

        fn $read(cells: &mut Cells<'_>) -> Stored<$entity::Model> {
            Ok($entity::Model { $($column: cells.next(stringify!($entity))?),+ })
        }
    };
}

read_in_order! { FAMILY, read_family => refresh_families {
    tenant_id, id, user_id, client_id, scope, binding, auth_time, current, rotated_at, replays, superseded, idle_expires_at,
    absolute_expires_at, revoked_at, revoked_cause, created_at, user_agent, source, ends_hour, sign_on,
    resources, authorization_details
} }
read_in_order! { USER, read_user => users {
    tenant_id, id, username, username_key, email, email_key, status, disabled_at, roles, claims, created_at, updated_at,
    password_changed_at, email_verified_at, password_change_required_at
} }
read_in_order! { TENANT, read_tenant => tenants {
    id, slug, name, name_key, custom_domain, status, suspended_at, policy, created_at, updated_at, deleted_at
} }

/// The family, its ring's generation, whether its user exists, the user, and the tenant, in one row. All joins are within
/// the tenant.
static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let of = |table, columns: &'static [&'static str]| columns.iter().map(move |column| format!("{table}.{column}"));
    let rest = ["k.generation".to_owned(), "u.id IS NOT NULL".to_owned()];
    let all: Vec<_> = of("f", FAMILY).chain(rest).chain(of("u", USER)).chain(of("t", TENANT)).collect();
    format!("SELECT {}", all.join(", "))
});

/// The cells of a row, from left to right.
struct Cells<'r> {
    row: &'r QueryResult,
    at: usize,
}

impl Cells<'_> {
    fn next<T: TryGetable>(&mut self, table: &'static str) -> Stored<T> {
        self.at += 1;
        self.row.try_get_by_index(self.at - 1).map_err(error::of(table))
    }
}

/// Where the facts of the families `w` are. CROSS JOIN: SQLite takes the few families first and looks each up by the primary key.
const TABLES: &str = " FROM w CROSS JOIN refresh_families f JOIN tenants t ON t.id = f.tenant_id AND t.deleted_at IS NULL \
                      LEFT JOIN users u ON u.tenant_id = f.tenant_id AND u.id = f.user_id \
                      LEFT JOIN key_rings k ON k.tenant_id = f.tenant_id WHERE f.tenant_id = w.tenant_id AND f.id = w.id";

/// Reads one row. A tenant that an earlier row of the batch had is taken from there.
fn facts_from(row: &QueryResult, tenants: &mut HashMap<Uuid, Tenant>) -> Stored<((Uuid, Uuid), RefreshFacts)> {
    let mut cells = Cells { row, at: 0 };
    let family = read_family(&mut cells)?;
    let key = (family.tenant_id, family.id);
    let generation: Option<i64> = cells.next("key_rings")?;
    let ring = Cell { table: "key_rings", row: TenantId::from_uuid(key.0) };
    let has_user: bool = cells.next("users")?;
    let user = if has_user {
        Some(user_rows::from_row(read_user(&mut cells)?)?)
    } else {
        cells.at += USER.len();
        None
    };
    let tenant = match tenants.entry(key.0) {
        Entry::Occupied(known) => known.get().clone(),
        Entry::Vacant(new) => new.insert(tenant_rows::from_row(read_tenant(&mut cells)?)?).clone(),
    };
    let ring_generation = ring.number("generation", generation.unwrap_or(0))?;
    Ok((key, RefreshFacts { tenant, user, family: families::from_row(family)?, ring_generation }))
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
pub(crate) async fn refresh_together(db: &Database, whose: Whose, asked: &[Asked], held: Held) -> Stored<Vec<Option<Judgement>>> {
    let families: BTreeSet<_> = asked.iter().map(Asked::family).collect();
    let (tx, _place) = dialect::begin_for(&db.writer, whose, families.iter().map(|(tenant, _)| *tenant)).await?;
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
    db.refresh_commits.committed(asked.len());
    Ok(judgements)
}

/// The facts of those families that exist, by tenant and family; their rows are locked until the transaction ends.
async fn facts_of(tx: &DatabaseTransaction, families: &BTreeSet<(Uuid, Uuid)>, held: Held) -> Stored<HashMap<(Uuid, Uuid), RefreshFacts>> {
    let rows = families.iter().map(|(tenant, id)| [Value::from(*tenant), Value::from(*id)]).collect();
    let (wanted, values) = table_of(rows);
    let sql = format!("WITH w(tenant_id, id) AS ({wanted}) {}{TABLES}{}", *COLUMNS, dialect::lock_rows(tx, "f", held));
    let rows = tx.query_all_raw(statement(tx, sql, values)).await.map_err(error::of(TABLE))?;
    let mut tenants = HashMap::new();
    rows.iter().map(|row| facts_from(row, &mut tenants)).collect()
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
