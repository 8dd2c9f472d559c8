//! `claviger kek status | rotate | retire`: the key-encryption keys, while the servers run.
//!
//! Invariant: nothing here destroys a key. `retire` says when one may go, and has the database refuse it from then on.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use app::ports::store::{KekUse, Retirement, Store};
use app::ports::world::Clock;
use keys::kek::Keks;
use keys::{Custody, Rewrapped, rewrap_all};
use storage::SqlStore;

use super::{Failed, say};
use crate::custody;
use crate::settings::Settings;
use crate::wire::{self, SystemClock};

async fn opened(settings: &Settings) -> Result<(SqlStore, Arc<Custody>), Failed> {
    let store = SqlStore::new(wire::open_ready(settings).await?);
    Ok((store, Arc::new(custody::open(settings).await?)))
}

/// Says which keys there are, which of them work, and what lies under each.
pub(super) async fn status(settings: &Settings) -> Result<(), Failed> {
    let (store, custody) = opened(settings).await?;
    let uses = store.begin_platform().await?.kek_uses().await?;
    let first_format: u64 = uses.iter().map(|used| used.first_format).sum();
    let keks = custody.keks();
    let mut faults = 0;
    say(format_args!("{:<40} {:<9} {:>10}  state", "key-encryption key", "provider", "data keys"))?;
    let unseen = keks.iter().filter(|kek| uses.iter().all(|used| used.kek_id != kek.id())).map(|kek| (kek.id().to_owned(), 0, None));
    let seen = uses.iter().map(|used| (used.kek_id.clone(), used.data_keys, used.retired_at));
    for (id, data_keys, retired_at) in seen.chain(unseen) {
        let known = keks.find(&id);
        let mut state = Vec::new();
        match (known, retired_at) {
            (_, Some(at)) => state.push(format!("retired {at}")),
            (None, None) if data_keys > 0 => {
                faults += 1;
                state.push("MISSING HERE, and needed".to_owned());
            }
            (None, None) => state.push("not configured here; may be retired".to_owned()),
            (Some(kek), None) => {
                if keks.primary().id() == id {
                    state.push("primary".to_owned());
                }
                match keys::kek::check(&**kek).await {
                    Ok(()) => state.push("works".to_owned()),
                    Err(fault) => {
                        faults += 1;
                        state.push(format!("DOES NOT WORK: {fault}"));
                    }
                }
            }
        }
        say(format_args!("{id:<40} {:<9} {data_keys:>10}  {}", known.map_or("-", |kek| kek.provider()), state.join(", ")))?;
    }
    if first_format > 0 {
        say(format_args!("{first_format} data keys are in the first format; `claviger kek rotate` seals them anew"))?;
    }
    store.database().close().await?;
    if faults == 0 { Ok(()) } else { Err(format!("{faults} of the key-encryption keys are missing or do not work").into()) }
}

/// Wraps every data key with the primary key; with `is_new`, makes one first.
pub(super) async fn rotate(settings: &Settings, is_new: bool) -> Result<(), Failed> {
    if is_new {
        if !settings.keys.primary_kek.is_empty() {
            return Err("--new makes a key in keys.kek_file, but keys.primary_kek names the primary key: make that one yourself".into());
        }
        if settings.database.sqlite_file().is_none() {
            return Err("--new is for one node: here every node must know a key before anything is wrapped by it. Give each the new key \
                        (docs/src/custody.md, Replacing a KEK), then run `claviger kek rotate`"
                .into());
        }
        let id = custody::prepend_new(&settings.keys.kek_file)?;
        say(format_args!("{} has a new first key, {id}: keep a copy of the file", settings.keys.kek_file.display()))?;
    }
    let (store, custody) = opened(settings).await?;
    let keks = custody.keks();
    custody::check_primary(&custody, &store).await?;
    // The installation's own secrets first: they are made or taken over where that was not done yet.
    let directory = wire::visit(settings, Arc::clone(&custody), Arc::new(store.clone()));
    let installation = app::ports::keys::Keys::notary(directory.as_ref()).await.map(|_| ());
    directory.shutdown().await;
    installation.map_err(|fault| format!("the installation's own secrets do not open: {fault}"))?;

    let left = left(&store, &keks).await?;
    say(format_args!("wrapping {left} data keys with {}", keks.primary().id()))?;
    let mut progress = Progress::new(left);
    let outcome = rewrap_all(&store, &custody, &mut |done| progress.said(done)).await;
    progress.end();
    let Rewrapped { done, by_others, failed } = outcome.map_err(|fault| format!("{fault}. What was wrapped stays so: run it again"))?;
    say(format_args!("{done} wrapped, {by_others} by other runners, {failed} failed"))?;
    let uses = store.begin_platform().await?.kek_uses().await?;
    for used in uses.iter().filter(|used| used.kek_id != keks.primary().id() && used.retired_at.is_none()) {
        match used.data_keys {
            0 => say(format_args!("nothing needs {} any more: `claviger kek retire {0}`", used.kek_id)),
            left => say(format_args!(
                "{left} data keys are still under {}: give all nodes the new primary key, and run this again",
                used.kek_id
            )),
        }?;
    }
    store.database().close().await?;
    if failed == 0 { Ok(()) } else { Err(format!("{failed} data keys do not open; the log names their owners").into()) }
}

async fn left(store: &SqlStore, keks: &Keks) -> Result<u64, Failed> {
    let uses = store.begin_platform().await?.kek_uses().await?;
    let of = |used: &KekUse| if used.kek_id == keks.primary().id() { used.first_format } else { used.data_keys };
    Ok(uses.iter().map(of).sum())
}

/// Retires a key, if nothing is wrapped by it.
pub(super) async fn retire(settings: &Settings, id: &str) -> Result<(), Failed> {
    let (store, custody) = opened(settings).await?;
    if custody.keks().primary().id() == id {
        return Err(format!("{id} is the primary key-encryption key: make another one primary, rotate, then retire it").into());
    }
    let retirement = async {
        let mut tx = store.begin_platform().await?;
        let retirement = tx.kek_retire(id, SystemClock.now()).await?;
        tx.commit().await?;
        Ok(retirement)
    }
    .await;
    let outcome = match retirement {
        Ok(Retirement::Retired) => say(format_args!(
            "{id} is retired: the database takes nothing that it wraps. Take it out of every node's settings. Destroy it only when no \
             backup of this database from before today is of use any more"
        )),
        Ok(Retirement::InUse(count)) => {
            Err(format!("{count} data keys are still wrapped by {id}: run `claviger kek rotate` first; nothing was changed").into())
        }
        Ok(Retirement::Unknown) => {
            Err(format!("this database has never seen a key-encryption key {id}; `claviger kek status` lists them").into())
        }
        Err(app::ports::store::StoreError::Conflict) => {
            Err(format!("a node is using {id} at this very moment: give it the new primary key first").into())
        }
        Err(error) => Err(error.into()),
    };
    store.database().close().await?;
    outcome
}

/// A bar on a terminal, a line now and then elsewhere; on standard error, because it is no answer.
struct Progress {
    total: u64,
    is_terminal: bool,
    next_line: u64,
}

impl Progress {
    const WIDTH: u64 = 40;

    fn new(total: u64) -> Self {
        Self { total, is_terminal: std::io::stderr().is_terminal(), next_line: 0 }
    }

    fn said(&mut self, so_far: Rewrapped) {
        let done = so_far.done + so_far.by_others + so_far.failed;
        // New tenants may have come in between.
        let total = self.total.max(done).max(1);
        if self.is_terminal {
            let full = usize::try_from(done * Self::WIDTH / total).unwrap_or(0);
            let _ = write!(std::io::stderr(), "\r[{:<width$}] {done}/{total}", "#".repeat(full), width = 40);
        } else if done >= self.next_line {
            let _ = writeln!(std::io::stderr(), "{done} of {total}");
            self.next_line = done + (total / 20).max(1_000);
        }
    }

    fn end(&self) {
        if self.is_terminal {
            let _ = writeln!(std::io::stderr());
        }
    }
}
