//! The habits of this project as commands: `cargo xtask test`, `faults`, `fuzz`, `schemathesis`, `tidy` and `bench`.
//!
//! Enter at [`main`]. [`run_tests`] runs everything there is to run, [`faults`] a part of it for long, [`postgres`] finds or installs
//! what it needs, [`tidy`] gathers facts about the workspace and [`rules`] judges them, [`bench`] builds and starts what measures,
//! [`fuzz`] lets libFuzzer look for bad input.
//!
//! Invariant: nothing here is part of the product, and no crate depends on it.
#![expect(clippy::print_stdout, reason = "a command line tool talks to its user on standard output")]

use std::process::ExitCode;

mod apache;
mod bench;
mod deny;
mod faketime;
mod faults;
mod fuzz;
mod libfuzzer;
mod patroni;
mod pgbouncer;
mod postgres;
mod rules;
mod run_tests;
mod schemathesis;
mod softhsm;
mod tidy;
mod verifiers;

const USAGE: &str = "\
Usage: cargo xtask <command>

Commands:
  test [ARGS...]   Run all tests; installs PostgreSQL where it may. ARGS go to `cargo test --workspace --locked`.
  bench [ARGS...]  Measure Claviger beside the limits of this machine. `cargo xtask bench --help` says what ARGS may be.
  faults [--cycles N] [--long]
                   Kill the server under load N times per database (200), and take away what it stands on.
  fuzz [TARGET...] [--seconds N] [--into FOLDER] [--adopt]
                   Look for inputs that reach new code and break what must be true, N seconds (60) for each target (all).
                   What is found goes to FOLDER (~/.cache/claviger-fuzz); --adopt puts the best of it into fuzz/corpus.
  schemathesis [--cases N] [--seed N]
                   Send N requests (20000) that schemathesis invents from the API's description.
  tidy             Check the arrows between crates and the other rules that no compiler checks.";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next();
    let rest: Vec<String> = args.collect();
    match (command.as_deref(), rest.as_slice()) {
        (Some("test"), cargo_args) => run_tests::run(cargo_args),
        (Some("bench"), bench_args) => bench::run(bench_args),
        (Some("faults"), args) => faults::run(args),
        (Some("fuzz"), args) => fuzz::run(args),
        (Some("schemathesis"), args) => schemathesis::run(args),
        (Some("tidy"), []) => tidy::run(),
        (Some("help" | "--help" | "-h"), []) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        (None, _) => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
        (Some(_), _) => {
            eprintln!("cargo xtask: `{}` is not something I can do.\n\n{USAGE}", std::env::args().skip(1).collect::<Vec<_>>().join(" "));
            ExitCode::from(2)
        }
    }
}

/// The cargo that runs us, so that a toolchain override is kept.
fn cargo() -> std::process::Command {
    std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
