//! `cargo xtask schemathesis`: requests that schemathesis invents from the API's description, many of them, at a server on loopback.
//!
//! Invariant: it is the test that runs every day, with other numbers.

use std::process::ExitCode;

use crate::run_tests::finished;
use crate::{cargo, verifiers};

const TEST: &str = "schemathesis::no_request_that_schemathesis_invents_is_answered_otherwise_than_described";

/// Runs the test with `--cases N` (20,000) and `--seed N` (1).
pub(crate) fn run(args: &[String]) -> ExitCode {
    let (mut cases, mut seed) = ("20000", "1");
    for pair in args.chunks(2) {
        match pair {
            [name, value] if name == "--cases" && value.parse::<u32>().is_ok() => cases = value,
            [name, value] if name == "--seed" && value.parse::<u32>().is_ok() => seed = value,
            _ => {
                eprintln!("error: `cargo xtask schemathesis` understands --cases N and --seed N");
                return ExitCode::from(2);
            }
        }
    }
    if let Err(missing) = verifiers::ensure() {
        eprintln!("error: {missing}");
        return ExitCode::FAILURE;
    }
    let mut command = cargo();
    command.args(["test", "--locked", "-p", "tests", "--test", "e2e", "--", "--exact", TEST, "--nocapture"]);
    command.env("CLAVIGER_SCHEMATHESIS_CASES", cases).env("CLAVIGER_SCHEMATHESIS_SEED", seed);
    println!("==> {cases} cases, seed {seed}");
    finished("cases of schemathesis", &mut command)
}
