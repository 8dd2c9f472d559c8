//! The key-encryption keys that the settings name, read from where each of them lives.
//!
//! Invariant: a key is made only for a SQLite database that has sealed nothing yet, or when the operator orders it; a lost one
//! is never replaced by a new one in silence.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use app::ports::store::{Store, StoreError};
use async_trait::async_trait;
use keys::Custody;
use keys::kek::{BadKek, BadKeks, CommandKek, HsmKek, HsmKey, Kek, KekCommand, KekFault, KekSource, Keks, LocalKek, VaultKek, VaultKey};
use storage::SqlStore;
use zeroize::Zeroizing;

use crate::settings::{KekSettings, KeySettings, Settings};
use crate::wire::{SystemEntropy, create_private, private_folder};

/// Why the key-encryption keys cannot be had; the text says what to do, and never holds a key.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    #[error(
        "the key-encryption key {path} is missing, but the database already holds keys sealed with it. Bring the file back from where \
         you keep its copy; without it those keys can never be opened again. (keys.kek_file, CLAVIGER__KEYS__KEK_FILE)"
    )]
    Lost { path: String },
    #[error(
        "the key-encryption key {path} is missing. With PostgreSQL every node needs the same one: make it once with \
         `printf 'claviger-kek-1:%s:%s\\n' \"$(openssl rand -hex 6)\" \"$(openssl rand -base64 32 | tr '+/' '-_' | tr -d '=')\"`, \
         keep a copy in a safe place, mount it with mode 0400 and set keys.kek_file (CLAVIGER__KEYS__KEK_FILE)"
    )]
    NotGiven { path: String },
    #[error(
        "the key-encryption key {path} can be read by others (mode {mode:04o}): run `chmod 600 {path}`, and think about who may have read it. \
         (keys.kek_file, CLAVIGER__KEYS__KEK_FILE)"
    )]
    Open { path: String, mode: u32 },
    #[error(
        "the key-encryption key {path} cannot be read or made: {source}. Set keys.kek_file (CLAVIGER__KEYS__KEK_FILE) to a file that this user may read"
    )]
    Unreadable { path: String, source: std::io::Error },
    #[error(
        "the key-encryption key {path} is {source}. Bring the right file back, or set keys.kek_file (CLAVIGER__KEYS__KEK_FILE) to where it is"
    )]
    Bad { path: String, source: BadKek },
    #[error("keys.keks.{id}: {why}")]
    Provider { id: String, why: String },
    #[error("the primary key-encryption key {id} ({provider}) does not work: {fault}. `claviger kek status` looks at all of them")]
    DoesNotWork { id: String, provider: &'static str, fault: KekFault },
    #[error(
        "the primary key-encryption key {id} was retired, and the database takes nothing that it wraps: make another one the primary one"
    )]
    Retired { id: String },
    #[error("keys: {0}. Look at keys.kek_file, keys.keks and keys.primary_kek")]
    List(#[from] BadKeks),
    #[error("the settings cannot be read again: {0}")]
    Settings(#[from] crate::settings::BadSettings),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the keys that a node's settings name. The settings themselves are read again too when they came from a file.
struct FromSettings(Settings);

#[async_trait]
impl KekSource for FromSettings {
    async fn read(&self) -> Result<Keks, String> {
        let keys = match &self.0.config_file {
            Some(file) => Settings::load(Some(file)).map_err(|error| error.to_string())?.keys,
            None => self.0.keys.clone(),
        };
        tokio::task::spawn_blocking(move || read(&keys))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error: CustodyError| error.to_string())
    }
}

/// The keys of these settings. Reads files and talks to what is local; a key across a network is asked at its first use.
fn read(settings: &KeySettings) -> Result<Keks, CustodyError> {
    let mut all: Vec<Arc<dyn Kek>> = Vec::new();
    // With other keys configured, the default file may be absent.
    if !settings.kek_file.as_os_str().is_empty() && (settings.keks.is_empty() || settings.kek_file.exists()) {
        all.extend(from_file(&settings.kek_file)?.into_iter().map(|kek| Arc::new(kek) as Arc<dyn Kek>));
    }
    for (id, kek) in &settings.keks {
        all.push(provided(id, kek)?);
    }
    let primary = Some(settings.primary_kek.as_str()).filter(|id| !id.is_empty());
    Ok(Keks::new(all, primary)?)
}

/// One key of `[keys.keks]`.
fn provided(id: &str, settings: &KekSettings) -> Result<Arc<dyn Kek>, CustodyError> {
    let wrong = |why: String| CustodyError::Provider { id: id.to_owned(), why };
    let named = |kek: LocalKek| {
        if kek.id() == id { Ok(kek) } else { Err(wrong(format!("the key there calls itself `{}`", kek.id()))) }
    };
    match settings {
        KekSettings::File { path } => {
            let mut keks = from_file(path)?;
            let at =
                keks.iter().position(|kek| kek.id() == id).ok_or_else(|| wrong(format!("{} has no key of this id", path.display())))?;
            Ok(Arc::new(keks.swap_remove(at)))
        }
        KekSettings::Env { variable } => {
            let text = std::env::var(variable).map(Zeroizing::new).map_err(|_| wrong(format!("the environment has no {variable}")))?;
            let kek = LocalKek::from_file_text(&text).map_err(|bad| wrong(format!("{variable} is {bad}")))?;
            Ok(Arc::new(named(kek)?))
        }
        KekSettings::Command { program, args, env, timeout_seconds } => {
            let timeout = Duration::from_secs(*timeout_seconds);
            let command = KekCommand { program: program.clone(), args: args.clone(), env: env.clone(), timeout };
            Ok(Arc::new(CommandKek::new(id.to_owned(), command)))
        }
        KekSettings::Vault { address, mount, key, token_file, ca_file, timeout_seconds } => {
            let vault = VaultKey {
                address: address.clone(),
                mount: mount.clone(),
                key: key.clone(),
                token_file: token_file.clone(),
                ca_file: ca_file.clone(),
                timeout: Duration::from_secs(*timeout_seconds),
            };
            Ok(Arc::new(VaultKek::new(id.to_owned(), vault).map_err(wrong)?))
        }
        KekSettings::Pkcs11 { module, token_label, key_label, pin_file } => {
            let (module, pin_file) = (module.clone(), pin_file.clone());
            let key = HsmKey { module, token_label: token_label.clone(), key_label: key_label.clone(), pin_file };
            Ok(Arc::new(HsmKek::new(id.to_owned(), key)))
        }
    }
}

/// Reads a file of keys. Refuses one that others can read.
pub(crate) fn from_file(path: &Path) -> Result<Vec<LocalKek>, CustodyError> {
    let shown = path.display().to_string();
    let unreadable = |source| CustodyError::Unreadable { path: path.display().to_string(), source };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let file = fs::metadata(path).map_err(unreadable)?;
        let mode = file.mode() & 0o7777;
        if mode & of_others(file.uid(), rustix::process::geteuid().as_raw()) != 0 {
            return Err(CustodyError::Open { path: shown, mode });
        }
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
    LocalKek::all_from_file_text(&text).map_err(|source| CustodyError::Bad { path: shown.clone(), source })
}

/// Which bits of its mode open a file of `owner` to others than this program, which runs as `user`. What belongs to root and not to
/// us is a platform's: that one lets us in by our group alone (Kubernetes mounts secrets for `fsGroup` as root's, with mode 0440).
#[cfg(unix)]
const fn of_others(owner: u32, user: u32) -> u32 {
    if owner == 0 && user != 0 { 0o037 } else { 0o077 }
}

/// The key-encryption keys that there are. `None`: none is configured but a file that is not there, and whether one may be made
/// is up to the database.
pub(crate) fn given(settings: &Settings) -> Result<Option<Keks>, CustodyError> {
    let path = &settings.keys.kek_file;
    if !settings.keys.keks.is_empty() || path.exists() {
        return read(&settings.keys).map(Some);
    }
    match settings.database.sqlite_file() {
        Some(_) => Ok(None),
        None => Err(CustodyError::NotGiven { path: path.display().to_string() }),
    }
}

/// The key-encryption keys, or a new one in `keys.kek_file` for a SQLite database that has sealed nothing yet.
pub(crate) async fn open_or_new(settings: &Settings, store: &SqlStore) -> Result<Custody, CustodyError> {
    if given(settings)?.is_none() {
        let path = &settings.keys.kek_file;
        let shown = path.display().to_string();
        if has_sealed_anything(store).await? {
            return Err(CustodyError::Lost { path: shown });
        }
        write_new(path, &LocalKek::generate(&SystemEntropy))?;
        tracing::warn!(
            file = %shown,
            "a new key-encryption key was made and lies beside the database. That is for trying out: production brings its own, from \
             a place that the database's backups do not reach, and keeps a copy of it"
        );
    }
    open(settings).await
}

/// The key-encryption keys that are there.
pub(crate) async fn open(settings: &Settings) -> Result<Custody, CustodyError> {
    // Once by hand, because the source's errors are mere texts.
    let keys = settings.keys.clone();
    tokio::task::spawn_blocking(move || read(&keys)).await.map_err(|error| StoreError::Unavailable(error.to_string()))??;
    let source = Arc::new(FromSettings(settings.clone()));
    Custody::open(source).await.map_err(|why| CustodyError::Store(StoreError::Unavailable(why)))
}

/// Whether the key that wraps what is new may do so in this database, works, and heeds its context. One of our own is not tried:
/// it cannot fail, and the first randomness of a process takes 30 ms, for which no start has to wait.
pub(crate) async fn check_primary(custody: &Custody, store: &SqlStore) -> Result<(), CustodyError> {
    let keks = custody.keks();
    let primary = keks.primary();
    let uses = store.begin_platform().await?.kek_uses().await?;
    if uses.iter().any(|used| used.kek_id == primary.id() && used.retired_at.is_some()) {
        return Err(CustodyError::Retired { id: primary.id().to_owned() });
    }
    if !primary.is_elsewhere() {
        return Ok(());
    }
    let refused = |fault| CustodyError::DoesNotWork { id: primary.id().to_owned(), provider: primary.provider(), fault };
    keys::kek::check(&**primary).await.map_err(refused)
}

pub(crate) async fn has_sealed_anything(store: &SqlStore) -> Result<bool, StoreError> {
    Ok(!store.begin_platform().await?.kek_uses().await?.is_empty())
}

/// Writes a new key so that its file appears whole or not at all, and never over another one: whoever comes second uses the
/// first one's.
fn write_new(path: &Path, kek: &LocalKek) -> Result<(), CustodyError> {
    if let Some(folder) = path.parent() {
        private_folder(folder).map_err(|source| CustodyError::Unreadable { path: folder.display().to_string(), source })?;
    }
    let draft = draft(path, kek, "")?;
    let linked = fs::hard_link(&draft, path);
    // The draft is of no use any more, whatever came of it.
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(|source| CustodyError::Unreadable { path: path.display().to_string(), source }),
    }
}

/// Puts a new key before those of the file, as the primary one; the file is the old one or the new one at every moment, and
/// stays its owner's. Two at once take turns, so that neither loses the other's key.
///
/// # Errors
/// When the file cannot be written, as where a platform mounts it.
pub(crate) fn prepend_new(path: &Path) -> Result<String, CustodyError> {
    let unreadable = |source| CustodyError::Unreadable { path: path.display().to_string(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The folder, not the file: the file is replaced. The lock goes with the handle.
    let folder = fs::File::open(folder).map_err(unreadable)?;
    folder.lock().map_err(unreadable)?;
    from_file(path)?;
    let rest = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
    let kek = LocalKek::generate(&SystemEntropy);
    let draft = draft(path, &kek, &rest)?;
    let placed = keep_owner(path, &draft).and_then(|()| fs::rename(&draft, path)).and_then(|()| folder.sync_all());
    if placed.is_err() {
        // Nothing is wrapped by it yet.
        let _ = fs::remove_file(&draft);
    }
    placed.map_err(unreadable)?;
    Ok(kek.id().to_owned())
}

/// Gives `new` to whom `old` belongs: the server may run as somebody else than the operator.
fn keep_owner(old: &Path, new: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (old, made) = (fs::metadata(old)?, fs::metadata(new)?);
        if (old.uid(), old.gid()) != (made.uid(), made.gid()) {
            return std::os::unix::fs::chown(new, Some(old.uid()), Some(old.gid()));
        }
    }
    Ok(())
}

/// Writes a key, and `rest` after it, durably into a file of its own beside `path`.
fn draft(path: &Path, kek: &LocalKek, rest: &str) -> Result<std::path::PathBuf, CustodyError> {
    let draft = path.with_extension(format!("{}.draft", kek.id()));
    let written = create_private(&draft).and_then(|mut file| {
        file.write_all(kek.to_file_text().expose().as_bytes())?;
        file.write_all(rest.as_bytes())?;
        file.sync_all()
    });
    written.map(|()| draft.clone()).map_err(|source| CustodyError::Unreadable { path: draft.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn new_keys_come_before_the_old_ones_and_none_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kek");
        let first = LocalKek::generate(&SystemEntropy);
        write_new(&path, &first).expect("written");
        write_new(&path, &LocalKek::generate(&SystemEntropy)).expect("there already");
        assert_eq!(from_file(&path).expect("keys").len(), 1, "a key is never written over another");
        let new: Vec<String> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| prepend_new(&path).expect("made"))).collect();
            makers.into_iter().map(|maker| maker.join().expect("no panic")).collect()
        });
        let ids: Vec<String> = from_file(&path).expect("keys").iter().map(|kek| kek.id().to_owned()).collect();
        assert_eq!(ids.len(), 9);
        assert_eq!(ids.last().map(String::as_str), Some(first.id()));
        assert!(new.iter().all(|id| ids.contains(id)), "{new:?} {ids:?}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "no draft is left");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_one_of_somebody_else_stays_theirs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kek");
        write_new(&path, &LocalKek::generate(&SystemEntropy)).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("opened up");
        assert!(matches!(prepend_new(&path), Err(CustodyError::Open { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("closed");
        assert_eq!((of_others(0, 0), of_others(10_001, 10_001), of_others(10_001, 0)), (0o077, 0o077, 0o077));
        assert_eq!(0o440 & of_others(0, 10_001), 0, "as a platform mounts it for our group");
        assert_ne!(0o444 & of_others(0, 10_001), 0, "everybody is not our group");
        assert_ne!(0o460 & of_others(0, 10_001), 0, "who may write it is not its reader");
        // Only root may give a file away; elsewhere it stays its maker's, and so does the new one.
        let _ = std::os::unix::fs::chown(&path, Some(65_534), Some(65_534));
        let owner = fs::metadata(&path).expect("there").uid();
        prepend_new(&path).expect("made");
        let made = fs::metadata(&path).expect("there");
        assert_eq!((made.uid(), made.permissions().mode() & 0o7777), (owner, 0o600));
    }
}
