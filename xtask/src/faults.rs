//! `cargo xtask faults`: the fault tests for long, with what they see printed as they go.
//!
//! Invariant: the same tests that `cargo xtask test` runs; only the number of crashes differs.

use std::process::ExitCode;

use crate::cargo;
use crate::run_tests::{finished, with_postgres};

const USUAL_CYCLES: u64 = 200;

/// Builds the server and runs the fault tests, with `--cycles N` crashes per database.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let cycles = match args {
        [] => USUAL_CYCLES,
        [flag, number] if flag == "--cycles" => match number.parse() {
            Ok(cycles @ 1..) => cycles,
            _ => return refused(&format!("--cycles takes a number from 1, not `{number}`")),
        },
        _ => return refused("only `--cycles N` is known here"),
    };
    let mut command = cargo();
    command.args(["test", "--locked", "--package", "tests", "--test", "faults", "--", "--nocapture"]);
    command.env("CLAVIGER_FAULTS_CYCLES", cycles.to_string());
    if let Err(error) = with_postgres(&mut command) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    println!("==> Fault tests, {cycles} crashes per database (CLAVIGER_FAULTS_SEED=N plays one again)");
    finished("fault tests", &mut command)
}

fn refused(why: &str) -> ExitCode {
    eprintln!("cargo xtask faults: {why}");
    ExitCode::from(2)
}
