//! Makes the installation larger, through `claviger tenants import`.
//!
//! Invariant: what is there stays, so a run that was killed goes on where it ended.

use std::io::{BufWriter, Write};
use std::process::Stdio;
use std::time::Instant;

use domain::password::Argon2Params;
use serde_json::json;

use crate::claviger::Place;
use crate::{Outcome, stage};

/// The lightest that a policy may ask for: what is measured is tenants, not hashing.
const LIGHT: Argon2Params = Argon2Params { memory_kib: 7_168, iterations: 5, parallelism: 1 };

/// The only user of each tenant.
pub(super) const USER: &str = "user";

/// The slug of the n-th tenant, from 1.
pub(super) fn slug(number: usize) -> String {
    format!("t{number:07}")
}

/// Imports the tenants after the `from`-th up to the `to`-th. Answers how many seconds it took.
pub(super) fn grow(place: &Place, from: usize, to: usize) -> Outcome<f64> {
    let phc = stage::phc(LIGHT)?;
    let mut command = place.import()?;
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let written = {
        let mut lines = BufWriter::new(child.stdin.take().ok_or("no standard input")?);
        let mut write_all = || {
            for number in from + 1..=to {
                let user = json!({ "username": USER, "password_hash": phc });
                let name = format!("Tenant {number:07}");
                writeln!(
                    lines,
                    "{}",
                    json!({ "slug": slug(number), "name": name, "policy": { "argon2": LIGHT }, "key_policy": { "algs": ["ES256"] }, "users": [user] })
                )?;
            }
            lines.flush()
        };
        write_all()
    };
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("claviger tenants import ended with {status}").into());
    }
    written?;
    Ok(begun.elapsed().as_secs_f64())
}
