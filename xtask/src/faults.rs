//! `cargo xtask faults`: the fault tests with many crashes, and with `--long` those for a whole evening, too, with what they see
//! printed as they go.
//!
//! Invariant: the same tests that `cargo xtask test` runs; only how often and how long differs.

use std::process::ExitCode;

use crate::run_tests::{finished, with_postgres};
use crate::{cargo, faketime, patroni};

const USUAL_CYCLES: u64 = 200;

/// Builds the server and runs the fault tests, with `--cycles N` crashes per database, and the others for long with `--long`.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let (mut cycles, mut is_long) = (USUAL_CYCLES, false);
    let mut args = args.iter();
    while let Some(flag) = args.next() {
        match flag.as_str() {
            "--long" => is_long = true,
            "--cycles" => match args.next().map(|number| number.parse()) {
                Some(Ok(number @ 1..)) => cycles = number,
                _ => return refused("--cycles takes a number from 1"),
            },
            _ => return refused("only `--cycles N` and `--long` are known here"),
        }
    }
    let mut command = cargo();
    command.args(["test", "--locked", "--package", "tests", "--test", "faults", "--", "--nocapture"]);
    command.env("CLAVIGER_FAULTS_CYCLES", cycles.to_string()).env("CLAVIGER_FAULTS_LONG", u8::from(is_long).to_string());
    if let Err(error) = with_postgres(&mut command).and_then(|()| faketime::ensure()) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    if is_long && let Err(missing) = patroni::ensure() {
        eprintln!("{missing}\n       Failovers are left out.");
        command.env("CLAVIGER_FAULTS_PATRONI", "0");
    }
    println!("==> Fault tests, {cycles} crashes per database (CLAVIGER_FAULTS_SEED=N plays one again)");
    finished("fault tests", &mut command)
}

fn refused(why: &str) -> ExitCode {
    eprintln!("cargo xtask faults: {why}");
    ExitCode::from(2)
}
