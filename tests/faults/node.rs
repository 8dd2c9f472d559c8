//! The program as an operator runs it: a folder, settings in the environment, a process that logs to standard error.
//!
//! Invariant: the program is built anew before the first use, so that no test passes with an old one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::oneshot;

use crate::caller::Caller;
use crate::chance::Chance;
use crate::clock::WrongClock;
use crate::power::Power;

/// Long enough for a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(60);
const KEK: &str = "claviger-kek-1:faults:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n";
const OTHER_KEK: &str = "claviger-kek-1:faults-2:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA";

/// An installation: what is there while no process runs.
#[derive(Debug)]
pub(crate) struct Site {
    folder: TempDir,
    settings: BTreeMap<&'static str, String>,
    /// Where it may be cut.
    power: Option<Power>,
}

/// A process that serves.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    pub(crate) url: String,
    pub(crate) management_url: String,
    log: Log,
}

type Log = Arc<Mutex<Vec<String>>>;

/// A process that ended instead of serving.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
}

impl Site {
    /// With a SQLite database, and the key-encryption key that a first start makes.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let url = format!("sqlite:{}", data.join("claviger.db").display());
        let mut site = Self { folder, settings: BTreeMap::new(), power: None };
        for (setting, value) in [
            ("SERVER__PUBLIC_ADDR", "127.0.0.1:0"),
            ("SERVER__MANAGEMENT_ADDR", "127.0.0.1:0"),
            // The same after each start, unlike the port.
            ("SERVER__BASE_URL", "http://id.test"),
            ("SERVER__WORKERS", "2"),
            ("SERVER__TRUSTED_PROXIES", "127.0.0.1"),
            ("KEYS__SWEEP_INTERVAL_SECONDS", "1"),
            ("KEYS__CLOCK_SKEW_SECONDS", "0"),
            ("KEYS__RSA_POOL", "0"),
            ("HASHING__THREADS", "2"),
        ] {
            site.set(setting, value);
        }
        site.set("DATABASE__URL", &url);
        site.set("KEYS__KEK_FILE", &data.join("kek").display().to_string());
        site
    }

    /// Like [`Self::sqlite`], where the power may be cut.
    pub(crate) fn with_power_cuts() -> Self {
        Self { power: Some(Power::new()), ..Self::sqlite() }
    }

    /// When nothing runs any more: the power was cut at that moment, if it can be, and comes back. Answers how many pages were lost.
    pub(crate) fn power_fails(&self, chance: &Chance) -> usize {
        let lost = self.power.as_ref().map_or(0, |power| power.is_cut(&self.data(), chance));
        self.power_is_on();
        lost
    }

    pub(crate) const fn power(&self) -> Option<&Power> {
        self.power.as_ref()
    }

    fn power_is_on(&self) {
        if let Some(power) = &self.power {
            power.is_on(&self.data());
        }
    }

    /// With a PostgreSQL database, and a key-encryption key that somebody has brought.
    pub(crate) fn postgres(url: &str) -> Self {
        let mut site = Self::sqlite();
        site.set("DATABASE__URL", url);
        std::fs::create_dir(site.data()).expect("a folder");
        write_kek(&site.kek(), KEK, 0o600);
        site
    }

    /// Sets `CLAVIGER__{name}`.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.settings.insert(name, value.to_owned());
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn kek(&self) -> PathBuf {
        self.data().join("kek")
    }

    /// The program, to be run with these settings.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().current_dir(self.folder.path()).stdin(Stdio::null());
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(self.settings.iter().map(|(name, value)| (format!("CLAVIGER__{name}"), value)));
        if let Some(power) = &self.power {
            power.watches(&mut command);
        }
        command
    }

    /// Runs a command of the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(program(), arguments).output().expect("the program runs")
    }

    /// Runs a command of the program to its end, with its answer written to `answer`.
    pub(crate) fn run_into(&self, arguments: &[&str], answer: Stdio) -> Output {
        let child = self.command(program(), arguments).stdout(answer).stderr(Stdio::piped()).spawn().expect("the program runs");
        child.wait_with_output().expect("it ends")
    }

    /// Begins a command of the program.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = tokio::process::Command::from(self.command(program(), arguments));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("the program runs")
    }

    /// Makes another key-encryption key the primary one, and keeps the others.
    pub(crate) fn turn_keks(&self) {
        let mut keks: Vec<String> = std::fs::read_to_string(self.kek()).expect("readable").lines().map(str::to_owned).collect();
        if keks.len() == 1 {
            keks.push(OTHER_KEK.to_owned());
        }
        keks.rotate_left(1);
        write_kek(&self.kek(), &(keks.join("\n") + "\n"), 0o600);
    }

    /// A token for the platform's administrator, made beside the running server.
    pub(crate) fn admin_token(&self) -> String {
        printed_by(&mut self.command(program(), &["admin", "token", "--ttl", "24h"]))
    }

    /// Starts the server and waits until it serves.
    #[track_caller]
    pub(crate) fn start(&self) -> impl Future<Output = Node> + '_ {
        let place = std::panic::Location::caller();
        async move { self.try_start().await.unwrap_or_else(|ended| panic!("{place}: the server ended ({}): {}", ended.status, ended.log)) }
    }

    pub(crate) async fn try_start(&self) -> Result<Node, Ended> {
        self.serve(self.command(program(), &["serve"])).await
    }

    /// Starts the server by a clock of its own.
    pub(crate) async fn start_by(&self, clock: &WrongClock) -> Node {
        let mut command = self.command(program(), &["serve"]);
        clock.tells(&mut command);
        self.serve(command).await.unwrap_or_else(|ended| panic!("the server ended ({}): {}", ended.status, ended.log))
    }

    /// Has an administrator make tenants at a server that ran an hour ago: nobody holds a JWKS of theirs from before their policy
    /// any more, so that their keys may be changed within seconds.
    pub(crate) async fn an_hour_ago<T>(&self, make: impl AsyncFnOnce(Caller) -> T) -> T {
        let clock = WrongClock::off_by(-3_600);
        let node = self.start_by(&clock).await;
        let mut command = self.command(program(), &["admin", "token"]);
        clock.tells(&mut command);
        let made = make(node.caller().bearing(&printed_by(&mut command))).await;
        node.stop().await;
        // That server was not watched.
        self.power_is_on();
        made
    }

    /// The usual tenants, by [`Caller::make_tenant`], as of [an hour ago](Self::an_hour_ago).
    pub(crate) async fn tenants_of_an_hour_ago(&self, names: &[&str]) {
        self.an_hour_ago(async |admin| {
            futures_util::future::join_all(names.iter().map(|name| async { admin.of(name).make_tenant().await })).await;
        })
        .await;
    }

    /// Starts the server under a shell's `limits`, such as `ulimit -S -f 100`.
    pub(crate) async fn start_limited(&self, limits: &str) -> Result<Node, Ended> {
        let script = format!("{limits} && exec \"$0\" serve");
        self.serve(self.command("sh", &["-c", &script, program()])).await
    }

    /// Starts the server and kills it when `end` comes.
    pub(crate) async fn start_and_kill(&self, end: impl Future<Output = ()>) {
        let mut child = spawned(self.command(program(), &["serve"]));
        let stderr = child.stderr.take().expect("a pipe");
        let drained = tokio::spawn(async move { tokio::io::copy(&mut BufReader::new(stderr), &mut tokio::io::sink()).await });
        end.await;
        child.kill().await.expect("it can be killed");
        drained.await.expect("drained").expect("drained");
    }

    async fn serve(&self, command: Command) -> Result<Node, Ended> {
        let mut child = spawned(command);
        let log = Log::default();
        let (say, said) = oneshot::channel();
        let stderr = child.stderr.take().expect("a pipe");
        tokio::spawn(follow(stderr, Arc::clone(&log), say));
        match tokio::time::timeout(START_PATIENCE, said).await.unwrap_or_else(|_| panic!("neither serves nor ends: {}", last_of(&log))) {
            Ok((url, management_url)) => Ok(Node { child, url, management_url, log }),
            Err(_) => {
                let status = child.wait().await.expect("it ended");
                Err(Ended { status, log: last_of(&log) })
            }
        }
    }
}

fn printed_by(command: &mut Command) -> String {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn spawned(command: Command) -> Child {
    let mut command = tokio::process::Command::from(command);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("the program runs")
}

/// Keeps the log and says where the server listens once it does.
async fn follow(stderr: tokio::process::ChildStderr, log: Log, say: oneshot::Sender<(String, String)>) {
    let (mut say, mut url) = (Some(say), None);
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains(" serves ") {
            url = line.rsplit_once(" on ").map(|(_, url)| url.to_owned());
        }
        let management = line.split_once("health and metrics: ").and_then(|(_, rest)| rest.split_once("/health/ready"));
        if let (Some((management, _)), Some(url)) = (management, &url)
            && let Some(say) = say.take()
        {
            // Nobody hears it when the test has given up.
            let _ = say.send((url.clone(), management.to_owned()));
        }
        log.lock().expect("nobody panicked with it").push(line);
    }
}

fn last_of(log: &Log) -> String {
    let lines = log.lock().expect("nobody panicked with it");
    lines[lines.len().saturating_sub(40)..].join("\n")
}

impl Node {
    pub(crate) fn caller(&self) -> Caller {
        Caller::new(&self.url)
    }

    pub(crate) fn management(&self) -> Caller {
        Caller::new(&self.management_url)
    }

    /// The last lines of its log.
    pub(crate) fn last_words(&self) -> String {
        last_of(&self.log)
    }

    /// The process, for the tools that take one.
    pub(crate) fn pid(&self) -> String {
        self.child.id().expect("it runs").to_string()
    }

    /// SIGKILL: nothing is finished, nothing is said.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// SIGTERM.
    pub(crate) fn ask_to_stop(&self) {
        let status = Command::new("kill").args(["-TERM", &self.pid()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self, patience: Duration) -> Ended {
        let ended = tokio::time::timeout(patience, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("it does not end: {}", last_of(&self.log))).expect("it ended");
        Ended { status, log: last_of(&self.log) }
    }

    /// Asks it to stop and insists that it did so in order.
    pub(crate) async fn stop(self) {
        self.ask_to_stop();
        let ended = self.ended(Duration::from_secs(60)).await;
        assert!(ended.status.success(), "{}: {}", ended.status, ended.log);
    }
}

pub(crate) fn write_kek(path: &Path, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode is set");
}

/// The program under test: that of `CLAVIGER_BIN`, or what the sources say now.
fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| std::env::var("CLAVIGER_BIN").unwrap_or_else(|_| built()))
}

fn built() -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--locked", "--package", "server", "--bin", "claviger", "--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the program does not build");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(str::to_owned))
        .expect("cargo says where the program is")
}
