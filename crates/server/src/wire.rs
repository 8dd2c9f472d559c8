//! Puts the parts together: the clock, the randomness, the database, the keys.
//!
//! Invariant: decides nothing; what is made here is used by everything else.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use api::metrics::{KeyReadings, PoolReading, Readings};
use app::credentials::hash_pool::HashPool;
use app::ctx::Ctx;
use app::ports::keys::{KeyFault, Keys};
use app::ports::store::{Store, StoreError};
use app::ports::world::{Clock, Entropy};
use app::tenants::TenantCache;
use app::verifiers::VerifierTally;
use domain::time::Timestamp;
use keys::Custody;
use storage::{Database, PoolSize, SqlStore};

use crate::custody::CustodyError;
use crate::settings::Settings;
use crate::sweep::Sweep;

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
    #[error("there is no database {0} yet: start `claviger serve` once, or run `claviger migrate`")]
    NoDatabase(String),
    #[error(
        "{0} cannot be made: {1}. Set database.url (CLAVIGER__DATABASE__URL) and keys.kek_file (CLAVIGER__KEYS__KEK_FILE) to where this user may write"
    )]
    Folder(String, std::io::Error),
    #[error(transparent)]
    Custody(#[from] CustodyError),
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

fn database_error(settings: &Settings) -> impl Fn(StoreError) -> WireError {
    let place = settings.database.shown();
    move |source| WireError::Database { place: place.clone(), source }
}

/// Brings the schema up to date, making the database when it is SQLite.
pub(crate) async fn migrate(settings: &Settings) -> Result<(), WireError> {
    if let Some(file) = settings.database.sqlite_file() {
        make_private(&file)?;
    }
    storage::migrate(&settings.database.url).await.map_err(database_error(settings))
}

/// Opens the database with its schema up to date. One look is enough when it is, which needs no right to change the schema.
pub(crate) async fn open_or_make(settings: &Settings) -> Result<Database, WireError> {
    if let Some(file) = settings.database.sqlite_file() {
        make_private(&file)?;
    }
    let failed = database_error(settings);
    let db = storage::connect(&settings.database.url, settings.database.max_connections).await.map_err(&failed)?;
    if !db.pending_migrations().await.map_err(&failed)?.is_empty() {
        storage::migrate(&settings.database.url).await.map_err(&failed)?;
    }
    Ok(db)
}

/// Opens a database that is there already.
pub(crate) async fn open(settings: &Settings) -> Result<Database, WireError> {
    if settings.database.sqlite_file().is_some_and(|file| !file.exists()) {
        return Err(WireError::NoDatabase(settings.database.shown()));
    }
    storage::connect(&settings.database.url, settings.database.max_connections).await.map_err(database_error(settings))
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

/// Where a server with these settings is reached, as far as it can be told before it listens: issuers and key logs are named by it.
pub(crate) fn base_url(settings: &Settings) -> String {
    match settings.server.base_url.as_str() {
        "" => format!("http://{}", settings.server.public_addr),
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
        hashing: HashPool::start(1, 1),
        tenants: TenantCache::new(0),
        verifiers: VerifierTally::new(&**directory).await?,
        base_url: base_url(settings),
    })
}

/// What the parts count, for the metrics.
pub(crate) fn readings(keys: &keys::KeyDirectory, database: &Database, sweep: &Sweep, verifiers: &VerifierTally) -> Readings {
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
    }
}

/// Threads that hash: as set, or one per core.
pub(crate) fn hashing_threads(settings: &Settings) -> usize {
    match settings.hashing.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    }
}
