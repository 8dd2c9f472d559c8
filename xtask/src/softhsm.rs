//! Sees to it that there is an HSM to test with: SoftHSM, which is one in software.
//!
//! Invariant: no token is made here; the test makes its own, in a temporary folder.

use crate::postgres::{apt_get, in_path, is_root};

/// Installs it where that is allowed (Debian, root).
///
/// # Errors
/// A text for the person at the terminal: what is missing and what to do.
pub(crate) fn ensure() -> Result<(), String> {
    if in_path("softhsm2-util") {
        return Ok(());
    }
    if !in_path("apt-get") || !is_root() {
        return Err(
            "SoftHSM 2 is needed.\n       Debian and Ubuntu: apt-get install softhsm2\n       Fedora: dnf install softhsm\n       macOS: \
                    brew install softhsm"
                .to_owned(),
        );
    }
    println!("    not found; installing it with apt-get");
    apt_get(&["update"])?;
    apt_get(&["install", "-y", "softhsm2"])
}
