//! A disk that keeps what was flushed, and of the rest whatever it likes: what a power cut leaves of SQLite's files.
//!
//! SIGKILL alone shows nothing of that, because the operating system goes on. So a library (`power.c`) that is loaded into the real
//! program copies each file when it is flushed, and when the power is cut each page that is not as it was then is the old one or the new one, by chance.
//!
//! Invariant: every page is in a state that it has had since its file was last flushed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::chance::Chance;

/// SQLite's files are of pages of this size, or of records that lie across them.
const PAGE: usize = 4_096;

/// What the files were like when they were last flushed.
#[derive(Debug)]
pub(crate) struct Power {
    flushed: TempDir,
}

impl Power {
    pub(crate) fn new() -> Self {
        Self { flushed: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Has a program remember what it has flushed.
    pub(crate) fn watches(&self, command: &mut Command) {
        command.env("LD_PRELOAD", library()).env("CLAVIGER_FAULTS_FLUSHED", self.flushed.path());
    }

    /// From now on the disk fails whoever wants to flush.
    pub(crate) fn breaks_the_disk(&self) {
        std::fs::write(self.flushed.path().join("broken"), "").expect("writable");
    }

    pub(crate) fn mends_the_disk(&self) {
        std::fs::remove_file(self.flushed.path().join("broken")).expect("it was broken");
    }

    /// What is there before a start is on the disk.
    pub(crate) fn is_on(&self, data: &Path) {
        for old in files(self.flushed.path()) {
            std::fs::remove_file(old).expect("removable");
        }
        for file in files(data) {
            std::fs::copy(&file, self.copy_of(&file)).expect("copied");
        }
    }

    /// After the process was killed: what was not flushed may be lost. Answers how many pages were.
    pub(crate) fn is_cut(&self, data: &Path, chance: &Chance) -> usize {
        let mut lost = 0;
        // Nothing of it, everything, or some.
        let fate = chance.below(4);
        for file in files(data) {
            let written = std::fs::read(&file).expect("readable");
            let flushed = std::fs::read(self.copy_of(&file)).unwrap_or_default();
            let is_kept = || fate == 1 || (fate > 1 && chance.below(2) == 0);
            let length = if is_kept() { written.len() } else { flushed.len() };
            let mut left = Vec::with_capacity(length);
            while left.len() < length {
                let page = left.len()..length.min(left.len() + PAGE);
                let (old, new) = (of(&flushed, &page), of(&written, &page));
                let is_lost = old != new && !is_kept();
                lost += usize::from(is_lost);
                left.extend(if is_lost { old } else { new });
            }
            lost += usize::from(written.len() > length);
            std::fs::write(&file, left).expect("writable");
        }
        // What it says is told anew by the first who comes.
        std::fs::remove_file(data.join("claviger.db-shm")).ok();
        lost
    }

    fn copy_of(&self, file: &Path) -> PathBuf {
        self.flushed.path().join(file.file_name().expect("a file"))
    }
}

/// A part of a file; where it ends before, there are zeros.
fn of(file: &[u8], part: &std::ops::Range<usize>) -> Vec<u8> {
    let mut bytes = file.get(part.start..part.end.min(file.len())).unwrap_or_default().to_vec();
    bytes.resize(part.len(), 0);
    bytes
}

/// The database's files in a folder, without what is only in memory.
fn files(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("readable").path());
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    all.filter(|path| name(path).starts_with("claviger.db") && !name(path).ends_with("-shm")).collect()
}

/// Built once for each run of the tests.
fn library() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let library = folder.path().join("power.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/faults/power.c");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).args([source, "-ldl"]).output();
        let built = built.expect("a C compiler, which SQLite needs as well");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        (folder, library)
    });
    library
}
