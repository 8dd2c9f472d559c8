//! All that differs between SQLite and PostgreSQL.
//!
//! Invariant: no other file asks which backend it talks to, except the one that connects.

use std::time::Duration;

use app::ports::store::{StoreError, Stored};
use domain::ids::TenantId;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult, SqliteTransactionMode, Statement,
    TransactionOptions, Value,
};
use uuid::Uuid;

use crate::error;
use crate::places::{Place, Whose};
use crate::pool::Pool;

/// How long PostgreSQL works on one statement before it gives up. It is set by each transaction for itself, for a pooler knows no
/// such setting of a session.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

fn is_postgres(db: &impl ConnectionTrait) -> bool {
    db.get_database_backend() == DbBackend::Postgres
}

/// A statement in text, with `$1`, `$2`, … for its values: both backends know those.
pub(crate) fn statement(db: &impl ConnectionTrait, sql: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), sql, values)
}

/// Begins a transaction that row-level security confines to `tenant`; `None` = to the platform's view.
pub(crate) async fn begin(db: &Pool, tenant: Option<TenantId>, purpose: Purpose) -> Stored<(DatabaseTransaction, Option<Place>)> {
    match tenant {
        Some(tenant) => open(db, Whose::Tenant(tenant.as_uuid()), "claviger.tenant", tenant.as_uuid().to_string(), purpose).await,
        None => open(db, Whose::Platform, "claviger.scope", Scope::Platform.name().to_owned(), purpose).await,
    }
}

/// Begins a transaction that row-level security confines to these tenants.
pub(crate) async fn begin_for(
    db: &Pool,
    whose: Whose,
    tenants: impl Iterator<Item = Uuid>,
    purpose: Purpose,
) -> Stored<(DatabaseTransaction, Option<Place>)> {
    let mut list: Vec<_> = tenants.map(|tenant| tenant.to_string()).collect();
    list.dedup();
    open(db, whose, "claviger.tenant", list.join(","), purpose).await
}

/// What is read together, confined to these tenants: on PostgreSQL in a transaction, which tells row-level security whose; on SQLite each
/// statement by itself, which spares the ways to the connection's thread and back that a beginning and an end cost.
pub(crate) struct Glance {
    reader: Reader,
    _place: Option<Place>,
}

enum Reader {
    Tx(DatabaseTransaction),
    File(DatabaseConnection),
}

impl Glance {
    pub(crate) async fn at(db: &Pool, whose: Whose, tenants: impl Iterator<Item = Uuid>) -> Stored<Self> {
        if is_postgres(&db.connections) {
            let (tx, _place) = begin_for(db, whose, tenants, Purpose::Read).await?;
            return Ok(Self { reader: Reader::Tx(tx), _place });
        }
        let _place = db.place(whose).await?;
        Ok(Self { reader: Reader::File(db.connections.clone()), _place })
    }

    pub(crate) async fn all(&self, sql: String, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
        match &self.reader {
            Reader::Tx(tx) => tx.query_all_raw(statement(tx, sql, values)).await,
            Reader::File(file) => file.query_all_raw(statement(file, sql, values)).await,
        }
    }
}

/// A SQLite transaction that may write takes the write lock at once: one that reads first and writes later would fail.
async fn open(db: &Pool, whose: Whose, setting: &str, value: String, purpose: Purpose) -> Stored<(DatabaseTransaction, Option<Place>)> {
    let mode = match purpose {
        Purpose::Read => SqliteTransactionMode::Deferred,
        Purpose::Write => SqliteTransactionMode::Immediate,
    };
    if let (Purpose::Write, Some(wal)) = (purpose, &db.wal) {
        // What could not become durable must not be seen either.
        wal.sound()?;
    }
    let sqlite_transaction_mode = (!is_postgres(&db.connections)).then_some(mode);
    let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
    let place = db.place(whose).await?;
    let tx = db.begin(options).await.map_err(error::of("(begin)"))?;
    if is_postgres(&tx) {
        let read_only = if purpose == Purpose::Read { ", set_config('transaction_read_only', 'on', true)" } else { "" };
        let timeout = format!("{PRIMARY_ONLY}, set_config('statement_timeout', '{}', true)", STATEMENT_TIMEOUT.as_millis());
        let set = |value: &str| format!("SELECT set_config('{setting}', {value}, true), {timeout}{read_only}");
        let done = if db.is_pooled {
            // The session has what others have prepared in it. The value goes without a parameter, which would be prepared, too:
            // it is ids and a comma between them.
            tx.execute_unprepared(&format!("DEALLOCATE ALL; {}", set(&format!("'{value}'")))).await.map(drop)
        } else {
            tx.query_one_raw(statement(&tx, set("$1"), [value.into()])).await.map(drop)
        };
        if let Err(failed) = done {
            let is_standby = error::is_about(&failed, STANDBY);
            if is_standby {
                // Known before the connection comes back, which is closed then: the next one may lead to the primary.
                db.suspect();
                return Err(StoreError::Unavailable("the database server is in recovery, so it is not the primary (any more)".to_owned()));
            }
            return Err(error::of("(begin)")(failed));
        }
    }
    Ok((tx, place))
}

/// What a server in recovery says to [`PRIMARY_ONLY`]. No server has such a setting of its own.
const STANDBY: &str = "in recovery";

/// An expression that fails on a standby, whose rows are old, and which may be a primary that was demoted. An error is the one answer
/// that is heard in all the ways in which a transaction begins.
const PRIMARY_ONLY: &str = "CASE WHEN pg_is_in_recovery() THEN set_config('statement_timeout', 'in recovery', true) END";

/// Asks the database whether it is there, and the one to work on.
pub(crate) fn sign_of_life(db: &impl ConnectionTrait) -> String {
    if is_postgres(db) { format!("SELECT {PRIMARY_ONLY}") } else { "SELECT 1".to_owned() }
}

/// What row-level security shows to a transaction that is no tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Platform,
    /// The audit log alone, and nothing can be written.
    AuditSweep,
}

impl Scope {
    const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::AuditSweep => "audit-sweep",
        }
    }
}

/// From here on the transaction sees this.
pub(crate) async fn set_scope(tx: &impl ConnectionTrait, scope: Scope) -> Stored<()> {
    if is_postgres(tx) {
        let set = statement(tx, "SELECT set_config('claviger.scope', $1, true)", [scope.name().into()]);
        tx.query_one_raw(set).await.map_err(error::of("(scope)"))?;
    }
    Ok(())
}

/// Ends a sub-select that picks rows to delete: rows that others hold are left for the next time.
pub(crate) fn skip_locked(db: &impl ConnectionTrait) -> &'static str {
    if is_postgres(db) { " FOR UPDATE SKIP LOCKED" } else { "" }
}

/// What to do about rows that others hold. On SQLite nobody else does: a transaction that may write is the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Wait,
    Skip,
}

/// Ends a select whose rows of `table` (its alias) are to be written next.
pub(crate) fn lock_rows(db: &impl ConnectionTrait, table: &str, held: Held) -> String {
    match (is_postgres(db), held) {
        (false, _) => String::new(),
        (true, Held::Wait) => format!(" FOR UPDATE OF {table}"),
        (true, Held::Skip) => format!(" FOR UPDATE OF {table} SKIP LOCKED"),
    }
}

/// Ends a select whose rows of `table` (its alias) must not be deleted before the transaction ends.
pub(crate) fn share_rows(db: &impl ConnectionTrait, table: &str) -> String {
    if is_postgres(db) { format!(" FOR KEY SHARE OF {table}") } else { String::new() }
}

/// Reads `count` guess counters of the tenant `$1`, each told by its scope and subject (`$2`, `$3`, …), and locks them until the
/// transaction ends. On PostgreSQL a row is made where there was none, for there would be nothing to lock; on SQLite the
/// transaction has the write lock already.
pub(crate) fn guess_counters_locked(db: &impl ConnectionTrait, count: usize) -> String {
    const READ: &str = "scope, subject, attempts, blocked_until";
    let places = (0..count).map(|at| (2 * at + 2, 2 * at + 3));
    if is_postgres(db) {
        let rows: Vec<_> = places.map(|(scope, subject)| format!("($1, ${scope}, ${subject}, 0, NULL, 0)")).collect();
        format!(
            "INSERT INTO guess_counters (tenant_id, scope, subject, attempts, blocked_until, touched_at) VALUES {} \
             ON CONFLICT (tenant_id, scope, subject) DO UPDATE SET attempts = guess_counters.attempts RETURNING {READ}",
            rows.join(", ")
        )
    } else {
        let rows: Vec<_> = places.map(|(scope, subject)| format!("(scope = ${scope} AND subject = ${subject})")).collect();
        format!("SELECT {READ} FROM guess_counters WHERE tenant_id = $1 AND ({})", rows.join(" OR "))
    }
}

/// The database's own time in microseconds since the epoch, as an expression: what nodes whose clocks differ agree on.
pub(crate) fn database_time(db: &impl ConnectionTrait) -> &'static str {
    if is_postgres(db) {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    } else {
        "CAST(unixepoch('subsec') * 1000000 AS integer)"
    }
}

/// Tells other nodes, when this transaction commits, that a ring has changed. SQLite has no other nodes.
pub(crate) async fn notify_ring(tx: &impl ConnectionTrait, tenant: TenantId, generation: u64) -> Stored<()> {
    if is_postgres(tx) {
        let payload = format!("{}:{generation}", tenant.as_uuid());
        let notify = statement(tx, "SELECT pg_notify('claviger_rings', $1)", [payload.into()]);
        tx.query_one_raw(notify).await.map_err(error::of("key_rings"))?;
    }
    Ok(())
}
