//! `claviger-bench`: measures the real `claviger serve` from outside, beside what the same machine can do at most.
//!
//! One file, or one folder, per mode: [`limits`] is the one that runs when none is named. What modes share: [`claviger`] and
//! [`bare`] (the servers, as child processes), [`load`] over [`http`] (who asks), [`table`] (what comes out).
//!
//! Invariant: nothing here passes or fails by the clock. A wrong answer ends the run; a slow one is a number.
#![expect(clippy::print_stdout, reason = "a command line tool answers on standard output")]

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod ahead;
mod bare;
mod claviger;
mod http;
mod limits;
mod load;
mod machine;
mod neighbours;
mod process;
mod stage;
mod stats;
mod table;
mod tenants;
mod year;

/// Why a run ended early: the text for people.
type Failed = Box<dyn std::error::Error + Send + Sync>;
type Outcome<T> = Result<T, Failed>;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", about = "Measures Claviger beside the limits of this machine, in one run.")]
#[command(args_conflicts_with_subcommands = true)]
struct Line {
    #[command(subcommand)]
    mode: Option<Mode>,
    #[command(flatten)]
    limits: limits::Options,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// The server that does nothing but answer: what others are measured beside.
    #[command(hide = true)]
    Bare(bare::Options),
    /// The server with its clock set forward.
    #[command(hide = true)]
    Ahead(ahead::Options),
    /// What a hundred thousand tenants cost, beside ten.
    Tenants(tenants::Options),
    /// Whether a tenant notices an attack on another one.
    Neighbours(neighbours::Options),
    /// A year of scheduled rotations in virtual time.
    Year(year::Options),
}

fn main() -> ExitCode {
    // An error says that one is installed already.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let line = Line::parse();
    let outcome = match line.mode {
        Some(Mode::Bare(options)) => bare::serve(&options),
        Some(Mode::Ahead(options)) => ahead::serve(&options),
        Some(Mode::Tenants(options)) => tenants::run(&options),
        Some(Mode::Neighbours(options)) => neighbours::run(&options),
        Some(Mode::Year(options)) => year::run(&options),
        None => limits::run(&line.limits),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells whoever waits what is being done.
fn progress(line: impl std::fmt::Display) {
    eprintln!("{line}");
}

/// Shows the table, and writes it into a file as well.
fn print(table: &table::Table, markdown: Option<&Path>) -> Outcome<()> {
    println!("{table}");
    if let Some(file) = markdown {
        std::fs::write(file, table.to_string()).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Line::command().debug_assert();
        let line = Line::try_parse_from(["bench", "--only", "jwks,start", "--seconds", "2"]).expect("understood");
        assert!(line.mode.is_none());
        assert!(Line::try_parse_from(["bench", "--only", "nonsense"]).is_err());
        assert!(Line::try_parse_from(["bench", "--quick", "--seconds", "2"]).is_err(), "quick says how long");
    }
}
