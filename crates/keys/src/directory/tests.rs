//! The directory, its actors and its clock, on a store in memory: waking, changing, losing races, dying, leaving.
//!
//! Invariant: no test waits for time to pass; the clock is set.

use std::collections::BTreeMap;
use std::future::Future;

use app::ports::changes::RingChanges;
use app::ports::store::{StoreError, Stored};
use domain::audit::AuditEvent;
use domain::ids::FamilyId;
use domain::keys::log::{KeyFact, LogEntry, OrderedBy as LoggedOrder, Replay};
use domain::keys::plan::RotationDenied;
use domain::keys::ring::{Alg, KeyState};
use domain::tenant::Tenant;
use domain::token::family::Generation;
use tokio::sync::mpsc::{self, UnboundedReceiver, unbounded_channel};

use testkit::clock::TestClock;
use testkit::memory_store::MemoryStore;
use testkit::sample;
use transparency::note::{self, Head};
use transparency::tree::{Frontier, leaf_hash};

use zeroize::Zeroizing;

use super::*;
use crate::kek::{Kek, KekFault, Keks, LocalKek};
use crate::node::fakes::{ISSUER, NOW, OsEntropy, claims, tenant};

struct World {
    kek: Keks,
    store: MemoryStore,
    clock: Arc<TestClock>,
}

impl World {
    fn new() -> Self {
        Self { kek: any_kek(), store: MemoryStore::default(), clock: Arc::new(TestClock::new(NOW)) }
    }

    fn node_with(&self, kek: Keks) -> Arc<KeyDirectory> {
        self.start(kek, "https://id.example", 10_000)
    }

    fn node_keeping(&self, most_awake: usize) -> Arc<KeyDirectory> {
        self.start(self.kek.clone(), "https://id.example", most_awake)
    }

    fn node_at(&self, base_url: &str) -> Arc<KeyDirectory> {
        self.start(self.kek.clone(), base_url, 10_000)
    }

    fn start(&self, kek: Keks, base_url: &str, most_awake: usize) -> Arc<KeyDirectory> {
        let custody = futures_util::FutureExt::now_or_never(Custody::open(Arc::new(kek))).unwrap().unwrap();
        let settings = KeySettings {
            custody: Arc::new(custody),
            base_url: base_url.to_owned(),
            timing: NodeTiming::default(),
            rsa_pool: 0,
            arbiters: 2,
            idle_after: Ttl::minutes(30),
            most_awake,
        };
        KeyDirectory::start(settings, Arc::new(self.store.clone()), Arc::<TestClock>::clone(&self.clock), Arc::new(OsEntropy))
    }

    fn node(&self) -> Arc<KeyDirectory> {
        self.node_with(self.kek.clone())
    }

    async fn create(&self, node: &KeyDirectory, tenant: TenantId) {
        let row = Tenant { id: tenant, created_at: NOW, ..sample::tenant() };
        let new = node.prepare(&row, None, &audit::Actor::PlatformAdmin).await.unwrap();
        let mut tx = self.store.begin(tenant).await.unwrap();
        tx.tenant_insert(&row).await.unwrap();
        tx.ring_insert(&new.data_key, &new.change).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn pass(&self, ttl: Ttl) {
        self.clock.advance(ttl);
    }

    /// The tenant's log as its readers find it: its signed head, which is that of its entries, and the entries.
    async fn log(&self, tenant: TenantId) -> (Head, Vec<LogEntry>) {
        let mut tx = self.store.begin_read(tenant).await.unwrap();
        let tip = tx.key_log_tip().await.unwrap().unwrap();
        let head = note::open(&tip.checkpoint, &tip.vkey.parse().unwrap()).unwrap();
        let entries = tx.key_log_entries(0..head.size).await.unwrap();
        let mut frontier = Frontier::default();
        entries.iter().for_each(|entry| drop(frontier.push(leaf_hash(entry))));
        assert_eq!((head.size, head.root), (frontier.size(), frontier.root()));
        (head, entries.iter().map(|entry| serde_json::from_slice(entry).unwrap()).collect())
    }

    /// The log hangs together and tells what the ring says.
    async fn check_log(&self, tenant: TenantId) {
        let mut replay = Replay::default();
        let (_, entries) = self.log(tenant).await;
        assert!(entries.is_sorted_by_key(|entry| entry.generation));
        entries.iter().for_each(|entry| replay.add(entry).unwrap());
        let told: BTreeMap<_, _> =
            replay.keys.into_iter().filter(|(_, key)| key.ended.is_none()).map(|(kid, key)| (kid, key.jwk)).collect();
        let ring = self.store.ring_of(tenant).unwrap();
        assert_eq!(told, ring.published().into_iter().map(|key| (key.kid.clone(), key.public.clone())).collect());
    }

    fn events(&self) -> Vec<AuditEvent> {
        self.store.audit_log().into_iter().map(|record| record.event).collect()
    }
}

fn any_kek() -> Keks {
    Keks::new(vec![Arc::new(LocalKek::generate(&OsEntropy))], None).unwrap()
}

fn run<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    actix::System::new().block_on(test(World::new()));
}

fn by() -> OrderedBy {
    OrderedBy { actor: audit::Actor::PlatformAdmin, source: None, request_id: None }
}

fn rotate() -> KeyCommand {
    KeyCommand::Plan(Intent::Rotate { algs: Some(vec![Alg::ES256]), sign_from: None })
}

fn emergency() -> KeyCommand {
    KeyCommand::Plan(Intent::Emergency { reason: "leaked".to_owned() })
}

#[test]
fn a_new_tenant_signs_what_its_published_keys_verify() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        let published = node.published(tenant(1)).await.unwrap();
        assert_eq!(node.stats(), KeyStats { awake: 1, activations: 1, ..KeyStats::default() }, "public keys only");
        let signer = node.signer(tenant(1), 0).await.unwrap();
        let token = signer.sign(&mut claims(), &Alg::ALL, NOW).unwrap();
        assert!(published.verifier.verify(&token, ISSUER, NOW).is_ok());
        assert_eq!(node.stats(), KeyStats { awake: 1, unsealed: 1, activations: 1, ..KeyStats::default() });
    });
}

#[test]
fn a_crowd_wakes_a_tenant_once() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        let all = futures_util::future::join_all((0..200).map(|_| node.published(tenant(1)))).await;
        let first = all[0].as_ref().unwrap();
        assert!(all.iter().all(|one| Arc::ptr_eq(one.as_ref().unwrap(), first)));
        assert_eq!(node.stats().activations, 1);
    });
}

#[test]
fn a_crawler_of_public_keys_pushes_out_nobody_who_signs_and_opens_nothing() {
    run(|world| async move {
        let node = world.node_keeping(32);
        for number in 1..=200 {
            world.create(&node, tenant(number)).await;
        }
        for busy in 1..=20 {
            node.signer(tenant(busy), 0).await.unwrap();
        }
        for number in 21..=200 {
            node.published(tenant(number)).await.unwrap();
        }
        let stats = node.stats();
        assert!(stats.awake <= 34, "{stats:?}");
        assert_eq!((stats.unsealed, stats.restarts), (20, 0));
        assert!((1..=20).all(|busy| node.directory.awake.find(&tenant(busy)).is_some()));
    });
}

#[test]
fn the_clock_stages_the_algorithm_that_was_not_ready() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        assert_eq!(node.published(tenant(1)).await.unwrap().ring.keys.len(), 1);
        node.directory.sweep().await;
        let published = node.published(tenant(1)).await.unwrap();
        assert_eq!(published.ring.newest_of(Alg::RS256).unwrap().state_at(NOW), KeyState::Staged);
        assert!(matches!(&world.events()[..], [AuditEvent::KeyStaged { alg, .. }] if alg == "RS256"));
        // Nothing more is due.
        node.directory.sweep().await;
        assert_eq!(node.published(tenant(1)).await.unwrap().ring.generation, 2);
        assert!(node.signer(tenant(1), 2).await.is_ok(), "the sealed RSA key opens");
    });
}

#[test]
fn a_ring_that_keeps_failing_rests_longer_each_time_and_holds_up_nobody() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        world.create(&node, tenant(2)).await;
        world.store.data_key_tamper(tenant(1), |key| key.sealed.reverse());
        node.directory.sweep().await;
        assert_eq!(node.published(tenant(2)).await.unwrap().ring.generation, 2, "the other one is advanced");
        assert_eq!((node.stats().due, node.stats().resting, node.stats().failures), (2, 1, 1));
        // When it is tried again: first as soon as the claim has run out, then after one minute, then after two.
        let mut failures = Vec::new();
        for _ in 0..3 {
            node.directory.sweep().await;
            world.pass(Ttl::minutes(1));
            node.directory.sweep().await;
            failures.push(node.stats().failures);
        }
        assert_eq!(failures, [2, 3, 3]);
        assert!(node.execute(tenant(1), lead_of(30), by()).await.is_err(), "whoever orders by hand is told at once");

        world.store.data_key_tamper(tenant(1), |key| key.sealed.reverse());
        world.pass(Ttl::minutes(1));
        node.directory.sweep().await;
        assert_eq!(node.published(tenant(1)).await.unwrap().ring.generation, 2);
        assert_eq!((node.stats().resting, node.stats().failures), (0, 3));
    });
}

#[test]
fn a_rehearsal_does_the_work_changes_nothing_and_fails_where_an_emergency_would() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        let before = world.store.ring_of(tenant(1)).unwrap();
        let rehearsal = node.rehearse(tenant(1)).await.unwrap();
        assert_eq!(rehearsal.made.iter().map(|(alg, _)| *alg).collect::<Vec<_>>(), before.numbers.algs);
        assert!(rehearsal.signed > Duration::ZERO && rehearsal.verified > Duration::ZERO && rehearsal.total() > rehearsal.sealed);
        assert_eq!(world.store.ring_of(tenant(1)).unwrap(), before);
        assert_eq!(world.events(), []);
        assert_eq!(node.rehearse(tenant(2)).await, Err(KeyFault::NoRing));

        world.store.data_key_tamper(tenant(1), |key| key.sealed.reverse());
        assert!(matches!(node.rehearse(tenant(1)).await, Err(KeyFault::Sealed(_))));
        assert!(node.execute(tenant(1), emergency(), by()).await.is_err());
    });
}

#[test]
fn keys_are_counted_by_their_state() {
    run(|world| async move {
        let node = world.node();
        for number in [1, 2] {
            world.create(&node, tenant(number)).await;
            node.published(tenant(number)).await.unwrap();
        }
        node.execute(tenant(1), rotate(), by()).await.unwrap();
        let counts = node.key_states().map(|(state, count)| (state.name(), count));
        assert_eq!(counts, [("staged", 1), ("active", 2), ("retiring", 0), ("retired", 0), ("revoked", 0)]);
        node.forget(tenant(1));
        assert_eq!(node.key_states()[1], (KeyState::Active, 1));
        assert_eq!(node.stats().passivations, 1);
    });
}

#[test]
fn a_lost_race_is_planned_anew_once() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        world.store.faults().ring_conflicts.store(1, Ordering::SeqCst);
        assert!(node.execute(tenant(1), rotate(), by()).await.unwrap().changed);
        world.store.faults().ring_conflicts.store(2, Ordering::SeqCst);
        let refused = node.execute(tenant(1), emergency(), by()).await;
        assert!(matches!(refused, Err(KeyCommandError::Fault(KeyFault::Unavailable(_)))));
        assert_eq!(node.published(tenant(1)).await.unwrap().ring.generation, 2);
    });
}

#[test]
fn of_eight_nodes_that_rotate_at_once_one_wins() {
    run(|world| async move {
        let nodes: Vec<_> = (0..8).map(|_| world.node()).collect();
        world.create(&nodes[0], tenant(1)).await;
        let all = futures_util::future::join_all(nodes.iter().map(|node| node.execute(tenant(1), rotate(), by()))).await;
        assert_eq!(all.iter().filter(|one| one.as_ref().is_ok_and(|change| change.changed)).count(), 1);
        for lost in all.iter().filter_map(|one| one.as_ref().err()) {
            assert!(matches!(lost, KeyCommandError::Denied(RotationDenied::AlreadyStaged { .. })), "{lost}");
        }
        assert_eq!(world.store.ring_of(tenant(1)).unwrap().keys.len(), 2);
    });
}

#[test]
fn a_change_reaches_other_nodes_by_sweep_or_by_demand() {
    run(|world| async move {
        let (here, there) = (world.node(), world.node());
        world.create(&here, tenant(1)).await;
        there.signer(tenant(1), 0).await.unwrap();
        here.execute(tenant(1), rotate(), by()).await.unwrap();
        assert_eq!(there.published(tenant(1)).await.unwrap().ring.generation, 1);
        there.directory.follow_others().await.unwrap();
        assert_eq!(there.published(tenant(1)).await.unwrap().ring.generation, 2);
        here.execute(tenant(1), emergency(), by()).await.unwrap();
        assert_eq!(there.signer(tenant(1), 3).await.unwrap().generation(), 3);
        assert!(matches!(there.signer(tenant(1), 4).await, Err(KeyFault::Unavailable(_))));
    });
}

#[test]
fn an_emergency_destroys_the_old_private_keys() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        let old = node.signer(tenant(1), 0).await.unwrap().sign(&mut claims(), &Alg::ALL, NOW).unwrap();
        let change = node.execute(tenant(1), emergency(), by()).await.unwrap();
        let revoked = change.consequences.unwrap().revoked_kids;
        assert_eq!(revoked.len(), 1);
        assert!(change.keys.verifier.verify(&old, ISSUER, NOW).is_err());
        let new = node.signer(tenant(1), 0).await.unwrap().sign(&mut claims(), &Alg::ALL, NOW).unwrap();
        assert!(change.keys.verifier.verify(&new, ISSUER, NOW).is_ok());
        let secrets = world.store.begin_read(tenant(1)).await.unwrap().sealed_secrets().await.unwrap();
        assert!(secrets.iter().all(|secret| secret.name != revoked[0].as_str()));
        assert!(matches!(&world.events()[..], [AuditEvent::KeyStaged { .. }, AuditEvent::KeyStaged { .. }, AuditEvent::KeyRevoked { .. }]));
    });
}

#[test]
fn a_policy_is_adopted_and_audited_or_refused() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        let longer = RotationNumbers { lead_seconds: Ttl::hours(30), ..RotationNumbers::default() };
        assert!(node.execute(tenant(1), KeyCommand::ChangePolicy { numbers: longer.clone(), event: None }, by()).await.unwrap().changed);
        assert_eq!(node.published(tenant(1)).await.unwrap().ring.numbers, longer);
        assert!(world.events().contains(&AuditEvent::KeyPolicyChanged { changed: vec!["lead_seconds".to_owned()] }));
        let hasty = RotationNumbers { lead_seconds: Ttl::seconds(1), ..RotationNumbers::default() };
        assert!(matches!(
            node.execute(tenant(1), KeyCommand::ChangePolicy { numbers: hasty, event: None }, by()).await,
            Err(KeyCommandError::Unsafe(_))
        ));
    });
}

fn rotate_secret(sessions_end_by: Timestamp) -> KeyCommand {
    KeyCommand::Plan(Intent::RotateTokenSecret { sessions_end_by })
}

#[test]
fn a_token_secret_verifies_until_its_sessions_have_ended_and_is_destroyed_then() {
    run(|world| async move {
        let (here, there) = (world.node(), world.node());
        world.create(&here, tenant(1)).await;
        world.create(&here, tenant(2)).await;
        here.directory.sweep().await;
        let family = FamilyId::new(NOW, [3; 10]);
        let old = here.signer(tenant(1), 0).await.unwrap().mint_refresh(family, Generation::FIRST);
        let change = here.execute(tenant(1), rotate_secret(NOW.plus(Ttl::days(5))), by()).await.unwrap();
        let until = change.keys.ring.token_secrets[0].verifies_until.unwrap();
        assert!(change.changed && until > NOW.plus(Ttl::days(5)), "with room for nodes that have not heard yet");

        let signer = there.signer(tenant(1), change.keys.ring.generation).await.unwrap();
        assert_eq!(signer.open_refresh(&old), Some((family, Generation::FIRST)));
        let new = signer.mint_refresh(family, Generation::FIRST);
        assert_ne!(new, old, "the new version signs");
        world.pass(Ttl::days(5));
        here.directory.sweep().await;
        assert!(here.signer(tenant(1), 0).await.unwrap().open_refresh(&old).is_some(), "not a moment too early");

        world.pass(Ttl::minutes(2));
        assert!(NOW.plus(Ttl::days(5)).plus(Ttl::minutes(2)) >= until);
        here.directory.sweep().await;
        there.directory.sweep().await;
        for node in [&here, &there] {
            let signer = node.signer(tenant(1), 0).await.unwrap();
            assert_eq!(signer.open_refresh(&old), None);
            assert_eq!(signer.open_refresh(&new), Some((family, Generation::FIRST)));
        }
        let secrets_of = async |number| {
            let mut tx = world.store.begin_read(tenant(number)).await.unwrap();
            let names = tx.sealed_secrets().await.unwrap().into_iter().map(|secret| secret.name);
            names.filter(|name| name.starts_with("refresh-token/")).collect::<Vec<_>>()
        };
        assert_eq!(secrets_of(1).await, ["refresh-token/2"]);
        assert_eq!(secrets_of(2).await, ["refresh-token/1"], "the other tenant's is as it was");
        let events = world.events();
        assert!(events.contains(&AuditEvent::TokenSecretRotated { version: 2, older_verifies_until: until }));
        assert!(events.contains(&AuditEvent::TokenSecretDestroyed { version: 1 }));
    });
}

#[test]
fn a_ring_keeps_so_many_token_secrets_and_no_more() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        for day in 1..8 {
            node.execute(tenant(1), rotate_secret(NOW.plus(Ttl::days(day))), by()).await.unwrap();
        }
        let refused = node.execute(tenant(1), rotate_secret(NOW.plus(Ttl::days(9))), by()).await.map(|_| ());
        let earliest = node.published(tenant(1)).await.unwrap().ring.token_secrets[0].verifies_until.unwrap();
        assert_eq!(refused, Err(RotationDenied::TooManyTokenSecrets { live: 8, earliest }.into()));
        world.pass(Ttl::days(2));
        node.directory.sweep().await;
        node.execute(tenant(1), rotate_secret(NOW.plus(Ttl::days(9))), by()).await.unwrap();
        let versions: Vec<_> = node.published(tenant(1)).await.unwrap().ring.token_secrets.iter().map(|secret| secret.version).collect();
        assert_eq!(versions, [2, 3, 4, 5, 6, 7, 8, 9], "a version is never used again");
    });
}

#[test]
fn a_dead_actor_is_replaced_but_a_begun_change_is_not_repeated() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        world.store.faults().ring_panics.store(1, Ordering::SeqCst);
        assert!(node.published(tenant(1)).await.is_ok());
        assert_eq!(node.stats().restarts, 1);
        world.store.faults().ring_panics.store(1, Ordering::SeqCst);
        let interrupted = node.execute(tenant(1), rotate(), by()).await;
        assert!(matches!(interrupted, Err(KeyCommandError::Fault(KeyFault::Unavailable(_)))));
        assert_eq!(node.published(tenant(1)).await.unwrap().ring.generation, 1);
        world.store.faults().ring_panics.store(2, Ordering::SeqCst);
        node.forget(tenant(1));
        assert!(matches!(node.published(tenant(1)).await, Err(KeyFault::Unavailable(_))), "one retry, not more");
    });
}

#[test]
fn a_change_happens_even_if_its_orderer_goes_away() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        let mut order = node.execute(tenant(1), rotate(), by());
        assert!(futures_util::poll!(&mut order).is_pending());
        drop(order);
        let changed = async {
            while world.store.ring_of(tenant(1)).unwrap().generation < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), changed).await.unwrap();
    });
}

#[test]
fn a_tenant_without_a_ring_is_forgotten() {
    run(|world| async move {
        let node = world.node();
        assert!(matches!(node.published(tenant(9)).await, Err(KeyFault::NoRing)));
        assert!(matches!(node.signer(tenant(9), 0).await, Err(KeyFault::NoRing)));
        assert!(matches!(node.execute(tenant(9), rotate(), by()).await, Err(KeyCommandError::Fault(KeyFault::NoRing))));
        assert_eq!(node.stats().awake, 0);

        world.create(&node, tenant(1)).await;
        node.published(tenant(1)).await.unwrap();
        sample::gone(&world.store, tenant(1)).await.unwrap();
        node.directory.sweep().await;
        assert_eq!(node.stats().awake, 0);
    });
}

#[test]
fn a_wrong_key_encryption_key_hides_private_keys_only() {
    run(|world| async move {
        world.create(&world.node(), tenant(1)).await;
        let other = any_kek();
        let node = world.node_with(other.clone());
        assert!(node.published(tenant(1)).await.is_ok());
        let Err(KeyFault::Sealed(why)) = node.signer(tenant(1), 0).await.map(|_| ()) else { panic!("opened") };
        assert!(why.contains(other.primary().id()), "{why}");
        assert_eq!((node.sealed_away(), node.stats().sealed_away), (vec![tenant(1)], 1), "it is named");
        assert!(node.execute(tenant(1), rotate(), by()).await.is_err());
        assert_eq!(node.published(tenant(1)).await.unwrap().ring.generation, 1);
    });
}

#[test]
fn the_idle_leave_and_come_back() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        node.directory.sweep().await;
        node.published(tenant(1)).await.unwrap();
        world.pass(Ttl::minutes(29));
        node.directory.sweep().await;
        assert_eq!(node.stats().awake, 1);
        world.pass(Ttl::minutes(2));
        node.directory.sweep().await;
        assert_eq!(node.stats().awake, 0);
        assert!(node.published(tenant(1)).await.is_ok());
        assert_eq!(node.stats().restarts, 0);
    });
}

#[test]
fn the_clock_ticks_and_shutdown_ends_it_all() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        node.start_clock();
        node.start_clock();
        let staged = async {
            while world.events().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), staged).await.unwrap();
        node.shutdown().await;
        assert_eq!(node.stats().awake, 0);
        assert!(matches!(node.published(tenant(1)).await, Err(KeyFault::Unavailable(_))));
    });
}

/// A connection that says what the test sends, and is lost when the test drops the sender.
struct FakeChanges(mpsc::Receiver<Option<RingMark>>);

#[async_trait]
impl RingChanges for FakeChanges {
    async fn next(&mut self) -> Stored<Option<RingMark>> {
        self.0.recv().await.ok_or_else(|| StoreError::Unavailable("lost".to_owned()))
    }
}

/// Answers each attempt to connect with what the test has sent for it.
struct FakeConnector(tokio::sync::Mutex<UnboundedReceiver<Stored<FakeChanges>>>);

#[async_trait]
impl ListenForChanges for FakeConnector {
    async fn connect(&self) -> Stored<Box<dyn RingChanges>> {
        match self.0.lock().await.recv().await {
            Some(answer) => Ok(Box::new(answer?)),
            None => std::future::pending().await,
        }
    }
}

fn connection() -> (mpsc::Sender<Option<RingMark>>, FakeChanges) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, FakeChanges(receiver))
}

async fn until_published(node: &KeyDirectory, tenant: TenantId, generation: u64) {
    let published = async {
        while node.published(tenant).await.unwrap().ring.generation < generation {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), published).await.unwrap();
}

fn lead_of(hours: u32) -> KeyCommand {
    KeyCommand::ChangePolicy { numbers: RotationNumbers { lead_seconds: Ttl::hours(hours), ..RotationNumbers::default() }, event: None }
}

#[test]
fn a_notice_reaches_whoever_is_awake_and_a_lost_connection_is_made_up_for() {
    run(|world| async move {
        let (here, there) = (world.node(), world.node());
        world.create(&here, tenant(1)).await;
        world.create(&here, tenant(2)).await;
        there.published(tenant(1)).await.unwrap();
        let (connections, answers) = unbounded_channel();
        there.start_feed_pausing(Box::new(FakeConnector(answers.into())), Duration::ZERO);

        // The first attempt fails. Then a notice for one who sleeps, twice: once the first is taken, the catching up is over.
        let (notices, first) = connection();
        connections.send(Err(StoreError::Unavailable("away".to_owned()))).unwrap();
        connections.send(Ok(first)).ok().unwrap();
        for _ in 0..2 {
            notices.send(Some(RingMark { tenant_id: tenant(2), generation: 1 })).await.unwrap();
        }
        here.execute(tenant(1), rotate(), by()).await.unwrap();
        assert_eq!(there.published(tenant(1)).await.unwrap().ring.generation, 1);
        notices.send(Some(RingMark { tenant_id: tenant(1), generation: 2 })).await.unwrap();
        until_published(&there, tenant(1), 2).await;
        assert_eq!(there.stats().awake, 1);
        // The connection was lost and has come back by itself.
        here.execute(tenant(1), lead_of(30), by()).await.unwrap();
        notices.send(None).await.unwrap();
        until_published(&there, tenant(1), 3).await;

        // A change that nobody is told of, and the connection lost.
        here.execute(tenant(1), lead_of(31), by()).await.unwrap();
        drop(notices);
        let (notices, second) = connection();
        connections.send(Err(StoreError::Unavailable("away".to_owned()))).unwrap();
        connections.send(Ok(second)).ok().unwrap();
        until_published(&there, tenant(1), 4).await;

        there.shutdown().await;
        tokio::time::timeout(Duration::from_secs(10), notices.closed()).await.expect("the connection is let go");
    });
}

#[test]
fn the_installation_has_one_secret_for_all_nodes() {
    run(|world| async move {
        let (here, there) = (world.node(), world.node());
        let mac = here.installation_mac(b"token").await.unwrap();
        assert_eq!(there.installation_mac(b"token").await, Ok(mac));
        assert_ne!(there.installation_mac(b"other").await, Ok(mac));
        let stranger = world.node_with(any_kek());
        assert!(matches!(stranger.installation_mac(b"token").await, Err(KeyFault::Sealed(_))));
    });
}

#[test]
fn the_log_tells_what_the_ring_says_whoever_changed_it() {
    run(|world| async move {
        let nodes = [world.node(), world.node(), world.node()];
        world.create(&nodes[0], tenant(1)).await;
        world.check_log(tenant(1)).await;
        nodes[0].directory.sweep().await;
        for round in 0..4 {
            // All at once: one wins, the others are refused or come after it.
            let command = if round == 1 { emergency() } else { rotate() };
            futures_util::future::join_all(nodes.iter().map(|node| node.execute(tenant(1), command.clone(), by()))).await;
            world.check_log(tenant(1)).await;
            let staged = world.log(tenant(1)).await.1.into_iter().filter(|entry| matches!(entry.fact, KeyFact::KeyStaged { .. })).count();
            assert_eq!(staged, world.store.ring_of(tenant(1)).unwrap().keys.len(), "each key is told of once");
            world.pass(Ttl::days(1));
            futures_util::future::join_all(nodes.iter().map(|node| node.directory.sweep())).await;
            world.check_log(tenant(1)).await;
            world.pass(Ttl::days(1));
        }
        let (_, entries) = world.log(tenant(1)).await;
        let by = |who| entries.iter().filter(|entry| entry.ordered_by == who).count();
        assert!(by(LoggedOrder::Schedule) > 0 && by(LoggedOrder::PlatformAdmin) > 0 && by(LoggedOrder::TenantAdmin) == 0);
    });
}

#[test]
fn under_another_address_the_log_goes_on_under_another_name_and_the_same_key() {
    run(|world| async move {
        world.create(&world.node(), tenant(1)).await;
        let (before, told) = world.log(tenant(1)).await;
        assert!(before.origin.starts_with("id.example/t/") && before.origin.ends_with("/.well-known/key-log"), "{}", before.origin);
        let moved = world.node_at("http://login.example:8080");
        moved.execute(tenant(1), emergency(), by()).await.unwrap();
        moved.execute(tenant(1), rotate(), by()).await.unwrap();
        let (after, entries) = world.log(tenant(1)).await;
        assert_eq!(after.origin, before.origin.replace("id.example", "login.example:8080"));
        assert_eq!(entries[..told.len()], told);
        world.check_log(tenant(1)).await;
    });
}

#[test]
fn a_log_is_signed_under_its_new_name_when_nothing_else_is_to_be_done_and_only_then() {
    run(|world| async move {
        let advance = || KeyCommand::Plan(Intent::Advance);
        let node = world.node();
        world.create(&node, tenant(1)).await;
        // What a pool that is empty at first has left to the clock.
        node.execute(tenant(1), advance(), by()).await.unwrap();
        assert!(!node.execute(tenant(1), advance(), by()).await.unwrap().changed);
        let (before, told) = world.log(tenant(1)).await;

        let mut tx = world.store.begin(tenant(1)).await.unwrap();
        let row = tx.tenant_locked().await.unwrap().unwrap();
        tx.tenant_update(&Tenant { custom_domain: Some("login.acme.example".parse().unwrap()), ..row }).await.unwrap();
        tx.commit().await.unwrap();
        assert!(node.execute(tenant(1), advance(), by()).await.unwrap().changed);
        let (after, entries) = world.log(tenant(1)).await;
        assert_eq!((after.origin.as_str(), after.size, after.root), ("login.acme.example/.well-known/key-log", before.size, before.root));
        assert_eq!(entries, told);
        assert!(!node.execute(tenant(1), advance(), by()).await.unwrap().changed);
        node.execute(tenant(1), emergency(), by()).await.unwrap();
        world.check_log(tenant(1)).await;
    });
}

/// Counts how often it is asked, and opens nothing once it is told so.
struct Counting {
    inner: LocalKek,
    unwraps: std::sync::atomic::AtomicU32,
}

#[async_trait]
impl Kek for Counting {
    fn id(&self) -> &str {
        self.inner.id()
    }
    fn provider(&self) -> &'static str {
        "counting"
    }
    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, KekFault> {
        self.inner.wrap(context, key).await
    }
    async fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekFault> {
        self.unwraps.fetch_add(1, Ordering::SeqCst);
        self.inner.unwrap(context, wrapped).await
    }
}

#[test]
fn the_key_encryption_key_is_asked_once_while_a_tenant_is_awake() {
    run(|world| async move {
        let kek = Arc::new(Counting { inner: LocalKek::generate(&OsEntropy), unwraps: 0.into() });
        let node = world.node_with(Keks::new(vec![Arc::clone(&kek) as Arc<dyn Kek>], None).unwrap());
        world.create(&node, tenant(1)).await;
        node.published(tenant(1)).await.unwrap();
        assert_eq!(kek.unwraps.load(Ordering::SeqCst), 0, "the JWKS needs no key");
        for _ in 0..5 {
            node.signer(tenant(1), 0).await.unwrap().sign(&mut claims(), &Alg::ALL, NOW).unwrap();
        }
        node.execute(tenant(1), rotate(), by()).await.unwrap();
        node.signer(tenant(1), 2).await.unwrap();
        assert_eq!(kek.unwraps.load(Ordering::SeqCst), 1);
        node.forget(tenant(1));
        node.signer(tenant(1), 2).await.unwrap();
        assert_eq!(kek.unwraps.load(Ordering::SeqCst), 2, "what was open went with the actor");
    });
}

#[test]
fn a_data_key_of_another_tenant_or_of_an_older_version_harms_only_its_row() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        world.create(&node, tenant(2)).await;
        let sealed_of = async |tenant| world.store.begin_read(tenant).await.unwrap().data_key().await.unwrap().unwrap().sealed;
        let (whole, stolen) = (sealed_of(tenant(1)).await, sealed_of(tenant(2)).await);
        world.store.data_key_tamper(tenant(1), |key| key.sealed = stolen);
        assert!(matches!(node.signer(tenant(1), 0).await, Err(KeyFault::Sealed(_))));
        assert!(node.signer(tenant(2), 0).await.is_ok());
        assert_eq!(node.sealed_away(), [tenant(1)]);
        world.store.data_key_tamper(tenant(1), |key| key.sealed = whole);
        assert!(node.signer(tenant(1), 0).await.is_ok());
        assert_eq!(node.sealed_away(), [], "mended, and forgotten");
    });
}

#[test]
fn the_installation_certifies_what_its_published_key_verifies() {
    run(|world| async move {
        let (here, there) = (world.node(), world.node());
        let certificate = here.notary().await.unwrap().certify("note+jwt", &serde_json::json!({ "said": "so" })).unwrap();
        let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&there.notary().await.unwrap().jwks()).unwrap();
        let header = jsonwebtoken::decode_header(&certificate).unwrap();
        assert_eq!(header.typ.as_deref(), Some("note+jwt"));
        let key = jsonwebtoken::DecodingKey::from_jwk(jwks.find(header.kid.as_deref().unwrap()).unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        let said = jsonwebtoken::decode::<serde_json::Value>(&certificate, &key, &rules).unwrap();
        assert_eq!(said.claims, serde_json::json!({ "said": "so" }));
        let forged = certificate.replacen('.', ".e", 1);
        assert!(jsonwebtoken::decode::<serde_json::Value>(&forged, &key, &rules).is_err());
    });
}
