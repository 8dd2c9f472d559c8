//! Stored documents between two releases: what a later one has written stays when this one changes something else, and what it says to need
//! is not used.

use app::ports::store::{RingChange, Store, StoreError, TenantTx};
use async_trait::async_trait;
use domain::branding::{Branding, Corners};
use domain::client::Client;
use domain::ids::TenantId;
use domain::resource::Resource;
use domain::tenant::Tenant;
use domain::time::Ttl;
use domain::trusted_issuer::TrustedIssuer;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, Row, SqlitePool};
use storage::{SqlStore, connect, migrate};
use testkit::sample;

/// The database of a store, asked past it.
enum Raw {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Raw {
    /// As row-level security shows it to this tenant.
    async fn at(url: &str, tenant: TenantId) -> Self {
        if url.starts_with("sqlite:") {
            return Self::Sqlite(SqlitePool::connect(url).await.expect("connected"));
        }
        let pool = PgPoolOptions::new().max_connections(1).connect(url).await.expect("connected");
        let set = format!("SELECT set_config('claviger.tenant', '{}', false)", tenant.as_uuid());
        sqlx::query(AssertSqlSafe(set)).execute(&pool).await.expect("set");
        Self::Postgres(pool)
    }

    /// Reads the only document in a column.
    async fn read(&self, table: &str, column: &str) -> String {
        let sql = AssertSqlSafe(format!("SELECT {column} FROM {table}"));
        match self {
            Self::Sqlite(pool) => sqlx::query(sql).fetch_one(pool).await.expect("read").get(0),
            Self::Postgres(pool) => sqlx::query(sql).fetch_one(pool).await.expect("read").get(0),
        }
    }

    async fn write(&self, table: &str, column: &str, text: &str) {
        let sql = AssertSqlSafe(format!("UPDATE {table} SET {column} = $1"));
        let rows = match self {
            Self::Sqlite(pool) => sqlx::query(sql).bind(text).execute(pool).await.expect("written").rows_affected(),
            Self::Postgres(pool) => sqlx::query(sql).bind(text).execute(pool).await.expect("written").rows_affected(),
        };
        assert_eq!(rows, 1, "{table}.{column}");
    }
}

/// One column of documents: how one gets there, and how this release reads and changes it.
#[async_trait]
trait Kept: Sync {
    fn place(&self) -> (&'static str, &'static str);
    /// Where in it something unknown may stand.
    fn objects(&self) -> &'static [&'static str];
    async fn read(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError>;
    /// Changes something that is known.
    async fn change(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError>;
}

struct Policy(Tenant);

#[async_trait]
impl Kept for Policy {
    fn place(&self) -> (&'static str, &'static str) {
        ("tenants", "policy")
    }
    fn objects(&self) -> &'static [&'static str] {
        &["", "/password", "/argon2", "/claims", "/registration", "/client_id_metadata_documents"]
    }
    async fn read(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        tx.tenant().await.map(|tenant| assert_eq!(tenant, Some(self.0.clone())))
    }
    async fn change(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        let mut tenant = self.0.clone();
        tenant.policy.access_ttl_seconds = Ttl::minutes(7);
        tx.tenant_update(&tenant).await
    }
}

struct Settings(Client);

#[async_trait]
impl Kept for Settings {
    fn place(&self) -> (&'static str, &'static str) {
        ("clients", "settings")
    }
    fn objects(&self) -> &'static [&'static str] {
        &[""]
    }
    async fn read(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        tx.client_by_id(&self.0.id).await.map(|client| assert_eq!(client, Some(self.0.clone())))
    }
    async fn change(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        let mut client = self.0.clone();
        client.settings.require_auth_time = !client.settings.require_auth_time;
        tx.client_update(&client).await
    }
}

struct Secrets(Client);

#[async_trait]
impl Kept for Secrets {
    fn place(&self) -> (&'static str, &'static str) {
        ("clients", "secrets")
    }
    fn objects(&self) -> &'static [&'static str] {
        &["/0"]
    }
    async fn read(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        tx.client_by_id(&self.0.id).await.map(|client| assert_eq!(client, Some(self.0.clone())))
    }
    async fn change(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        let mut client = self.0.clone();
        client.secrets[0].expires_at = Some(sample::NOW);
        tx.client_update(&client).await
    }
}

struct Api(Resource);

#[async_trait]
impl Kept for Api {
    fn place(&self) -> (&'static str, &'static str) {
        ("resources", "settings")
    }
    fn objects(&self) -> &'static [&'static str] {
        &[""]
    }
    async fn read(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        tx.resource_by_id(self.0.id).await.map(|api| assert_eq!(api, Some(self.0.clone())))
    }
    async fn change(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        let mut api = self.0.clone();
        api.settings.must_be_named = !api.settings.must_be_named;
        tx.resource_update(&api).await
    }
}

struct Trusted(TrustedIssuer);

#[async_trait]
impl Kept for Trusted {
    fn place(&self) -> (&'static str, &'static str) {
        ("trusted_issuers", "settings")
    }
    fn objects(&self) -> &'static [&'static str] {
        &[""]
    }
    async fn read(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        tx.trusted_issuer_by_id(self.0.id).await.map(|issuer| assert_eq!(issuer, Some(self.0.clone())))
    }
    async fn change(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        let mut issuer = self.0.clone();
        issuer.settings.subjects.insert("somebody".to_owned());
        tx.trusted_issuer_update(&issuer).await
    }
}

struct Look;

#[async_trait]
impl Kept for Look {
    fn place(&self) -> (&'static str, &'static str) {
        ("tenant_branding", "branding")
    }
    fn objects(&self) -> &'static [&'static str] {
        &[""]
    }
    async fn read(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        tx.branding().await.map(|_| ())
    }
    async fn change(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        tx.branding_set(&Branding { corners: Corners::Round, ..Branding::default() }).await
    }
}

struct Ring;

#[async_trait]
impl Kept for Ring {
    fn place(&self) -> (&'static str, &'static str) {
        ("key_rings", "ring")
    }
    fn objects(&self) -> &'static [&'static str] {
        &["", "/numbers", "/keys/0"]
    }
    async fn read(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        tx.ring().await.map(|ring| assert!(ring.is_some()))
    }
    async fn change(&self, tx: &mut dyn TenantTx) -> Result<(), StoreError> {
        let mut ring = tx.ring().await?.expect("a ring");
        ring.generation += 1;
        ring.numbers.overlap_seconds = Ttl::hours(9);
        ring.keys[0].token_ttl_cap_seconds = Ttl::minutes(1);
        let change = RingChange { ring, next_due_at: None, new_secrets: Vec::new(), destroyed: Vec::new(), log: None };
        tx.ring_replace(&change).await
    }
}

/// A tenant with one of everything.
async fn furnished(store: &SqlStore) -> (TenantId, Vec<Box<dyn Kept>>) {
    let home = sample::home(store).await.expect("stored");
    let (client, api, issuer) = (sample::client(), sample::resource(), sample::trusted_issuer());
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.client_insert(&client).await.expect("stored");
    tx.resource_insert(&api).await.expect("stored");
    tx.trusted_issuer_insert(&issuer).await.expect("stored");
    tx.branding_set(&Branding::default()).await.expect("stored");
    tx.commit().await.expect("commits");
    let kept: Vec<Box<dyn Kept>> = vec![
        Box::new(Policy(home.tenant.clone())),
        Box::new(Settings(client.clone())),
        Box::new(Secrets(client)),
        Box::new(Api(api)),
        Box::new(Trusted(issuer)),
        Box::new(Look),
        Box::new(Ring),
    ];
    (home.id(), kept)
}

/// A database with one of everything in it.
struct Site {
    store: SqlStore,
    tenant: TenantId,
    kept: Vec<Box<dyn Kept>>,
    raw: Raw,
}

/// One on each backend.
async fn both() -> (tempfile::TempDir, Vec<Site>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut all = Vec::new();
    for url in [format!("sqlite:{}", folder.path().join("claviger.db").display()), testkit::postgres::fresh_database().await] {
        migrate(&url).await.expect("migrated");
        let store = SqlStore::new(connect(&url, 4).await.expect("connected"));
        let (tenant, kept) = furnished(&store).await;
        let raw = Raw::at(&url, tenant).await;
        all.push(Site { store, tenant, kept, raw });
    }
    (folder, all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_later_release_has_written_is_still_there_after_this_one_has_changed_something() {
    let (_folder, all) = both().await;
    for Site { store, tenant, kept, raw } in all {
        for kept in kept {
            let (table, column) = kept.place();
            let before: Value = serde_json::from_str(&raw.read(table, column).await).expect("JSON");
            let mut later = before.clone();
            for at in kept.objects() {
                let object = later.pointer_mut(at).and_then(Value::as_object_mut).unwrap_or_else(|| panic!("{column}{at} is an object"));
                object.insert("of_a_later_release".to_owned(), json!({ "at": at }));
            }
            raw.write(table, column, &later.to_string()).await;
            let mut tx = store.begin(tenant).await.expect("begins");
            kept.read(tx.as_mut()).await.unwrap_or_else(|error| panic!("{table}.{column}: {error}"));
            kept.change(tx.as_mut()).await.unwrap_or_else(|error| panic!("{table}.{column}: {error}"));
            tx.commit().await.expect("commits");
            let mut after: Value = serde_json::from_str(&raw.read(table, column).await).expect("JSON");
            for at in kept.objects() {
                let object = after.pointer_mut(at).and_then(Value::as_object_mut).expect("an object");
                assert_eq!(object.remove("of_a_later_release"), Some(json!({ "at": at })), "{table}.{column}{at}");
            }
            assert_ne!(after, before, "{table}.{column}: something has changed");
            raw.write(table, column, &before.to_string()).await;
        }
        store.database().close().await.expect("closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_later_release_is_neither_used_nor_written_over() {
    let (_folder, all) = both().await;
    for Site { store, tenant, kept, raw } in all {
        // A list of secrets has no place to say what it needs: the settings beside it say so.
        for kept in kept.into_iter().filter(|kept| kept.place().1 != "secrets") {
            let (table, column) = kept.place();
            let before = raw.read(table, column).await;
            let members = before.strip_prefix('{').expect("an object");
            let later = format!("{{\"needs\":4000000000,{members}");
            raw.write(table, column, &later).await;
            let refused = |done: Result<(), StoreError>| match done {
                Err(StoreError::Newer { table: of, column: cell, needs: 4_000_000_000, .. }) => assert_eq!((of, cell), (table, column)),
                other => panic!("{table}.{column}: {other:?}"),
            };
            let mut tx = store.begin(tenant).await.expect("begins");
            refused(kept.read(tx.as_mut()).await);
            refused(kept.change(tx.as_mut()).await);
            drop(tx);
            assert_eq!(raw.read(table, column).await, later);
            raw.write(table, column, &before).await;
        }
        store.database().close().await.expect("closed");
    }
}
