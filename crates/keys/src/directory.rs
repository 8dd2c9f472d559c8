//! The door to all tenants' keys on this node: who is awake, where, and what they publish.
//!
//! Reading is a look into a map and an atomic load. A miss starts the tenant's actor and asks it; an actor that is found dead
//! is replaced by a fresh one, which reads the truth from the store.
//!
//! Invariant: no actix type in the public signatures; no guard of the map and no lock is held across an await.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, Handler, MailboxError, Message};
use app::ports::changes::ListenForChanges;
use app::ports::keys::{KeyChange, KeyCommand, KeyCommandError, KeyFault, Keys, NewRing, Notary, OrderedBy, PublishedKeys, TokenSigner};
use app::ports::store::{RingMark, Store};
use app::ports::world::{Clock, Entropy};
use async_trait::async_trait;
use domain::audit;
use domain::ids::TenantId;
use domain::keys::plan::{self, Intent};
use domain::keys::policy::{NodeTiming, RotationNumbers, RotationPolicy};
use domain::keys::ring::{KeyRing, TokenSecretVersion};
use domain::time::{Timestamp, Ttl};
use futures_util::{StreamExt, stream};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::actors::change_feed::{ChangeFeed, FIRST_PAUSE};
use crate::actors::rotation_clock::{RotationClock, Stop};
use crate::actors::tenant_keys::{TenantKeys, ring_change};
use crate::custody::Custody;
use crate::installation::Installation;
use crate::keygen::generate;
use crate::messages::{Begun, Execute, Passivate, Refresh, Unseal, Wake};
use crate::node::{Node, store_fault};
use crate::rsa_pool::RsaPool;
use crate::seal::SecretName;
use crate::signer::mac;
use crate::snapshot::Snapshots;

/// The longest anybody waits for an actor.
const ASK: Duration = Duration::from_secs(10);

/// Due rings taken in one go, and how many of them are advanced at once.
const DUE_BATCH: u32 = 100;
const AT_ONCE: usize = 4;

/// Tenants asked about in one statement.
const MARKS_BATCH: usize = 500;

/// The most tenants that are named when their secrets do not open.
const MOST_NAMED: usize = 10;

/// What the keeper of keys needs to know.
#[derive(Debug)]
pub struct KeySettings {
    pub custody: Arc<Custody>,
    pub timing: NodeTiming,
    /// RSA keys held ready; 0 = none, each is made when it is needed.
    pub rsa_pool: usize,
    /// Threads for the tenants' actors; at least one is started.
    pub arbiters: usize,
    /// A tenant that nobody asked about for this long is put to sleep.
    pub idle_after: Ttl,
}

/// Numbers for the metrics. None of them tells a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyStats {
    /// Tenants that are awake.
    pub awake: usize,
    /// Of those, how many have their private keys open.
    pub unsealed: usize,
    /// Actors started since the beginning.
    pub activations: u64,
    /// Actors that were found dead and replaced.
    pub restarts: u64,
    /// RSA keys ready in the pool.
    pub rsa_ready: usize,
    /// Tenants whose secrets did not open when they were last asked for.
    pub sealed_away: usize,
}

/// The keys of all tenants, as this node sees them. Enter by [`KeyDirectory::start`].
pub struct KeyDirectory {
    directory: Arc<Directory>,
    clock: Mutex<Option<Addr<RotationClock>>>,
    feed: Mutex<Option<Addr<ChangeFeed>>>,
}

impl std::fmt::Debug for KeyDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyDirectory").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// An awake tenant.
struct Awake {
    snapshots: Arc<Snapshots>,
    addr: Addr<TenantKeys>,
}

/// What the clock and spawned work hold on to.
pub(crate) struct Directory {
    node: Arc<Node>,
    awake: papaya::HashMap<TenantId, Arc<Awake>>,
    arbiters: Vec<Arbiter>,
    idle_after: Ttl,
    installation: OnceCell<Installation>,
}

impl KeyDirectory {
    /// Starts the threads for actors and the RSA pool. Must be called inside a running actix `System`; panics elsewhere.
    pub fn start(settings: KeySettings, store: Arc<dyn Store>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<Self> {
        let KeySettings { custody, timing, rsa_pool, arbiters, idle_after } = settings;
        let pool = RsaPool::start(rsa_pool);
        let node = Arc::new(Node {
            custody,
            timing,
            store,
            clock,
            entropy,
            pool,
            activations: 0.into(),
            restarts: 0.into(),
            sealed_away: papaya::HashSet::new(),
        });
        let arbiters = (0..arbiters.max(1)).map(|_| Arbiter::new()).collect();
        let directory = Directory { node, awake: papaya::HashMap::new(), arbiters, idle_after, installation: OnceCell::new() };
        Arc::new(Self { directory: Arc::new(directory), clock: Mutex::new(None), feed: Mutex::new(None) })
    }

    /// Starts this node's rotation clock, unless it runs. The first sweep begins at once.
    pub fn start_clock(&self) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if clock.as_ref().is_some_and(Addr::connected) {
            return;
        }
        let (directory, interval) = (Arc::downgrade(&self.directory), self.directory.node.timing.sweep_interval.as_duration());
        let start = move |_: &mut actix::Context<RotationClock>| RotationClock::new(directory, interval);
        *clock = Some(RotationClock::start_in_arbiter(&self.directory.arbiters[0].handle(), start));
    }

    /// Starts listening for what other nodes change, unless this node listens already. Without it the clock finds it later.
    pub fn start_feed(&self, connector: Box<dyn ListenForChanges>) {
        self.start_feed_pausing(connector, FIRST_PAUSE);
    }

    fn start_feed_pausing(&self, connector: Box<dyn ListenForChanges>, first_pause: Duration) {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        if feed.as_ref().is_some_and(Addr::connected) {
            return;
        }
        let directory = Arc::downgrade(&self.directory);
        let start = move |_: &mut actix::Context<ChangeFeed>| ChangeFeed::new(directory, connector, first_pause);
        *feed = Some(ChangeFeed::start_in_arbiter(&self.directory.arbiters[0].handle(), start));
    }

    pub fn stats(&self) -> KeyStats {
        let Directory { node, awake, .. } = &*self.directory;
        let awake = awake.pin();
        KeyStats {
            awake: awake.len(),
            unsealed: awake.values().filter(|tenant| tenant.snapshots.is_unsealed()).count(),
            activations: node.activations.load(Ordering::Relaxed),
            restarts: node.restarts.load(Ordering::Relaxed),
            rsa_ready: node.pool.ready(),
            sealed_away: node.sealed_away.len(),
        }
    }

    /// Stops the feed and the clock, lets every actor finish what it has begun (at most ten seconds each), and stops their threads.
    /// Whoever asks afterwards is told that the keys are unavailable.
    pub async fn shutdown(&self) {
        let feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(feed) = feed {
            let _ = tokio::time::timeout(ASK, feed.send(Stop)).await;
        }
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(clock) = clock {
            // An error is as good: it is gone, or it goes with its thread.
            let _ = tokio::time::timeout(ASK, clock.send(Stop)).await;
        }
        let leave = |awake: Arc<Awake>| async move {
            let _ = tokio::time::timeout(ASK, awake.addr.send(Passivate)).await;
        };
        stream::iter(self.directory.take_all()).for_each_concurrent(None, leave).await;
        for arbiter in &self.directory.arbiters {
            arbiter.stop();
        }
    }
}

impl Directory {
    fn now(&self) -> Timestamp {
        self.node.clock.now()
    }

    /// The tenant's entry, if it is awake.
    fn find(&self, tenant: TenantId) -> Option<Arc<Awake>> {
        self.awake.pin().get(&tenant).cloned()
    }

    /// The tenant's entry; starts its actor when there is none.
    fn find_or_start(&self, tenant: TenantId) -> Arc<Awake> {
        if let Some(awake) = self.find(tenant) {
            return awake;
        }
        let snapshots = Arc::new(Snapshots::empty(self.now()));
        let (node, of_actor) = (Arc::clone(&self.node), Arc::clone(&snapshots));
        let start = move |_: &mut actix::Context<TenantKeys>| TenantKeys::new(tenant, node, of_actor);
        // The end of a UUIDv7 is random.
        let place = usize::from(tenant.as_bytes()[15]) % self.arbiters.len();
        let addr = TenantKeys::start_in_arbiter(&self.arbiters[place].handle(), start);
        // Whoever loses a race here drops the only address of its actor, which ends it.
        Arc::clone(self.awake.pin().get_or_insert_with(tenant, || Arc::new(Awake { snapshots, addr })))
    }

    /// Takes exactly this entry out; a successor that somebody else has started stays.
    fn remove(&self, tenant: TenantId, entry: &Arc<Awake>) {
        let _ = self.awake.pin().remove_if(&tenant, |_, found| Arc::ptr_eq(found, entry));
    }

    fn forget(&self, tenant: TenantId) {
        self.node.sealed_away.pin().remove(&tenant);
        let entry = self.awake.pin().remove(&tenant).cloned();
        if let Some(awake) = entry {
            let _ = awake.addr.try_send(Passivate);
        }
    }

    fn take_all(&self) -> Vec<Arc<Awake>> {
        let map = self.awake.pin();
        let all = map.values().cloned().collect();
        map.clear();
        all
    }

    /// Asks the tenant's actor. A dead one is replaced and the question put once more, unless the dead one had `begun`.
    async fn ask<M>(&self, tenant: TenantId, message: M, begun: &Begun) -> Result<M::Result, KeyFault>
    where
        M: Message + Clone + Send + 'static,
        M::Result: Send,
        TenantKeys: Handler<M>,
    {
        for _ in 0..2 {
            let awake = self.find_or_start(tenant);
            awake.snapshots.touch(self.now());
            match tokio::time::timeout(ASK, awake.addr.send(message.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Err(_) | Ok(Err(MailboxError::Timeout)) => return Err(KeyFault::Unavailable("the key ring is too busy".to_owned())),
                Ok(Err(MailboxError::Closed)) => {
                    self.remove(tenant, &awake);
                    self.node.restarts.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%tenant, "the tenant's key actor was gone");
                    if begun.is_marked() {
                        return Err(KeyFault::Unavailable(
                            "a key change was interrupted: look at the ring before it is ordered again".to_owned(),
                        ));
                    }
                }
            }
        }
        Err(KeyFault::Unavailable("the tenant's key actor does not stay up".to_owned()))
    }

    /// Like [`Self::ask`], for questions that may be put twice; a tenant without a ring is forgotten again.
    async fn read<M, T>(&self, tenant: TenantId, message: M) -> Result<T, KeyFault>
    where
        M: Message<Result = Result<T, KeyFault>> + Clone + Send + 'static,
        T: Send + 'static,
        TenantKeys: Handler<M>,
    {
        let answer = self.ask(tenant, message, &Begun::default()).await.and_then(|answer| answer);
        if matches!(answer, Err(KeyFault::NoRing)) {
            self.forget(tenant);
        }
        answer
    }

    async fn execute(&self, tenant: TenantId, command: KeyCommand, by: OrderedBy) -> Result<KeyChange, KeyCommandError> {
        let begun = Begun::default();
        let answer = self.ask(tenant, Execute { command, by, begun: begun.clone() }, &begun).await?;
        if matches!(answer, Err(KeyCommandError::Fault(KeyFault::NoRing))) {
            self.forget(tenant);
        }
        answer
    }

    /// One round of the rotation clock.
    pub(crate) async fn sweep(&self) {
        if let Err(fault) = self.advance_due().await {
            tracing::warn!(%fault, "due key rings could not be looked for");
        }
        if let Err(fault) = self.follow_others().await {
            tracing::warn!(%fault, "changed key rings could not be looked for");
        }
        self.passivate_idle();
    }

    async fn advance_due(&self) -> Result<(), KeyFault> {
        let mut tx = self.node.store.begin_platform().await.map_err(store_fault)?;
        let due = tx.rings_due(self.now(), DUE_BATCH).await.map_err(store_fault)?;
        drop(tx);
        let advance = |tenant: TenantId| async move {
            let by = OrderedBy { actor: audit::Actor::System, source: None, request_id: None };
            match self.execute(tenant, KeyCommand::Plan(Intent::Advance), by).await {
                Ok(change) => tracing::debug!(%tenant, changed = change.changed, "advanced a key ring"),
                Err(error) => tracing::error!(%tenant, %error, "a key ring that is due could not be advanced"),
            }
        };
        stream::iter(due.into_iter().map(|mark| mark.tenant_id)).for_each_concurrent(AT_ONCE, advance).await;
        Ok(())
    }

    /// Reads again what other nodes have changed, and forgets whom they have deleted.
    async fn follow_others(&self) -> Result<(), KeyFault> {
        let awake: Vec<TenantId> = self.awake.pin().keys().copied().collect();
        for tenants in awake.chunks(MARKS_BATCH) {
            let mut tx = self.node.store.begin_platform().await.map_err(store_fault)?;
            let marks = tx.ring_generations(tenants).await.map_err(store_fault)?;
            drop(tx);
            for &tenant in tenants {
                let known = self.find(tenant).and_then(|awake| awake.snapshots.published()).map(|published| published.ring.generation);
                match (marks.iter().find(|mark| mark.tenant_id == tenant), known) {
                    (None, _) => self.forget(tenant),
                    (Some(mark), Some(known)) if mark.generation != known => self.refresh_awake(tenant).await,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Looks at every awake ring, because changes may have been missed.
    pub(crate) async fn catch_up(&self) {
        if let Err(fault) = self.follow_others().await {
            tracing::warn!(%fault, "missed changes of key rings could not be looked for; the sweep finds them");
        }
    }

    /// Another node, or this one, says that a ring has changed. Whoever sleeps reads the truth on waking.
    pub(crate) async fn heard(&self, mark: RingMark) {
        let Some(awake) = self.find(mark.tenant_id) else { return };
        // One that is just waking may have read the ring before the change.
        if awake.snapshots.published().is_none_or(|published| published.ring.generation < mark.generation) {
            self.refresh_awake(mark.tenant_id).await;
        }
    }

    /// Being kept up to date is no use that keeps a tenant awake.
    async fn refresh_awake(&self, tenant: TenantId) {
        let Some(awake) = self.find(tenant) else { return };
        let used = awake.snapshots.last_used();
        if let Err(fault) = self.read(tenant, Refresh).await {
            tracing::warn!(%tenant, %fault, "a changed key ring could not be read");
        }
        awake.snapshots.touch(used);
    }

    fn passivate_idle(&self) {
        let idle_since = self.now().minus(self.idle_after);
        let map = self.awake.pin();
        let idle: Vec<_> =
            map.iter().filter(|(_, awake)| awake.snapshots.last_used() < idle_since).map(|(id, awake)| (*id, Arc::clone(awake))).collect();
        for (tenant, awake) in idle {
            // Out of the map first: whoever comes now starts a fresh one.
            self.remove(tenant, &awake);
            let _ = awake.addr.try_send(Passivate);
        }
    }

    async fn installation(&self) -> Result<&Installation, KeyFault> {
        self.installation.get_or_try_init(|| Installation::open(&self.node)).await
    }
}

#[async_trait]
impl Keys for KeyDirectory {
    async fn published(&self, tenant: TenantId) -> Result<Arc<PublishedKeys>, KeyFault> {
        if let Some(awake) = self.directory.find(tenant)
            && let Some(published) = awake.snapshots.published()
        {
            awake.snapshots.touch(self.directory.now());
            return Ok(published);
        }
        self.directory.read(tenant, Wake).await
    }

    async fn signer(&self, tenant: TenantId, at_least: u64) -> Result<Arc<dyn TokenSigner>, KeyFault> {
        if let Some(awake) = self.directory.find(tenant)
            && let Some(signer) = awake.snapshots.signer(at_least)
        {
            awake.snapshots.touch(self.directory.now());
            return Ok(signer);
        }
        Ok(self.directory.read(tenant, Unseal { at_least }).await?)
    }

    async fn execute(&self, tenant: TenantId, command: KeyCommand, by: OrderedBy) -> Result<KeyChange, KeyCommandError> {
        // In a task of its own: whoever ordered it may go away, the order stands.
        let directory = Arc::clone(&self.directory);
        let task = tokio::spawn(async move { directory.execute(tenant, command, by).await });
        task.await.unwrap_or_else(|error| Err(KeyFault::Unavailable(format!("a key change was interrupted: {error}")).into()))
    }

    async fn prepare(&self, tenant: TenantId, now: Timestamp) -> Result<NewRing, KeyFault> {
        let Node { custody, timing, entropy, pool, .. } = &*self.directory.node;
        let policy = RotationPolicy::raised(RotationNumbers::default(), *timing);
        let mut algs = Vec::new();
        let mut made = Vec::new();
        for &alg in policy.algs() {
            // An RSA key that is not ready is left to the clock: the ring is due at once.
            let key = if alg.is_rsa() { pool.try_take() } else { Some(generate(alg)?) };
            if let Some(key) = key {
                algs.push(alg);
                made.push(key);
            }
        }
        let (open, data_key) = custody.generate(tenant, now, &**entropy).await?;
        let token_secrets = vec![TokenSecretVersion { version: 1, created_at: now }];
        let nothing =
            KeyRing { generation: 0, numbers: policy.numbers().clone(), keys: Vec::new(), token_secrets, older_caches_until: None };
        let mut change = ring_change(&nothing, &policy, &plan::first(&policy, &algs, now), &made, &open)?;
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(&mut *secret);
        change.new_secrets.push(open.seal(&SecretName::token_secret(1), &*secret)?);
        Ok(NewRing { data_key, change })
    }

    fn forget(&self, tenant: TenantId) {
        self.directory.forget(tenant);
    }

    async fn installation_mac(&self, message: &[u8]) -> Result<[u8; 32], KeyFault> {
        Ok(mac(&self.directory.installation().await?.mac, message))
    }

    async fn notary(&self) -> Result<Arc<dyn Notary>, KeyFault> {
        Ok(Arc::clone(&self.directory.installation().await?.notary) as Arc<dyn Notary>)
    }

    fn sealed_away(&self) -> Vec<TenantId> {
        self.directory.node.sealed_away.pin().iter().take(MOST_NAMED).copied().collect()
    }
}

#[cfg(test)]
mod fake_store;
#[cfg(test)]
mod tests;
