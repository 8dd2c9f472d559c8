//! A PgBouncer of the test's own in front of a PostgreSQL, in transaction mode, as a distribution's package comes: it knows no
//! prepared statements and no settings at the start of a session but its own few. Gone when the process is.
//!
//! Invariant: fewer sessions than any test has connections, so that transactions do find themselves in each other's sessions.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::postgres::{APP_ROLE, as_nobody};

/// What to install where there is none.
pub const MISSING: &str =
    "PgBouncer is not installed, and these tests need a real one: `apt-get install pgbouncer` (or put pgbouncer into PATH)";
/// Sessions for each database.
const SESSIONS: u32 = 3;
const START_PATIENCE: Duration = Duration::from_secs(30);

/// Ends PgBouncer when its standard input ends, which it does with this process. Nothing is lost by the roughest way.
const WATCHDOG: &str = r#"
home=$1; shift
"$@" >"$home.log" 2>&1 </dev/null & bouncer=$!
read -r _
kill -KILL $bouncer; wait $bouncer
rm -rf "$home" "$home.log"
"#;

/// A pooler. Dropping it ends it.
#[derive(Debug)]
pub struct PgBouncer {
    before: u16,
    port: u16,
    shell: Child,
}

/// A fresh, empty database, by way of a pooler that the process shares; answers its URL there, and the one past the pooler.
///
/// # Panics
/// When there is no PostgreSQL or no PgBouncer, with the words what to install.
pub async fn fresh_database() -> (String, String) {
    let direct = crate::postgres::fresh_database().await;
    tokio::task::spawn_blocking(|| {
        static SHARED: OnceLock<PgBouncer> = OnceLock::new();
        (SHARED.get_or_init(|| PgBouncer::start(port_of(&direct))).before(&direct), direct)
    })
    .await
    .expect("PgBouncer starts")
}

impl PgBouncer {
    /// Starts one in front of the PostgreSQL at `port` of this machine and waits until it listens. Blocks.
    ///
    /// # Panics
    /// When there is none, with the words what to install.
    pub fn start(port: u16) -> Self {
        let program = find().expect(MISSING);
        let (prefix, owner) = as_nobody();
        // Removed by the watchdog.
        let home = tempfile::Builder::new().prefix("claviger-pgbouncer-").tempdir().expect("a temporary folder").keep();
        let (settings, users) = (home.join("pgbouncer.ini"), home.join("users.txt"));
        let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr()).expect("a free port").port();
        std::fs::write(&users, format!("\"{APP_ROLE}\" \"\"\n")).expect("written");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {own}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = {SESSIONS}\nserver_idle_timeout = 2\n\
             server_login_retry = 1\nmax_client_conn = 1000\n",
            users.display()
        );
        std::fs::write(&settings, text).expect("written");
        if let Some(owner) = owner {
            let status = Command::new("chown").args(["-R", &owner]).arg(&home).status();
            assert!(status.is_ok_and(|status| status.success()), "chown of {}", home.display());
        }
        let shell = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&home)
            .args(prefix)
            .arg(program)
            .arg(settings)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, own)).is_err() {
            assert!(begun.elapsed() < START_PATIENCE, "PgBouncer did not start; its log is {}.log", home.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { before: port, port: own, shell }
    }

    /// Where it listens, at 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A database's URL, by way of this pooler.
    pub fn before(&self, url: &str) -> String {
        url.replace(&format!(":{}/", self.before), &format!(":{}/", self.port))
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // An error says that it is gone.
        let _ = self.shell.wait();
    }
}

fn port_of(url: &str) -> u16 {
    let place = url.rsplit_once(':').and_then(|(_, place)| place.split_once('/'));
    place.and_then(|(port, _)| port.parse().ok()).expect("a URL with a port")
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian puts it, which is not in everybody's PATH.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
}
