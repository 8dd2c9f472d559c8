//! `cargo xtask tidy`: gathers the facts that [`crate::rules`] judges, and prints every breach.
//!
//! Facts come from `cargo metadata`, `cargo tree`, the manifests and the sources of the workspace; licences and the like are cargo-deny's.
//!
//! Invariant: nothing is changed, and nothing but the first error of the environment stops the gathering early.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::rules::{self, Arrow, Breach, Kind, TestCode};
use crate::{cargo, deny};

/// Checks all rules; fails when one is broken.
pub(crate) fn run() -> ExitCode {
    match breaches() {
        Ok(breaches) if breaches.is_empty() => {
            println!("tidy: all rules hold");
            ExitCode::SUCCESS
        }
        Ok(breaches) => {
            for breach in &breaches {
                println!("{breach}");
            }
            println!("tidy: {} to mend", breaches.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn breaches() -> Result<Vec<Breach>, String> {
    let metadata = MetadataCommand::new().no_deps().exec().map_err(|error| format!("cargo metadata: {error}"))?;
    let members = metadata.workspace_packages();
    let root = metadata.workspace_root.as_std_path();

    let mut breaches = dependencies(&members);
    for member in &members {
        let path = member.manifest_path.as_std_path();
        breaches.extend(rules::manifest(&shown(path, root), &read(path)?));
    }
    breaches.extend(rules::tree(&normal_tree()?));
    breaches.extend(sources(&members, root)?);
    breaches.extend(deny::breaches()?);
    Ok(breaches)
}

/// The arrows between our crates, and from ours to the third-party ones that have a home.
fn dependencies(members: &[&Package]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for member in members {
        for dependency in &member.dependencies {
            let kind = match dependency.kind {
                DependencyKind::Development => Kind::Dev,
                DependencyKind::Build => Kind::Build,
                // `Unknown` is a kind that a later cargo invents: judged by the strictest rule.
                DependencyKind::Normal | DependencyKind::Unknown => Kind::Normal,
            };
            let arrow = Arrow { from: member.name.as_str(), to: dependency.name.as_str(), kind };
            let is_ours = members.iter().any(|other| other.name.as_str() == arrow.to) && dependency.path.is_some();
            if is_ours {
                breaches.extend(rules::arrow(arrow));
            } else {
                breaches.extend(rules::third_party(arrow));
            }
        }
    }
    breaches
}

/// All crates that are built into a product of the workspace on this platform, one a line.
fn normal_tree() -> Result<String, String> {
    let output = cargo()
        .args(["tree", "--workspace", "--locked", "--edges", "normal", "--prefix", "none"])
        .output()
        .map_err(|error| format!("cargo tree did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn sources(members: &[&Package], root: &Path) -> Result<Vec<Breach>, String> {
    let mut breaches = Vec::new();
    for member in members {
        let manifest = member.manifest_path.as_std_path();
        let folder = manifest.parent().unwrap_or(root);
        let is_test_crate = member.name.as_str() == "tests";
        let is_product = member.name.as_str() != "xtask" && !is_test_crate;
        for path in rust_files(folder)? {
            let place = shown(&path, root);
            let text = read(&path)?;
            let in_crate = path.strip_prefix(folder).unwrap_or(&path);
            if is_product && in_crate.starts_with("src") {
                breaches.extend(rules::header(&place, &text));
            }
            let part = if is_test_crate || is_test_file(in_crate) { TestCode::Whole } else { TestCode::Module };
            breaches.extend(rules::sleeps(&place, &text, part));
        }
    }
    Ok(breaches)
}

/// Whether a file below a crate's folder holds nothing but tests.
fn is_test_file(in_crate: &Path) -> bool {
    in_crate.file_name().is_some_and(|name| name == "tests.rs") || in_crate.components().any(|part| part.as_os_str() == "tests")
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                // Neither build output nor what other package managers unpack.
                if !matches!(entry.file_name().to_str(), Some("target" | "node_modules" | ".venv")) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
