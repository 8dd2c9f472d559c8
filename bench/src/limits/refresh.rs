//! Refreshing sessions, beside what the same disk and the same processor can do at most.

use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use testkit::postgres::{Durability, Postgres};

use crate::claviger::{Claviger, Place};
use crate::limits::{Plan, Rows, Turns};
use crate::load::window;
use crate::table::{Aim, Row, Unit};
use crate::{Outcome, machine, progress, stage};

/// Connections, each with a session of its own.
const SESSIONS: usize = 32;

pub(super) fn on_sqlite(plan: &Plan) -> Rows {
    let commits = Commits { folder: plan.place("commits"), span: plan.span };
    let turns = side_by_side(plan, &Place::sqlite(&plan.place("refresh")), || commits.per_second())?;
    progress("    ES256 signatures of one core");
    let signatures = signatures_per_second(plan.span.min(Duration::from_secs(2)))?;
    let row = |beside: f64, what: &str, aim, detail: &str| Row {
        what: format!("Refresh on SQLite, ES256, {SESSIONS} sessions"),
        unit: Unit::PerSecond,
        claviger: turns.ours,
        beside: Some((beside, what.to_owned())),
        aim,
        detail: detail.to_owned(),
    };
    Ok(vec![
        row(turns.beside, "single durable commits of raw SQLite", Aim::AtLeast(10_000.0), &turns.detail),
        row(signatures, "ES256 signatures of one core", Aim::None, "as above"),
    ])
}

pub(super) fn on_postgres(plan: &Plan) -> Rows {
    progress("    a PostgreSQL cluster, as durable as it comes");
    let cluster = Postgres::start(Durability::Full);
    let pgbench = Pgbench::prepare(&cluster)?;
    let place = Place::postgres(&plan.place("refresh-pg"), cluster.fresh_database())?;
    let turns = side_by_side(plan, &place, || pgbench.per_second(plan.span))?;
    Ok(vec![Row {
        what: format!("Refresh on PostgreSQL, ES256, {SESSIONS} sessions"),
        unit: Unit::PerSecond,
        claviger: turns.ours,
        beside: Some((turns.beside, format!("transactions of pgbench -N, {PGBENCH_CLIENTS} clients, scale {PGBENCH_SCALE}"))),
        aim: Aim::RatioAtLeast(0.4),
        detail: turns.detail,
    }])
}

/// Refreshes on an installation of its own at `place`, in turns with `beside`.
fn side_by_side(plan: &Plan, place: &Place, beside: impl FnMut() -> Outcome<f64>) -> Outcome<Turns> {
    let claviger = Claviger::start(place)?;
    let mut admin = claviger.admin()?;
    stage::tenant(&mut admin)?;
    let mut sessions = stage::sessions(&claviger, &mut admin, SESSIONS)?;
    let turns = plan.in_turns(|| window(claviger.target(), &mut sessions, plan.span), beside)?;
    stage::verify(&claviger, &sessions)?;
    Ok(turns)
}

/// Raw SQLite: one row of as many as there are sessions is updated and committed, one after the other.
struct Commits {
    folder: std::path::PathBuf,
    span: Duration,
}

impl Commits {
    fn per_second(&self) -> Outcome<f64> {
        std::fs::create_dir_all(&self.folder)?;
        let options = SqliteConnectOptions::new()
            .filename(self.folder.join("raw.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut db = options.connect().await?;
            sqlx::query("CREATE TABLE IF NOT EXISTS heads (id INTEGER PRIMARY KEY, current INTEGER NOT NULL)").execute(&mut db).await?;
            let rows = i64::try_from(SESSIONS)?;
            for id in 0..rows {
                sqlx::query("INSERT INTO heads VALUES ($1, 0) ON CONFLICT DO NOTHING").bind(id).execute(&mut db).await?;
            }
            let begun = Instant::now();
            let mut commits = 0;
            while begun.elapsed() < self.span {
                let update = sqlx::query("UPDATE heads SET current = current + 1 WHERE id = $1").bind(commits % rows);
                if update.execute(&mut db).await?.rows_affected() != 1 {
                    return Err("raw SQLite wrote nothing".into());
                }
                commits += 1;
            }
            let per_second = commits as f64 / begun.elapsed().as_secs_f64();
            db.close().await?;
            Ok(per_second)
        })
    }
}

/// What one core signs when it does nothing else. The message is about as long as an access token.
pub(super) fn signatures_per_second(span: Duration) -> Outcome<f64> {
    let random = SystemRandom::new();
    let failed = |_| "no ES256 key";
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(failed)?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).map_err(|_| "no ES256 key")?;
    let message = [b'x'; 600];
    let begun = Instant::now();
    let mut signatures = 0_u32;
    while begun.elapsed() < span {
        std::hint::black_box(key.sign(&random, &message).map_err(failed)?);
        signatures += 1;
    }
    Ok(f64::from(signatures) / begun.elapsed().as_secs_f64())
}

const PGBENCH_CLIENTS: usize = 32;
const PGBENCH_SCALE: usize = 10;

/// PostgreSQL's own load generator, on a database of its own in the same cluster.
struct Pgbench<'a> {
    cluster: &'a Postgres,
    url: String,
}

impl<'a> Pgbench<'a> {
    fn prepare(cluster: &'a Postgres) -> Outcome<Self> {
        let pgbench = Self { cluster, url: cluster.fresh_database() };
        pgbench.run(&["-i", "-q", "-s", &PGBENCH_SCALE.to_string()])?;
        Ok(pgbench)
    }

    fn per_second(&self, span: Duration) -> Outcome<f64> {
        let (clients, threads) = (PGBENCH_CLIENTS.to_string(), machine::cores().min(PGBENCH_CLIENTS).to_string());
        let said = self.run(&["-N", "-n", "-c", &clients, "-j", &threads, "-T", &span.as_secs().max(1).to_string()])?;
        tps(&said).ok_or_else(|| format!("pgbench said no tps: {said}").into())
    }

    fn run(&self, args: &[&str]) -> Outcome<String> {
        let output = Command::new(self.cluster.bin().join("pgbench")).args(args).arg(&self.url).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// The rate in what pgbench says at its end: `tps = 1234.5 (without initial connection time)`.
fn tps(said: &str) -> Option<f64> {
    said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_found_in_what_pgbench_says() {
        let said = "number of failed transactions: 0 (0.000%)\ntps = 1650.307611 (without initial connection time)\n";
        assert_eq!(tps(said), Some(1_650.307_611));
        assert_eq!(tps("pgbench: error"), None);
    }
}
