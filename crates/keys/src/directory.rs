//! The door to all tenants' keys on this node: who is awake, where, and what they publish.
//!
//! Reading is a look into a map and an atomic load. A miss starts the tenant's actor and asks it; an actor that is found dead
//! is replaced by a fresh one, which reads the truth from the store.
//!
//! Invariant: no actix type in the public signatures; no guard of the map and no lock is held across an await.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, Handler, MailboxError, Message};
use app::ports::changes::ListenForChanges;
use app::ports::keys::{
    ForeignRefused, ForeignToken, KeyChange, KeyCommand, KeyCommandError, KeyFault, Keys, NewRing, Notary, OrderedBy, PublishedKeys,
    Rehearsal, SelfSigned, TokenSigner,
};
use app::ports::store::{RingMark, Store};
use app::ports::world::{Clock, Entropy};
use app::warm::{Warm, WarmMap};
use async_trait::async_trait;
use domain::audit;
use domain::client::assertion::MacAlg;
use domain::client::jwks::{ClientKey, EncryptionKey};
use domain::encryption::Encryption;
use domain::ids::{TenantId, UserId};
use domain::keys::plan::{self, DUE_BATCH, DUE_BATCHES, Intent};
use domain::keys::policy::{NodeTiming, RotationNumbers, RotationPolicy};
use domain::keys::ring::{Alg, KeyRing, KeyState};
use domain::pseudonym::Pseudonym;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::time::{Timestamp, Ttl};
use futures_util::{StreamExt, stream};
use tokio::sync::{OnceCell, Semaphore};

use crate::actors::change_feed::{ChangeFeed, FIRST_PAUSE};
use crate::actors::rotation_clock::{RotationClock, Stop};
use crate::actors::tenant_keys::{TenantKeys, ring_change};
use crate::custody::Custody;
use crate::foreign;
use crate::installation::Installation;
use crate::jwe;
use crate::key_log::{KeyLog, origin};
use crate::keygen::generate;
use crate::messages::{Begun, Execute, Passivate, Refresh, Unseal, Wake};
use crate::node::Node;
use crate::pseudonyms;
use crate::rehearsal::rehearse;
use crate::resting::Resting;
use crate::rsa_pool::RsaPool;
use crate::signer::mac;
use crate::snapshot::Snapshots;

/// The longest anybody waits for an actor.
const ASK: Duration = Duration::from_secs(10);

/// How long due rings are claimed for.
const CLAIM: Ttl = Ttl::minutes(1);
/// How many rings are advanced at once.
const AT_ONCE: usize = 4;

/// Tenants asked about in one statement.
const MARKS_BATCH: usize = 500;

/// The most tenants that are named when their secrets do not open.
const MOST_NAMED: usize = 10;

/// What the keeper of keys needs to know.
#[derive(Debug)]
pub struct KeySettings {
    pub custody: Arc<Custody>,
    /// Scheme and authority of every issuer, without a slash at the end: key logs are named by it.
    pub base_url: String,
    pub timing: NodeTiming,
    /// RSA keys held ready; 0 = none, each is made when it is needed.
    pub rsa_pool: usize,
    /// Threads for the tenants' actors; at least one is started.
    pub arbiters: usize,
    /// A tenant that nobody asked about for this long is put to sleep.
    pub idle_after: Ttl,
    /// About how many tenants are awake at most; beyond it those leave first that nobody came back for.
    pub most_awake: usize,
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
    /// Actors that were sent away, idle or because their tenant is gone.
    pub passivations: u64,
    /// Rings that were due when the clock looked last, as far as it reads in one go.
    pub due: usize,
    /// Rings that could not be advanced and rest before they are tried again.
    pub resting: usize,
    /// Times a ring that was due could not be advanced.
    pub failures: u64,
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

/// An awake tenant; it sleeps when the last handle on its actor is gone or it is told to.
struct Awake {
    snapshots: Arc<Snapshots>,
    addr: Addr<TenantKeys>,
}

/// What the clock and spawned work hold on to.
pub(crate) struct Directory {
    node: Arc<Node>,
    awake: WarmMap<TenantId, Awake>,
    arbiters: Vec<Arbiter>,
    idle_after: Ttl,
    installation: OnceCell<Installation>,
    resting: Resting,
    /// One drill at a time.
    drills: Semaphore,
    due: AtomicUsize,
    failures: AtomicU64,
}

impl KeyDirectory {
    /// Starts the threads for actors. Must be called inside a running actix `System`; panics elsewhere.
    pub fn start(settings: KeySettings, store: Arc<dyn Store>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<Self> {
        let KeySettings { custody, base_url, timing, rsa_pool, arbiters, idle_after, most_awake } = settings;
        let pool = RsaPool::new(rsa_pool);
        let node = Arc::new(Node {
            custody,
            base_url,
            timing,
            store,
            clock,
            entropy,
            pool,
            verified: Arc::default(),
            activations: 0.into(),
            restarts: 0.into(),
            passivations: 0.into(),
            sealed_away: papaya::HashSet::new(),
        });
        let arbiters = (0..arbiters.max(1)).map(|_| Arbiter::new()).collect();
        let directory = Directory {
            node,
            awake: WarmMap::new(most_awake),
            arbiters,
            idle_after,
            installation: OnceCell::new(),
            resting: Resting::default(),
            drills: Semaphore::new(1),
            due: 0.into(),
            failures: 0.into(),
        };
        Arc::new(Self { directory: Arc::new(directory), clock: Mutex::new(None), feed: Mutex::new(None) })
    }

    /// Makes RSA keys ahead from now on. To be called once.
    pub fn fill_pool(&self) {
        self.directory.node.pool.keep_full();
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

    /// Looks at every awake ring for what other nodes have changed, as each sweep of the clock does.
    pub async fn catch_up(&self) {
        self.directory.catch_up().await;
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
        let Directory { node, awake, resting, due, failures, .. } = &*self.directory;
        let mut unsealed = 0;
        awake.for_each(|tenant| unsealed += usize::from(tenant.snapshots.is_unsealed()));
        KeyStats {
            awake: awake.len(),
            unsealed,
            activations: node.activations.load(Ordering::Relaxed),
            restarts: node.restarts.load(Ordering::Relaxed),
            rsa_ready: node.pool.ready(),
            sealed_away: node.sealed_away.len(),
            passivations: node.passivations.load(Ordering::Relaxed),
            due: due.load(Ordering::Relaxed),
            resting: resting.count(),
            failures: failures.load(Ordering::Relaxed),
        }
    }

    /// How many keys stand in which state, over the rings that are in memory here. Looks at each of them.
    pub fn key_states(&self) -> [(KeyState, usize); KeyState::ALL.len()] {
        let now = self.directory.now();
        let mut counts = KeyState::ALL.map(|state| (state, 0));
        self.directory.awake.for_each(|tenant| {
            for key in tenant.snapshots.published().iter().flat_map(|published| &published.ring.keys) {
                let state = key.state_at(now);
                counts.iter_mut().filter(|(of, _)| *of == state).for_each(|(_, count)| *count += 1);
            }
        });
        counts
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
        let leave = |(_, awake): (TenantId, Arc<Warm<Awake>>)| async move {
            let _ = tokio::time::timeout(ASK, awake.value.addr.send(Passivate)).await;
        };
        stream::iter(self.directory.awake.take_all()).for_each_concurrent(None, leave).await;
        for arbiter in &self.directory.arbiters {
            arbiter.stop();
        }
    }
}

impl Directory {
    fn now(&self) -> Timestamp {
        self.node.clock.now()
    }

    /// The tenant's entry; starts its actor when there is none.
    fn find_or_start(&self, tenant: TenantId) -> Arc<Warm<Awake>> {
        if let Some(awake) = self.awake.find(&tenant) {
            return awake;
        }
        let start = || {
            let snapshots = Arc::new(Snapshots::default());
            let (node, of_actor) = (Arc::clone(&self.node), Arc::clone(&snapshots));
            let start = move |_: &mut actix::Context<TenantKeys>| TenantKeys::new(tenant, node, of_actor);
            // The end of a UUIDv7 is random.
            let place = usize::from(tenant.as_bytes()[15]) % self.arbiters.len();
            Awake { snapshots, addr: TenantKeys::start_in_arbiter(&self.arbiters[place].handle(), start) }
        };
        // Whoever loses a race here drops the only address of its actor, which ends it.
        let (awake, leavers) = self.awake.find_or_put(tenant, self.now(), start);
        self.put_to_sleep(&leavers);
        awake
    }

    fn forget(&self, tenant: TenantId) {
        self.node.sealed_away.pin().remove(&tenant);
        if let Some(awake) = self.awake.remove(&tenant) {
            self.put_to_sleep(&[(tenant, awake)]);
        }
    }

    /// Whoever leaves is out of the map already: who comes now starts a fresh one.
    fn put_to_sleep(&self, leavers: &[(TenantId, Arc<Warm<Awake>>)]) {
        self.node.passivations.fetch_add(leavers.len() as u64, Ordering::Relaxed);
        for (_, awake) in leavers {
            // One that is too busy to hear it leaves when its last address is dropped.
            let _ = awake.value.addr.try_send(Passivate);
        }
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
            awake.touch(self.now());
            match tokio::time::timeout(ASK, awake.value.addr.send(message.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Err(_) | Ok(Err(MailboxError::Timeout)) => return Err(KeyFault::Unavailable("the key ring is too busy".to_owned())),
                Ok(Err(MailboxError::Closed)) => {
                    // One that is out of the map was put to sleep between our finding and asking it.
                    if self.awake.remove_exactly(&tenant, &awake) {
                        self.node.restarts.fetch_add(1, Ordering::Relaxed);
                        tracing::warn!(%tenant, "the tenant's key actor was gone");
                    }
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

    /// Advances what is due, batch after batch. Other nodes leave a batch alone while it is claimed; one that fails comes back
    /// when its claim has run out.
    async fn advance_due(&self) -> Result<(), KeyFault> {
        let mut taken = 0;
        for _ in 0..DUE_BATCHES {
            let batch = self.advance_batch().await?;
            taken += batch;
            if batch < DUE_BATCH as usize {
                break;
            }
        }
        self.due.store(taken, Ordering::Relaxed);
        self.resting.forget_old(self.now());
        Ok(())
    }

    async fn advance_batch(&self) -> Result<usize, KeyFault> {
        let now = self.now();
        let mut tx = self.node.store.begin_platform().await.map_err(KeyFault::from)?;
        let due = tx.rings_claim(now, CLAIM, DUE_BATCH).await.map_err(KeyFault::from)?;
        tx.commit().await.map_err(KeyFault::from)?;
        let taken = due.len();
        let advance = |tenant: TenantId| async move {
            let by = OrderedBy { actor: audit::Actor::System, source: None, request_id: None };
            match self.execute(tenant, KeyCommand::Plan(Intent::Advance), by).await {
                Ok(change) => {
                    self.resting.recovered(tenant);
                    tracing::debug!(%tenant, changed = change.changed, "advanced a key ring");
                }
                // Deleted in the meantime.
                Err(KeyCommandError::Fault(KeyFault::NoRing)) => self.resting.recovered(tenant),
                Err(error) => {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    let again_at = self.resting.failed(tenant, self.node.timing.sweep_interval, now);
                    tracing::error!(%tenant, %error, %again_at, "a key ring that is due could not be advanced");
                }
            }
        };
        // Those that rest are claimed with the others, so that they do not keep them out of sight.
        let ready = due.into_iter().map(|mark| mark.tenant_id).filter(|tenant| !self.resting.is_resting(*tenant, now));
        stream::iter(ready).for_each_concurrent(AT_ONCE, advance).await;
        Ok(taken)
    }

    /// Reads again what other nodes have changed, and forgets whom they have deleted.
    async fn follow_others(&self) -> Result<(), KeyFault> {
        let awake = self.awake.keys();
        for tenants in awake.chunks(MARKS_BATCH) {
            let mut tx = self.node.store.begin_platform().await.map_err(KeyFault::from)?;
            let marks = tx.ring_generations(tenants).await.map_err(KeyFault::from)?;
            drop(tx);
            let marks: HashMap<_, _> = marks.into_iter().map(|mark| (mark.tenant_id, mark.generation)).collect();
            for &tenant in tenants {
                let known =
                    self.awake.find(&tenant).and_then(|awake| awake.value.snapshots.published()).map(|published| published.ring.generation);
                match (marks.get(&tenant), known) {
                    (None, _) => self.forget(tenant),
                    (Some(&generation), Some(known)) if generation != known => self.refresh_awake(tenant).await,
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
        let Some(awake) = self.awake.find(&mark.tenant_id) else { return };
        // One that is just waking may have read the ring before the change.
        if awake.value.snapshots.published().is_none_or(|published| published.ring.generation < mark.generation) {
            self.refresh_awake(mark.tenant_id).await;
        }
    }

    /// Being kept up to date is no use that keeps a tenant awake.
    async fn refresh_awake(&self, tenant: TenantId) {
        let Some(awake) = self.awake.find(&tenant) else { return };
        let used = awake.last_used();
        if let Err(fault) = self.read(tenant, Refresh).await {
            tracing::warn!(%tenant, %fault, "a changed key ring could not be read");
        }
        awake.touch(used);
    }

    fn passivate_idle(&self) {
        self.put_to_sleep(&self.awake.take_idle(self.now().minus(self.idle_after)));
    }

    async fn installation(&self) -> Result<&Installation, KeyFault> {
        self.installation.get_or_try_init(|| Installation::open(&self.node)).await
    }
}

#[async_trait]
impl Keys for KeyDirectory {
    fn open_foreign(&self, token: &str, keys: &[ClientKey], algs: &[Alg]) -> Result<ForeignToken, ForeignRefused> {
        foreign::open(token, keys, algs)
    }

    fn open_shared(&self, token: &str, secrets: &[Secret<Vec<u8>>], algs: &[MacAlg]) -> Result<ForeignToken, ForeignRefused> {
        foreign::open_shared(token, secrets, algs)
    }

    fn open_self_signed(&self, token: &str, algs: &[Alg]) -> Result<SelfSigned, ForeignRefused> {
        foreign::open_self_signed(token, algs)
    }

    fn encrypt(&self, token: &str, key: &EncryptionKey, how: Encryption) -> Result<String, KeyFault> {
        jwe::encrypt(token, key, how)
    }

    async fn published(&self, tenant: TenantId) -> Result<Arc<PublishedKeys>, KeyFault> {
        if let Some(awake) = self.directory.awake.find(&tenant)
            && let Some(published) = awake.value.snapshots.published()
        {
            awake.touch(self.directory.now());
            return Ok(published);
        }
        self.directory.read(tenant, Wake).await
    }

    async fn signer(&self, tenant: TenantId, at_least: u64) -> Result<Arc<dyn TokenSigner>, KeyFault> {
        if let Some(awake) = self.directory.awake.find(&tenant)
            && let Some(signer) = awake.value.snapshots.signer(at_least)
        {
            awake.touch(self.directory.now());
            return Ok(signer);
        }
        let signer = self.directory.read(tenant, Unseal { at_least }).await?;
        // Somebody has logged in: no crawler of public keys pushes this tenant out.
        if let Some(awake) = self.directory.awake.find(&tenant) {
            awake.keep();
        }
        Ok(signer)
    }

    async fn execute(&self, tenant: TenantId, command: KeyCommand, by: OrderedBy) -> Result<KeyChange, KeyCommandError> {
        // In a task of its own: whoever ordered it may go away, the order stands.
        let directory = Arc::clone(&self.directory);
        let task = tokio::spawn(async move { directory.execute(tenant, command, by).await });
        task.await.unwrap_or_else(|error| Err(KeyFault::Unavailable(format!("a key change was interrupted: {error}")).into()))
    }

    async fn rehearse(&self, tenant: TenantId) -> Result<Rehearsal, KeyFault> {
        // Making keys takes the processor: logins shall get between, however many drill at once.
        let _turn = self.directory.drills.acquire().await;
        rehearse(&self.directory.node, tenant).await
    }

    async fn prepare(&self, tenant: &Tenant, numbers: Option<RotationNumbers>, by: &audit::Actor) -> Result<NewRing, KeyCommandError> {
        let now = tenant.created_at;
        let Node { custody, timing, entropy, pool, base_url, .. } = &*self.directory.node;
        let policy = match numbers {
            Some(numbers) => RotationPolicy::new(numbers, *timing)?,
            None => RotationPolicy::raised(RotationNumbers::default(), *timing),
        };
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
        let (open, data_key) = custody.generate(tenant.id, now, &**entropy).await?;
        let numbers = policy.numbers().clone();
        let nothing = KeyRing { generation: 0, numbers, keys: Vec::new(), token_secrets: Vec::new(), older_caches_until: None };
        let mut change = ring_change(&nothing, &policy, &plan::first(&policy, &algs, now), &made, &open, &**entropy)?;
        let origin = origin(tenant, base_url);
        KeyLog { origin, open: &open, sealed: None, tip: None }.tell(None, &mut change, by, now)?;
        Ok(NewRing { data_key, change })
    }

    fn forget(&self, tenant: TenantId) {
        self.directory.forget(tenant);
    }

    async fn installation_mac(&self, message: &[u8]) -> Result<[u8; 32], KeyFault> {
        Ok(mac(&self.directory.installation().await?.mac, message))
    }

    async fn pseudonym(&self, tenant: TenantId, sector: &str, user: UserId) -> Result<Pseudonym, KeyFault> {
        pseudonyms::make(&self.directory.installation().await?.mac, tenant, sector, user)
    }

    async fn named_by(&self, tenant: TenantId, sector: &str, pseudonym: &Pseudonym) -> Result<Option<UserId>, KeyFault> {
        pseudonyms::read(&self.directory.installation().await?.mac, tenant, sector, pseudonym)
    }

    async fn notary(&self) -> Result<Arc<dyn Notary>, KeyFault> {
        Ok(Arc::clone(&self.directory.installation().await?.notary) as Arc<dyn Notary>)
    }

    fn sealed_away(&self) -> Vec<TenantId> {
        self.directory.node.sealed_away.pin().iter().take(MOST_NAMED).copied().collect()
    }
}

#[cfg(test)]
mod tests;
