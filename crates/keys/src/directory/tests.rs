//! The directory, its actors and its clock, on a store in memory: waking, changing, losing races, dying, leaving.
//!
//! Invariant: no test waits for time to pass; the clock is set.

use std::future::Future;

use app::ports::changes::RingChanges;
use app::ports::store::{StoreError, Stored};
use domain::audit::AuditEvent;
use domain::ids::FamilyId;
use domain::keys::plan::RotationDenied;
use domain::keys::ring::{Alg, KeyState};
use domain::tenant::Tenant;
use domain::token::family::Generation;
use tokio::sync::mpsc::{self, UnboundedReceiver, unbounded_channel};

use testkit::clock::TestClock;
use testkit::memory_store::MemoryStore;
use testkit::sample;

use super::*;
use crate::node::fakes::{ISSUER, NOW, OsEntropy, claims, tenant};

struct World {
    kek: String,
    store: MemoryStore,
    clock: Arc<TestClock>,
}

impl World {
    fn new() -> Self {
        let kek = Kek::generate(&OsEntropy).to_file_text().expose().clone();
        Self { kek, store: MemoryStore::default(), clock: Arc::new(TestClock::new(NOW)) }
    }

    fn node_with(&self, kek: &str) -> Arc<KeyDirectory> {
        self.start(kek, 10_000)
    }

    fn node_keeping(&self, most_awake: usize) -> Arc<KeyDirectory> {
        self.start(&self.kek, most_awake)
    }

    fn start(&self, kek: &str, most_awake: usize) -> Arc<KeyDirectory> {
        let settings = KeySettings {
            kek: Kek::from_file_text(kek).unwrap(),
            timing: NodeTiming::default(),
            rsa_pool: 0,
            arbiters: 2,
            idle_after: Ttl::minutes(30),
            most_awake,
        };
        KeyDirectory::start(settings, Arc::new(self.store.clone()), Arc::<TestClock>::clone(&self.clock), Arc::new(OsEntropy))
    }

    fn node(&self) -> Arc<KeyDirectory> {
        self.node_with(&self.kek)
    }

    async fn create(&self, node: &KeyDirectory, tenant: TenantId) {
        let new = node.prepare(tenant, NOW).unwrap();
        let mut tx = self.store.begin(tenant).await.unwrap();
        tx.tenant_insert(&Tenant { id: tenant, ..sample::tenant() }).await.unwrap();
        tx.ring_insert(&new.data_key, &new.change).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn pass(&self, ttl: Ttl) {
        self.clock.advance(ttl);
    }

    fn events(&self) -> Vec<AuditEvent> {
        self.store.audit_log().into_iter().map(|record| record.event).collect()
    }
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
        let token = signer.sign(&mut claims(), NOW).unwrap();
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
fn an_rsa_key_is_made_when_the_policy_asks_for_one() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        assert_eq!(node.published(tenant(1)).await.unwrap().ring.keys.len(), 1);
        let numbers = RotationNumbers { algs: vec![Alg::ES256, Alg::RS256], ..RotationNumbers::default() };
        let published = node.execute(tenant(1), KeyCommand::ChangePolicy(numbers), by()).await.unwrap().keys;
        assert_eq!(published.ring.newest_of(Alg::RS256).unwrap().state_at(NOW), KeyState::Staged);
        assert!(matches!(&world.events()[..], [_, AuditEvent::KeyStaged { alg, .. }] if alg == "RS256"));
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
        world.pass(Ttl::days(90));
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
        let old = node.signer(tenant(1), 0).await.unwrap().sign(&mut claims(), NOW).unwrap();
        let change = node.execute(tenant(1), emergency(), by()).await.unwrap();
        let revoked = change.consequences.unwrap().revoked_kids;
        assert_eq!(revoked.len(), 1);
        assert!(change.keys.verifier.verify(&old, ISSUER, NOW).is_err());
        let new = node.signer(tenant(1), 0).await.unwrap().sign(&mut claims(), NOW).unwrap();
        assert!(change.keys.verifier.verify(&new, ISSUER, NOW).is_ok());
        let secrets = world.store.begin_read(tenant(1)).await.unwrap().sealed_secrets().await.unwrap();
        assert!(secrets.iter().all(|secret| secret.name != revoked[0].as_str()));
        assert!(matches!(&world.events()[..], [AuditEvent::KeyStaged { .. }, AuditEvent::KeyRevoked { .. }]));
    });
}

#[test]
fn a_policy_is_adopted_and_audited_or_refused() {
    run(|world| async move {
        let node = world.node();
        world.create(&node, tenant(1)).await;
        let longer = RotationNumbers { lead_seconds: Ttl::hours(30), ..RotationNumbers::default() };
        assert!(node.execute(tenant(1), KeyCommand::ChangePolicy(longer.clone()), by()).await.unwrap().changed);
        assert_eq!(node.published(tenant(1)).await.unwrap().ring.numbers, longer);
        assert!(world.events().contains(&AuditEvent::KeyPolicyChanged { changed: vec!["lead_seconds".to_owned()] }));
        let hasty = RotationNumbers { lead_seconds: Ttl::seconds(1), ..RotationNumbers::default() };
        assert!(matches!(node.execute(tenant(1), KeyCommand::ChangePolicy(hasty), by()).await, Err(KeyCommandError::Unsafe(_))));
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
        let other = Kek::generate(&OsEntropy);
        let node = world.node_with(other.to_file_text().expose());
        assert!(node.published(tenant(1)).await.is_ok());
        let Err(KeyFault::Sealed(why)) = node.signer(tenant(1), 0).await.map(|_| ()) else { panic!("opened") };
        assert!(why.contains(other.id()), "{why}");
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
        world.pass(Ttl::days(90));
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
    KeyCommand::ChangePolicy(RotationNumbers { lead_seconds: Ttl::hours(hours), ..RotationNumbers::default() })
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
        let stranger = world.node_with(Kek::generate(&OsEntropy).to_file_text().expose());
        assert!(matches!(stranger.installation_mac(b"token").await, Err(KeyFault::Sealed(_))));
    });
}
