//! Libraries of other languages verify our tokens by nothing but the issuer's address: PyJWT and jose.
//!
//! They are installed once, pinned, into cargo's folder for test files; that needs the network the first time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::process::Command;
use tokio::sync::OwnedMutexGuard;

use crate::world::in_world;

const PYJWT: &str = "PyJWT[crypto]==2.10.1";
const JOSE: &str = "jose@6.2.1";

/// A program of somebody else's libraries, before its arguments.
pub(crate) struct Verifier {
    program: PathBuf,
    script: PathBuf,
}

impl Verifier {
    async fn judges(&self, jwks_url: &str, issuer: &str, token: &str) -> Output {
        self.run(&[jwks_url, issuer, token]).await
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.expect("the verifier runs")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(&self.script).args(arguments).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign").join(name)
}

pub(crate) async fn done(command: &mut Command, advice: &str) {
    match command.output().await {
        Err(error) => panic!("{command:?} does not start ({error}): {advice}"),
        Ok(output) => assert!(output.status.success(), "{command:?}: {}\n{advice}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// A folder that is filled once; its name holds what is in it, so that another version gets another one. Whoever holds the guard is alone
/// with it: tests that run at the same time may want the same packages.
pub(crate) async fn shelf(name: &str) -> (PathBuf, PathBuf, OwnedMutexGuard<()>) {
    static SHELVES: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>> = Mutex::new(BTreeMap::new());
    let shelf = Arc::clone(SHELVES.lock().expect("nobody panicked with it").entry(name.to_owned()).or_default());
    let alone = shelf.lock_owned().await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let ready = folder.join("ready");
    (folder, ready, alone)
}

async fn pyjwt() -> Verifier {
    python_with("pyjwt-2.10.1", &[PYJWT], "verify.py").await
}

/// One of the Python programs in `foreign`, with these packages.
pub(crate) async fn python_with(name: &str, packages: &[&str], program: &str) -> Verifier {
    let (folder, ready, _alone) = shelf(name).await;
    if !ready.exists() {
        let advice = "install python3 with its venv module (Debian: python3 python3-venv), and let pip reach the package index";
        done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder), advice).await;
        let mut pip = Command::new(folder.join("bin/pip"));
        done(pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(packages), advice).await;
        std::fs::write(&ready, "").expect("a writable folder");
    }
    Verifier { program: folder.join("bin/python"), script: script(program) }
}

/// Runs one of the Python programs in `foreign`, with a library for cryptography at hand.
pub(crate) async fn python(program: &str, arguments: &[&str]) -> Output {
    Verifier { script: script(program), ..pyjwt().await }.run(arguments).await
}

async fn jose() -> Verifier {
    node_with("jose-6.2.1", &[JOSE], "verify.mjs").await
}

/// One of the programs for Node.js in `foreign`, with these packages.
pub(crate) async fn node_with(name: &str, packages: &[&str], program: &str) -> Verifier {
    let (folder, ready, _alone) = shelf(name).await;
    let advice = "install Node.js 20 or later with npm (Debian: nodejs npm), and let npm reach its registry";
    if !ready.exists() {
        std::fs::create_dir_all(&folder).expect("a writable folder");
        let mut npm = Command::new("npm");
        done(npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--silent"]).args(packages).arg("--prefix").arg(&folder), advice)
            .await;
        std::fs::write(&ready, "").expect("a writable folder");
    }
    done(Command::new("node").arg("--version"), advice).await;
    // Another test may be running the copy that is there.
    let (copy, fresh) = (folder.join(program), folder.join(format!("fresh-{program}")));
    std::fs::copy(script(program), &fresh).expect("a writable folder");
    std::fs::rename(&fresh, &copy).expect("a writable folder");
    Verifier { program: "node".into(), script: copy }
}

fn accepts_ours_before_and_after_an_emergency(verifier: impl AsyncFnOnce() -> Verifier) {
    in_world(async |world| {
        let verifier = verifier().await;
        world.tenant("acme").await;
        world.tenant("globex").await;
        let alice = world.alice("acme").await;
        let issuer = format!("{}/t/acme", world.base_url);
        let jwks_url = format!("{issuer}/.well-known/jwks.json");
        let verdict = async |token: &str| {
            let output = verifier.judges(&jwks_url, &issuer, token).await;
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success().then_some(said).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
        };
        assert_eq!(verdict(&alice.access_token).await.as_ref(), Ok(&alice.user));
        let foreign = world.alice("globex").await;
        assert!(verdict(&foreign.access_token).await.is_err(), "another tenant's token");

        world.platform_admin().post("/admin/v1/tenants/acme/keys/rotate", json!({ "emergency": true })).await.is(202);
        assert!(verdict(&alice.access_token).await.is_err(), "a token of a revoked key");
        let next = world.refresh("acme", &alice.refresh_token).await.is(200).word("access_token");
        assert_eq!(verdict(&next).await.as_ref(), Ok(&alice.user));
    });
}

#[test]
fn pyjwt_accepts_our_tokens_also_after_an_emergency() {
    accepts_ours_before_and_after_an_emergency(pyjwt);
}

#[test]
fn jose_accepts_our_tokens_also_after_an_emergency() {
    accepts_ours_before_and_after_an_emergency(jose);
}
