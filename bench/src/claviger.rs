//! The server under test: the built `claviger`, as it comes, with nothing set but its addresses and its files,
//! unless a mode says otherwise ([`Place::with`]).
//!
//! Invariant: what is set in this process's environment for some other Claviger does not reach it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::ValueEnum;
use serde_json::Value;
use testkit::postgres::{Durability, Postgres};

use crate::Outcome;
use crate::http::{self, Line};
use crate::load::Target;
use crate::machine::Halves;
use crate::process::{Process, free_addr};

/// A running `claviger serve`.
#[derive(Debug)]
pub(crate) struct Claviger {
    process: Process,
    public: SocketAddr,
    management: SocketAddr,
    place: Place,
}

/// The databases that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// Where an installation's data is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    folder: PathBuf,
    database_url: String,
    /// Where it listens to the public: anywhere, or where it did before.
    public: Option<SocketAddr>,
    /// Further settings, by their names in the environment.
    settings: Vec<(String, String)>,
}

impl Place {
    /// A new database of this kind in `folder`; with the server that has to be kept as long, where there is one.
    pub(crate) fn new(kind: Kind, folder: &Path) -> Outcome<(Self, Option<Postgres>)> {
        match kind {
            Kind::Sqlite => Ok((Self::sqlite(folder), None)),
            Kind::Postgres => {
                let cluster = Postgres::start(Durability::Full);
                Ok((Self::postgres(folder, cluster.fresh_database())?, Some(cluster)))
            }
        }
    }

    /// SQLite in `folder`, which need not exist.
    pub(crate) fn sqlite(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            database_url: format!("sqlite:{}", folder.join("claviger.db").display()),
            public: None,
            settings: Vec::new(),
        }
    }

    /// An empty PostgreSQL database. Makes `folder` and, as an operator has to, the key-encryption key in it.
    pub(crate) fn postgres(folder: &Path, database_url: String) -> Outcome<Self> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| "no randomness")?;
        std::fs::create_dir_all(folder)?;
        let place = Self { folder: folder.to_owned(), database_url, public: None, settings: Vec::new() };
        std::fs::write(place.kek_file(), format!("claviger-kek-1:bench:{}\n", URL_SAFE_NO_PAD.encode(key)))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(place.kek_file(), std::fs::Permissions::from_mode(0o600))?;
        }
        Ok(place)
    }

    /// The same one with a setting that is not the default: `SERVER__WORKERS`.
    pub(crate) fn with(mut self, setting: &str, value: &str) -> Self {
        self.settings.push((format!("CLAVIGER__{setting}"), value.to_owned()));
        self
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The same one, which listens where `claviger` did: its issuers stay what they are.
    pub(crate) fn again(mut self, claviger: &Claviger) -> Self {
        self.public = Some(claviger.public);
        self
    }

    fn kek_file(&self) -> PathBuf {
        self.folder.join("kek")
    }

    fn command(&self, binary: &Path) -> Command {
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CLAVIGER__")) {
            command.env_remove(name);
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.env("CLAVIGER__DATABASE__URL", &self.database_url).env("CLAVIGER__KEYS__KEK_FILE", self.kek_file());
        command
    }

    /// `claviger tenants import -` for this installation.
    pub(crate) fn import(&self) -> Outcome<Command> {
        std::fs::create_dir_all(&self.folder)?;
        let mut command = self.command(&binary()?);
        command.args(["tenants", "import", "-"]);
        Ok(command)
    }
}

/// The binary that was built together with this one.
pub(crate) fn binary() -> Outcome<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("claviger");
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("{} is not there; `cargo xtask bench` builds it, or: cargo build --release -p server -p bench", path.display()).into())
}

impl Claviger {
    /// Starts it and waits for its first answer; see [`Self::start_timed`].
    pub(crate) fn start(place: &Place) -> Outcome<Self> {
        Ok(Self::start_timed(place)?.0)
    }

    /// Starts it; answers how long after the birth of its process it had answered for the first time.
    pub(crate) fn start_timed(place: &Place) -> Outcome<(Self, Duration)> {
        let mut command = place.command(&binary()?);
        command.arg("serve");
        Self::start_as(command, place)
    }

    /// Starts it on the half of the machine that is for servers.
    pub(crate) fn start_on(cores: &Halves, place: &Place) -> Outcome<Self> {
        let mut command = place.command(Path::new("taskset"));
        command.args(["--cpu-list", cores.server()]).arg(binary()?).arg("serve");
        Ok(Self::start_as(command, place)?.0)
    }

    /// Starts this very program as a server whose clock is `days` ahead. Nothing else about it is different.
    pub(crate) fn start_ahead(place: &Place, days: u32) -> Outcome<Self> {
        let mut command = place.command(&std::env::current_exe()?);
        command.args(["ahead", "--days", &days.to_string()]);
        Ok(Self::start_as(command, place)?.0)
    }

    fn start_as(mut command: Command, place: &Place) -> Outcome<(Self, Duration)> {
        let public = place.public.map_or_else(free_addr, Ok)?;
        let management = free_addr()?;
        command
            .env("CLAVIGER__SERVER__PUBLIC_ADDR", public.to_string())
            .env("CLAVIGER__SERVER__MANAGEMENT_ADDR", management.to_string())
            .env("CLAVIGER__SERVER__BASE_URL", format!("http://{public}"));
        let log = place.folder.with_extension("log");
        let mut process = Process::spawn(&mut command, &log)?;
        let took = process.first_answer(management, "/health/ready")?;
        Ok((Self { process, public, management, place: place.clone() }, took))
    }

    /// Whom to ask for what the public is served.
    pub(crate) fn target(&self) -> Target {
        Target { addr: self.public, pid: self.process.pid() }
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        self.process.resident_bytes()
    }

    /// Ends it in order.
    pub(crate) fn stop(self) -> Outcome<()> {
        self.process.stop()
    }

    /// A line to the admin API, with the platform's token.
    pub(crate) fn admin(&self) -> Outcome<Admin> {
        let output = self.place.command(&binary()?).args(["admin", "token", "--ttl", "1h"]).output()?;
        if !output.status.success() {
            return Err(format!("claviger admin token: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let token = String::from_utf8(output.stdout)?;
        let headers = format!("content-type: application/json\r\nauthorization: Bearer {}\r\n", token.trim());
        Ok(Admin { line: Line::open(self.public)?, headers, request: Vec::new() })
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> Outcome<f64> {
        let (_, body) = get(self.management, "/metrics")?;
        let text = String::from_utf8(body)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.ok_or_else(|| format!("there is no metric {name}").into())
    }

    /// Seconds of processor time that the process has used.
    pub(crate) fn cpu_seconds(&self) -> Outcome<f64> {
        crate::machine::cpu_seconds(self.process.pid())
    }

    /// What `GET path` of the public listener answers: the headers as `name: value`, and the body.
    pub(crate) fn get(&self, path: &str) -> Outcome<(Vec<String>, Vec<u8>)> {
        get(self.public, path)
    }
}

/// What `GET path` answers, which must be 200: the headers as `name: value`, and the body.
pub(crate) fn get(addr: SocketAddr, path: &str) -> Outcome<(Vec<String>, Vec<u8>)> {
    let mut request = Vec::new();
    http::request(&mut request, "GET", path, "", b"");
    let mut line = Line::open(addr)?;
    let answer = line.exchange(&request)?;
    answer.insist(200)?;
    Ok((answer.headers().map(|(name, value)| format!("{name}: {value}")).collect(), answer.body.to_vec()))
}

/// The platform's administrator.
pub(crate) struct Admin {
    line: Line,
    headers: String,
    request: Vec<u8>,
}

impl Admin {
    /// Creates something.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Outcome<()> {
        self.make(path, body).map(drop)
    }

    /// Creates something, and answers what it has become.
    pub(crate) fn make(&mut self, path: &str, body: &Value) -> Outcome<Value> {
        http::request(&mut self.request, "POST", path, &self.headers, body.to_string().as_bytes());
        let answer = self.line.exchange(&self.request)?;
        answer.insist(201).map_err(|error| format!("POST {path}: {error}"))?;
        Ok(serde_json::from_slice(answer.body)?)
    }

    /// Reads something, which has to be there.
    pub(crate) fn get(&mut self, path: &str) -> Outcome<Value> {
        http::request(&mut self.request, "GET", path, &self.headers, b"");
        let answer = self.line.exchange(&self.request)?;
        answer.insist(200).map_err(|error| format!("GET {path}: {error}"))?;
        Ok(serde_json::from_slice(answer.body)?)
    }
}
