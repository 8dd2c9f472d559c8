//! Sees to it that there is a PgBouncer to test with.
//!
//! Invariant: none is started here; the tests start their own, in a temporary folder.

use std::path::Path;

use crate::postgres::{apt_get, in_path, is_root};

/// Installs it where that is allowed (Debian, root).
///
/// # Errors
/// A text for the person at the terminal: what is missing and what to do.
pub(crate) fn ensure() -> Result<(), String> {
    // Debian puts it where not everybody looks.
    if in_path("pgbouncer") || Path::new("/usr/sbin/pgbouncer").is_file() {
        return Ok(());
    }
    if !in_path("apt-get") || !is_root() {
        return Err(
            "PgBouncer is needed.\n       Debian and Ubuntu: apt-get install pgbouncer\n       Fedora: dnf install pgbouncer\n       \
                    macOS: brew install pgbouncer"
                .to_owned(),
        );
    }
    println!("    PgBouncer not found; installing it with apt-get");
    apt_get(&["update"])?;
    apt_get(&["install", "-y", "pgbouncer"])
}
