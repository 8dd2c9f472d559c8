//! Puts the parts together: the clock, the randomness, the database, the keys.
//!
//! Invariant: decides nothing; what is made here is used by everything else.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use api::metrics::{KeyReadings, PoolReading, Readings};
use api::{CertificateHeader, HeaderFormat};
use app::authorize::by_reference::Fetches;
use app::clients::documents::Documents;
use app::clients::key_sets::KeySets;
use app::clients::origins::ClientOrigins;
use app::credentials::hash_pool::HashPool;
use app::ctx::Ctx;
use app::hosts::Hosts;
use app::mtls::MutualTls;
use app::ports::keys::{KeyFault, Keys};
use app::ports::mail::{Mailer, NoMail};
use app::ports::outbound::Outbound;
use app::ports::store::{Store, StoreError};
use app::ports::world::{Clock, Entropy};
use app::resources::DetailTypes;
use app::tenants::TenantCache;
use app::verifiers::VerifierTally;
use domain::branding::Link;
use domain::time::Timestamp;
use keys::Custody;
use outbound::mail::{Encryption, Mails, MailsUnusable, Relay};
use storage::{Database, Fit, PoolSize, Road, SqlStore};

use crate::counted::CountedMails;
use crate::custody::CustodyError;
use crate::settings::{CertificateFormat, DatabaseSettings, MailTransport, Pooler, Settings, SmtpTls, TlsSettings};
use crate::sweep::Sweep;
use crate::tls::{Tls, TlsError};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the context's clock comes from")]
    fn now(&self) -> Timestamp {
        let micros = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        Timestamp::from_micros(micros)
    }
}

/// The randomness of the cryptographic library, seeded by the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        assert!(aws_lc_rs::rand::fill(bytes).is_ok(), "this machine has no randomness: nothing safe can be done on it");
    }
}

/// Why the parts do not go together; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error(
        "the database {place} cannot be used: {source}. Check database.url (CLAVIGER__DATABASE__URL), and that it runs and lets this user in"
    )]
    Database { place: String, source: StoreError },
    #[error(
        "this program is too old for the database {place}: its schema is at level {level}, where programs below level {lowest} cannot work, and \
         this one is of level {own}. A later release has upgraded it: install that release here as well"
    )]
    TooOld { place: String, own: u32, level: u32, lowest: u32 },
    #[error(
        "the database {place} has taken steps that this program does not know ({unknown}), and its own are not all there: install the release \
         that this database was last used with"
    )]
    Foreign { place: String, unknown: String },
    #[error(
        "the schema of the database {place} lacks {pending}, and nodes of the release that it is used with now could not go on beside it: \
         stop all nodes, run `claviger migrate`, and start them anew. To upgrade without a stop, go through the releases in between"
    )]
    NeedsStop { place: String, pending: String },
    #[error("the schema of the database {0} is not up to date: run `claviger migrate`, or start `claviger serve`")]
    Behind(String),
    #[error("there is no database {0} yet: start `claviger serve` once, or run `claviger migrate`")]
    NoDatabase(String),
    #[error(
        "{0} cannot be made: {1}. Set database.url (CLAVIGER__DATABASE__URL) and keys.kek_file (CLAVIGER__KEYS__KEK_FILE) to where this user may write"
    )]
    Folder(String, std::io::Error),
    #[error("outbound.ca_file (CLAVIGER__OUTBOUND__CA_FILE) cannot be used: {0}")]
    Outbound(outbound::Unusable),
    #[error("{setting} cannot be used: {0}", setting = of_mails(.0))]
    Mail(MailsUnusable),
    #[error(
        "mails are on, but links in them cannot begin with {0}: set server.base_url (CLAVIGER__SERVER__BASE_URL) to an https:// address, or to \
         http://localhost for trying out"
    )]
    Unlinked(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Custody(#[from] CustodyError),
}

/// The setting that is meant.
fn of_mails(unusable: &MailsUnusable) -> &'static str {
    match unusable {
        MailsUnusable::From(_) => "mail.from (CLAVIGER__MAIL__FROM)",
        MailsUnusable::Authorities(_) => "mail.ca_file (CLAVIGER__MAIL__CA_FILE)",
    }
}

/// Makes the folder and the file of a SQLite database, for nobody else to look into. SQLite gives the files beside it
/// (`-wal`, `-shm`) the mode of the database's.
fn make_private(file: &Path) -> Result<(), WireError> {
    let unmade = |at: &Path, error| WireError::Folder(at.display().to_string(), error);
    if let Some(folder) = file.parent() {
        private_folder(folder).map_err(|error| unmade(folder, error))?;
    }
    match create_private(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(unmade(file, error)),
        _ => Ok(()),
    }
}

/// A new file that only this user may read.
pub(crate) fn create_private(file: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

/// Makes a folder that nobody else may look into, unless it is there.
pub(crate) fn private_folder(folder: &Path) -> std::io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

pub(crate) fn database_error(settings: &Settings) -> impl Fn(StoreError) -> WireError {
    let place = settings.database.shown();
    move |source| WireError::Database { place: place.clone(), source }
}

/// The way to the database.
fn road(settings: &Settings) -> Road {
    let DatabaseSettings { url, pooler, listen_url, .. } = &settings.database;
    let listen_url = (!listen_url.is_empty()).then(|| listen_url.clone());
    Road { url: url.clone(), is_pooled: *pooler == Pooler::Transaction, listen_url }
}

/// Who brings the schema up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// Somebody who has stopped all other nodes, or knows that they go on.
    ByHand,
    /// A node that starts, while nodes of the release before may be running.
    Rolling,
}

/// Opens the database, which is made when it is SQLite, with its schema up to date. One look is enough when it is, which needs no
/// right to change the schema.
pub(crate) async fn open_or_make(settings: &Settings, upgrade: Upgrade) -> Result<Database, WireError> {
    if let Some(file) = settings.database.sqlite_file() {
        make_private(&file)?;
    }
    let db = connect(settings).await?;
    match usable(settings, &db, upgrade).await {
        Ok(()) => Ok(db),
        Err(error) => {
            // What is worth telling is why it cannot be used.
            let _ = db.close().await;
            Err(error)
        }
    }
}

async fn usable(settings: &Settings, db: &Database, upgrade: Upgrade) -> Result<(), WireError> {
    let failed = database_error(settings);
    match (fitting(settings, db).await?, upgrade) {
        (Fit::Behind { pending, is_rolling: false }, Upgrade::Rolling) => {
            Err(WireError::NeedsStop { place: settings.database.shown(), pending: pending.join(", ") })
        }
        (Fit::Behind { .. }, _) => storage::migrate(&settings.database.url).await.map_err(&failed),
        (Fit::Ahead { level }, _) => {
            tracing::info!(level, "a later release has upgraded the schema; this one may run on it until it is replaced");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What is wrong with such a role, and what to do.
pub(crate) const PASSES_ROW_SECURITY: &str = "the role of database.url is a superuser or has BYPASSRLS, so PostgreSQL's row-level security, the second net between tenants, does not \
     hold for it. Give Claviger a role of its own: CREATE ROLE claviger LOGIN NOSUPERUSER NOBYPASSRLS";

/// How the schema fits, when this program may work with it once what is pending is done.
///
/// # Errors
/// Also when it is too old or of another line.
pub(crate) async fn fitting(settings: &Settings, db: &Database) -> Result<Fit, WireError> {
    let place = settings.database.shown();
    match db.schema().await.map_err(database_error(settings))? {
        Fit::TooOld { own, level, lowest } => Err(WireError::TooOld { place, own, level, lowest }),
        Fit::Foreign { unknown } => Err(WireError::Foreign { place, unknown: unknown.join(", ") }),
        fit => Ok(fit),
    }
}

async fn connect(settings: &Settings) -> Result<Database, WireError> {
    storage::connect(road(settings), settings.database.max_connections).await.map_err(database_error(settings))
}

/// Opens a database that is there already, whatever its schema is.
pub(crate) async fn open(settings: &Settings) -> Result<Database, WireError> {
    if settings.database.sqlite_file().is_some_and(|file| !file.exists()) {
        return Err(WireError::NoDatabase(settings.database.shown()));
    }
    connect(settings).await
}

/// Opens a database that is there already and whose schema is one to work with.
pub(crate) async fn open_ready(settings: &Settings) -> Result<Database, WireError> {
    let db = open(settings).await?;
    match fitting(settings, &db).await? {
        Fit::Behind { .. } => Err(WireError::Behind(settings.database.shown())),
        _ => Ok(db),
    }
}

/// The keys' own settings out of ours.
pub(crate) fn key_settings(settings: &Settings, custody: Arc<Custody>, base_url: String, rsa_pool: usize) -> keys::KeySettings {
    let timing = domain::keys::policy::NodeTiming {
        sweep_interval: domain::time::Ttl::seconds(settings.keys.sweep_interval_seconds),
        clock_skew: domain::time::Ttl::seconds(settings.keys.clock_skew_seconds),
    };
    keys::KeySettings {
        custody,
        base_url,
        timing,
        rsa_pool,
        arbiters: ARBITERS,
        idle_after: domain::time::Ttl::seconds(settings.keys.idle_after_seconds),
        most_awake: settings.keys.most_awake,
    }
}

/// Threads for the keys' actors: they wait for the database most of the time.
const ARBITERS: usize = 1;

/// How the public listener is talked to.
pub(crate) fn scheme(settings: &Settings) -> &'static str {
    if settings.tls.is_on() { "https" } else { "http" }
}

/// Where a server with these settings is reached, as far as it can be told before it listens: issuers and key logs are named by it.
pub(crate) fn base_url(settings: &Settings) -> String {
    match settings.server.base_url.as_str() {
        "" => format!("{}://{}", scheme(settings), settings.server.public_addr),
        given => given.to_owned(),
    }
}

/// A key directory for a short visit: no pool, no clock.
pub(crate) fn visit(settings: &Settings, custody: Arc<Custody>, store: Arc<dyn Store>) -> Arc<keys::KeyDirectory> {
    let base_url = base_url(settings);
    keys::KeyDirectory::start(key_settings(settings, custody, base_url, 0), store, Arc::new(SystemClock), Arc::new(SystemEntropy))
}

/// What the use cases need, for a command that hashes no password.
///
/// # Errors
/// When the installation's own secret does not open.
pub(crate) async fn visiting(settings: &Settings, store: &SqlStore, directory: &Arc<keys::KeyDirectory>) -> Result<Ctx, KeyFault> {
    Ok(Ctx {
        store: Arc::new(store.clone()),
        keys: Arc::clone(directory) as Arc<dyn Keys>,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        outbound: Arc::new(outbound::Nobody),
        mail: Arc::new(NoMail),
        hashing: HashPool::start(1, 1),
        tenants: TenantCache::new(0),
        verifiers: VerifierTally::new(&**directory).await?,
        key_sets: KeySets::new(0),
        documents: Documents::new(0),
        request_fetches: Fetches::new(0),
        mutual_tls: MutualTls::default(),
        origins: ClientOrigins::new(0),
        detail_types: DetailTypes::new(0),
        hosts: hosts(settings, &base_url(settings)),
        base_url: base_url(settings),
    })
}

/// By which names the installation is reached whose issuers begin with `base_url`.
pub(crate) fn hosts(settings: &Settings, base_url: &str) -> Hosts {
    Hosts::new([base_url, &settings.tls.mtls_base_url], settings.server.other_hosts.iter().cloned())
}

/// Who talks to the addresses of clients. Opened ranges are told in the log.
///
/// # Errors
/// When the file of authorities cannot be read.
pub(crate) fn outbound(settings: &Settings) -> Result<Arc<dyn Outbound>, WireError> {
    let settings = &settings.outbound;
    if !settings.allow_private.is_empty() {
        let ranges: Vec<_> = settings.allow_private.iter().map(ToString::to_string).collect();
        tracing::warn!(
            ranges = ranges.join(", "),
            "outbound.allow_private is set: whoever may register a client can make this node send requests into these ranges, also \
             without TLS. Right for tests and closed networks only"
        );
    }
    let guarded =
        outbound::GuardedHttp::new(settings.allow_private.clone(), Some(settings.ca_file.as_path()).filter(|file| *file != Path::new("")));
    Ok(Arc::new(guarded.map_err(WireError::Outbound)?))
}

/// Who sends mails, as the settings say. `base_url` is what links in them begin with.
///
/// # Errors
/// When the file of authorities cannot be read, or no link can begin like that.
pub(crate) fn mail(settings: &Settings, base_url: &str) -> Result<Arc<dyn Mailer>, WireError> {
    let mail = &settings.mail;
    if mail.transport == MailTransport::Off {
        return Ok(Arc::new(NoMail));
    }
    if base_url.parse::<Link>().is_err() {
        return Err(WireError::Unlinked(base_url.to_owned()));
    }
    let authority = base_url.split_once("://").map_or(base_url, |(_, authority)| authority);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let mails = if mail.transport == MailTransport::File {
        tracing::warn!(folder = %mail.folder.display(), "mail.transport is \"file\": mails are written into a folder, and nobody gets them");
        Mails::into_folder(&mail.from, host, &mail.folder)
    } else {
        let encryption = match mail.smtp_tls {
            SmtpTls::StartTls => Encryption::StartTls,
            SmtpTls::Tls => Encryption::Tls,
            SmtpTls::None => {
                tracing::warn!(
                    "mail.smtp_tls is \"none\": links to accounts cross the network in clear. Right on one machine and in closed networks only"
                );
                Encryption::None
            }
        };
        let login = (!mail.smtp_username.is_empty()).then(|| (mail.smtp_username.clone(), mail.smtp_password.clone()));
        let ca_file = Some(mail.ca_file.clone()).filter(|file| file != Path::new(""));
        Mails::by_relay(&mail.from, host, Relay { host: mail.smtp_host.clone(), port: mail.smtp_port, encryption, login, ca_file })
    };
    Ok(Arc::new(mails.map_err(WireError::Mail)?))
}

/// What is taken of clients with certificates.
pub(crate) fn mutual_tls(settings: &Settings, tls: &Tls) -> MutualTls {
    let TlsSettings { client_certificates, certificate_proxies, proxies_verify, mtls_base_url, .. } = &settings.tls;
    MutualTls {
        is_on: *client_certificates || !certificate_proxies.is_empty() || !mtls_base_url.is_empty(),
        authorities: tls.authorities(),
        proxies_verify: *proxies_verify,
        base_url: (!mtls_base_url.is_empty()).then(|| mtls_base_url.clone()),
    }
}

/// In which header whose word about certificates of clients is taken.
pub(crate) fn certificate_header(settings: &TlsSettings) -> CertificateHeader {
    CertificateHeader {
        proxies: settings.certificate_proxies.clone(),
        name: settings.certificate_header.clone(),
        format: match settings.certificate_header_format {
            CertificateFormat::Rfc9440 => HeaderFormat::Rfc9440,
            CertificateFormat::Pem => HeaderFormat::Pem,
        },
    }
}

/// What the parts count, for the metrics.
pub(crate) fn readings(
    keys: &keys::KeyDirectory,
    database: &Database,
    sweep: &Sweep,
    verifiers: &VerifierTally,
    tls: &Tls,
    mails: &CountedMails,
) -> Readings {
    let stats = keys.stats();
    let states = keys.key_states().iter().map(|(state, count)| (state.name(), *count as u64)).collect();
    let pool = |pool: PoolSize| PoolReading { name: pool.name, idle: pool.idle as u64, busy: pool.busy as u64, most: pool.most as u64 };
    let (refresh_commits, committed_refreshes) = database.refresh_commits();
    Readings {
        keys: KeyReadings {
            awake: stats.awake as u64,
            unsealed: stats.unsealed as u64,
            activations: stats.activations,
            restarts: stats.restarts,
            passivations: stats.passivations,
            states,
            due: stats.due as u64,
            resting: stats.resting as u64,
            failures: stats.failures,
            rsa_ready: stats.rsa_ready as u64,
            sealed_away: stats.sealed_away as u64,
        },
        pools: database.pools().into_iter().map(pool).collect(),
        refresh_commits,
        committed_refreshes,
        swept: sweep.removed(),
        sweep_failures: sweep.failures(),
        untold_fetches: verifiers.untold(),
        certificate_ends_at: tls.expires_at().and_then(|at| u64::try_from(at.as_seconds()).ok()).unwrap_or_default(),
        tls_failures: tls.failures(),
        mails: mails.outcomes(),
    }
}

/// Threads that hash: as set, or one per core.
pub(crate) fn hashing_threads(settings: &Settings) -> usize {
    match settings.hashing.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    }
}
