//! Sees to it that a program can be told a wrong time: libfaketime.
//!
//! Invariant: the machine's clock is never touched.

use std::path::Path;

use crate::postgres::{apt_get, in_path, is_root};

/// Installs it where that is allowed (Debian, root).
///
/// # Errors
/// A text for the person at the terminal: what is missing and what to do.
pub(crate) fn ensure() -> Result<(), String> {
    println!("==> libfaketime, for clocks that are wrong");
    let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(Into::into);
    let inside = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    if folders.into_iter().chain(inside).any(|folder| Path::new(&folder).join("faketime/libfaketimeMT.so.1").exists()) {
        return Ok(());
    }
    if !in_path("apt-get") || !is_root() {
        return Err(
            "libfaketime is needed.\n       Debian and Ubuntu: apt-get install libfaketime\n       Fedora: dnf install libfaketime"
                .to_owned(),
        );
    }
    println!("    not found; installing it with apt-get");
    apt_get(&["update"])?;
    apt_get(&["install", "-y", "libfaketime"])
}
