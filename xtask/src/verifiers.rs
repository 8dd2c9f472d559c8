//! Sees to it that the verifiers others wrote can run: Python with its venv module, Node.js with npm, and a browser for the pages.
//!
//! Invariant: nothing is installed into the system's Python or Node; the tests make folders of their own.

use std::process::Command;

use crate::postgres::{apt_get, in_path, is_root};

/// Installs what is missing where that is allowed (Debian, root).
///
/// # Errors
/// A text for the person at the terminal: what is missing and what to do.
pub(crate) fn ensure() -> Result<(), String> {
    let mut missing = Vec::new();
    if !runs("python3", &["-c", "import ensurepip, venv"]) {
        missing.extend(["python3", "python3-venv"]);
    }
    if !runs("node", &["--version"]) || !runs("npm", &["--version"]) {
        missing.extend(["nodejs", "npm"]);
    }
    if std::env::var_os("CHROMIUM").is_none() && !in_path("chromium") {
        missing.push("chromium");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let words = missing.join(" ");
    if !in_path("apt-get") || !is_root() {
        return Err(format!(
            "Python 3 with its venv module, Node.js with npm, and Chromium are needed.\n       Debian and Ubuntu: apt-get install {words}"
        ));
    }
    println!("    installing {words} with apt-get");
    apt_get(&["update"])?;
    apt_get(&[&["install", "-y"], missing.as_slice()].concat())
}

fn runs(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}
