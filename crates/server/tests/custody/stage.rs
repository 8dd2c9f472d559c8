//! The stage: databases, keys and tenants for these tests, and the program `claviger` as an operator runs it.
//!
//! Invariant: what is made here is gone when the test ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use app::ports::keys::{Keys, OrderedBy};
use app::ports::store::Store;
use domain::audit::Actor;
use domain::ids::TenantId;
use domain::keys::policy::NodeTiming;
use domain::time::Ttl;
use keys::kek::{Kek, Keks, LocalKek};
use keys::{Custody, KeyDirectory, KeySettings};
use server::{SystemClock, SystemEntropy};
use storage::SqlStore;
use testkit::sample;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// A folder, and a database that was not migrated yet.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) url: String,
}

impl Place {
    pub(crate) async fn new(backend: Backend) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = match backend {
            Backend::Sqlite => format!("sqlite:{}", folder.path().join("claviger.db").display()),
            Backend::Postgres => testkit::postgres::fresh_database().await,
        };
        Self { folder, url }
    }

    pub(crate) async fn store(&self) -> SqlStore {
        storage::migrate(&self.url).await.expect("migrated");
        SqlStore::new(storage::connect(&self.url, 8).await.expect("connected"))
    }

    pub(crate) fn kek_file(&self) -> PathBuf {
        self.folder.path().join("kek")
    }

    /// Runs `claviger` on this database and key file.
    pub(crate) fn claviger(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_claviger"))
            .args(args)
            .env("CLAVIGER__DATABASE__URL", &self.url)
            .env("CLAVIGER__KEYS__KEK_FILE", self.kek_file())
            .env("CLAVIGER__LOG__LEVEL", "warn")
            .output()
            .expect("claviger runs")
    }
}

/// Insists that the program ended well; answers what it said.
#[track_caller]
pub(crate) fn said(output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Insists that it did not; answers what it said on standard error.
#[track_caller]
pub(crate) fn refused(output: Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn write_secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("made private");
}

pub(crate) fn kek() -> Arc<dyn Kek> {
    Arc::new(LocalKek::generate(&SystemEntropy))
}

/// The first of them is the primary one.
pub(crate) async fn custody(keks: &[&Arc<dyn Kek>]) -> Arc<Custody> {
    let keks = Keks::new(keks.iter().map(|kek| Arc::clone(kek)).collect(), None).expect("keys");
    Arc::new(Custody::open(Arc::new(keks)).await.expect("opens"))
}

pub(crate) fn node(store: Arc<dyn Store>, custody: &Arc<Custody>) -> Arc<KeyDirectory> {
    let timing = NodeTiming::default();
    let (custody, idle_after) = (Arc::clone(custody), Ttl::minutes(30));
    let base_url = "https://id.example".to_owned();
    let settings = KeySettings { custody, base_url, timing, rsa_pool: 0, arbiters: 1, idle_after, most_awake: 1_000 };
    KeyDirectory::start(settings, store, Arc::new(SystemClock), Arc::new(SystemEntropy))
}

/// Stores a tenant with keys as this node makes them.
pub(crate) async fn tenant(store: &dyn Store, node: &KeyDirectory) -> TenantId {
    let tenant = sample::tenant();
    let ring = node.prepare(&tenant, None, &Actor::System).await.expect("a ring");
    let mut tx = store.begin(tenant.id).await.expect("begins");
    tx.tenant_insert(&tenant).await.expect("stored");
    tx.ring_insert(&ring.data_key, &ring.change).await.expect("stored");
    tx.commit().await.expect("commits");
    tenant.id
}

pub(crate) fn by() -> OrderedBy {
    OrderedBy { actor: Actor::System, source: None, request_id: None }
}

/// Plays a test inside an actix `System`, as actors need one.
pub(crate) fn play(test: impl AsyncFnOnce(Backend), backend: Backend) {
    actix_web::rt::System::new().block_on(test(backend));
}

/// Plays each test on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { crate::stage::play(super::$name, crate::stage::Backend::Sqlite); })+
        }
        mod postgres {
            $(#[test] fn $name() { crate::stage::play(super::$name, crate::stage::Backend::Postgres); })+
        }
    };
}
pub(crate) use on_both;
