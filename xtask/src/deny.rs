//! The part of `cargo xtask tidy` that cargo-deny does: licences, sources and crates that must not be there (`deny.toml`).
//!
//! Advisories are no part of it: what is known of a crate changes without us, and looking it up needs the network.
//!
//! Invariant: where cargo-deny is not installed, that is said aloud, and nothing is said to hold that was not looked at.

use crate::cargo;
use crate::rules::Breach;

/// Asks cargo-deny, where it is installed.
///
/// # Errors
/// When cargo does not start.
pub(crate) fn breaches() -> Result<Vec<Breach>, String> {
    let started = |error: std::io::Error| format!("cargo deny did not start: {error}");
    if !cargo().args(["deny", "--version"]).output().map_err(started)?.status.success() {
        println!("tidy: NOT CHECKED: licences, sources and banned crates. cargo-deny is not installed: cargo install cargo-deny --locked");
        return Ok(Vec::new());
    }
    let mut command = cargo();
    // Two versions of a crate are seen by whoever runs it by hand; here they would hide what has to be mended.
    command.args(["deny", "--locked", "--log-level", "error", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    let output = command.output().map_err(started)?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let said = [output.stderr, output.stdout].concat();
    Ok(vec![Breach { place: "deny.toml".to_owned(), rule: String::from_utf8_lossy(&said).trim().to_owned() }])
}
