//! A PostgreSQL server of the test's own: made on first use, shared by the process, gone when the process is.
//!
//! A shell starts the server and waits for the end of its standard input, which comes when this process ends, however it
//! ends. (`PR_SET_PDEATHSIG` would not do: it fires when the *thread* ends that started the server.)
//!
//! Invariant: tests connect as a role that is no superuser, so that row-level security applies.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const MISSING: &str = "PostgreSQL is not installed, and these tests need a real one: `apt-get install postgresql` (or put initdb, postgres \
                       and psql into PATH)";
const APP_ROLE: &str = "claviger_test";
const START_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Server {
    bin: PathBuf,
    port: u16,
    /// Its standard input is what keeps the server alive.
    _watchdog: Child,
}

/// A fresh, empty database; answers its URL.
///
/// # Panics
/// When there is no PostgreSQL, with the words what to install.
pub async fn fresh_database() -> String {
    tokio::task::spawn_blocking(|| {
        static SERVER: OnceLock<Server> = OnceLock::new();
        let server = SERVER.get_or_init(start);
        let name = format!("t{}", crate::sample::next());
        server.psql(&format!("CREATE DATABASE {name} OWNER {APP_ROLE}")).expect("a new database");
        format!("postgres://{APP_ROLE}@127.0.0.1:{}/{name}", server.port)
    })
    .await
    .expect("PostgreSQL starts")
}

impl Server {
    /// Runs one statement as the superuser.
    fn psql(&self, sql: &str) -> Result<(), String> {
        let output = Command::new(self.bin.join("psql"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "-d", "postgres", "-qXAt", "-c", sql])
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

/// The folder with initdb, postgres and psql; the newest version when there are several.
fn find_bin() -> Option<PathBuf> {
    let is_complete = |bin: &Path| ["initdb", "postgres", "psql"].iter().all(|tool| bin.join(tool).exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut packaged: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin")).collect();
    packaged.sort_by_key(|bin| bin.parent().and_then(|version| version.file_name()?.to_str()?.parse::<u32>().ok()));
    std::env::split_paths(&path).chain(packaged.into_iter().rev()).find(|bin| is_complete(bin))
}

/// What to put before a command so that it does not run as root, which PostgreSQL refuses; and the user to own its files.
fn as_nobody() -> (Vec<String>, Option<String>) {
    let id = |args: &[&str]| {
        let output = Command::new("id").args(args).stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if id(&["-u"]).as_deref() != Some("0") {
        return (Vec::new(), None);
    }
    let user = ["postgres", "nobody"].into_iter().find(|user| id(&["-u", user]).is_some()).expect("a user that is not root");
    let group = id(&["-g", user]).expect("its group");
    let words = ["setpriv", "--reuid", user, "--regid", &group, "--clear-groups", "--"];
    (words.map(str::to_owned).to_vec(), Some(format!("{user}:{group}")))
}

fn start() -> Server {
    let bin = find_bin().expect(MISSING);
    let (prefix, owner) = as_nobody();
    // Removed by the watchdog.
    let home = tempfile::Builder::new().prefix("claviger-pg-").tempdir().expect("a temporary folder").keep();
    if let Some(owner) = owner {
        let status = Command::new("chown").arg(owner).arg(&home).status();
        assert!(status.is_ok_and(|status| status.success()), "chown of {}", home.display());
    }
    let data = home.join("data");
    let run = |tool: &str| {
        let mut words = prefix.clone();
        words.push(bin.join(tool).display().to_string());
        words
    };

    let initdb = run("initdb");
    let made = Command::new(&initdb[0])
        .args(&initdb[1..])
        .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"])
        .arg(&data)
        .current_dir(&home)
        .output()
        .expect("initdb runs");
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));

    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr()).expect("a free port").port();
    let script = r#"home=$1; shift; "$@" >"$home.log" 2>&1 & server=$!; cat >/dev/null; kill -QUIT $server; wait $server; rm -rf "$home" "$home.log""#;
    let watchdog = Command::new("sh")
        .args(["-c", script, "watchdog"])
        .arg(&home)
        .args(run("postgres"))
        .arg("-D")
        .arg(&data)
        .args(["-F", "-h", "127.0.0.1", "-p", &port.to_string(), "-c", "unix_socket_directories=", "-c", "max_connections=200"])
        .current_dir(&home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh runs");
    let server = Server { bin, port, _watchdog: watchdog };

    let begun = Instant::now();
    while let Err(error) = server.psql(&format!("CREATE ROLE {APP_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS")) {
        assert!(begun.elapsed() < START_PATIENCE, "PostgreSQL did not start: {error}; its log is {}.log", home.display());
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}
