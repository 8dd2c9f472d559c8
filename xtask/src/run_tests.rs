//! `cargo xtask test`: sees to it that the tests have what they need, then runs all of them.
//!
//! Invariant: the exit status is that of `cargo test`; a test that cannot run is never passed over in silence.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::{apache, cargo, faketime, pgbouncer, postgres, softhsm, verifiers};

/// Runs `cargo test --workspace --locked` with `cargo_args` behind it.
pub(crate) fn run(cargo_args: &[String]) -> ExitCode {
    let mut command = cargo();
    command.args(["test", "--workspace", "--locked"]).args(cargo_args);
    if let Err(error) = with_postgres(&mut command) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    println!("==> Python and Node.js, for the verifiers that others wrote");
    if let Err(missing) = verifiers::ensure() {
        eprintln!("error: {missing}");
        return ExitCode::FAILURE;
    }
    println!("==> SoftHSM, for the keys in an HSM");
    if let Err(missing) = softhsm::ensure() {
        eprintln!("error: {missing}");
        return ExitCode::FAILURE;
    }
    if let Err(missing) = faketime::ensure() {
        eprintln!("error: {missing}");
        return ExitCode::FAILURE;
    }
    if let Err(missing) = apache::ensure() {
        eprintln!("error: {missing}");
        return ExitCode::FAILURE;
    }
    println!("==> cargo test --workspace --locked {}", cargo_args.join(" "));
    finished("tests", &mut command)
}

/// Sees to it that there is a PostgreSQL, and a PgBouncer to put before it, and that `command` finds it.
pub(crate) fn with_postgres(command: &mut Command) -> Result<(), String> {
    println!("==> PostgreSQL and PgBouncer");
    let found = postgres::ensure()?;
    println!("    version {} in {}", found.major, found.bin.display());
    pgbouncer::ensure()?;
    let path = path_with(&found.bin).map_err(|error| format!("cannot add {} to PATH: {error}", found.bin.display()))?;
    command.env("PATH", path);
    Ok(())
}

/// Runs `command` to its end, says how `what` went, and passes its exit status on.
pub(crate) fn finished(what: &str, command: &mut Command) -> ExitCode {
    let begun = Instant::now();
    let status = match command.status() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: cargo did not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let seconds = begun.elapsed().as_secs();
    if status.success() {
        println!("==> All {what} passed ({seconds} s).");
        return ExitCode::SUCCESS;
    }
    println!("==> The {what} failed ({seconds} s, {status}).");
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// `PATH` with `bin` at its end, so that tests find the server binaries that Debian keeps out of it.
fn path_with(bin: &Path) -> Result<OsString, std::env::JoinPathsError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    if !folders.iter().any(|folder| folder == bin) {
        folders.push(bin.to_owned());
    }
    std::env::join_paths(folders)
}
