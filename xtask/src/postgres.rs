//! Finds the PostgreSQL server binaries, or installs them where that is allowed (Debian, root).
//!
//! Invariant: no server is started or configured here; the tests start their own, in a temporary folder.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest PostgreSQL that the tests are meant for.
const OLDEST: u32 = 15;

/// A folder that holds `postgres` and `initdb`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) bin: PathBuf,
    pub(crate) major: u32,
}

/// The newest server that is here; installs one when there is none.
///
/// # Errors
/// A text for the person at the terminal: what is missing and what to do.
pub(crate) fn ensure() -> Result<Found, String> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let advice = format!(
        "PostgreSQL {OLDEST} or newer is needed (its server binaries `postgres` and `initdb`) and was found neither in PATH nor in \
         /usr/lib/postgresql/*/bin.\n       Debian and Ubuntu: apt-get install postgresql\n       Fedora: dnf install postgresql-server\n       \
         macOS: brew install postgresql@{OLDEST}\n       Elsewhere: install it and put its bin folder into PATH."
    );
    if !in_path("apt-get") || !is_root() {
        return Err(advice);
    }
    println!("    not found; installing it with apt-get");
    apt_get(&["update"])?;
    apt_get(&["install", "-y", "postgresql"])?;
    find().ok_or_else(|| format!("apt-get installed postgresql, but it is not new enough or not where it was expected.\n       {advice}"))
}

fn find() -> Option<Found> {
    candidates()
        .into_iter()
        .filter_map(|bin| version_in(&bin).map(|major| Found { bin, major }))
        .filter(|found| found.major >= OLDEST)
        .max_by_key(|found| found.major)
}

fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders.retain(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file());
    folders
}

fn version_in(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

/// The major version in what `postgres --version` says, such as `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major(words: &str) -> Option<u32> {
    let number = words.split_once("(PostgreSQL)")?.1.trim_start();
    number.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

pub(crate) fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

pub(crate) fn apt_get(args: &[&str]) -> Result<(), String> {
    let words = args.join(" ");
    println!("    $ apt-get {words}");
    match Command::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`apt-get {words}` failed ({status}); run it by hand, then try again")),
        Err(error) => Err(format!("`apt-get {words}` did not start: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("postgres (PostgreSQL) devel"), None);
        assert_eq!(major("something else"), None);
    }
}
