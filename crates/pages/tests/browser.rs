//! The pages in a real browser: axe-core finds nothing, the policies stop nothing, nothing is wider than a telephone.
//!
//! Needs Chromium and Node.js 20; the two libraries are installed once, pinned, into cargo's folder for test files.

use std::path::Path;
use std::process::Command;

#[path = "../examples/gallery/write.rs"]
mod write;

const LIBRARIES: [&str; 2] = ["puppeteer-core@24.43.1", "axe-core@4.14.1"];

fn done(command: &mut Command, advice: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start ({error}): {advice}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}\n{advice}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn in_chromium_axe_finds_nothing_and_no_page_is_wider_than_a_telephone() {
    let shelf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("axe-4.14.1");
    let ready = shelf.join("ready");
    if !ready.exists() {
        std::fs::create_dir_all(&shelf).expect("a writable folder");
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--silent"]).args(LIBRARIES).arg("--prefix").arg(&shelf);
        done(&mut npm, "install Node.js 20 or later with npm (Debian: nodejs npm), and let npm reach its registry");
        std::fs::write(&ready, "").expect("a writable folder");
    }
    let script = shelf.join("browser.mjs");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser.mjs"), &script).expect("a writable folder");
    let gallery = shelf.join("gallery");
    write::gallery(&gallery).expect("a writable folder");
    let chromium = std::env::var_os("CHROMIUM").unwrap_or_else(|| "chromium".into());
    let found = done(Command::new(&chromium).arg("--version"), "install Chromium (Debian: chromium), or name it in CHROMIUM");
    let path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(&chromium))
        .find(|file| file.is_file())
        .unwrap_or_else(|| chromium.into());
    let said = done(Command::new("node").arg(&script).arg(&gallery).arg(&path), &found);
    assert!(said.contains("nothing wrong"), "{said}");
}
