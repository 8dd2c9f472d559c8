//! The mode that runs when none is named: each thing that Claviger does, beside what this machine can do of it at most.
//!
//! One file per thing. Those that compare two rates measure them in turns ([`Plan::in_turns`]), so that a machine that slows down
//! slows both.

mod client_credentials;
mod code_flow;
mod jwks;
mod login;
mod memory;
mod refresh;
mod start;
mod tokens;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::load::Load;
use crate::table::{Row, Table};
use crate::{Outcome, claviger, machine, progress, stats};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long each window is, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Only these, with commas between them.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Thing>,
    /// Short windows and waits, to see that everything works; the numbers mean little.
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// How many sessions are stored where there shall be many.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    families: u64,
    /// Write the table to this file, too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Thing {
    /// Fetching a tenant's keys.
    Jwks,
    /// Refreshing on SQLite.
    Refresh,
    /// Refreshing on PostgreSQL.
    RefreshPg,
    /// Logging in.
    Login,
    /// Tokens for clients themselves, on one core.
    ClientCredentials,
    /// Introspection and userinfo, on one core, with few sessions stored and with many.
    Tokens,
    /// Pushed requests, and authorization codes from request to tokens, on one core.
    CodeFlow,
    /// From the birth of the process to its first answer.
    Start,
    /// Resident memory.
    Memory,
}

/// Two sides are measured this often each; the medians count.
const ROUNDS: usize = 3;

/// How a run measures.
pub(crate) struct Plan {
    folder: tempfile::TempDir,
    /// The length of one window.
    pub(crate) span: Duration,
    /// How often a start is measured.
    pub(crate) starts: usize,
    /// How many sessions are stored where there shall be many.
    pub(crate) families: u64,
    /// Waits before memory is read: after the start, and after the load.
    pub(crate) settle: (Duration, Duration),
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let all = Thing::value_variants();
    let things: Vec<_> = all.iter().copied().filter(|thing| options.only.is_empty() || options.only.contains(thing)).collect();
    // What is missing shall be said now, not in two minutes.
    claviger::binary()?;
    if things.contains(&Thing::RefreshPg) && testkit::postgres::find_bin().is_none() {
        return Err(format!("{}; or leave it out: --only", testkit::postgres::MISSING).into());
    }
    let folder = tempfile::Builder::new().prefix("claviger-bench-").tempdir()?;
    let mut facts = machine::facts(folder.path());
    let warnings = [
        (
            machine::is_in_memory(folder.path()),
            "the databases lie in memory, where durable commits cost nothing: set TMPDIR to a folder on a disk",
        ),
        (cfg!(debug_assertions), "built for debugging: these numbers mean nothing"),
    ];
    for (_, warning) in warnings.iter().filter(|(applies, _)| *applies) {
        progress(format_args!("WARNING: {warning}"));
        facts.push(("WARNING", (*warning).to_owned()));
    }
    let (span, starts, families, settle) =
        if options.quick { (1, 3, 10_000, (1, 2)) } else { (options.seconds, 7, options.families, (3, 10)) };
    let plan = Plan {
        folder,
        span: Duration::from_secs(span),
        starts,
        families,
        settle: (Duration::from_secs(settle.0), Duration::from_secs(settle.1)),
    };
    facts.push((
        "windows",
        format!("{ROUNDS} of {span} s each, in turns{}", if options.quick { " (QUICK: these numbers mean little)" } else { "" }),
    ));

    let begun = Instant::now();
    let mut rows = Vec::new();
    for thing in things {
        let name = thing.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        progress(format_args!("==> {name}"));
        let measured = match thing {
            Thing::Jwks => jwks::measure(&plan),
            Thing::Refresh => refresh::on_sqlite(&plan),
            Thing::RefreshPg => refresh::on_postgres(&plan),
            Thing::Login => login::measure(&plan),
            Thing::ClientCredentials => client_credentials::measure(&plan),
            Thing::Tokens => tokens::measure(&plan),
            Thing::CodeFlow => code_flow::measure(&plan),
            Thing::Start => start::measure(&plan),
            Thing::Memory => memory::measure(&plan),
        };
        match measured {
            Ok(measured) => rows.extend(measured),
            Err(error) => return Err(format!("{name}: {error}\n  (its files, logs among them: {})", plan.folder.keep().display()).into()),
        }
    }
    progress(format_args!("==> done in {} s", begun.elapsed().as_secs()));
    let table = Table { title: "Claviger beside the limits of this machine".to_owned(), facts, rows };
    crate::print(&table, options.markdown.as_deref())
}

/// What both sides did in their windows.
pub(crate) struct Turns {
    pub(crate) ours: f64,
    pub(crate) beside: f64,
    /// Processor time of the server for each answer.
    pub(crate) server_micros: f64,
    pub(crate) detail: String,
}

impl Plan {
    /// A folder of its own for each installation, which does not exist yet.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where files of the run may lie.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Measures both sides in turns and answers the median of each.
    pub(crate) fn in_turns(&self, mut ours: impl FnMut() -> Outcome<Load>, mut beside: impl FnMut() -> Outcome<f64>) -> Outcome<Turns> {
        let (mut loads, mut others) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            let other = beside()?;
            let load = ours()?;
            progress(format_args!("    {round}/{ROUNDS}: {:.1}/s beside {other:.1}/s; {}", load.per_second, load.detail()));
            loads.push(load);
            others.push(other);
        }
        loads.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
        // There is an odd number of rounds: one of them is the median.
        let median = loads[ROUNDS / 2];
        let detail = format!("{:.0} to {:.0}/s; {}", loads[0].per_second, loads[ROUNDS - 1].per_second, median.detail());
        let micros: Vec<_> = loads.iter().map(Load::server_micros).collect();
        Ok(Turns {
            ours: median.per_second,
            beside: stats::median(&others).ok_or("no rounds")?,
            server_micros: stats::median(&micros).ok_or("no rounds")?,
            detail,
        })
    }
}

/// The median of as many windows as there are rounds.
fn median(what: &str, mut measured: impl FnMut() -> Outcome<Load>) -> Outcome<Load> {
    let mut loads = Vec::new();
    for _ in 0..ROUNDS {
        let load = measured()?;
        progress(format_args!("    {what}: {:.1}/s; {}", load.per_second, load.detail()));
        loads.push(load);
    }
    loads.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
    Ok(loads[ROUNDS / 2])
}

/// A measured side is a list of rows: most things have one.
type Rows = Outcome<Vec<Row>>;
