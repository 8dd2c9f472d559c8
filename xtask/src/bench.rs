//! `cargo xtask bench`: builds the product and what measures it, both for release and in one go, then runs the latter.
//!
//! Invariant: what is measured is the `claviger` that this very source builds.

use std::process::{Command, ExitCode};

use cargo_metadata::MetadataCommand;

use crate::cargo;

/// Runs `claviger-bench` with `args`.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let target = match MetadataCommand::new().no_deps().exec() {
        Ok(metadata) => metadata.target_directory,
        Err(error) => return failed(&format!("cargo metadata: {error}")),
    };
    println!("==> cargo build --release -p server -p bench");
    // Together: two builds would choose other features for the crates that both use, and build those twice.
    match cargo().args(["build", "--release", "--locked", "-p", "server", "-p", "bench"]).status() {
        Ok(status) if status.success() => {}
        Ok(_) => return ExitCode::FAILURE,
        Err(error) => return failed(&format!("cargo did not start: {error}")),
    }
    match Command::new(target.join("release/claviger-bench")).args(args).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => failed(&format!("claviger-bench did not start: {error}")),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
