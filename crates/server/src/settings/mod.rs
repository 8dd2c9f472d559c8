//! What an operator decides: where to listen, where the database and the key-encryption key are, how much to use.
//!
//! Enter at [`Settings::load`]. Defaults (`config/base.toml`, compiled in) < the file of `--config` < `CLAVIGER__SECTION__KEY`.
//! Invariant: a setting that nobody knows, or that makes no sense, stops the start; nothing here belongs to a tenant.

mod check;
mod load;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;

use actix_web::http::header::{HeaderName, HeaderValue};
use api::Proxy;
use app::budget::{Limits, Rate};
use domain::secret::Secret;
use serde::Deserialize;

pub use load::BadSettings;

/// All settings, each documented in `config/base.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub server: ServerSettings,
    pub tls: TlsSettings,
    pub budgets: BudgetSettings,
    pub database: DatabaseSettings,
    pub keys: KeySettings,
    pub hashing: HashingSettings,
    pub outbound: OutboundSettings,
    pub mail: MailSettings,
    pub audit: AuditSettings,
    pub log: LogSettings,
    pub telemetry: TelemetrySettings,
    /// The file they came from, to be read again when somebody asks for it.
    #[serde(skip)]
    pub config_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    pub public_addr: SocketAddr,
    pub management_addr: SocketAddr,
    /// Empty: `http://` and the address that was bound, for tests and the demo.
    pub base_url: String,
    /// 0 = one per core.
    pub workers: usize,
    /// Of each listener, shared out evenly among its workers.
    pub max_connections: usize,
    pub max_head_bytes: usize,
    pub max_body_bytes: usize,
    pub head_timeout_seconds: u64,
    pub request_timeout_seconds: u64,
    pub keep_alive_seconds: u64,
    /// How long it goes on taking requests once it has said that it is going.
    pub drain_seconds: u64,
    pub shutdown_grace_seconds: u64,
    pub trusted_proxies: Vec<Proxy>,
    /// Whether `X-Forwarded-Host` of the trusted proxies is believed.
    pub forwarded_host: bool,
    /// By which names this installation is reached besides that of `base_url`.
    pub other_hosts: Vec<String>,
}

/// How the public listener talks TLS, and where certificates of clients come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Empty, with [`Self::private_key`] = plain HTTP.
    pub certificate: PathBuf,
    pub private_key: PathBuf,
    /// Whether the listener asks clients for certificates, which they need not have.
    pub client_certificates: bool,
    /// Empty = no authority answers for a client.
    pub client_ca_file: PathBuf,
    /// Whose word about the certificate of a client is believed.
    pub certificate_proxies: Vec<Proxy>,
    pub certificate_header: String,
    pub certificate_header_format: CertificateFormat,
    /// Whether the proxies let no certificate through that they have not verified.
    pub proxies_verify: bool,
    /// Empty = clients with certificates come to `server.base_url`.
    pub mtls_base_url: String,
}

/// How a proxy writes down the certificate of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateFormat {
    /// As RFC 9440 says.
    Rfc9440,
    /// PEM, URL-encoded.
    Pem,
}

impl TlsSettings {
    /// Whether the public listener talks TLS.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }
}

/// Whom this node talks to at addresses that clients have given, beside the public internet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundSettings {
    pub allow_private: Vec<outbound::IpNet>,
    /// Empty = the machine's own authorities alone.
    pub ca_file: PathBuf,
}

/// How users are written to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    pub transport: MailTransport,
    pub from: String,
    pub folder: PathBuf,
    pub smtp_host: String,
    pub smtp_port: u16,
    pub smtp_tls: SmtpTls,
    /// Empty = the relay does not ask who we are.
    pub smtp_username: String,
    pub smtp_password: Secret<String>,
    /// Empty = the machine's own authorities alone.
    pub ca_file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTransport {
    Off,
    Smtp,
    File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    StartTls,
    Tls,
    None,
}

/// What each tenant may ask of this node; 0 = no limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetSettings {
    pub enforced: bool,
    pub requests_per_second: u32,
    pub request_burst: u32,
    pub most_requests_per_second: u32,
    pub admin_changes_per_second: u32,
    pub admin_change_burst: u32,
}

impl BudgetSettings {
    pub(crate) fn limits(&self) -> Limits {
        if !self.enforced {
            return Limits::default();
        }
        Limits {
            share: Rate::new(self.requests_per_second, self.request_burst),
            ceiling: Rate::new(self.most_requests_per_second, self.most_requests_per_second),
            changes: Rate::new(self.admin_changes_per_second, self.admin_change_burst),
        }
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    pub url: String,
    pub max_connections: u32,
    pub pooler: Pooler,
    /// Empty: at `url`, or nowhere when that is a pooler's.
    pub listen_url: String,
}

/// What stands between the nodes and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooler {
    None,
    /// PgBouncer, or another one, that lends a session for one transaction.
    Transaction,
}

impl std::fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URLs may hold passwords.
        let mut shown = f.debug_struct("DatabaseSettings");
        shown.field("max_connections", &self.max_connections).field("pooler", &self.pooler).finish_non_exhaustive()
    }
}

impl DatabaseSettings {
    /// The file of a SQLite database; `None` for PostgreSQL.
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        let rest = self.url.strip_prefix("sqlite:")?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        Some(PathBuf::from(rest.split('?').next().unwrap_or(rest)))
    }

    /// Where the database is, without user and password.
    pub fn shown(&self) -> String {
        match self.url.split_once("://").and_then(|(scheme, rest)| rest.rsplit_once('@').map(|(_, place)| (scheme, place))) {
            Some((scheme, place)) => format!("{scheme}://…@{}", place.split('?').next().unwrap_or(place)),
            None => self.url.split('?').next().unwrap_or(&self.url).to_owned(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// Local key-encryption keys, one a line, the first the primary one. Empty: there is no such file.
    pub kek_file: PathBuf,
    /// The id of the key that wraps; empty: the first of `kek_file`, or else of `keks` in the order of their ids.
    pub primary_kek: String,
    /// Further key-encryption keys, by id.
    pub keks: BTreeMap<String, KekSettings>,
    pub sweep_interval_seconds: u32,
    pub clock_skew_seconds: u32,
    pub rsa_pool: usize,
    pub idle_after_seconds: u32,
    /// About how many tenants are kept in memory at most.
    pub most_awake: usize,
}

/// Where a key-encryption key lives.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "provider", rename_all = "lowercase", deny_unknown_fields)]
pub enum KekSettings {
    /// A file of keys; the one of this id is taken.
    File { path: PathBuf },
    /// An environment variable that holds the line of a key file.
    Env { variable: String },
    /// A program that wraps and unwraps.
    Command {
        program: PathBuf,
        #[serde(default)]
        args: Vec<String>,
        /// Names of environment variables that it gets, besides `PATH` and `HOME`.
        #[serde(default)]
        env: Vec<String>,
        #[serde(default = "ten")]
        timeout_seconds: u64,
    },
    /// A key of the transit engine of HashiCorp Vault or OpenBao.
    Vault {
        address: String,
        #[serde(default = "transit")]
        mount: String,
        key: String,
        token_file: PathBuf,
        ca_file: Option<PathBuf>,
        #[serde(default = "ten")]
        timeout_seconds: u64,
    },
    /// An AES key of an HSM.
    Pkcs11 { module: PathBuf, token_label: String, key_label: String, pin_file: PathBuf },
}

const fn ten() -> u64 {
    10
}

fn transit() -> String {
    "transit".to_owned()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashingSettings {
    /// 0 = one per core.
    pub threads: usize,
    pub queue: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    pub format: LogFormat,
    pub level: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSettings {
    /// 0 = for ever.
    pub retention_days: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Empty: no traces leave this process.
    pub otlp_endpoint: String,
    /// `name=value,name=value`; a secret, for it usually holds one.
    pub otlp_headers: Secret<String>,
    pub service_name: String,
    pub sample_ratio: f64,
}

impl TelemetrySettings {
    /// The headers in pairs. `None` when the text is not made of such.
    pub(crate) fn headers(&self) -> Option<HashMap<String, String>> {
        let pairs = self.otlp_headers.expose().split(',').map(str::trim).filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=')?;
            let is_good = HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok();
            is_good.then(|| (name.to_owned(), value.to_owned()))
        };
        pairs.map(pair).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Pretty,
    Json,
}
