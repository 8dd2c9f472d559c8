//! Puts the parts together: the clock, the randomness, the database, the key-encryption key, the keys.
//!
//! Invariant: a key-encryption key is made only for a database that has sealed nothing yet; a lost one is never replaced by
//! a new one in silence.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use api::metrics::{KeyReadings, PoolReading, Readings};
use app::ports::store::{Store, StoreError};
use app::ports::world::{Clock, Entropy};
use app::verifiers::VerifierTally;
use domain::time::Timestamp;
use keys::Kek;
use storage::{Database, PoolSize, SqlStore};

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
    #[error(
        "the key-encryption key {path} is missing, but the database already holds keys sealed with it. Bring the file back from where \
         you keep its copy; without it those keys can never be opened again. (keys.kek_file, CLAVIGER__KEYS__KEK_FILE)"
    )]
    KekLost { path: String },
    #[error(
        "the key-encryption key {path} is missing. With PostgreSQL every node needs the same one: make it once with \
         `printf 'claviger-kek-1:%s:%s\\n' \"$(openssl rand -hex 6)\" \"$(openssl rand -base64 32 | tr '+/' '-_' | tr -d '=')\"`, \
         keep a copy in a safe place, mount it with mode 0400 and set keys.kek_file (CLAVIGER__KEYS__KEK_FILE)"
    )]
    KekNotGiven { path: String },
    #[error(
        "the key-encryption key {path} can be read by others (mode {mode:04o}): run `chmod 600 {path}`, and think about who may have read it. \
         (keys.kek_file, CLAVIGER__KEYS__KEK_FILE)"
    )]
    KekOpen { path: String, mode: u32 },
    #[error(
        "the key-encryption key {path} cannot be read or made: {source}. Set keys.kek_file (CLAVIGER__KEYS__KEK_FILE) to a file that this user may read"
    )]
    KekUnreadable { path: String, source: std::io::Error },
    #[error(
        "the key-encryption key {path} is {source}. Bring the right file back, or set keys.kek_file (CLAVIGER__KEYS__KEK_FILE) to where it is"
    )]
    KekBad { path: String, source: keys::BadKek },
}

/// Makes the folder and the file of a SQLite database, for nobody else to look into. SQLite gives the files beside it
/// (`-wal`, `-shm`) the mode of the database's.
fn make_private(file: &Path) -> Result<(), WireError> {
    file.parent().map_or(Ok(()), private_folder)?;
    match create_private(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(WireError::Folder(file.display().to_string(), error)),
        _ => Ok(()),
    }
}

/// A new file that only this user may read.
fn create_private(file: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

fn private_folder(folder: &Path) -> Result<(), WireError> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| WireError::Folder(folder.display().to_string(), error))
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

/// The key-encryption key from its file. `None`: there is no such file, and whether one may be made is up to the database.
pub(crate) fn kek_given(settings: &Settings) -> Result<Option<Kek>, WireError> {
    let path = &settings.keys.kek_file;
    if path.exists() {
        return kek(path).map(Some);
    }
    if settings.database.sqlite_file().is_none() {
        return Err(WireError::KekNotGiven { path: path.display().to_string() });
    }
    Ok(None)
}

/// The key-encryption key from its file, or a new one for a SQLite database that has sealed nothing yet.
pub(crate) async fn kek_or_new(settings: &Settings, store: &SqlStore) -> Result<Kek, WireError> {
    if let Some(kek) = kek_given(settings)? {
        return Ok(kek);
    }
    let path = &settings.keys.kek_file;
    let shown = path.display().to_string();
    if has_sealed_anything(store).await.map_err(database_error(settings))? {
        return Err(WireError::KekLost { path: shown });
    }
    write_new(path, &Kek::generate(&SystemEntropy))?;
    tracing::warn!(
        file = %shown,
        "a new key-encryption key was made and lies beside the database. That is for trying out: production brings its own, from a \
         place that the database's backups do not reach, and keeps a copy of it"
    );
    kek(path)
}

pub(crate) async fn has_sealed_anything(store: &SqlStore) -> Result<bool, StoreError> {
    let mut tx = store.begin_platform().await?;
    let has_tenants = !tx.tenants_page(None, 1).await?.is_empty();
    Ok(has_tenants || tx.installation_secret(keys::INSTALLATION_SECRET).await?.is_some())
}

/// Reads the key-encryption key. Refuses a file that others can read.
pub(crate) fn kek(path: &Path) -> Result<Kek, WireError> {
    let shown = path.display().to_string();
    let unreadable = |source| WireError::KekUnreadable { path: shown.clone(), source };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(WireError::KekOpen { path: shown, mode });
        }
    }
    let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
    Kek::from_file_text(&text).map_err(|source| WireError::KekBad { path: shown.clone(), source })
}

/// Writes a new key so that its file appears whole or not at all, and never over another one: whoever comes second uses the
/// first one's.
fn write_new(path: &Path, kek: &Kek) -> Result<(), WireError> {
    let unwritable = |source| WireError::KekUnreadable { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    let draft = path.with_extension(format!("{}.draft", kek.id()));
    let written = create_private(&draft).and_then(|mut file| {
        file.write_all(kek.to_file_text().expose().as_bytes())?;
        file.sync_all()
    });
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    // The draft is of no use any more, whatever came of it.
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(unwritable),
    }
}

/// The keys' own settings out of ours.
pub(crate) fn key_settings(settings: &Settings, kek: Kek, rsa_pool: usize) -> keys::KeySettings {
    let timing = domain::keys::policy::NodeTiming {
        sweep_interval: domain::time::Ttl::seconds(settings.keys.sweep_interval_seconds),
        clock_skew: domain::time::Ttl::seconds(settings.keys.clock_skew_seconds),
    };
    keys::KeySettings {
        kek,
        timing,
        rsa_pool,
        arbiters: ARBITERS,
        idle_after: domain::time::Ttl::seconds(settings.keys.idle_after_seconds),
        most_awake: settings.keys.most_awake,
    }
}

/// Threads for the keys' actors: they wait for the database most of the time.
const ARBITERS: usize = 1;

/// A key directory for a short visit: no pool, no clock.
pub(crate) fn visit(settings: &Settings, kek: Kek, store: Arc<dyn Store>) -> Arc<keys::KeyDirectory> {
    keys::KeyDirectory::start(key_settings(settings, kek, 0), store, Arc::new(SystemClock), Arc::new(SystemEntropy))
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
