//! Puts the parts together: the clock, the randomness, the database, the keys.
//!
//! Invariant: decides nothing; what is made here is used by everything else.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use app::ports::store::{Store, StoreError};
use app::ports::world::{Clock, Entropy};
use domain::time::Timestamp;
use keys::Custody;
use storage::Database;

use crate::custody::CustodyError;
use crate::settings::Settings;

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
    #[error("the folder {0} cannot be made: {1}. Make it, or set database.url and keys.kek_file to where this user may write")]
    Folder(String, std::io::Error),
    #[error(transparent)]
    Custody(#[from] CustodyError),
}

/// Makes the folder of a SQLite database, for nobody else to look into.
pub(crate) fn make_folder(settings: &Settings) -> Result<(), WireError> {
    let Some(file) = settings.database.sqlite_file() else { return Ok(()) };
    let Some(folder) = file.parent() else { return Ok(()) };
    private_folder(folder).map_err(|error| WireError::Folder(folder.display().to_string(), error))
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
    make_folder(settings)?;
    storage::migrate(&settings.database.url).await.map_err(database_error(settings))
}

/// Opens a database that is there already.
pub(crate) async fn open(settings: &Settings) -> Result<Database, WireError> {
    if settings.database.sqlite_file().is_some_and(|file| !file.exists()) {
        return Err(WireError::NoDatabase(settings.database.shown()));
    }
    storage::connect(&settings.database.url, settings.database.max_connections).await.map_err(database_error(settings))
}

/// The keys' own settings out of ours.
pub(crate) fn key_settings(settings: &Settings, custody: Arc<Custody>, rsa_pool: usize) -> keys::KeySettings {
    let timing = domain::keys::policy::NodeTiming {
        sweep_interval: domain::time::Ttl::seconds(settings.keys.sweep_interval_seconds),
        clock_skew: domain::time::Ttl::seconds(settings.keys.clock_skew_seconds),
    };
    keys::KeySettings {
        custody,
        timing,
        rsa_pool,
        arbiters: ARBITERS,
        idle_after: domain::time::Ttl::seconds(settings.keys.idle_after_seconds),
    }
}

/// Threads for the keys' actors: they wait for the database most of the time.
const ARBITERS: usize = 1;

/// A key directory for a short visit: no pool, no clock.
pub(crate) fn visit(settings: &Settings, custody: Arc<Custody>, store: Arc<dyn Store>) -> Arc<keys::KeyDirectory> {
    keys::KeyDirectory::start(key_settings(settings, custody, 0), store, Arc::new(SystemClock), Arc::new(SystemEntropy))
}

/// Threads that hash: as set, or one per core.
pub(crate) fn hashing_threads(settings: &Settings) -> usize {
    match settings.hashing.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    }
}
