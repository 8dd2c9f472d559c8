//! A store for these tests: rings, audit and the installation's secret, in memory, with faults on demand.
//!
//! Invariant: what is not about rings answers `Unavailable`; the store that does everything is `testkit`'s.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use app::ports::store::*;
use app::ports::world::Clock;
use app::tokens::judgement::{Judgement, RefreshAttempt};
use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::guess::{GuessCounter, GuessScope};
use domain::ids::{EventId, FamilyId, TenantId, UserId};
use domain::keys::ring::{KeyRing, Kid};
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::text::{LoginName, Slug};
use domain::time::Timestamp;
use domain::token::family::{RefreshFamily, Revocation};
use domain::user::User;

#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) ring: KeyRing,
    pub(crate) secrets: Vec<SealedSecret>,
    next_due_at: Option<Timestamp>,
}

#[derive(Default)]
pub(crate) struct FakeStore {
    pub(crate) rows: Mutex<HashMap<TenantId, Row>>,
    pub(crate) audit: Mutex<Vec<AuditRecord>>,
    kids: Mutex<HashSet<Kid>>,
    pub(crate) data_keys: Mutex<HashMap<TenantId, SealedDataKey>>,
    /// Of the installation, which has no ring.
    own_secrets: Mutex<Vec<SealedSecret>>,
    /// So many of the next ring writes meet a conflict.
    pub(crate) conflicts: AtomicU32,
    /// So many of the next ring reads panic.
    pub(crate) panics: AtomicU32,
}

fn take_one(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn not_here<T>() -> Stored<T> {
    Err(StoreError::Unavailable("not in this store".to_owned()))
}

pub(crate) struct FakeClock(pub(crate) AtomicI64);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// The store behind a shared pointer, so that several nodes can have it.
pub(crate) struct Shared(pub(crate) Arc<FakeStore>);

struct Tx {
    store: Arc<FakeStore>,
    tenant: TenantId,
    row: Option<Row>,
    audit: Vec<AuditRecord>,
}

#[async_trait]
impl Store for Shared {
    async fn begin(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>> {
        Ok(Box::new(Tx { store: Arc::clone(&self.0), tenant, row: None, audit: Vec::new() }))
    }
    async fn begin_read(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>> {
        self.begin(tenant).await
    }
    async fn begin_platform(&self) -> Stored<Box<dyn PlatformTx>> {
        Ok(Box::new(Platform(Arc::clone(&self.0))))
    }
    async fn refresh(&self, _: TenantId, _: RefreshAttempt) -> Stored<Option<Judgement>> {
        not_here()
    }
    async fn ping(&self) -> Stored<()> {
        Ok(())
    }
}

#[async_trait]
impl TenantTx for Tx {
    fn tenant_id(&self) -> TenantId {
        self.tenant
    }
    async fn commit(self: Box<Self>) -> Stored<()> {
        let mut rows = self.store.rows.lock().unwrap();
        if let Some(row) = self.row {
            if rows.get(&self.tenant).map_or(0, |stored| stored.ring.generation) != row.ring.generation - 1 {
                return Err(StoreError::Conflict);
            }
            rows.insert(self.tenant, row);
        }
        self.store.audit.lock().unwrap().extend(self.audit);
        Ok(())
    }
}

impl Tx {
    fn stored(&self) -> Option<Row> {
        self.store.rows.lock().unwrap().get(&self.tenant).cloned()
    }
    fn stage(&mut self, mut row: Row, change: &RingChange) -> Stored<()> {
        let mut kids = self.store.kids.lock().unwrap();
        let known: HashSet<_> = row.ring.keys.iter().map(|key| key.kid.clone()).collect();
        for key in change.ring.keys.iter().filter(|key| !known.contains(&key.kid)) {
            if !kids.insert(key.kid.clone()) {
                return Err(StoreError::Conflict);
            }
        }
        row.secrets.retain(|secret| !change.destroyed.iter().any(|kid| kid.as_str() == secret.name));
        row.secrets.extend(change.new_secrets.iter().cloned());
        row.ring = change.ring.clone();
        row.next_due_at = change.next_due_at;
        self.row = Some(row);
        Ok(())
    }
}

#[async_trait]
impl RingStore for Tx {
    async fn ring_insert(&mut self, data_key: &SealedDataKey, change: &RingChange) -> Stored<()> {
        let ring = KeyRing { keys: Vec::new(), ..change.ring.clone() };
        self.data_key_insert(data_key).await?;
        self.stage(Row { ring, secrets: Vec::new(), next_due_at: None }, change)
    }
    async fn ring(&mut self) -> Stored<Option<KeyRing>> {
        assert!(!take_one(&self.store.panics), "a panic that was ordered");
        Ok(self.stored().map(|row| row.ring))
    }
    async fn ring_replace(&mut self, change: &RingChange) -> Stored<()> {
        if take_one(&self.store.conflicts) {
            return Err(StoreError::Conflict);
        }
        match self.stored() {
            Some(row) if row.ring.generation + 1 == change.ring.generation => self.stage(row, change),
            _ => Err(StoreError::Conflict),
        }
    }
}

#[async_trait]
impl SecretStore for Tx {
    async fn data_key(&mut self) -> Stored<Option<SealedDataKey>> {
        Ok(self.store.data_keys.lock().unwrap().get(&self.tenant).cloned())
    }
    async fn data_key_insert(&mut self, data_key: &SealedDataKey) -> Stored<()> {
        let mut data_keys = self.store.data_keys.lock().unwrap();
        if data_keys.contains_key(&self.tenant) {
            return Err(StoreError::Conflict);
        }
        data_keys.insert(self.tenant, data_key.clone());
        Ok(())
    }
    async fn data_key_replace(&mut self, _: &SealedDataKey) -> Stored<()> {
        not_here()
    }
    async fn sealed_secrets(&mut self) -> Stored<Vec<SealedSecret>> {
        if self.tenant == TenantId::INSTALLATION {
            return Ok(self.store.own_secrets.lock().unwrap().clone());
        }
        Ok(self.stored().map(|row| row.secrets).unwrap_or_default())
    }
    async fn secret_insert(&mut self, secret: &SealedSecret) -> Stored<()> {
        self.store.own_secrets.lock().unwrap().push(secret.clone());
        Ok(())
    }
    async fn secret_replace(&mut self, _: &SealedSecret) -> Stored<()> {
        not_here()
    }
    async fn first_format_secret(&mut self, _: &str) -> Stored<Option<FirstFormatSecret>> {
        Ok(None)
    }
    async fn first_format_secret_remove(&mut self, _: &str) -> Stored<bool> {
        Ok(false)
    }
}

#[async_trait]
impl AuditStore for Tx {
    async fn audit_append(&mut self, record: &AuditRecord) -> Stored<()> {
        self.audit.push(record.clone());
        Ok(())
    }
    async fn audit_page(&mut self, _: Option<EventId>, _: u32) -> Stored<Vec<AuditRecord>> {
        not_here()
    }
}

struct Platform(Arc<FakeStore>);

#[async_trait]
impl PlatformTx for Platform {
    async fn tenant_by_slug(&mut self, _: &Slug) -> Stored<Option<Tenant>> {
        not_here()
    }
    async fn tenant_by_id(&mut self, _: TenantId) -> Stored<Option<Tenant>> {
        not_here()
    }
    async fn tenants_page(&mut self, _: Option<&Slug>, _: u32) -> Stored<Vec<Tenant>> {
        not_here()
    }
    async fn rings_due(&mut self, now: Timestamp, limit: u32) -> Stored<Vec<RingMark>> {
        let rows = self.0.rows.lock().unwrap();
        let due = rows.iter().filter(|(_, row)| row.next_due_at.is_some_and(|due| due <= now));
        Ok(due.map(|(id, row)| RingMark { tenant_id: *id, generation: row.ring.generation }).take(limit as usize).collect())
    }
    async fn ring_generations(&mut self, tenants: &[TenantId]) -> Stored<Vec<RingMark>> {
        let rows = self.0.rows.lock().unwrap();
        Ok(tenants.iter().filter_map(|id| rows.get(id).map(|row| RingMark { tenant_id: *id, generation: row.ring.generation })).collect())
    }
    async fn families_sweep(&mut self, _: Timestamp, _: u32) -> Stored<u64> {
        not_here()
    }
    async fn guesses_sweep(&mut self, _: Timestamp, _: u32) -> Stored<u64> {
        not_here()
    }
    async fn commit(self: Box<Self>) -> Stored<()> {
        Ok(())
    }
}

#[async_trait]
impl CustodyStore for Platform {
    async fn data_keys_page(&mut self, _: Option<&str>, _: Option<KeyOwner>, _: u32) -> Stored<Vec<OwnedDataKey>> {
        not_here()
    }
    async fn data_key_rewrap(&mut self, _: &OwnedDataKey) -> Stored<bool> {
        not_here()
    }
    async fn kek_uses(&mut self) -> Stored<Vec<KekUse>> {
        not_here()
    }
    async fn kek_retire(&mut self, _: &str, _: Timestamp) -> Stored<Retirement> {
        not_here()
    }
    async fn deletion_certificate(&mut self, _: TenantId) -> Stored<Option<String>> {
        not_here()
    }
}

#[async_trait]
impl TenantStore for Tx {
    async fn tenant_insert(&mut self, _: &Tenant) -> Stored<()> {
        not_here()
    }
    async fn tenant(&mut self) -> Stored<Option<Tenant>> {
        not_here()
    }
    async fn tenant_update(&mut self, _: &Tenant) -> Stored<()> {
        not_here()
    }
    async fn tenant_delete(&mut self) -> Stored<Destroyed> {
        not_here()
    }
    async fn deletion_certify(&mut self, _: &str, _: Timestamp) -> Stored<()> {
        not_here()
    }
}

#[async_trait]
impl UserStore for Tx {
    async fn user_insert(&mut self, _: &User, _: Option<&Secret<String>>) -> Stored<()> {
        not_here()
    }
    async fn user_by_id(&mut self, _: UserId) -> Stored<Option<User>> {
        not_here()
    }
    async fn user_by_login(&mut self, _: &LoginName) -> Stored<Option<User>> {
        not_here()
    }
    async fn user_update(&mut self, _: &User) -> Stored<()> {
        not_here()
    }
    async fn user_delete(&mut self, _: UserId) -> Stored<bool> {
        not_here()
    }
    async fn users_page(&mut self, _: Option<UserId>, _: u32) -> Stored<Vec<User>> {
        not_here()
    }
    async fn password_hash(&mut self, _: UserId) -> Stored<Option<Secret<String>>> {
        not_here()
    }
    async fn password_hash_set(&mut self, _: UserId, _: &Secret<String>) -> Stored<()> {
        not_here()
    }
}

#[async_trait]
impl FamilyStore for Tx {
    async fn family_insert(&mut self, _: &RefreshFamily) -> Stored<()> {
        not_here()
    }
    async fn family_by_id(&mut self, _: FamilyId) -> Stored<Option<RefreshFamily>> {
        not_here()
    }
    async fn families_live(&mut self, _: UserId, _: Timestamp) -> Stored<Vec<RefreshFamily>> {
        not_here()
    }
    async fn family_revoke(&mut self, _: FamilyId, _: Revocation) -> Stored<bool> {
        not_here()
    }
    async fn families_revoke(&mut self, _: UserId, _: Revocation) -> Stored<u64> {
        not_here()
    }
}

#[async_trait]
impl GuessStore for Tx {
    async fn guess_counter(&mut self, _: GuessScope, _: &GuessSubject) -> Stored<GuessCounter> {
        not_here()
    }
    async fn guess_counter_set(&mut self, _: GuessScope, _: &GuessSubject, _: GuessCounter, _: Timestamp) -> Stored<()> {
        not_here()
    }
    async fn guess_counter_clear(&mut self, _: GuessScope, _: &GuessSubject) -> Stored<()> {
        not_here()
    }
    async fn source_is_known(&mut self, _: UserId, _: &GuessSubject, _: Timestamp) -> Stored<bool> {
        not_here()
    }
    async fn source_remember(&mut self, _: UserId, _: &GuessSubject, _: Timestamp) -> Stored<()> {
        not_here()
    }
}
