//! Sees to it that there is a relying party to test with that others run: Apache with mod_auth_openidc.
//!
//! Invariant: no server is started here, and none by the packages; the test starts its own, on loopback.

use std::path::Path;

use crate::postgres::{apt_get, in_path, is_root};

/// Installs it where that is allowed (Debian, root).
///
/// # Errors
/// A text for the person at the terminal: what is missing and what to do.
pub(crate) fn ensure() -> Result<(), String> {
    println!("==> Apache with mod_auth_openidc, for a page that others protect");
    let places = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"];
    if places.iter().any(|folder| Path::new(folder).join("mod_auth_openidc.so").exists()) {
        return Ok(());
    }
    if !in_path("apt-get") || !is_root() {
        return Err("Apache with mod_auth_openidc is needed.\n       Debian and Ubuntu: apt-get install apache2-bin \
                    libapache2-mod-auth-openidc\n       Fedora: dnf install httpd mod_auth_openidc"
            .to_owned());
    }
    println!("    not found; installing it with apt-get");
    apt_get(&["update"])?;
    // Not `apache2`: that one starts a server on every address.
    apt_get(&["install", "-y", "--no-install-recommends", "apache2-bin", "libapache2-mod-auth-openidc"])
}
