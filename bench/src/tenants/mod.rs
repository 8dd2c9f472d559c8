//! Many tenants beside few: the same things measured at each size of one growing installation.
//!
//! `grow` makes it larger, `act` measures, `plot` draws. What a size shows is a [`Marks`]; what it is judged by stands in
//! [`Mark::aim`].
//!
//! Invariant: missing an aim is a line in the table, never a failure; a wrong answer is one.

mod act;
mod chance;
mod grow;
mod plot;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::claviger::{self, Kind, Place};
use crate::{Outcome, machine, progress};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Tenants in the end.
    #[arg(long, default_value_t = 100_000)]
    count: usize,
    /// Measure at these sizes, with commas between them; those above the count are left out.
    #[arg(long, value_delimiter = ',', default_value = "10,1000,10000,100000")]
    at: Vec<usize>,
    /// The database to measure on.
    #[arg(long, value_enum, default_value = "sqlite")]
    database: Kind,
    /// Keep the installation here (SQLite), and go on with the one that is there.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Sessions, spread over as many tenants.
    #[arg(long, default_value_t = 1_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(8..=10_000))]
    sessions: usize,
    /// How long all tenants are asked for their JWKS before that is measured, in seconds.
    #[arg(long, default_value_t = 10)]
    warm_up: u64,
    /// How long each window is, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How long the server rests before its idle memory is read, in seconds.
    #[arg(long, default_value_t = 5)]
    settle: u64,
    /// Write the table to this file, too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Draw it into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// One thing that is measured, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Ready,
    IdleMemory,
    ActiveMemory,
    CrawledMemory,
    AwakeBytes,
    CreateP50,
    CreateP99,
    ListP50,
    ListP99,
    SearchP50,
    SearchP99,
    ColdJwksP50,
    ColdJwksP99,
    ColdRefreshP50,
    ColdRefreshP99,
    JwksZipf,
    JwksUniform,
    RefreshZipf,
    RefreshUniform,
    Crawl,
    Rotation,
    Import,
}

type Marks = BTreeMap<Mark, f64>;

/// What we hope for at the largest size.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Aim {
    None,
    /// Against the smallest size.
    RatioAtMost(f64),
    RatioAtLeast(f64),
    AtMost(f64),
    AtLeast(f64),
}

impl Mark {
    const ALL: [Self; 22] = [
        Self::Ready,
        Self::IdleMemory,
        Self::ActiveMemory,
        Self::CrawledMemory,
        Self::AwakeBytes,
        Self::CreateP50,
        Self::CreateP99,
        Self::ListP50,
        Self::ListP99,
        Self::SearchP50,
        Self::SearchP99,
        Self::ColdJwksP50,
        Self::ColdJwksP99,
        Self::ColdRefreshP50,
        Self::ColdRefreshP99,
        Self::JwksZipf,
        Self::JwksUniform,
        Self::RefreshZipf,
        Self::RefreshUniform,
        Self::Crawl,
        Self::Rotation,
        Self::Import,
    ];

    /// What it is, its unit, and what is hoped for.
    const fn about(self) -> (&'static str, &'static str, Aim) {
        match self {
            Self::Ready => ("start to ready", "ms", Aim::AtMost(2_000.0)),
            Self::IdleMemory => ("memory, idle", "MB", Aim::AtMost(150.0)),
            Self::ActiveMemory => ("memory, all sessions' tenants active", "MB", Aim::None),
            Self::CrawledMemory => ("memory, after everybody's JWKS", "MB", Aim::None),
            Self::AwakeBytes => ("memory of one awake tenant", "kB", Aim::None),
            Self::CreateP50 => ("create a tenant, p50", "ms", Aim::RatioAtMost(1.5)),
            Self::CreateP99 => ("create a tenant, p99", "ms", Aim::AtMost(20.0)),
            Self::ListP50 => ("list 50 tenants, p50", "ms", Aim::RatioAtMost(1.5)),
            Self::ListP99 => ("list 50 tenants, p99", "ms", Aim::RatioAtMost(1.5)),
            Self::SearchP50 => ("search tenants, p50", "ms", Aim::RatioAtMost(1.5)),
            Self::SearchP99 => ("search tenants, p99", "ms", Aim::RatioAtMost(1.5)),
            Self::ColdJwksP50 => ("first JWKS of a sleeping tenant, p50", "ms", Aim::RatioAtMost(1.5)),
            Self::ColdJwksP99 => ("first JWKS of a sleeping tenant, p99", "ms", Aim::AtMost(20.0)),
            Self::ColdRefreshP50 => ("first refresh of a sleeping tenant, p50", "ms", Aim::RatioAtMost(1.5)),
            Self::ColdRefreshP99 => ("first refresh of a sleeping tenant, p99", "ms", Aim::AtMost(20.0)),
            Self::JwksZipf => ("JWKS, Zipf over all", "/s", Aim::RatioAtLeast(0.8)),
            Self::JwksUniform => ("JWKS, uniform over all", "/s", Aim::None),
            Self::RefreshZipf => ("refresh, Zipf over the sessions", "/s", Aim::RatioAtLeast(0.8)),
            Self::RefreshUniform => ("refresh, uniform over the sessions", "/s", Aim::None),
            Self::Crawl => ("everybody's JWKS once, one connection", "/s", Aim::None),
            Self::Rotation => ("scheduled rotation, all due", "/s", Aim::None),
            Self::Import => ("import", "/s", Aim::AtLeast(300.0)),
        }
    }

    const fn what(self) -> &'static str {
        self.about().0
    }

    /// Whether what was hoped for was reached; `None` without an aim or without both ends.
    fn aim(self, least: Option<f64>, most: Option<f64>) -> Option<(String, bool)> {
        let (_, unit, aim) = self.about();
        let ratio = most? / least.unwrap_or(f64::NAN);
        match aim {
            Aim::None => None,
            Aim::RatioAtMost(limit) => Some((format!("ratio ≤ {limit}"), ratio <= limit)),
            Aim::RatioAtLeast(limit) => Some((format!("ratio ≥ {limit}"), ratio >= limit)),
            Aim::AtMost(limit) => Some((format!("≤ {limit} {unit}"), most? <= limit)),
            Aim::AtLeast(limit) => Some((format!("≥ {limit}{unit}"), most? >= limit)),
        }
    }
}

fn shown(mark: Mark, value: f64) -> String {
    match mark.about().1 {
        "/s" => format!("{value:.0}/s"),
        unit if value >= 100.0 => format!("{value:.0} {unit}"),
        unit => format!("{value:.2} {unit}"),
    }
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    claviger::binary()?;
    let temporary = tempfile::Builder::new().prefix("claviger-tenants-").tempdir()?;
    let folder = options.folder.clone().unwrap_or_else(|| temporary.path().to_owned()).join("installation");
    std::fs::create_dir_all(&folder)?;
    let (place, _cluster) = Place::new(options.database, &folder)?;
    // Ten tenants that use all of a node are what budgets are there to hold back; here it is the node that is measured.
    let place = place.with("BUDGETS__ENFORCED", "false");
    let mut facts = machine::facts(&folder);
    facts.push(("database", options.database.to_string()));
    facts.push(("sessions", format!("{}, on as many tenants where there are so many", options.sessions)));

    let mut sizes: Vec<_> = options.at.iter().copied().filter(|size| (1..=options.count).contains(size)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let (mut all, mut from) = (Vec::new(), 0);
    for size in sizes {
        progress(format_args!("==> {size} tenants"));
        let seconds = grow::grow(&place, from, size)?;
        let mut marks = act::measure(&place, size, options)?;
        if size - from >= 500 {
            marks.insert(Mark::Import, (size - from) as f64 / seconds);
        }
        from = size;
        all.push((size, marks));
        // What is known is not lost if the next size takes too long.
        let text = table(&facts, &all);
        progress(&text);
        if let Some(file) = &options.markdown {
            std::fs::write(file, &text).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        if let Some(file) = &options.svg {
            std::fs::write(file, plot::svg(&all)).map_err(|error| format!("{}: {error}", file.display()))?;
        }
    }
    println!("{}", table(&facts, &all));
    Ok(())
}

/// The table, as Markdown.
fn table(facts: &[(&str, String)], all: &[(usize, Marks)]) -> String {
    let mut text = String::new();
    for (name, fact) in facts {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    let _ = write!(text, "\n| measured |");
    for (size, _) in all {
        let _ = write!(text, " {size} |");
    }
    let _ = writeln!(text, " largest / smallest | aim |");
    let _ = writeln!(text, "|---|{}---|---|", "--:|".repeat(all.len()));
    for mark in Mark::ALL {
        let values: Vec<_> = all.iter().map(|(_, marks)| marks.get(&mark).copied()).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let cells: Vec<_> = values.iter().map(|value| value.map_or_else(String::new, |value| shown(mark, value))).collect();
        let (least, most) = (values.first().copied().flatten(), values.last().copied().flatten());
        let ratio = least.zip(most).map_or_else(String::new, |(least, most)| format!("{:.2}", most / least));
        let aim =
            mark.aim(least, most).map_or_else(String::new, |(aim, is_reached)| format!("{aim}: {}", if is_reached { "yes" } else { "no" }));
        let _ = writeln!(text, "| {} | {} | {ratio} | {aim} |", mark.what(), cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_judged_at_the_largest_size() {
        assert_eq!(Mark::CreateP50.aim(Some(2.0), Some(3.0)), Some(("ratio ≤ 1.5".to_owned(), true)));
        assert_eq!(Mark::CreateP99.aim(None, Some(21.0)).map(|(_, is_reached)| is_reached), Some(false));
        assert_eq!(Mark::CreateP50.aim(None, Some(1.0)).map(|(_, is_reached)| is_reached), Some(false), "nothing to compare with");
        assert_eq!(Mark::JwksUniform.aim(Some(1.0), Some(1.0)), None);
    }

    #[test]
    fn the_table_has_a_column_for_each_size_and_leaves_out_what_nobody_measured() {
        let all = [(10, Marks::from([(Mark::Ready, 40.0)])), (1_000, Marks::from([(Mark::Ready, 50.0), (Mark::Import, 700.0)]))];
        let text = table(&[("CPU", "x".to_owned())], &all);
        assert!(text.contains("| start to ready | 40.00 ms | 50.00 ms | 1.25 | ≤ 2000 ms: yes |"), "{text}");
        assert!(text.contains("| import |  | 700/s |  | ≥ 300/s: yes |"), "{text}");
        assert!(!text.contains("memory"), "{text}");
    }

    #[test]
    fn every_mark_is_in_the_table_once() {
        let set: std::collections::BTreeSet<_> = Mark::ALL.into_iter().collect();
        assert_eq!(set.len(), Mark::ALL.len());
        assert_eq!(set.into_iter().collect::<Vec<_>>(), Mark::ALL, "in the order of the table");
    }
}
