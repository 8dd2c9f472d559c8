//! A pair of PostgreSQL servers of the test's own that Patroni keeps: synchronous and strict about it, with an etcd to agree by, and an
//! HAProxy that leads to whichever is the primary. All of it on loopback, in temporary folders, and gone when the process is.
//!
//! Enter at [`Pair::start`]. The file for HAProxy is the one that the handbook shows.
//!
//! Invariant: a commit that was acknowledged is on both servers, or on the one that is left.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::postgres::{APP_ROLE, as_nobody, find_bin};

/// What to install where something is missing.
pub const MISSING: &str =
    "Patroni, etcd or HAProxy is not installed, and this test needs real ones: `apt-get install patroni etcd-server haproxy`";
/// The first start makes a database, copies it and makes the copy a synchronous standby.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How long anything may take that becomes of a pair once something has happened to it.
const PATIENCE: Duration = Duration::from_secs(90);
const NAMES: [&str; 2] = ["a", "b"];

/// Runs a program, kills it and starts it again as it is told, and kills it at the end; where it looks after a PostgreSQL, that one, too.
const WATCHDOG: &str = r#"
home=$1; shift
up() { "$@" >>"$home/log" 2>&1 </dev/null & it=$!; }
down() {
    kill -KILL $it; wait $it; it=
    [ -f "$home/data/postmaster.pid" ] || return
    postmaster=$(head -n 1 "$home/data/postmaster.pid")
    case $(ps -o comm= -p "$postmaster") in postgres*) kill -KILL "$postmaster" ;; esac
}
up "$@"
while read -r order; do
    case $order in
        kill) down; echo killed ;;
        start) up "$@"; echo started ;;
    esac
done
[ -z "$it" ] || down
rm -rf "$home"
"#;

/// A program in a folder of its own. Dropping it ends it.
#[derive(Debug)]
struct Kept {
    home: PathBuf,
    shell: Child,
    says: BufReader<ChildStdout>,
}

impl Kept {
    /// Starts `words` in a new folder, in which `prepare` may put something first and whose path it is given.
    fn start(name: &str, prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let (prefix, owner) = as_nobody();
        // Removed by the watchdog.
        let home = tempfile::Builder::new().prefix(&format!("claviger-{name}-")).tempdir().expect("a temporary folder").keep();
        let words = prepare(&home);
        if let Some(owner) = owner {
            let status = Command::new("chown").arg("-R").arg(owner).arg(&home).status();
            assert!(status.is_ok_and(|status| status.success()), "chown of {}", home.display());
        }
        let mut shell = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&home)
            .args(prefix)
            .args(words)
            .current_dir(&home)
            .env("HOME", &home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let says = BufReader::new(shell.stdout.take().expect("a pipe"));
        Self { home, shell, says }
    }

    fn order(&mut self, word: &str) {
        writeln!(self.shell.stdin.as_mut().expect("a pipe"), "{word}").expect("the watchdog listens");
        self.says.read_line(&mut String::new()).expect("the watchdog answers");
    }

    /// The end of its log.
    fn log(&self) -> String {
        let log = std::fs::read(self.home.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // An error says that it is gone.
        let _ = self.shell.wait();
    }
}

/// One of the two.
#[derive(Debug)]
struct Server {
    patroni: Kept,
    port: u16,
    rest: u16,
}

/// See the module. Dropping it ends all of it.
#[derive(Debug)]
pub struct Pair {
    bin: PathBuf,
    // The servers go first, so that nobody looks for the others in vain.
    servers: [Server; 2],
    proxy: Kept,
    door: u16,
    etcd: Kept,
}

/// Which of the two.
pub type Which = usize;

impl Pair {
    /// Starts everything and waits until the pair is whole. Blocks.
    ///
    /// # Panics
    /// When something is not installed, with the words what to install.
    pub fn start() -> Self {
        let bin = find_bin().expect(crate::postgres::MISSING);
        let [patroni, etcd_program, haproxy] = ["patroni", "etcd", "haproxy"].map(|name| find(name).expect(MISSING).display().to_string());
        let [agreed, peers, door] = free_ports();
        let etcd = Kept::start("etcd", |home| {
            let (here, there) = (format!("http://127.0.0.1:{agreed}"), format!("http://127.0.0.1:{peers}"));
            let data = home.join("etcd").display().to_string();
            [
                &etcd_program,
                "--data-dir",
                &data,
                "--listen-client-urls",
                &here,
                "--advertise-client-urls",
                &here,
                "--listen-peer-urls",
                &there,
                "--initial-advertise-peer-urls",
                &there,
                "--initial-cluster",
                &format!("default={there}"),
            ]
            .map(str::to_owned)
            .to_vec()
        });
        let servers = NAMES.map(|name| {
            let [port, rest] = free_ports();
            let patroni = Kept::start("patroni", |home| {
                let file = home.join("patroni.yml");
                // JSON is YAML.
                std::fs::write(&file, settings(name, home, &bin, port, rest, agreed).to_string()).expect("written");
                vec![patroni.clone(), file.display().to_string()]
            });
            Server { patroni, port, rest }
        });
        let proxy = Kept::start("haproxy", |home| {
            let file = home.join("haproxy.cfg");
            std::fs::write(&file, leading(door, &servers)).expect("written");
            vec![haproxy, "-db".to_owned(), "-f".to_owned(), file.display().to_string()]
        });
        let pair = Self { bin, servers, proxy, door, etcd };
        pair.until_whole_within(START_PATIENCE);
        pair.psql(pair.primary().expect("it is whole"), &format!("CREATE ROLE {APP_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS")).expect("a role");
        pair
    }

    /// Makes an empty database; answers its URL, which leads to the primary of the moment. Blocks.
    ///
    /// # Panics
    /// When there is no primary.
    pub fn fresh_database(&self) -> String {
        let name = format!("t{}", crate::sample::next());
        self.psql(self.primary().expect("a primary"), &format!("CREATE DATABASE {name} OWNER {APP_ROLE}")).expect("a new database");
        format!("postgres://{APP_ROLE}@127.0.0.1:{}/{name}", self.door)
    }

    /// The one that Patroni says is the primary.
    pub fn primary(&self) -> Option<Which> {
        (0..2).find(|which| self.ask(*which, "GET", "/primary", "").is_some_and(|(status, _)| status == 200))
    }

    /// Whether a server answers and is in recovery, so that nobody can write there. Blocks.
    pub fn is_in_recovery(&self, which: Which) -> bool {
        self.psql(which, "SELECT pg_is_in_recovery()").is_ok_and(|answer| answer == "t")
    }

    /// SIGKILL for a PostgreSQL and its Patroni: what the loss of a machine looks like. Blocks.
    pub fn kill(&mut self, which: Which) {
        self.servers[which].patroni.order("kill");
    }

    /// Starts the Patroni of one that was killed, with the data of then. Blocks.
    pub fn start_again(&mut self, which: Which) {
        self.servers[which].patroni.order("start");
    }

    /// SIGKILL for etcd: nobody can agree about anything. Blocks.
    pub fn kill_etcd(&mut self) {
        self.etcd.order("kill");
    }

    /// Blocks.
    pub fn start_etcd_again(&mut self) {
        self.etcd.order("start");
    }

    /// Asks for another primary, as an operator does before maintenance. Blocks until it is.
    ///
    /// # Panics
    /// When Patroni refuses.
    pub fn switch_over(&self, from: Which) {
        let body = json!({ "leader": NAMES[from], "candidate": NAMES[1 - from] }).to_string();
        let (status, text) = self.ask(from, "POST", "/switchover", &body).expect("an answer");
        assert_eq!(status, 200, "{text}");
    }

    /// Waits until the other one is the primary. Blocks.
    ///
    /// # Panics
    /// When it does not become one.
    pub fn until_primary(&self, which: Which) {
        self.until("another primary", PATIENCE, || self.primary() == Some(which) && !self.is_in_recovery(which));
    }

    /// Waits until there is a primary and a synchronous standby. Blocks.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn until_whole(&self) {
        self.until_whole_within(PATIENCE);
    }

    fn until_whole_within(&self, patience: Duration) {
        const SYNCHRONOUS: &str = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND NOT pg_is_in_recovery()";
        self.until("a primary with a synchronous standby", patience, || {
            self.primary().is_some_and(|primary| {
                // What PostgreSQL does, and what Patroni has written down: only the standby that it names there may take over.
                self.psql(primary, SYNCHRONOUS).is_ok_and(|count| count == "1")
                    && self.ask(primary, "GET", "/cluster", "").is_some_and(|(_, members)| members.contains("sync_standby"))
            })
        });
    }

    /// Waits until a server that has lost its office is in recovery. Blocks.
    ///
    /// # Panics
    /// When it goes on as a primary.
    pub fn until_demoted(&self, which: Which) {
        self.until("the end of an office", PATIENCE, || self.is_in_recovery(which));
    }

    fn until(&self, what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let logs = || self.servers.each_ref().map(|server| server.patroni.log()).join("\n--\n");
            assert!(begun.elapsed() < patience, "no {what}:\n{}\n--\n{}\n--\n{}", logs(), self.proxy.log(), self.etcd.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs one statement as the superuser.
    fn psql(&self, which: Which, sql: &str) -> Result<String, String> {
        let port = self.servers[which].port.to_string();
        let output = Command::new(self.bin.join("psql"))
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", "postgres", "-qXAt", "-c", sql])
            .env("PGCONNECT_TIMEOUT", "2")
            .output()
            .map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Asks a Patroni; `None`: no answer.
    fn ask(&self, which: Which, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut line = TcpStream::connect((Ipv4Addr::LOCALHOST, self.servers[which].rest)).ok()?;
        line.set_read_timeout(Some(PATIENCE)).ok()?;
        let length = body.len();
        write!(line, "{method} {path} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").ok()?;
        let mut text = String::new();
        line.read_to_string(&mut text).ok()?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        Some((status, text))
    }
}

fn settings(name: &str, home: &Path, bin: &Path, port: u16, rest: u16, etcd: u16) -> Value {
    let (at, rest) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{rest}"));
    json!({
        "scope": "claviger",
        "name": name,
        "restapi": { "listen": rest, "connect_address": rest },
        "etcd3": { "hosts": [format!("127.0.0.1:{etcd}")] },
        "bootstrap": {
            // As quick as Patroni can be; as it comes, it takes three times as long.
            "dcs": {
                "ttl": 10,
                "loop_wait": 1,
                "retry_timeout": 3,
                "synchronous_mode": true,
                "synchronous_mode_strict": true,
                "postgresql": { "use_pg_rewind": true, "parameters": { "wal_log_hints": "on", "max_connections": 200 } },
            },
            "initdb": [{ "encoding": "UTF8" }, { "locale": "C" }, { "auth": "trust" }],
        },
        "postgresql": {
            "listen": at,
            "connect_address": at,
            "data_dir": home.join("data"),
            "bin_dir": bin,
            "pgpass": home.join("pgpass"),
            "remove_data_directory_on_rewind_failure": true,
            "remove_data_directory_on_diverged_timelines": true,
            "authentication": { "superuser": { "username": "postgres" }, "replication": { "username": "postgres" } },
            "parameters": { "unix_socket_directories": home },
            "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
        },
    })
}

/// The handbook's file for HAProxy, with these addresses in it.
fn leading(door: u16, servers: &[Server; 2]) -> String {
    let [a, b] = servers.each_ref().map(|server| (server.port, server.rest));
    include_str!("../../../deploy/haproxy.cfg")
        .replace("bind :5432", &format!("bind 127.0.0.1:{door}"))
        .replace("a.internal:5432 check port 8008", &format!("127.0.0.1:{} check port {}", a.0, a.1))
        .replace("b.internal:5432 check port 8008", &format!("127.0.0.1:{} check port {}", b.0, b.1))
}

/// Different ones.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    // All are taken until all are known.
    let taken = [(); COUNT].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    taken.map(|free| free.local_addr().expect("an address").port())
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian puts some of them, which is not in everybody's PATH.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}
