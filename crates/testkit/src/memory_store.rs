//! The store in memory: for tests of what stands on a store, and the yardstick that the databases are measured with.
//!
//! One writer at a time, on a copy that replaces the truth when it commits; readers keep what they began with. That is the
//! strictest isolation a database can offer. Row-level waiting is therefore nothing this store can show.
//!
//! Invariant: it passes the conformance suite, like every other store.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::ports::store::{
    Account, AuditStore, BrandingStore, CustodyStore, Destroyed, FamilyStore, FirstFormatSecret, GuessStore, GuessSubject, KekUse,
    KeyLogStore, KeyOwner, Leftover, LogTip, NewTenant, OwnedDataKey, PlatformTx, Retirement, RingChange, RingMark, RingStore,
    SealedDataKey, SealedSecret, SecretStore, Store, StoreError, Stored, TenantStore, TenantTx, UserStore, VerifierStore,
};
use app::tokens::judgement::{Judgement, RefreshAttempt, RefreshFacts, judge};
use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::branding::{Appearance, Branding, Logo};
use domain::guess::{GuessCounter, GuessScope};
use domain::host::HostName;
use domain::ids::{BackchannelRequestId, EventId, FamilyId, MailId, TenantId, UserId};
use domain::keys::ring::{KeyRing, Kid};
use domain::keys::verifier::{Sighting, VerifierName};
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::text::{LoginName, Slug};
use domain::time::{Timestamp, Ttl};
use domain::token::family::{Binding, RefreshFamily, Revocation};
use domain::user::{User, UserNames};
use tokio::sync::OwnedMutexGuard;
use transparency::tree::{Hash, Node};

mod provider;

/// How long a writer waits for the one before it, like those of SQLite.
const PATIENCE: Duration = Duration::from_secs(3);

/// A [`Store`] in memory. Clones are the same store, as seen by another node.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Default)]
struct Shared {
    committed: Mutex<Arc<State>>,
    writer: Arc<tokio::sync::Mutex<()>>,
    faults: Faults,
}

/// Trouble to order.
#[derive(Debug, Default)]
pub struct Faults {
    /// So many of the next [`RingStore::ring_replace`] meet a conflict.
    pub ring_conflicts: AtomicU32,
    /// So many of the next [`RingStore::ring`] panic.
    pub ring_panics: AtomicU32,
}

fn take_one(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

type Phc = Option<Secret<String>>;

#[derive(Clone, Default)]
struct State {
    /// With the time of the deletion.
    tenants: BTreeMap<TenantId, (Tenant, Option<Timestamp>)>,
    looks: BTreeMap<TenantId, (Branding, Option<Logo>)>,
    users: BTreeMap<(TenantId, UserId), (User, Phc)>,
    families: BTreeMap<(TenantId, FamilyId), RefreshFamily>,
    rings: BTreeMap<TenantId, Ring>,
    /// By owner; the installation is one of them.
    data_keys: BTreeMap<TenantId, SealedDataKey>,
    secrets: BTreeMap<(TenantId, String), SealedSecret>,
    /// With the time of the retirement.
    keks: BTreeMap<String, Option<Timestamp>>,
    certificates: BTreeMap<TenantId, String>,
    kids: BTreeSet<Kid>,
    log_tips: BTreeMap<TenantId, LogTip>,
    log_entries: BTreeMap<(TenantId, u64), Vec<u8>>,
    log_hashes: BTreeMap<(TenantId, Node), Hash>,
    counters: BTreeMap<(TenantId, &'static str, GuessSubject), (GuessCounter, Timestamp)>,
    sources: BTreeMap<(TenantId, UserId, GuessSubject), Timestamp>,
    verifiers: BTreeMap<(TenantId, VerifierName), Sighting>,
    provider: provider::Rows,
    /// In the order of appending.
    audit: Vec<AuditRecord>,
}

#[derive(Clone)]
struct Ring {
    ring: KeyRing,
    next_due_at: Option<Timestamp>,
    /// By the clock of whoever claimed it: this database has no time of its own.
    claimed_until: Option<Timestamp>,
}

impl MemoryStore {
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// All audit records of all tenants, in the order of appending.
    pub fn audit_log(&self) -> Vec<AuditRecord> {
        self.committed().audit.clone()
    }

    /// The ring as it was committed last.
    pub fn ring_of(&self, tenant: TenantId) -> Option<KeyRing> {
        self.committed().rings.get(&tenant).map(|row| row.ring.clone())
    }

    /// Changes a tenant's sealed data key as no use case would. Nothing happens when it has none.
    pub fn data_key_tamper(&self, tenant: TenantId, change: impl FnOnce(&mut SealedDataKey)) {
        let mut committed = self.0.committed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(data_key) = Arc::make_mut(&mut committed).data_keys.get_mut(&tenant) {
            change(data_key);
        }
    }

    fn committed(&self) -> Arc<State> {
        Arc::clone(&self.0.committed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn writer(&self) -> Stored<OwnedMutexGuard<()>> {
        let turn = Arc::clone(&self.0.writer).lock_owned();
        tokio::time::timeout(PATIENCE, turn).await.map_err(|_| StoreError::Unavailable("no answer in time".to_owned()))
    }

    async fn open(&self, tenant: Option<TenantId>, is_writer: bool) -> Stored<Tx> {
        let turn = if is_writer { Some(self.writer().await?) } else { None };
        let tenant = tenant.unwrap_or_else(|| TenantId::from_uuid(uuid::Uuid::nil()));
        Ok(Tx { store: self.clone(), tenant, state: self.committed(), turn })
    }
}

/// A transaction: of one tenant, or, as a [`PlatformTx`], of none.
struct Tx {
    store: MemoryStore,
    tenant: TenantId,
    /// What this transaction sees; copied when it writes first.
    state: Arc<State>,
    /// Whoever has it may write.
    turn: Option<OwnedMutexGuard<()>>,
}

impl Tx {
    fn writing(&mut self) -> Stored<&mut State> {
        match self.turn {
            Some(_) => Ok(Arc::make_mut(&mut self.state)),
            None => Err(StoreError::Unavailable("a transaction for reading does not write".to_owned())),
        }
    }

    /// As on SQLite, work across tenants waits for its turn when it writes first.
    async fn platform_writing(&mut self) -> Stored<&mut State> {
        if self.turn.is_none() {
            self.turn = Some(self.store.writer().await?);
            self.state = self.store.committed();
        }
        self.writing()
    }

    fn check_owner(&self, owner: TenantId) -> Stored<()> {
        if owner == self.tenant { Ok(()) } else { Err(StoreError::Conflict) }
    }

    fn keep(self) {
        if self.turn.is_some() {
            *self.store.0.committed.lock().unwrap_or_else(PoisonError::into_inner) = self.state;
        }
    }
}

impl State {
    fn tenant(&self, id: TenantId) -> Option<Tenant> {
        self.living().find(|tenant| tenant.id == id).cloned()
    }

    fn living(&self) -> impl Iterator<Item = &Tenant> {
        self.tenants.values().filter(|(_, deleted_at)| deleted_at.is_none()).map(|(tenant, _)| tenant)
    }

    fn users_of(&self, tenant: TenantId) -> impl Iterator<Item = &User> {
        self.users.iter().filter(move |((owner, _), _)| *owner == tenant).map(|(_, (user, _))| user)
    }

    /// Whether another user of the tenant has one of these names, in whatever spelling.
    fn is_taken(&self, tenant: TenantId, names: &UserNames, by_other_than: UserId) -> bool {
        self.users_of(tenant).filter(|user| user.id != by_other_than).any(|user| {
            let same_name = names.username().is_some_and(|name| user.names.username().is_some_and(|theirs| theirs.key() == name.key()));
            let same_mail = names.email().is_some_and(|mail| user.names.email().is_some_and(|theirs| theirs.key() == mail.key()));
            same_name || same_mail
        })
    }

    /// What can go wrong about the kids and secrets of a change, before anything is written.
    fn check_change(&self, tenant: TenantId, change: &RingChange, known: &[Kid]) -> Stored<()> {
        let new = change.ring.keys.iter().map(|key| &key.kid).filter(|kid| !known.contains(kid));
        let mut names = change.new_secrets.iter().map(|secret| (tenant, secret.name.clone()));
        let log_size = self.log_tips.get(&tenant).map_or(0, |tip| tip.size);
        if change.log.as_ref().is_some_and(|growth| growth.begins_at() != log_size) {
            return Err(StoreError::Conflict);
        }
        if new.into_iter().any(|kid| self.kids.contains(kid)) || names.any(|name| self.secrets.contains_key(&name)) {
            return Err(StoreError::Conflict);
        }
        Ok(())
    }

    /// As the databases do: a key that was retired wraps nothing.
    fn use_kek(&mut self, kek_id: &str) -> Stored<()> {
        match self.keks.entry(kek_id.to_owned()).or_default() {
            None => Ok(()),
            Some(_) => Err(StoreError::Unavailable(format!("the key-encryption key {kek_id} was retired"))),
        }
    }

    /// Answers whether the version before was there.
    fn replace_data_key(&mut self, owner: TenantId, next: &SealedDataKey) -> Stored<bool> {
        self.use_kek(&next.kek_id)?;
        let old = self.data_keys.get_mut(&owner).filter(|old| old.id == next.id && old.version + 1 == next.version);
        Ok(old.map(|old| *old = next.clone()).is_some())
    }

    fn apply_change(&mut self, tenant: TenantId, change: &RingChange) {
        self.kids.extend(change.ring.keys.iter().map(|key| key.kid.clone()));
        self.secrets.extend(change.new_secrets.iter().map(|secret| ((tenant, secret.name.clone()), secret.clone())));
        for name in &change.destroyed {
            self.secrets.remove(&(tenant, name.clone()));
        }
        if let Some(growth) = &change.log {
            let entries = (growth.begins_at()..).zip(growth.entries.iter().cloned());
            self.log_entries.extend(entries.map(|(number, entry)| ((tenant, number), entry)));
            self.log_hashes.extend(growth.hashes.iter().map(|(node, hash)| ((tenant, *node), *hash)));
            self.log_tips.insert(tenant, growth.tip.clone());
        }
        self.rings.insert(tenant, Ring { ring: change.ring.clone(), next_due_at: change.next_due_at, claimed_until: None });
    }
}

/// Removes up to `left` entries for which `ends` holds, and takes them off `left`.
fn remove_some<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, left: &mut usize, ends: impl Fn(&K, &V) -> bool) {
    let keys: Vec<K> = map.iter().filter(|(key, value)| ends(key, value)).map(|(key, _)| key.clone()).take(*left).collect();
    *left -= keys.len();
    for key in keys {
        map.remove(&key);
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn begin(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>> {
        Ok(Box::new(self.open(Some(tenant), true).await?))
    }

    async fn begin_read(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>> {
        Ok(Box::new(self.open(Some(tenant), false).await?))
    }

    async fn begin_platform(&self) -> Stored<Box<dyn PlatformTx>> {
        Ok(Box::new(self.open(None, false).await?))
    }

    async fn refresh(&self, tenant: TenantId, attempt: RefreshAttempt) -> Stored<Option<Judgement>> {
        let mut tx = self.open(Some(tenant), true).await?;
        let state = tx.writing()?;
        let (Some(family), Some(row)) = (state.families.get(&(tenant, attempt.family_id)).cloned(), state.tenant(tenant)) else {
            return Ok(None);
        };
        let user = state.users.get(&(tenant, family.user_id)).map(|(user, _)| user.clone());
        let ring_generation = state.rings.get(&tenant).map_or(0, |ring| ring.ring.generation);
        let judgement = judge(tenant, RefreshFacts { tenant: row, user, family, ring_generation }, &attempt);
        if judgement.is_changed {
            state.families.insert((tenant, attempt.family_id), judgement.facts.family.clone());
        }
        state.audit.extend(judgement.audit.clone());
        tx.keep();
        Ok(Some(judgement))
    }

    async fn tenants_insert(&self, tenants: &[NewTenant]) -> Stored<()> {
        let mut tx = self.open(None, true).await?;
        for new in tenants {
            tx.tenant = new.tenant.id;
            tx.tenant_insert(&new.tenant).await?;
            tx.ring_insert(&new.data_key, &new.ring).await?;
            for (user, phc) in &new.users {
                tx.user_insert(user, phc.as_ref()).await?;
            }
            for record in &new.audit {
                tx.audit_append(record).await?;
            }
        }
        tx.keep();
        Ok(())
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
        self.keep();
        Ok(())
    }
}

#[async_trait]
impl TenantStore for Tx {
    async fn tenant_insert(&mut self, tenant: &Tenant) -> Stored<()> {
        self.check_owner(tenant.id)?;
        let state = self.writing()?;
        let has_same_domain = |other: &Tenant| other.custom_domain.is_some() && other.custom_domain == tenant.custom_domain;
        if state.tenants.values().any(|(other, _)| other.id == tenant.id || other.slug == tenant.slug || has_same_domain(other)) {
            return Err(StoreError::Conflict);
        }
        state.tenants.insert(tenant.id, (tenant.clone(), None));
        Ok(())
    }

    async fn tenant(&mut self) -> Stored<Option<Tenant>> {
        Ok(self.state.tenant(self.tenant))
    }

    async fn tenant_locked(&mut self) -> Stored<Option<Tenant>> {
        self.tenant().await
    }

    async fn tenant_update(&mut self, tenant: &Tenant) -> Stored<()> {
        self.check_owner(tenant.id)?;
        let state = self.writing()?;
        let has_same_domain = |other: &Tenant| other.custom_domain.is_some() && other.custom_domain == tenant.custom_domain;
        if state.tenants.values().any(|(other, _)| other.id != tenant.id && has_same_domain(other)) {
            return Err(StoreError::Conflict);
        }
        match state.tenants.get_mut(&tenant.id) {
            Some((row, None)) => *row = Tenant { slug: row.slug.clone(), ..tenant.clone() },
            _ => return Err(StoreError::Conflict),
        }
        Ok(())
    }

    async fn tenant_delete(&mut self, at: Timestamp) -> Stored<Destroyed> {
        let tenant = self.tenant;
        let state = self.writing()?;
        match state.tenants.get_mut(&tenant) {
            Some((_, deleted_at @ None)) => *deleted_at = Some(at),
            _ => return Err(StoreError::Conflict),
        }
        let data_key = state.data_keys.remove(&tenant).map(|key| key.id);
        state.rings.remove(&tenant);
        let before = state.secrets.len();
        state.secrets.retain(|(owner, _), _| *owner != tenant);
        let secrets = (before - state.secrets.len()) as u64;
        let users = state.users_of(tenant).count() as u64;
        let sessions = state.families.keys().filter(|(owner, _)| *owner == tenant).count() as u64;
        Ok(Destroyed { data_key, secrets, users, sessions })
    }

    async fn deletion_certify(&mut self, certificate: &str, _: Timestamp) -> Stored<()> {
        let tenant = self.tenant;
        self.writing()?.certificates.insert(tenant, certificate.to_owned());
        Ok(())
    }

    async fn tenant_erase(&mut self, limit: u32) -> Stored<bool> {
        let tenant = self.tenant;
        let state = self.writing()?;
        if !matches!(state.tenants.get(&tenant), Some((_, Some(_)))) {
            return Ok(true);
        }
        let mut left = limit as usize;
        state.provider.erase(tenant, &mut left);
        remove_some(&mut state.looks, &mut left, |owner, _| *owner == tenant);
        remove_some(&mut state.verifiers, &mut left, |(owner, _), _| *owner == tenant);
        remove_some(&mut state.families, &mut left, |(owner, _), _| *owner == tenant);
        remove_some(&mut state.sources, &mut left, |(owner, ..), _| *owner == tenant);
        remove_some(&mut state.counters, &mut left, |(owner, ..), _| *owner == tenant);
        remove_some(&mut state.users, &mut left, |(owner, _), _| *owner == tenant);
        remove_some(&mut state.log_entries, &mut left, |(owner, _), _| *owner == tenant);
        remove_some(&mut state.log_hashes, &mut left, |(owner, _), _| *owner == tenant);
        remove_some(&mut state.log_tips, &mut left, |owner, _| *owner == tenant);
        if left > 0 {
            state.tenants.remove(&tenant);
        }
        Ok(left > 0)
    }
}

#[async_trait]
impl BrandingStore for Tx {
    async fn branding(&mut self) -> Stored<Appearance> {
        let found = self.state.looks.get(&self.tenant).cloned().unwrap_or_default();
        Ok(Appearance { branding: found.0, logo_name: found.1.as_ref().map(Logo::file_name) })
    }

    async fn branding_set(&mut self, branding: &Branding) -> Stored<()> {
        let tenant = self.tenant;
        self.writing()?.looks.entry(tenant).or_default().0 = branding.clone();
        Ok(())
    }

    async fn logo(&mut self) -> Stored<Option<Logo>> {
        Ok(self.state.looks.get(&self.tenant).and_then(|(_, logo)| logo.clone()))
    }

    async fn logo_set(&mut self, logo: Option<&Logo>) -> Stored<()> {
        let tenant = self.tenant;
        self.writing()?.looks.entry(tenant).or_default().1 = logo.cloned();
        Ok(())
    }
}

#[async_trait]
impl UserStore for Tx {
    async fn user_insert(&mut self, user: &User, phc: Option<&Secret<String>>) -> Stored<()> {
        let tenant = self.tenant;
        let state = self.writing()?;
        if state.users.contains_key(&(tenant, user.id)) || state.is_taken(tenant, &user.names, user.id) {
            return Err(StoreError::Conflict);
        }
        state.users.insert((tenant, user.id), (user.clone(), phc.cloned()));
        Ok(())
    }

    async fn user_by_id(&mut self, id: UserId) -> Stored<Option<User>> {
        Ok(self.state.users.get(&(self.tenant, id)).map(|(user, _)| user.clone()))
    }

    async fn account_by_id(&mut self, id: UserId) -> Stored<Option<Account>> {
        Ok(self.state.users.get(&(self.tenant, id)).map(|(user, phc)| Account { user: user.clone(), phc: phc.clone() }))
    }

    async fn account_by_login(&mut self, name: &LoginName) -> Stored<Option<Account>> {
        let is_named = |user: &&User| match name {
            LoginName::Username(name) => user.names.username().is_some_and(|theirs| theirs.key() == name.key()),
            LoginName::Email(mail) => user.names.email().is_some_and(|theirs| theirs.key() == mail.key()),
        };
        let found = self.state.users_of(self.tenant).find(is_named).map(|user| user.id);
        match found {
            Some(id) => self.account_by_id(id).await,
            None => Ok(None),
        }
    }

    async fn user_update(&mut self, user: &User) -> Stored<()> {
        let tenant = self.tenant;
        let state = self.writing()?;
        if state.is_taken(tenant, &user.names, user.id) {
            return Err(StoreError::Conflict);
        }
        let (row, _) = state.users.get_mut(&(tenant, user.id)).ok_or(StoreError::Conflict)?;
        *row = user.clone();
        Ok(())
    }

    async fn user_delete(&mut self, id: UserId) -> Stored<bool> {
        let tenant = self.tenant;
        let state = self.writing()?;
        state.families.retain(|(owner, _), family| *owner != tenant || family.user_id != id);
        state.sources.retain(|(owner, user, _), _| *owner != tenant || *user != id);
        state.provider.forget_user(tenant, id);
        Ok(state.users.remove(&(tenant, id)).is_some())
    }

    async fn users_page(&mut self, after: Option<UserId>, limit: u32) -> Stored<Vec<User>> {
        let page = self.state.users_of(self.tenant).filter(|user| after.is_none_or(|after| user.id > after));
        Ok(page.take(limit as usize).cloned().collect())
    }

    async fn password_hash_set(&mut self, id: UserId, phc: &Secret<String>) -> Stored<()> {
        let key = (self.tenant, id);
        let (_, stored) = self.writing()?.users.get_mut(&key).ok_or(StoreError::Conflict)?;
        *stored = Some(phc.clone());
        Ok(())
    }
}

#[async_trait]
impl FamilyStore for Tx {
    async fn family_insert(&mut self, family: &RefreshFamily) -> Stored<()> {
        let key = (self.tenant, family.id);
        let state = self.writing()?;
        if state.families.contains_key(&key) {
            return Err(StoreError::Conflict);
        }
        state.families.insert(key, family.clone());
        Ok(())
    }

    async fn family_by_id(&mut self, id: FamilyId) -> Stored<Option<RefreshFamily>> {
        Ok(self.state.families.get(&(self.tenant, id)).cloned())
    }

    async fn family_bind(&mut self, id: FamilyId, binding: Binding) -> Stored<()> {
        let key = (self.tenant, id);
        if let Some(family) = self.writing()?.families.get_mut(&key).filter(|family| family.revoked.is_none()) {
            family.binding = binding;
        }
        Ok(())
    }

    async fn families_live(&mut self, user: UserId, now: Timestamp) -> Stored<Vec<RefreshFamily>> {
        let families = self.state.families.iter().filter(|((owner, _), _)| *owner == self.tenant).map(|(_, family)| family);
        let mut live: Vec<_> = families.filter(|family| family.user_id == user && family.is_live(now)).cloned().collect();
        live.sort_by_key(|family| std::cmp::Reverse((family.created_at, family.id)));
        Ok(live)
    }

    async fn families_last_end(&mut self) -> Stored<Option<Timestamp>> {
        let families = self.state.families.iter().filter(|((owner, _), _)| *owner == self.tenant).map(|(_, family)| family);
        Ok(families.filter(|family| family.revoked.is_none()).map(|family| family.absolute_expires_at).max())
    }

    async fn family_revoke(&mut self, id: FamilyId, revocation: Revocation) -> Stored<bool> {
        let key = (self.tenant, id);
        let Some(family) = self.writing()?.families.get_mut(&key).filter(|family| family.revoked.is_none()) else { return Ok(false) };
        family.revoked = Some(revocation);
        Ok(revocation.at < family.ends_at())
    }

    async fn families_moved(&mut self, after: Timestamp, until: Timestamp) -> Stored<u64> {
        let families = self.state.families.iter().filter(|((owner, _), _)| *owner == self.tenant).map(|(_, family)| family);
        let moved = families.filter(|family| family.revoked.is_none() && after < family.head.rotated_at && family.head.rotated_at <= until);
        Ok(moved.count() as u64)
    }

    async fn families_revoke(&mut self, user: UserId, revocation: Revocation) -> Stored<u64> {
        let tenant = self.tenant;
        let mut revoked = 0;
        for ((owner, _), family) in &mut self.writing()?.families {
            if *owner == tenant && family.user_id == user && family.revoked.is_none() {
                family.revoked = Some(revocation);
                revoked += 1;
            }
        }
        Ok(revoked)
    }

    async fn families_revoke_opened(&mut self, before: Timestamp, revocation: Revocation, limit: u32) -> Stored<u64> {
        let tenant = self.tenant;
        let families = self.writing()?.families.iter_mut().filter(|((owner, _), _)| *owner == tenant).map(|(_, family)| family);
        let open = families.filter(|family| family.revoked.is_none() && family.created_at < before);
        Ok(open.take(limit as usize).map(|family| family.revoked = Some(revocation)).count() as u64)
    }
}

#[async_trait]
impl RingStore for Tx {
    async fn ring_insert(&mut self, data_key: &SealedDataKey, change: &RingChange) -> Stored<()> {
        let tenant = self.tenant;
        let state = self.writing()?;
        if state.rings.contains_key(&tenant) {
            return Err(StoreError::Conflict);
        }
        state.check_change(tenant, change, &[])?;
        state.apply_change(tenant, change);
        self.data_key_insert(data_key).await
    }

    async fn ring(&mut self) -> Stored<Option<KeyRing>> {
        assert!(!take_one(&self.store.0.faults.ring_panics), "a panic that was ordered");
        Ok(self.state.rings.get(&self.tenant).map(|row| row.ring.clone()))
    }

    async fn ring_replace(&mut self, change: &RingChange) -> Stored<()> {
        if take_one(&self.store.0.faults.ring_conflicts) {
            return Err(StoreError::Conflict);
        }
        let tenant = self.tenant;
        let state = self.writing()?;
        let old = state.rings.get(&tenant).filter(|old| old.ring.generation + 1 == change.ring.generation);
        let old = old.ok_or(StoreError::Conflict)?;
        let known: Vec<Kid> = old.ring.keys.iter().map(|key| key.kid.clone()).collect();
        state.check_change(tenant, change, &known)?;
        state.apply_change(tenant, change);
        Ok(())
    }

    async fn ring_due(&mut self, at: Timestamp) -> Stored<()> {
        let tenant = self.tenant;
        if let Some(row) = self.writing()?.rings.get_mut(&tenant) {
            row.next_due_at = Some(row.next_due_at.map_or(at, |due| due.min(at)));
        }
        Ok(())
    }
}

#[async_trait]
impl SecretStore for Tx {
    async fn data_key(&mut self) -> Stored<Option<SealedDataKey>> {
        Ok(self.state.data_keys.get(&self.tenant).cloned())
    }

    async fn data_key_insert(&mut self, data_key: &SealedDataKey) -> Stored<()> {
        let tenant = self.tenant;
        let state = self.writing()?;
        if state.data_keys.contains_key(&tenant) {
            return Err(StoreError::Conflict);
        }
        state.use_kek(&data_key.kek_id)?;
        state.data_keys.insert(tenant, data_key.clone());
        Ok(())
    }

    async fn data_key_replace(&mut self, data_key: &SealedDataKey) -> Stored<()> {
        let tenant = self.tenant;
        if self.writing()?.replace_data_key(tenant, data_key)? { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn sealed_secrets(&mut self) -> Stored<Vec<SealedSecret>> {
        let mine = self.state.secrets.iter().filter(|((owner, _), _)| *owner == self.tenant);
        Ok(mine.map(|(_, secret)| secret.clone()).collect())
    }

    async fn secret_insert(&mut self, secret: &SealedSecret) -> Stored<()> {
        let key = (self.tenant, secret.name.clone());
        let state = self.writing()?;
        if state.secrets.contains_key(&key) {
            return Err(StoreError::Conflict);
        }
        state.secrets.insert(key, secret.clone());
        Ok(())
    }

    async fn secret_replace(&mut self, secret: &SealedSecret) -> Stored<()> {
        let key = (self.tenant, secret.name.clone());
        let row = self.writing()?.secrets.get_mut(&key).ok_or(StoreError::Conflict)?;
        *row = secret.clone();
        Ok(())
    }

    /// This store was never of the first format.
    async fn first_format_secret(&mut self, _: &str) -> Stored<Option<FirstFormatSecret>> {
        Ok(None)
    }

    async fn first_format_secret_remove(&mut self, _: &str) -> Stored<bool> {
        Ok(false)
    }
}

#[async_trait]
impl CustodyStore for Tx {
    async fn data_keys_page(&mut self, unless_under: Option<&str>, after: Option<KeyOwner>, limit: u32) -> Stored<Vec<OwnedDataKey>> {
        let wanted = |(owner, key): &(&TenantId, &SealedDataKey)| {
            unless_under.is_none_or(|kek_id| key.kek_id != kek_id || key.version == 0) && after.is_none_or(|after| **owner > after)
        };
        let page = self.state.data_keys.iter().filter(wanted).take(limit as usize);
        Ok(page.map(|(owner, data_key)| OwnedDataKey { owner: *owner, data_key: data_key.clone() }).collect())
    }

    async fn data_key_rewrap(&mut self, next: &OwnedDataKey) -> Stored<bool> {
        self.platform_writing().await?.replace_data_key(next.owner, &next.data_key)
    }

    async fn kek_uses(&mut self) -> Stored<Vec<KekUse>> {
        let uses = self.state.keks.iter().map(|(kek_id, retired_at)| {
            let under: Vec<_> = self.state.data_keys.values().filter(|key| key.kek_id == *kek_id).collect();
            let first_format = under.iter().filter(|key| key.version == 0).count() as u64;
            KekUse { kek_id: kek_id.clone(), data_keys: under.len() as u64, first_format, retired_at: *retired_at }
        });
        Ok(uses.collect())
    }

    async fn kek_retire(&mut self, kek_id: &str, now: Timestamp) -> Stored<Retirement> {
        let state = self.platform_writing().await?;
        let uses = state.data_keys.values().filter(|key| key.kek_id == kek_id).count() as u64;
        if uses > 0 {
            return Ok(Retirement::InUse(uses));
        }
        Ok(match state.keks.get_mut(kek_id) {
            Some(retired_at) => {
                retired_at.get_or_insert(now);
                Retirement::Retired
            }
            None => Retirement::Unknown,
        })
    }

    async fn deletion_certificate(&mut self, tenant: TenantId) -> Stored<Option<String>> {
        Ok(self.state.certificates.get(&tenant).cloned())
    }
}

#[async_trait]
impl KeyLogStore for Tx {
    async fn key_log_tip(&mut self) -> Stored<Option<LogTip>> {
        Ok(self.state.log_tips.get(&self.tenant).cloned())
    }

    async fn key_log_entries(&mut self, range: Range<u64>) -> Stored<Vec<Vec<u8>>> {
        Ok(self.state.log_entries.range((self.tenant, range.start)..(self.tenant, range.end)).map(|(_, entry)| entry.clone()).collect())
    }

    async fn key_log_hashes(&mut self, level: u8, range: Range<u64>) -> Stored<Vec<Hash>> {
        let at = |index| (self.tenant, Node { level, index });
        Ok(self.state.log_hashes.range(at(range.start)..at(range.end)).map(|(_, hash)| *hash).collect())
    }
}

#[async_trait]
impl VerifierStore for Tx {
    async fn verifiers(&mut self) -> Stored<Vec<Sighting>> {
        let of_tenant = self.state.verifiers.iter().filter(|((owner, _), _)| *owner == self.tenant);
        let mut seen: Vec<_> = of_tenant.map(|(_, sighting)| sighting.clone()).collect();
        seen.sort_by_key(|sighting| (std::cmp::Reverse(sighting.last.at), sighting.verifier.to_string()));
        Ok(seen)
    }
}

#[async_trait]
impl GuessStore for Tx {
    async fn guess_counters(&mut self, asked: &[(GuessScope, GuessSubject)]) -> Stored<Vec<GuessCounter>> {
        let counter = |(scope, subject): &(GuessScope, GuessSubject)| self.state.counters.get(&(self.tenant, scope.name(), *subject));
        Ok(asked.iter().map(|asked| counter(asked).map(|(counter, _)| *counter).unwrap_or_default()).collect())
    }

    async fn guess_counters_set(&mut self, counters: &[(GuessScope, GuessSubject, GuessCounter)], now: Timestamp) -> Stored<()> {
        let tenant = self.tenant;
        let rows = counters.iter().map(|(scope, subject, counter)| ((tenant, scope.name(), *subject), (*counter, now)));
        self.writing()?.counters.extend(rows);
        Ok(())
    }

    async fn guess_counter_clear(&mut self, scope: GuessScope, subject: &GuessSubject) -> Stored<()> {
        let key = (self.tenant, scope.name(), *subject);
        self.writing()?.counters.remove(&key);
        Ok(())
    }

    async fn guess_forgive(&mut self, scope: GuessScope, subject: &GuessSubject) -> Stored<()> {
        let key = (self.tenant, scope.name(), *subject);
        if let Some((counter, _)) = self.writing()?.counters.get_mut(&key) {
            counter.attempts = counter.attempts.saturating_sub(1);
        }
        Ok(())
    }

    async fn source_seen(&mut self, user: UserId, source: &GuessSubject) -> Stored<Option<Timestamp>> {
        Ok(self.state.sources.get(&(self.tenant, user, *source)).copied())
    }

    async fn source_is_any(&mut self, user: UserId) -> Stored<bool> {
        Ok(self.state.sources.keys().any(|(tenant, whose, _)| *tenant == self.tenant && *whose == user))
    }

    async fn source_remember(&mut self, user: UserId, source: &GuessSubject, now: Timestamp) -> Stored<()> {
        let key = (self.tenant, user, *source);
        self.writing()?.sources.insert(key, now);
        Ok(())
    }
}

#[async_trait]
impl AuditStore for Tx {
    async fn audit_append(&mut self, record: &AuditRecord) -> Stored<()> {
        self.check_owner(record.tenant_id)?;
        self.writing()?.audit.push(record.clone());
        Ok(())
    }

    async fn audit_page(&mut self, before: Option<EventId>, limit: u32) -> Stored<Vec<AuditRecord>> {
        let mine = self.state.audit.iter().filter(|record| record.tenant_id == self.tenant);
        let mut page: Vec<_> = mine.filter(|record| before.is_none_or(|before| record.id < before)).cloned().collect();
        page.sort_by_key(|record| std::cmp::Reverse(record.id));
        page.truncate(limit as usize);
        Ok(page)
    }
}

#[async_trait]
impl PlatformTx for Tx {
    async fn tenant_by_slug(&mut self, slug: &Slug) -> Stored<Option<Tenant>> {
        Ok(self.state.living().find(|tenant| tenant.slug == *slug).cloned())
    }

    async fn tenant_by_id(&mut self, id: TenantId) -> Stored<Option<Tenant>> {
        Ok(self.state.tenant(id))
    }

    async fn tenant_by_domain(&mut self, domain: &HostName) -> Stored<Option<Tenant>> {
        Ok(self.state.living().find(|tenant| tenant.custom_domain.as_ref() == Some(domain)).cloned())
    }

    async fn tenants_deleted(&mut self, limit: u32) -> Stored<Vec<TenantId>> {
        let mut deleted: Vec<_> = self.state.tenants.values().filter_map(|(tenant, at)| Some(((*at)?, tenant.id))).collect();
        deleted.sort_unstable();
        Ok(deleted.into_iter().map(|(_, id)| id).take(limit as usize).collect())
    }

    async fn tenants_page(&mut self, after: Option<&Slug>, limit: u32) -> Stored<Vec<Tenant>> {
        let mut page: Vec<_> =
            self.state.living().filter(|tenant| after.is_none_or(|after| tenant.slug.as_str() > after.as_str())).cloned().collect();
        page.sort_by(|a, b| a.slug.as_str().cmp(b.slug.as_str()));
        page.truncate(limit as usize);
        Ok(page)
    }

    async fn tenants_by_slug_prefix(&mut self, prefix: &str, after: Option<&Slug>, limit: u32) -> Stored<Vec<Tenant>> {
        let mut page: Vec<_> = self.state.living().filter(|tenant| tenant.slug.as_str().starts_with(prefix)).cloned().collect();
        page.retain(|tenant| after.is_none_or(|after| tenant.slug > *after));
        page.sort_by(|a, b| a.slug.cmp(&b.slug));
        page.truncate(limit as usize);
        Ok(page)
    }

    async fn tenants_by_name_prefix(&mut self, prefix: &str, after: Option<(&str, &Slug)>, limit: u32) -> Stored<Vec<Tenant>> {
        let keyed = self.state.living().map(|tenant| ((tenant.name.key(), tenant.slug.clone()), tenant.clone()));
        let after = after.map(|(key, slug)| (key.to_owned(), slug.clone()));
        let found = keyed.filter(|(place, _)| place.0.starts_with(prefix) && after.as_ref().is_none_or(|after| place > after));
        let mut page: Vec<_> = found.collect();
        page.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(page.into_iter().map(|(_, tenant)| tenant).take(limit as usize).collect())
    }

    async fn slugs_known(&mut self, slugs: &[Slug]) -> Stored<Vec<Slug>> {
        Ok(self.state.living().map(|tenant| tenant.slug.clone()).filter(|slug| slugs.contains(slug)).collect())
    }

    async fn rings_claim(&mut self, now: Timestamp, lease: Ttl, limit: u32) -> Stored<Vec<RingMark>> {
        let mut due: Vec<_> = self.platform_writing().await?.rings.iter_mut().collect();
        due.retain(|(_, row)| row.next_due_at.is_some_and(|at| at <= now) && row.claimed_until.is_none_or(|until| until <= now));
        due.sort_by_key(|(_, row)| row.next_due_at);
        due.truncate(limit as usize);
        let claim = |(id, row): (&TenantId, &mut Ring)| {
            row.claimed_until = Some(now.plus(lease));
            RingMark { tenant_id: *id, generation: row.ring.generation }
        };
        Ok(due.into_iter().map(claim).collect())
    }

    async fn logout_notices_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, FamilyId)>> {
        let now = crate::sample::NOW;
        Ok(provider::claim(&mut self.platform_writing().await?.provider.logouts, now, limit as usize))
    }

    async fn backchannel_pings_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, BackchannelRequestId)>> {
        let now = crate::sample::NOW;
        Ok(provider::claim(&mut self.platform_writing().await?.provider.pings, now, limit as usize))
    }

    async fn mails_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, MailId)>> {
        let now = crate::sample::NOW;
        Ok(provider::claim(&mut self.platform_writing().await?.provider.mails, now, limit as usize))
    }

    async fn ring_generations(&mut self, tenants: &[TenantId]) -> Stored<Vec<RingMark>> {
        let mark = |id: &TenantId| Some(RingMark { tenant_id: *id, generation: self.state.rings.get(id)?.ring.generation });
        Ok(tenants.iter().filter_map(mark).collect())
    }

    async fn sweep(&mut self, what: Leftover, before: Timestamp, limit: u32) -> Stored<u64> {
        let mut left = limit as usize;
        let state = self.platform_writing().await?;
        match what {
            Leftover::Families => remove_some(&mut state.families, &mut left, |_, family| family.ends_at() < before),
            Leftover::GuessCounters => remove_some(&mut state.counters, &mut left, |_, (_, touched_at)| *touched_at < before),
            Leftover::KnownSources => remove_some(&mut state.sources, &mut left, |_, seen_at| *seen_at < before),
            Leftover::Verifiers => remove_some(&mut state.verifiers, &mut left, |_, seen| seen.last.at < before),
            Leftover::PendingRequests
            | Leftover::AuthorizationCodes
            | Leftover::DeviceCodes
            | Leftover::BackchannelRequests
            | Leftover::BackchannelPings
            | Leftover::SsoSessions
            | Leftover::SpentNames
            | Leftover::LogoutNotices
            | Leftover::Mails
            | Leftover::MailLinks
            | Leftover::InitialAccessTokens
            | Leftover::UnusedClients => state.provider.sweep(what, before, &mut left),
            Leftover::AuditEvents => state.audit.retain(|record| {
                let goes = record.at < before && left > 0;
                left -= usize::from(goes);
                !goes
            }),
        }
        Ok(u64::from(limit) - left as u64)
    }

    async fn verifiers_merge(&mut self, seen: &[(TenantId, Sighting)], most: u32) -> Stored<()> {
        let state = self.platform_writing().await?;
        for (tenant, sighting) in seen.iter().filter(|(tenant, _)| state.living().any(|living| living.id == *tenant)).collect::<Vec<_>>() {
            let known = state.verifiers.keys().filter(|(owner, _)| owner == tenant);
            let mut key = (*tenant, sighting.verifier.clone());
            if known.count() >= most as usize && !state.verifiers.contains_key(&key) {
                key.1 = VerifierName::Others;
            }
            let verifier = key.1.clone();
            match state.verifiers.get_mut(&key) {
                Some(known) => known.merge(sighting),
                None => drop(state.verifiers.insert(key, Sighting { verifier, ..sighting.clone() })),
            }
        }
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Stored<()> {
        self.keep();
        Ok(())
    }
}
