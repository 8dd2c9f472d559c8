//! A clock that is wrong: libfaketime, loaded into the real program, tells it what a file says.
//!
//! Invariant: only the time of day is told wrong. What measures how long something took goes on as it does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// What a process takes for the time of day, while it runs.
#[derive(Debug)]
pub(crate) struct WrongClock {
    folder: TempDir,
}

impl WrongClock {
    /// So many seconds ahead, or behind.
    pub(crate) fn off_by(seconds: i64) -> Self {
        let clock = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        clock.set(seconds);
        clock
    }

    /// Jumps: from now on it is so many seconds ahead, or behind.
    pub(crate) fn set(&self, seconds: i64) {
        // Renamed into its place, so that nobody reads half of it.
        let new = self.folder.path().join("new");
        std::fs::write(&new, format!("{seconds:+}s")).expect("written");
        std::fs::rename(new, self.file()).expect("renamed");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    /// Has the process go by this clock.
    pub(crate) fn tells(&self, command: &mut Command) {
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", self.file());
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

/// The library, wherever the distribution keeps it.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
        let inside = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
        let mut libraries = folders.into_iter().chain(inside).map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
        libraries
            .find(|library| library.exists())
            .expect("libfaketime: `apt-get install libfaketime`, or run the tests by `cargo xtask test`")
    })
}
