//! A PostgreSQL server of the test's own, gone when the process is: [`fresh_database`] for most, in a server that the process
//! shares; [`Postgres`] for those who stop it.
//!
//! A shell starts and stops the server as it is told on its standard input, and ends it with that input, which ends when this
//! process does, however it does. (`PR_SET_PDEATHSIG` would not do: it fires when the *thread* ends that started the server.)
//!
//! Invariant: tests connect as a role that is no superuser, so that row-level security applies.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

/// What to install where there is none.
pub const MISSING: &str = "PostgreSQL is not installed, and these tests need a real one: `apt-get install postgresql` (or put initdb, postgres \
                       and psql into PATH)";
pub(crate) const APP_ROLE: &str = "claviger_test";
const START_PATIENCE: Duration = Duration::from_secs(30);

/// What an acknowledged commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The end of a client, no more: nothing is flushed. For tests.
    None,
    /// A power cut: PostgreSQL as it comes.
    Full,
}

/// What the shell does: one server at a time, which it starts and stops as it is told.
const WATCHDOG: &str = r#"
home=$1; shift
up() { "$@" >>"$home.log" 2>&1 </dev/null & server=$!; }
down() { kill -QUIT $server; wait $server; }
up "$@"
while read -r order; do
    case $order in
        stop) down; server=; echo stopped ;;
        start) up "$@" ;;
    esac
done
[ -z "$server" ] || down
rm -rf "$home" "$home.log"
"#;

/// A server. Dropping it ends it.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    home: PathBuf,
    port: u16,
    watchdog: Mutex<Watchdog>,
}

#[derive(Debug)]
struct Watchdog {
    /// Its standard input is what keeps the server alive.
    shell: Child,
    says: BufReader<ChildStdout>,
}

/// A fresh, empty database; answers its URL.
///
/// # Panics
/// When there is no PostgreSQL, with the words what to install.
pub async fn fresh_database() -> String {
    tokio::task::spawn_blocking(|| {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Postgres::start(Durability::None)).fresh_database()
    })
    .await
    .expect("PostgreSQL starts")
}

impl Postgres {
    /// Makes a server with a data folder of its own and waits until it answers. Blocks.
    ///
    /// # Panics
    /// When there is no PostgreSQL, with the words what to install.
    pub fn start(durability: Durability) -> Self {
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
        let unflushed: &[&str] = match durability {
            Durability::None => &["-F"],
            Durability::Full => &[],
        };
        let mut shell = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&home)
            .args(run("postgres"))
            .arg("-D")
            .arg(&data)
            .args(unflushed)
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "unix_socket_directories=", "-c", "max_connections=200"])
            .current_dir(&home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let says = BufReader::new(shell.stdout.take().expect("a pipe"));
        let server = Self { bin, home, port, watchdog: Mutex::new(Watchdog { shell, says }) };
        server.wait_for(&format!("CREATE ROLE {APP_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS"));
        server
    }

    /// Where it listens, at 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database; answers its URL. Blocks.
    ///
    /// # Panics
    /// When the server is stopped.
    pub fn fresh_database(&self) -> String {
        let name = format!("t{}", crate::sample::next());
        self.psql(&format!("CREATE DATABASE {name} OWNER {APP_ROLE}")).expect("a new database");
        format!("postgres://{APP_ROLE}@127.0.0.1:{}/{name}", self.port)
    }

    /// The folder with its programs, of which one may be wanted: pgbench.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Stops it in immediate mode, as a crash would, and waits until it is gone. Blocks.
    ///
    /// # Panics
    /// When the watchdog is gone.
    pub fn stop(&self) {
        let mut watchdog = self.order("stop");
        let mut answer = String::new();
        watchdog.says.read_line(&mut answer).expect("the watchdog answers");
        assert_eq!(answer.trim(), "stopped");
    }

    /// Starts it again after [`Self::stop`], on the same port with the same data, and waits until it answers. Blocks.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&self) {
        drop(self.order("start"));
        self.wait_for("SELECT 1");
    }

    /// Starts it again after [`Self::stop`] as what a primary is once it was demoted: a server in recovery, which answers and writes
    /// nothing. Blocks.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_demoted(&self) {
        std::fs::write(self.home.join("data/standby.signal"), "").expect("written");
        self.start_again();
    }

    /// Makes it the primary again after [`Self::start_demoted`]. Blocks.
    ///
    /// # Panics
    /// When it does not become one.
    pub fn promote(&self) {
        self.psql("SELECT 1 / pg_promote()::int").expect("promoted");
    }

    /// Writes everything that the database of this URL holds to `file`, as an operator's backup does. Blocks.
    ///
    /// # Panics
    /// When that fails.
    pub fn back_up(&self, url: &str, file: &Path) {
        self.tool("pg_dump", &["-Fc", "-d", database_of(url), "-f", &file.display().to_string()]);
    }

    /// Sets the database of this URL back to what [`Self::back_up`] wrote. Whoever is connected to it is cut off. Blocks.
    ///
    /// # Panics
    /// When that fails.
    pub fn restore(&self, url: &str, file: &Path) {
        let name = database_of(url);
        self.psql(&format!("DROP DATABASE {name} WITH (FORCE)")).expect("dropped");
        self.psql(&format!("CREATE DATABASE {name} OWNER {APP_ROLE}")).expect("a new database");
        self.tool("pg_restore", &["-d", name, "--exit-on-error", &file.display().to_string()]);
    }

    /// Runs a tool of PostgreSQL's as the superuser.
    fn tool(&self, name: &str, args: &[&str]) {
        let mut command = Command::new(self.bin.join(name));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"]).args(args);
        let output = command.output().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn order(&self, word: &str) -> MutexGuard<'_, Watchdog> {
        let mut watchdog = self.watchdog.lock().expect("nobody panicked with it");
        writeln!(watchdog.shell.stdin.as_mut().expect("a pipe"), "{word}").expect("the watchdog listens");
        watchdog
    }

    fn wait_for(&self, sql: &str) {
        let begun = Instant::now();
        while let Err(error) = self.psql(sql) {
            assert!(begun.elapsed() < START_PATIENCE, "PostgreSQL did not start: {error}; its log is {}.log", self.home.display());
            std::thread::sleep(Duration::from_millis(50));
        }
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

/// The name of the database that a URL leads to.
fn database_of(url: &str) -> &str {
    url.rsplit_once('/').map_or(url, |(_, name)| name)
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
pub(crate) fn as_nobody() -> (Vec<String>, Option<String>) {
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
