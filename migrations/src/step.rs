//! What a step of the schema means for programs that run beside it, and how steps are taken.
//!
//! A program's level is the number of steps it knows. The database writes down, with each step, its own level and the lowest
//! level of a program that may still run on it; so an older program can read there whether it may go on.
//!
//! Invariant: steps are taken in their order, each in one transaction with its record; whoever else takes steps waits.

use std::collections::BTreeSet;

use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait, Value,
};
use sea_orm_migration::{MigrationTrait, SchemaManager};

/// What a step does to programs that do not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// From before the first release: nothing that is older ever ran for anybody.
    Baseline,
    /// Adds only what nobody needs to know: programs that could run before it go on.
    Expand,
    /// Takes away what programs below this level still use.
    Contract { needs: u32 },
}

/// One step: what it does, and to whom.
pub struct Step {
    pub kind: Kind,
    migration: Box<dyn MigrationTrait>,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step").field("kind", &self.kind).field("name", &self.name()).finish()
    }
}

impl Step {
    /// See [`Kind::Baseline`].
    pub fn baseline(migration: impl MigrationTrait + 'static) -> Self {
        Self { kind: Kind::Baseline, migration: Box::new(migration) }
    }

    /// See [`Kind::Expand`].
    pub fn expand(migration: impl MigrationTrait + 'static) -> Self {
        Self { kind: Kind::Expand, migration: Box::new(migration) }
    }

    /// See [`Kind::Contract`].
    pub fn contract(needs: u32, migration: impl MigrationTrait + 'static) -> Self {
        Self { kind: Kind::Contract { needs }, migration: Box::new(migration) }
    }

    /// The name under which the database remembers it; that of its file.
    pub fn name(&self) -> &str {
        self.migration.name()
    }
}

/// The level of a program that knows these steps.
pub fn level(steps: &[Step]) -> u32 {
    u32::try_from(steps.len()).unwrap_or(u32::MAX)
}

/// The lowest level of a program that may run where `steps` are taken.
pub fn lowest(steps: &[Step]) -> u32 {
    numbered(steps).map(needs).max().unwrap_or(0)
}

fn numbered(steps: &[Step]) -> impl Iterator<Item = (u32, &Step)> {
    (1..).zip(steps)
}

/// The level that a program needs where this step is taken.
const fn needs((level, step): (u32, &Step)) -> u32 {
    match step.kind {
        Kind::Baseline => level,
        Kind::Expand => 0,
        Kind::Contract { needs } => needs,
    }
}

/// How a program and a database go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// The database has taken exactly the program's steps.
    Same,
    /// Steps that the database has not taken. `is_rolling`: programs of the database's level go on working when it does.
    Behind { pending: Vec<String>, is_rolling: bool },
    /// A later release has added to the schema, and this program may run on it.
    Ahead { level: u32 },
    /// A later release has taken away what this program uses. `lowest` is the level that a program needs to run here.
    TooOld { own: u32, level: u32, lowest: u32 },
    /// The database has steps that this program does not know and lacks some that it does: neither is the other's past.
    Foreign { unknown: Vec<String> },
}

/// What the database has written down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Record {
    taken: BTreeSet<String>,
    /// Level, and the lowest of a program; `None` where no program has written that down yet.
    level: Option<(u32, u32)>,
}

/// Compares what the program knows with what the database has taken. Reads only; to be called within a transaction.
///
/// # Errors
/// When the database cannot be read.
pub async fn fit(db: &impl ConnectionTrait, steps: &[Step]) -> Result<Fit, DbErr> {
    Ok(judge(steps, &read(db).await?))
}

fn judge(steps: &[Step], record: &Record) -> Fit {
    let pending: Vec<_> = steps.iter().filter(|step| !record.taken.contains(step.name())).collect();
    let unknown: Vec<_> = record.taken.iter().filter(|name| steps.iter().all(|step| step.name() != *name)).cloned().collect();
    let own = level(steps);
    if unknown.is_empty() && pending.is_empty() {
        return Fit::Same;
    }
    if unknown.is_empty() {
        let level = record.level.map_or(0, |(level, _)| level);
        // An empty database has no programs beside it.
        let is_rolling = level == 0 || pending.iter().all(|step| !matches!(step.kind, Kind::Contract { needs } if needs > level));
        return Fit::Behind { pending: pending.iter().map(|step| step.name().to_owned()).collect(), is_rolling };
    }
    match record.level {
        Some((level, lowest)) if pending.is_empty() && lowest <= own => Fit::Ahead { level },
        Some((level, lowest)) if pending.is_empty() => Fit::TooOld { own, level, lowest },
        _ => Fit::Foreign { unknown },
    }
}

/// The name is that of the framework, whose table it was.
const TAKEN: &str = "seaql_migrations";
const LEVEL: &str = "schema_level";

/// The tables that remember. [`LEVEL`] has one row: the number is there so that there cannot be a second.
const BOOKS: [(&str, &str); 2] = [
    (TAKEN, "version varchar NOT NULL PRIMARY KEY, applied_at bigint NOT NULL"),
    (LEVEL, "only_row bigint NOT NULL PRIMARY KEY CHECK (only_row = 1), level bigint NOT NULL, lowest bigint NOT NULL"),
];

fn is_postgres(db: &impl ConnectionTrait) -> bool {
    db.get_database_backend() == DbBackend::Postgres
}

async fn is_there(db: &impl ConnectionTrait, table: &str) -> Result<bool, DbErr> {
    let sql = if is_postgres(db) {
        "SELECT to_regclass($1) IS NOT NULL"
    } else {
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1)"
    };
    let asked = Statement::from_sql_and_values(db.get_database_backend(), sql, [Value::from(table)]);
    db.query_one_raw(asked).await?.map_or(Ok(false), |row| row.try_get_by_index(0))
}

async fn read(db: &impl ConnectionTrait) -> Result<Record, DbErr> {
    let backend = db.get_database_backend();
    let mut record = Record::default();
    if is_there(db, TAKEN).await? {
        for row in db.query_all_raw(Statement::from_string(backend, format!("SELECT version FROM {TAKEN}"))).await? {
            record.taken.insert(row.try_get_by_index(0)?);
        }
    }
    if is_there(db, LEVEL).await?
        && let Some(row) = db.query_one_raw(Statement::from_string(backend, format!("SELECT level, lowest FROM {LEVEL}"))).await?
    {
        // What is no level is beyond every program's.
        let number = |at| row.try_get_by_index::<i64>(at).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        record.level = Some((number(0)?, number(1)?));
    }
    Ok(record)
}

/// Takes those of `steps` that the database has not taken, at most `most` of them. Nothing happens where [`Fit`] is not
/// [`Fit::Behind`]. The connection must not keep prepared statements, for a pooler may have it shared.
///
/// # Errors
/// When the database is away, or does not let this role change the schema.
pub async fn take(db: &DatabaseConnection, steps: &[Step], most: Option<u32>) -> Result<(), DbErr> {
    for _ in 0..most.unwrap_or(u32::MAX) {
        let tx = begin(db).await?;
        let mut record = read(&tx).await?;
        let next = steps.iter().find(|step| !record.taken.contains(step.name()));
        let (Some(step), Fit::Behind { .. }) = (next, judge(steps, &record)) else { return tx.rollback().await };
        step.migration.up(&SchemaManager::new(&tx)).await?;
        record.taken.insert(step.name().to_owned());
        write(&tx, step, &record.taken, steps).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// A transaction that nobody else takes steps beside, with the tables that remember them. The lock goes with the transaction
/// and not with the session, which behind a pooler is not ours to keep.
async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let is_postgres = is_postgres(db);
    let sqlite_transaction_mode = (!is_postgres).then_some(SqliteTransactionMode::Immediate);
    let tx = db.begin_with_options(TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() }).await?;
    if is_postgres {
        tx.execute_unprepared("DEALLOCATE ALL; SELECT pg_advisory_xact_lock(4702111234474983745)").await?;
        // Whoever wants a table after a step that waits for it, waits as well. Rather the step gives up, and is tried again.
        tx.execute_unprepared("SELECT set_config('lock_timeout', '2s', true)").await?;
    }
    for (table, columns) in BOOKS {
        if !is_there(&tx, table).await? {
            tx.execute_unprepared(&format!("CREATE TABLE {table} ({columns})")).await?;
        }
    }
    Ok(tx)
}

async fn write(tx: &DatabaseTransaction, step: &Step, taken: &BTreeSet<String>, steps: &[Step]) -> Result<(), DbErr> {
    let backend = tx.get_database_backend();
    let now = if is_postgres(tx) { "extract(epoch FROM now())::bigint" } else { "unixepoch()" };
    let sql = format!("INSERT INTO {TAKEN} (version, applied_at) VALUES ($1, {now})");
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, [Value::from(step.name())])).await?;
    let lowest = numbered(steps).filter(|(_, step)| taken.contains(step.name())).map(needs).max();
    let numbers = [taken.len().try_into().unwrap_or(i64::MAX), i64::from(lowest.unwrap_or(0))];
    let sql = format!(
        "INSERT INTO {LEVEL} (only_row, level, lowest) VALUES (1, $1, $2) \
         ON CONFLICT (only_row) DO UPDATE SET level = excluded.level, lowest = excluded.lowest"
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, numbers.map(Value::from))).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sea_orm_migration::MigrationName;

    use super::*;

    struct Named(&'static str);

    impl MigrationName for Named {
        fn name(&self) -> &str {
            self.0
        }
    }

    #[async_trait::async_trait]
    impl MigrationTrait for Named {
        async fn up(&self, _: &SchemaManager) -> Result<(), DbErr> {
            Ok(())
        }
    }

    fn steps(taken: &str, level: Option<(u32, u32)>) -> Record {
        Record { taken: taken.split_terminator(' ').map(str::to_owned).collect(), level }
    }

    #[test]
    fn a_program_fits_what_it_knows_and_what_a_later_release_says_it_may_run_on() {
        let own = [Step::baseline(Named("a")), Step::baseline(Named("b")), Step::expand(Named("c"))];
        let behind =
            |pending: &[&str], is_rolling| Fit::Behind { pending: pending.iter().map(|&name| name.to_owned()).collect(), is_rolling };
        for (taken, level, fits) in [
            ("", None, behind(&["a", "b", "c"], true)),
            ("a", None, behind(&["b", "c"], true)),
            ("a", Some((1, 1)), behind(&["b", "c"], true)),
            ("a b", Some((2, 2)), behind(&["c"], true)),
            ("a b c", Some((3, 2)), Fit::Same),
            ("a b c d", Some((4, 2)), Fit::Ahead { level: 4 }),
            ("a b c d", Some((4, 3)), Fit::Ahead { level: 4 }),
            ("a b c d e", Some((5, 4)), Fit::TooOld { own: 3, level: 5, lowest: 4 }),
            ("a b c d", None, Fit::Foreign { unknown: vec!["d".to_owned()] }),
            ("a b d", Some((3, 0)), Fit::Foreign { unknown: vec!["d".to_owned()] }),
        ] {
            assert_eq!(judge(&own, &steps(taken, level)), fits, "{taken} {level:?}");
        }
    }

    #[test]
    fn a_step_that_would_stop_the_release_before_is_no_rolling_upgrade() {
        let own = [Step::baseline(Named("a")), Step::expand(Named("b")), Step::contract(2, Named("c"))];
        for (taken, level, is_rolling) in [("", None, true), ("a", Some((1, 1)), false), ("a b", Some((2, 1)), true)] {
            let fit = judge(&own, &steps(taken, level));
            assert!(matches!(fit, Fit::Behind { is_rolling: is, .. } if is == is_rolling), "{taken}: {fit:?}");
        }
    }

    #[test]
    fn what_was_once_taken_away_stays_away() {
        let steps = [Step::baseline(Named("a")), Step::expand(Named("b")), Step::contract(2, Named("c")), Step::expand(Named("d"))];
        assert_eq!([1, 2, 3, 4].map(|taken| lowest(&steps[..taken])), [1, 1, 2, 2]);
    }
}
