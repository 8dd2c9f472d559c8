//! `claviger keys audit-log verify`: whether an issuer's keys are those that its public log tells of.
//!
//! Invariant: needs no settings and no database; whoever can reach the issuer can run it.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use app::ports::world::Clock;
use clap::Args;
use transparency::note::Vkey;

use super::{Alarmed, Failed, say};
use crate::key_log_check::{Check, Seen};
use crate::wire::SystemClock;

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The issuer, such as `https://id.example.com/t/acme`.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The key that the log must be signed with. Without it: the one in FILE; without that, the log is asked for it once.
    #[arg(long, value_name = "VKEY")]
    vkey: Option<Vkey>,
    /// Where the last checkpoint that was found good is kept. Compared with, and replaced when everything is good.
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
}

pub(super) async fn run(verify: Verify) -> Result<(), Failed> {
    let before = verify.since.as_deref().map(read).transpose()?.flatten();
    let http = reqwest::Client::builder().timeout(std::time::Duration::from_secs(30)).build()?;
    let is_watched = std::io::stderr().is_terminal();
    let progress = move |read: u64, of: u64| {
        if is_watched {
            // Nobody reads it if this fails.
            let _ = write!(std::io::stderr(), "\r{read} of {of} entries{}", if read == of { "\n" } else { "" });
        }
    };
    let check = Check {
        http: &http,
        issuer: &verify.issuer,
        vkey: verify.vkey,
        before: before.as_ref(),
        now: SystemClock.now(),
        progress: &progress,
    };
    let report = check.run().await?;
    if let Some(head) = &report.head {
        say(format_args!("log    {}", head.origin))?;
        say(format_args!("size   {} entries, {} of them new since the last time", head.size, report.new))?;
    }
    say(format_args!("jwks   {} keys", report.published))?;
    if let Some(before) = report.renamed_from.as_ref().filter(|_| report.alarms.is_empty()) {
        say(format_args!("name   it was {before} the last time; the same key signs it, and it goes on from there"))?;
    }
    if !report.alarms.is_empty() {
        // Whoever does not read them is told by the exit code.
        let _ = report.alarms.iter().try_for_each(|alarm| say(format_args!("ALARM  {alarm}")));
        return Err(Alarmed(report.alarms.len()).into());
    }
    let Some(seen) = report.seen else { return Ok(()) };
    if report.is_first_use {
        say(format_args!(
            "trust  {}\n       Nobody but the log itself said that this is its key: it is trusted because it was seen first. Compare it \
             with what the issuer's operator publishes elsewhere, and give it as --vkey.",
            seen.vkey
        ))?;
    }
    if let Some(file) = &verify.since {
        write(file, &seen)?;
        say(format_args!("kept   {}", file.display()))?;
    }
    say("good   every published key is in the log, and the log is append-only as far as it was seen")
}

/// What was seen the last time; nothing when there is no file yet.
fn read(file: &Path) -> Result<Option<Seen>, Failed> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.parse().map_err(|error| format!("{}: {error}", file.display()))?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {error}", file.display()).into()),
    }
}

/// Replaces the file as a whole: half of one would be taken for a damaged one the next time.
fn write(file: &Path, seen: &Seen) -> Result<(), Failed> {
    let draft = file.with_added_extension("draft");
    let written = std::fs::write(&draft, seen.to_string()).and_then(|()| std::fs::rename(&draft, file));
    written.map_err(|error| format!("{} cannot be written: {error}", file.display()).into())
}
