//! Sees to it that there is a Patroni to test with, an etcd that its servers agree by, and an HAProxy before them.
//!
//! Invariant: none is started here; the test starts its own, on loopback, in temporary folders.

use std::path::Path;

use crate::postgres::{apt_get, in_path, is_root};

/// Installs them where that is allowed (Debian, root).
///
/// # Errors
/// A text for the person at the terminal: what is missing and what to do.
pub(crate) fn ensure() -> Result<(), String> {
    println!("==> Patroni, etcd and HAProxy, for failovers");
    // Debian puts some of them where not everybody looks.
    let is_there = |program: &str| in_path(program) || Path::new("/usr/sbin").join(program).is_file();
    if ["patroni", "etcd", "haproxy"].into_iter().all(is_there) {
        return Ok(());
    }
    if !in_path("apt-get") || !is_root() {
        return Err(
            "Patroni, etcd and HAProxy are needed.\n       Debian and Ubuntu: apt-get install patroni etcd-server haproxy\n       \
                    Fedora: dnf install patroni patroni-etcd etcd haproxy"
                .to_owned(),
        );
    }
    println!("    not all found; installing them with apt-get");
    apt_get(&["update"])?;
    apt_get(&["install", "-y", "--no-install-recommends", "patroni", "python3-etcd", "etcd-server", "haproxy"])
}
