//! `claviger doctor`: looks at everything a server needs, changes nothing, and says what to do.
//!
//! Invariant: makes no file, no table and no key; a check that could not be made is said to be so.

use std::sync::Arc;

use app::ports::keys::Keys;
use app::ports::store::Store;
use app::ports::world::Clock;
use keys::Kek;
use storage::SqlStore;

use super::{Failed, say};
use crate::settings::{BadSettings, Settings};
use crate::wire::{self, SystemClock};

/// 2026-01-01 and 2100-01-01: outside of these it is the clock that is wrong.
const SANE_SECONDS: std::ops::Range<i64> = 1_767_225_600..4_102_444_800;

#[derive(Default)]
struct Report {
    failed: u32,
}

impl Report {
    fn line<T, E: std::fmt::Display>(&mut self, what: &str, outcome: Result<(T, String), E>) -> Option<T> {
        match outcome {
            Ok((value, detail)) => {
                say(format_args!("ok    {what:<14} {detail}"));
                Some(value)
            }
            Err(error) => {
                self.failed += 1;
                say(format_args!("FAIL  {what:<14} {error}"));
                None
            }
        }
    }
}

pub(super) async fn run(settings: Result<Settings, BadSettings>) -> Result<(), Failed> {
    let mut report = Report::default();
    let settings = report.line("configuration", settings.map(|settings| (settings, "every setting is known and makes sense".to_owned())));
    report.line("clock", clock());
    if let Some(settings) = settings {
        let kek = match wire::kek_given(&settings) {
            Ok(None) if is_new(&settings) => {
                skipped("kek", format_args!("{}: the first `claviger serve` makes it", settings.keys.kek_file.display()));
                None
            }
            Ok(None) => report.line("kek", Err::<(Kek, _), _>(kek_lost(&settings))),
            Ok(Some(kek)) => {
                let detail = format!("{} holds key {}", settings.keys.kek_file.display(), kek.id());
                report.line("kek", Ok::<_, String>((kek, detail)))
            }
            Err(error) => report.line("kek", Err(error)),
        };
        if is_new(&settings) {
            skipped("database", format_args!("{}: the first `claviger serve` makes it", settings.database.shown()));
        } else if let Some(store) = report.line("database", database(&settings).await) {
            let is_migrated = report.line("schema", schema(&store).await).is_some();
            if let (Some(kek), true) = (kek, is_migrated) {
                report.line("keys", sealed(&settings, kek, &store).await);
            } else {
                skipped("keys", "not looked at: needs the kek, the database and its schema");
            }
            report.line("close", store.database().close().await.map(|()| ((), "the database was closed in order".to_owned())));
        }
    }
    match report.failed {
        0 => Ok(()),
        failed => Err(format!("doctor: {failed} of the checks failed").into()),
    }
}

/// Says that there was nothing to check, and why.
fn skipped(what: &str, why: impl std::fmt::Display) {
    say(format_args!("-     {what:<14} {why}"));
}

/// Whether there is nothing yet: on SQLite, the first start makes all.
fn is_new(settings: &Settings) -> bool {
    settings.database.sqlite_file().is_some_and(|file| !file.exists())
}

fn kek_lost(settings: &Settings) -> String {
    format!(
        "the key-encryption key {} is missing, but there is a database. Bring the file back from where you keep its copy, or set \
         keys.kek_file (CLAVIGER__KEYS__KEK_FILE) to where it is; only a database that has never served gets a new one, by `claviger serve`",
        settings.keys.kek_file.display()
    )
}

fn clock() -> Result<((), String), String> {
    let now = SystemClock.now();
    if SANE_SECONDS.contains(&now.as_seconds()) {
        Ok(((), format!("it is {now}")))
    } else {
        Err(format!("this machine thinks it is {now}: set its clock, for example with chrony or systemd-timesyncd"))
    }
}

async fn database(settings: &Settings) -> Result<(SqlStore, String), String> {
    let store = SqlStore::new(wire::open(settings).await.map_err(|error| error.to_string())?);
    store.ping().await.map_err(|error| format!("{} does not answer: {error}", settings.database.shown()))?;
    Ok((store, format!("{} answers", settings.database.shown())))
}

async fn schema(store: &SqlStore) -> Result<((), String), String> {
    let pending = store.database().pending_migrations().await.map_err(|error| error.to_string())?;
    if pending.is_empty() {
        Ok(((), "up to date".to_owned()))
    } else {
        Err(format!("{} steps are pending ({}): run `claviger migrate`", pending.len(), pending.join(", ")))
    }
}

/// Whether the key-encryption key opens what lies in this database.
async fn sealed(settings: &Settings, kek: Kek, store: &SqlStore) -> Result<((), String), String> {
    let is_there = wire::has_sealed_anything(store).await.map_err(|error| error.to_string())?;
    if !is_there {
        return Ok(((), "nothing is sealed yet".to_owned()));
    }
    let id = kek.id().to_owned();
    let directory = wire::visit(settings, kek, Arc::new(store.clone()));
    let opened = directory.installation_mac(b"doctor").await;
    directory.shutdown().await;
    match opened {
        Ok(_) => Ok(((), format!("key {id} opens what this database holds"))),
        Err(fault) => Err(format!(
            "key {id} does not open what this database holds ({fault}): set keys.kek_file (CLAVIGER__KEYS__KEK_FILE) to the key it was \
             sealed with"
        )),
    }
}
