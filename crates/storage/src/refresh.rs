//! Refreshes that share a transaction: one statement reads and locks their families, each gets its verdict, one statement
//! writes, one commit makes all of them durable. A refresh by itself is a transaction of one.
//!
//! A commit costs a flush of the disk, whether it holds one refresh or sixty-four, and on SQLite several commits [share](crate::flushes) one. And nobody waits for somebody else's row: a family
//! that another transaction holds (another node's, or an administrator's) leaves the lane and waits by itself, so that transactions of
//! many families never wait for each other.
//!
//! Invariant: every arm commits, so a verdict that must be remembered is remembered; only a broken database rolls back. A row that
//! cannot be read harms only its owner.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use app::ports::store::{StoreError, Stored};
use app::tokens::judgement::{Judgement, RefreshAttempt, RefreshFacts, judge};
use domain::ids::TenantId;
use domain::tenant::Tenant;
use domain::token::family::{Generation, RefreshFamily};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use crate::connect::Database;
use crate::dialect::{self, Held, Purpose, statement};
use crate::error::{self, Cell};
use crate::flushes::Doubt;
use crate::lane::{Lane, Reply};
use crate::places::Whose;
use crate::rows::{Cells, FAMILY, TENANT, USER, read_family, read_tenant, read_user, table_of};
use crate::tx::{PATIENCE, within};
use crate::{audit, families, tenants as tenant_rows, users as user_rows};

const TABLE: &str = families::TABLE;

/// The family, its ring's generation, whether its user exists, the user, and the tenant, in one row. All joins are within
/// the tenant.
static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let of = |table, columns: &'static [&'static str]| columns.iter().map(move |column| format!("{table}.{column}"));
    let rest = ["k.generation".to_owned(), "u.id IS NOT NULL".to_owned()];
    let all: Vec<_> = of("f", FAMILY).chain(rest).chain(of("u", USER)).chain(of("t", TENANT)).collect();
    format!("SELECT {}", all.join(", "))
});

/// Where the facts of the families `w` are. CROSS JOIN: SQLite takes the few families first and looks each up by the primary key.
const TABLES: &str = " FROM w CROSS JOIN refresh_families f JOIN tenants t ON t.id = f.tenant_id AND t.deleted_at IS NULL \
                      LEFT JOIN users u ON u.tenant_id = f.tenant_id AND u.id = f.user_id \
                      LEFT JOIN key_rings k ON k.tenant_id = f.tenant_id WHERE f.tenant_id = w.tenant_id AND f.id = w.id";

/// Reads one row. A tenant that an earlier row of the batch had is taken from there.
fn facts_from(row: &QueryResult, tenants: &mut HashMap<Uuid, Tenant>) -> Stored<((Uuid, Uuid), RefreshFacts)> {
    let mut cells = Cells::of(row);
    let family = read_family(&mut cells)?;
    let key = (family.tenant_id, family.id);
    let generation: Option<i64> = cells.next("key_rings")?;
    let ring = Cell { table: "key_rings", row: TenantId::from_uuid(key.0) };
    let has_user: bool = cells.next("users")?;
    let user = if has_user {
        Some(user_rows::from_row(read_user(&mut cells)?)?)
    } else {
        cells.skip(USER.len());
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

/// Lanes on which refreshes travel. Commits that are under way at once: SQLite has one writer; on PostgreSQL the next batch is read while one
/// is flushed.
const LANES_SQLITE: usize = 1;
const LANES_POSTGRES: usize = 2;

/// A way onto the lanes of refreshes.
pub(crate) type Refreshes = Lane<Asked, Option<Judgement>>;

pub(crate) fn lanes(db: &Database) -> Refreshes {
    let db = db.clone();
    Lane::new(if db.is_sqlite { LANES_SQLITE } else { LANES_POSTGRES }, move |asked, replies| travel(db.clone(), asked, replies))
}

/// What a transaction came to.
struct Judged {
    /// In the order of those who asked. `None`: there is no such family, or, with [`Held::Skip`], somebody else holds it.
    judgements: Vec<Option<Judgement>>,
    /// Whether they will be remembered, where that is not said by the commit itself.
    doubt: Option<Doubt>,
}

impl Judged {
    /// Waits until they will be.
    async fn durable(self, db: &Database) -> Stored<Vec<Option<Judgement>>> {
        if let (Some(wal), Some(doubt)) = (&db.writer.wal, self.doubt) {
            within(PATIENCE, wal.durable(doubt, self.judgements.len())).await?;
        }
        Ok(self.judgements)
    }
}

async fn travel(db: Database, asked: Vec<Asked>, replies: Vec<Reply<Option<Judgement>>>) {
    let judged = match within(PATIENCE, refresh_together(&db, Whose::Lanes, &asked, Held::Skip)).await {
        // One of them cannot be read or written; by themselves, only that one is refused.
        Err(StoreError::Conflict | StoreError::Corrupt { .. }) => Ok(Judged { judgements: vec![None; asked.len()], doubt: None }),
        judged => judged,
    };
    let is_in_doubt = judged.as_ref().is_ok_and(|judged| judged.doubt.is_some());
    let answered = answer(db, judged, asked, replies);
    if is_in_doubt {
        // Those who come next need not wait for it: the flush after that is theirs.
        tokio::spawn(answered);
    } else {
        answered.await;
    }
}

async fn answer(db: Database, judged: Stored<Judged>, asked: Vec<Asked>, replies: Vec<Reply<Option<Judgement>>>) {
    let judged = match judged {
        Ok(judged) => judged.durable(&db).await,
        Err(error) => Err(error),
    };
    let mut apart: HashMap<_, (Vec<_>, Vec<_>)> = HashMap::new();
    for ((asked, reply), answer) in asked.into_iter().zip(replies).zip(each(judged)) {
        if let Ok(None) = answer {
            let (family, replies) = apart.entry(asked.family()).or_default();
            family.push(asked);
            replies.push(reply);
        } else {
            // Whoever has gone away in the meantime needs no answer, here and below.
            let _ = reply.send(answer);
        }
    }
    for ((tenant, _), (family, replies)) in apart {
        tokio::spawn(by_themselves(db.clone(), Whose::Tenant(tenant), family, replies));
    }
}

/// Refreshes of one family that others hold, that cannot be read, or that does not exist.
async fn by_themselves(db: Database, whose: Whose, asked: Vec<Asked>, replies: Vec<Reply<Option<Judgement>>>) {
    let judged = match within(PATIENCE, refresh_together(&db, whose, &asked, Held::Wait)).await {
        Ok(judged) => judged.durable(&db).await,
        Err(error) => Err(error),
    };
    for (reply, answer) in replies.into_iter().zip(each(judged)) {
        let _ = reply.send(answer);
    }
}

/// The answers one by one; a failure is everybody's.
fn each(judged: Stored<Vec<Option<Judgement>>>) -> Box<dyn Iterator<Item = Stored<Option<Judgement>>> + Send> {
    match judged {
        Ok(judgements) => Box::new(judgements.into_iter().map(Ok)),
        Err(error) => Box::new(std::iter::repeat_with(move || Err(error.clone()))),
    }
}

/// Judges several refreshes in one transaction, in their order. Either all of them are answered or none.
async fn refresh_together(db: &Database, whose: Whose, asked: &[Asked], held: Held) -> Stored<Judged> {
    let families: BTreeSet<_> = asked.iter().map(Asked::family).collect();
    let (tx, _place) = dialect::begin_for(&db.writer, whose, families.iter().map(|(tenant, _)| *tenant), Purpose::Write).await?;
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
    let doubt = db.writer.wal.as_ref().map(|wal| wal.doubt());
    tx.commit().await.map_err(error::of("(commit)"))?;
    db.refresh_commits.committed(asked.len());
    Ok(Judged { judgements, doubt })
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
