//! A PostgreSQL server to throw away: gone when its handle is, at the latest with the process. Tests share one
//! ([`fresh_database`]), made on first use.
//!
//! A shell starts the server and waits for the end of its standard input, which comes when this process ends, however it
//! ends. (`PR_SET_PDEATHSIG` would not do: it fires when the *thread* ends that started the server.)
//!
//! Invariant: whoever uses a database connects as a role that is no superuser, so that row-level security applies.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What to do where [`find_bin`] finds nothing.
pub const MISSING: &str = "PostgreSQL is not installed, and a real one is needed: `apt-get install postgresql` (or put initdb, postgres \
                       and psql into PATH)";
const APP_ROLE: &str = "claviger_test";
const START_PATIENCE: Duration = Duration::from_secs(30);

/// What an acknowledged commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The end of a client, no more: nothing is flushed. For tests.
    None,
    /// A power cut: PostgreSQL as it comes.
    Full,
}

/// A running server. Ends, and takes its files with it, when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    bin: PathBuf,
    port: u16,
    /// Its standard input is what keeps the server alive.
    watchdog: Child,
}

/// A fresh, empty database in the server that the tests of this process share; answers its URL.
///
/// # Panics
/// When there is no PostgreSQL, with the words what to install.
pub async fn fresh_database() -> String {
    tokio::task::spawn_blocking(|| {
        // Never dropped: the end of the process ends it.
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| start(Durability::None)).fresh_database()
    })
    .await
    .expect("PostgreSQL starts")
}

impl Cluster {
    /// A fresh, empty database; answers its URL. Blocks.
    ///
    /// # Panics
    /// When the server is gone.
    pub fn fresh_database(&self) -> String {
        let name = format!("t{}", crate::sample::next());
        self.psql(&format!("CREATE DATABASE {name} OWNER {APP_ROLE}")).expect("a new database");
        format!("postgres://{APP_ROLE}@127.0.0.1:{}/{name}", self.port)
    }

    /// The folder with its programs, of which one may be wanted: pgbench.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Runs one statement as the superuser.
    fn psql(&self, sql: &str) -> Result<(), String> {
        let output = Command::new(self.bin.join("psql"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "-d", "postgres", "-qXAt", "-c", sql])
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        // It removes the files; what is left of them is of no interest.
        let _ = self.watchdog.wait();
    }
}

/// The folder with initdb, postgres and psql; the newest version when there are several.
pub fn find_bin() -> Option<PathBuf> {
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

/// Makes and starts a server. Blocks for some seconds.
///
/// # Panics
/// When there is no PostgreSQL, or it does not start, with the words what to do.
pub fn start(durability: Durability) -> Cluster {
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

    let unflushed: &[&str] = match durability {
        Durability::None => &["-F"],
        Durability::Full => &[],
    };
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr()).expect("a free port").port();
    let script = r#"home=$1; shift; "$@" >"$home.log" 2>&1 & server=$!; cat >/dev/null; kill -QUIT $server; wait $server; rm -rf "$home" "$home.log""#;
    let watchdog = Command::new("sh")
        .args(["-c", script, "watchdog"])
        .arg(&home)
        .args(run("postgres"))
        .arg("-D")
        .arg(&data)
        .args(unflushed)
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "unix_socket_directories=", "-c", "max_connections=200"])
        .current_dir(&home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh runs");
    let cluster = Cluster { bin, port, watchdog };

    let begun = Instant::now();
    while let Err(error) = cluster.psql(&format!("CREATE ROLE {APP_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS")) {
        assert!(begun.elapsed() < START_PATIENCE, "PostgreSQL did not start: {error}; its log is {}.log", home.display());
        std::thread::sleep(Duration::from_millis(50));
    }
    cluster
}
