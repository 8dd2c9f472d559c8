//! PostgreSQL away, and PostgreSQL out of reach: who must answer says so soon, who need not ask it goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::pgbouncer::PgBouncer;
use testkit::postgres::{Durability, Postgres};

use crate::caller::{Answered, Caller, TENANT};
use crate::chance::{self, Chance};
use crate::crowd::Crowd;
use crate::node::{Node, Site};
use crate::proxy::Proxy;

/// A database that refuses connections is noticed within this.
const SOON: Duration = Duration::from_secs(1);
/// A database that swallows what is sent is noticed within this: a statement of a running transaction is waited for the longest.
const BOUNDED: Duration = Duration::from_millis(5_500);
/// For the machine that all this runs on, which may be busy with other tests.
const GRACE: Duration = Duration::from_secs(1);
/// Looked-up tenants are looked up again after five seconds.
const UNTIL_NOTHING_IS_FRESH: Duration = Duration::from_secs(6);

struct Stage {
    server: Arc<Postgres>,
    node: Node,
    admin: Caller,
    refresh_token: String,
    access_token: String,
}

impl Stage {
    /// A node on a PostgreSQL of its own, perhaps by way of a proxy, with a user who has logged in.
    async fn new(proxied: bool) -> (Self, Option<Proxy>) {
        let (server, url) = tokio::task::spawn_blocking(|| {
            let server = Postgres::start(Durability::None);
            let url = server.fresh_database();
            (Arc::new(server), url)
        })
        .await
        .expect("PostgreSQL starts");
        let proxy = if proxied { Some(Proxy::to(server.port()).await) } else { None };
        let site = Site::postgres(&proxy.as_ref().map_or_else(|| url.clone(), |proxy| proxy.before(&url, server.port())));
        (Self::at(server, &site).await, proxy)
    }

    /// A node behind a proxy and a PgBouncer, which keeps its connections whatever becomes of the server.
    async fn behind_a_pooler() -> (Self, Proxy, PgBouncer) {
        let (server, pooler, pooled) = tokio::task::spawn_blocking(|| {
            let server = Postgres::start(Durability::None);
            let pooler = PgBouncer::start(server.port());
            let pooled = pooler.before(&server.fresh_database());
            (Arc::new(server), pooler, pooled)
        })
        .await
        .expect("PostgreSQL and PgBouncer start");
        let proxy = Proxy::to(pooler.port()).await;
        let mut site = Site::postgres(&proxy.before(&pooled, pooler.port()));
        site.set("DATABASE__POOLER", "transaction");
        (Self::at(server, &site).await, proxy, pooler)
    }

    async fn at(server: Arc<Postgres>, site: &Site) -> Self {
        let node = site.start().await;
        let admin = node.caller().bearing(&site.admin_token());
        admin.make_tenant().await;
        admin.make_user("alice").await;
        let login = node.caller().login("alice").await.expect("an answer").is(200);
        let (refresh_token, access_token) = (login.word("refresh_token"), login.word("access_token"));
        Self { server, node, admin, refresh_token, access_token }
    }

    async fn with_the_server(&self, work: fn(&Postgres)) {
        let server = Arc::clone(&self.server);
        tokio::task::spawn_blocking(move || work(&server)).await.expect("PostgreSQL obeys");
    }

    /// Several connections to the database lie idle after this.
    async fn many_connections_are_open(&self) {
        let caller = self.node.caller().bearing(&self.access_token);
        // Whose token it is, they find out together; what comes after it each reads by itself.
        let sessions = format!("/t/{TENANT}/me/sessions");
        let asked = futures_util::future::join_all((0..16).map(|_| caller.get(&sessions))).await;
        assert!(asked.into_iter().all(|reply| reply.expect("an answer").status == 200));
    }

    /// What needs no database is there, all the time.
    async fn public_keys_are_there_for(&self, span: Duration) {
        let (begun, caller) = (Instant::now(), self.node.caller());
        let mut slowest = Duration::ZERO;
        while begun.elapsed() < span {
            let asked = Instant::now();
            caller.jwks().await.expect("an answer").is(200);
            caller.get(&format!("/t/{TENANT}/.well-known/openid-configuration")).await.expect("an answer").is(200);
            slowest = slowest.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await; // A client that asks now and then, not in a loop.
        }
        eprintln!("JWKS and discovery: at most {slowest:?}");
        assert!(slowest < SOON + GRACE, "{slowest:?}");
    }

    /// Everything that writes says 503 within `patience`, and when to come back.
    async fn whatever_writes_is_unavailable_within(&self, patience: Duration) {
        let (caller, mut slowest) = (self.node.caller(), Duration::ZERO);
        for round in 0..3 {
            let new_user = json!({ "username": format!("bob-{round}"), "password": "velvet-anchor-cobalt-17-thicket" });
            let users = format!("/admin/v1/tenants/{TENANT}/users");
            let mut judge = async |what: &str, answered: &mut (dyn Future<Output = Answered> + Unpin)| {
                let asked = Instant::now();
                let reply = answered.await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
                let took = asked.elapsed();
                assert_eq!(reply.status, 503, "{what}: {}", reply.text);
                assert!(!reply.header("retry-after").is_empty(), "{what} does not say when to come back");
                assert!(reply.text.contains("unavailable"), "{what}: {}", reply.text);
                assert!(took < patience + GRACE, "{what} took {took:?}");
                slowest = slowest.max(took);
            };
            judge("refresh", &mut Box::pin(caller.refresh(&self.refresh_token))).await;
            judge("login", &mut Box::pin(caller.login("alice"))).await;
            judge("revoke", &mut Box::pin(caller.revoke(&self.refresh_token))).await;
            judge("logout", &mut Box::pin(caller.logout(&self.refresh_token))).await;
            judge("me", &mut Box::pin(caller.me(&self.access_token))).await;
            judge("new user", &mut Box::pin(self.admin.post(&users, new_user))).await;
        }
        eprintln!("503: after at most {slowest:?}");
        let ready = self.node.management().get("/health/ready").await.expect("an answer").is(503);
        assert_eq!(ready.json()["database"], "unavailable");
        self.node.management().get("/health/live").await.expect("an answer").is(200);
    }

    /// The server works again, without a restart, for everybody.
    async fn everything_works_within(&self, patience: Duration) {
        let begun = Instant::now();
        while self.node.management().get("/health/ready").await.expect("an answer").status != 200 {
            assert!(begun.elapsed() < patience, "not ready again: {}", self.node.last_words());
            tokio::time::sleep(Duration::from_millis(20)).await; // A load balancer's probe.
        }
        let took = begun.elapsed();
        let caller = self.node.caller();
        let mut token = self.refresh_token.clone();
        for _ in 0..20 {
            token = caller.refresh(&token).await.expect("an answer").is(200).word("refresh_token");
        }
        caller.login("alice").await.expect("an answer").is(200);
        self.admin.make_user("carol").await;
        eprintln!("ready again after {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_an_answer_within_a_second_and_its_return_needs_no_restart() {
    let (stage, _) = Stage::new(false).await;
    stage.with_the_server(Postgres::stop).await;
    stage.whatever_writes_is_unavailable_within(SOON).await;
    stage.public_keys_are_there_for(UNTIL_NOTHING_IS_FRESH).await;
    stage.whatever_writes_is_unavailable_within(SOON).await;
    stage.with_the_server(Postgres::start_again).await;
    stage.everything_works_within(Duration::from_secs(5)).await;
    stage.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_restarted_between_two_requests_is_noticed_by_nobody() {
    let (stage, _) = Stage::new(false).await;
    let caller = stage.node.caller();
    stage.many_connections_are_open().await;
    stage.with_the_server(Postgres::stop).await;
    stage.with_the_server(Postgres::start_again).await;
    stage.node.management().get("/health/ready").await.expect("an answer").is(200);
    // What the probe has left; a second restart has something to cut again.
    stage.many_connections_are_open().await;
    stage.with_the_server(Postgres::stop).await;
    stage.with_the_server(Postgres::start_again).await;
    caller.refresh(&stage.refresh_token).await.expect("an answer").is(200);
    caller.login("alice").await.expect("an answer").is(200);
    stage.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_was_demoted_is_neither_read_nor_written_until_it_is_the_primary_again() {
    let (stage, _) = Stage::new(false).await;
    stage.many_connections_are_open().await;
    stage.with_the_server(Postgres::stop).await;
    stage.with_the_server(Postgres::start_demoted).await;
    // It would answer: what it holds may be old.
    stage.whatever_writes_is_unavailable_within(SOON).await;
    stage.public_keys_are_there_for(SOON).await;
    stage.whatever_writes_is_unavailable_within(SOON).await;
    stage.with_the_server(Postgres::promote).await;
    stage.everything_works_within(Duration::from_secs(5)).await;
    stage.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_by_which_a_primary_was_demoted_are_dropped_also_where_a_pooler_keeps_them() {
    let (stage, proxy, _pooler) = Stage::behind_a_pooler().await;
    stage.many_connections_are_open().await;
    let before = proxy.connections();
    assert!(before > 2, "{before} connections");
    stage.with_the_server(Postgres::stop).await;
    stage.with_the_server(Postgres::start_demoted).await;
    stage.whatever_writes_is_unavailable_within(SOON).await;
    let begun = Instant::now();
    while proxy.connections() > 1 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} of {before} connections are still there", proxy.connections());
        assert_eq!(stage.node.caller().me(&stage.access_token).await.expect("an answer").status, 503);
    }
    eprintln!("{before} connections were dropped after {:?}", begun.elapsed());
    stage.with_the_server(Postgres::promote).await;
    stage.everything_works_within(Duration::from_secs(15)).await;
    stage.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_behind_a_black_hole_is_an_answer_in_bounded_time() {
    let (stage, proxy) = Stage::new(true).await;
    let proxy = proxy.expect("a proxy");
    let caller = stage.node.caller();
    // In the middle of all kinds of transactions, wherever they are just now.
    let users: Vec<_> = (0..16).map(|number| format!("user-{number}")).collect();
    for user in &users {
        stage.admin.make_user(user).await;
    }
    let begun = Instant::now();
    let under_way = futures_util::future::join_all(users.iter().map(|user| async {
        let asked = Instant::now();
        let mut statuses = Vec::new();
        while statuses.last().is_none_or(|status| *status == 200) && begun.elapsed() < Duration::from_secs(20) {
            statuses.push(caller.login(user).await.expect("an answer").status);
        }
        (statuses.pop(), asked.elapsed())
    }));
    let cut = async {
        tokio::time::sleep(Duration::from_millis(300)).await; // So that the logins are in the middle of something.
        proxy.swallow();
    };
    let (under_way, ()) = tokio::join!(under_way, cut);
    let slowest = under_way.iter().map(|(_, took)| *took).max().expect("some");
    eprintln!("requests that were under way ended after at most {slowest:?}");
    assert!(under_way.iter().all(|(status, _)| *status == Some(503)), "{under_way:?}");
    assert!(slowest < BOUNDED + GRACE, "{slowest:?}");

    stage.whatever_writes_is_unavailable_within(SOON).await;
    stage.public_keys_are_there_for(UNTIL_NOTHING_IS_FRESH).await;
    stage.whatever_writes_is_unavailable_within(SOON).await;
    proxy.forward_again();
    stage.everything_works_within(Duration::from_secs(10)).await;
    stage.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_network_has_forgotten_do_not_hold_the_pool() {
    let (stage, proxy) = Stage::new(true).await;
    let proxy = proxy.expect("a proxy");
    stage.many_connections_are_open().await;
    proxy.swallow();
    stage.whatever_writes_is_unavailable_within(BOUNDED).await;
    proxy.forget_old_connections();
    stage.everything_works_within(Duration::from_secs(15)).await;
    stage.node.stop().await;
}

/// The pool of the configuration that ships: `database.max_connections`.
const POOL: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_database_slows_what_needs_it_and_nothing_else_and_its_recovery_is_noticed_at_once() {
    let (stage, proxy) = Stage::new(true).await;
    let proxy = proxy.expect("a proxy");
    let caller = stage.node.caller();
    stage.many_connections_are_open().await;
    let open = proxy.connections();
    assert!(open > 4, "{open} connections, of which one listens");

    // Each answer takes a tenth of a second: a refresh takes a few of these.
    proxy.delay_answers(Duration::from_millis(100));
    let asked = Instant::now();
    let token = caller.refresh(&stage.refresh_token).await.expect("an answer").is(200).word("refresh_token");
    eprintln!("100 ms an answer: a refresh took {:?}", asked.elapsed());
    assert!(asked.elapsed() > Duration::from_millis(300), "nothing was slowed");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());

    // Each takes two seconds: whoever needs several gives up in time, whoever needs none is not disturbed, and nobody opens more
    // connections than there may be.
    proxy.delay_answers(Duration::from_secs(2));
    let under_way = futures_util::future::join_all((0..32).map(|_| async {
        let asked = Instant::now();
        (caller.refresh(&token).await.expect("an answer").status, asked.elapsed())
    }));
    let (under_way, ()) = tokio::join!(under_way, stage.public_keys_are_there_for(Duration::from_secs(4)));
    let slowest = under_way.iter().map(|(_, took)| *took).max().expect("some");
    let (refused, open) = (under_way.iter().filter(|(status, _)| *status == 503).count(), proxy.connections());
    eprintln!("2 s an answer: {refused} of 32 refreshes were a 503, all answered after at most {slowest:?}; {open} connections");
    assert!(under_way.iter().all(|(status, _)| [200, 503].contains(status)), "{under_way:?}");
    assert!(refused > 0, "two seconds an answer are no hardship");
    assert!(slowest < BOUNDED + GRACE, "{slowest:?}");
    // One more listens, and one may be trying whether the database is back.
    assert!(open <= POOL + 2, "{open} connections");

    proxy.delay_answers(Duration::ZERO);
    let begun = Instant::now();
    let next = loop {
        let reply = caller.refresh(&token).await.expect("an answer");
        if reply.status == 200 {
            break reply.word("refresh_token");
        }
        assert_eq!(reply.status, 503, "an honest client was logged out: {}", reply.text);
        assert!(begun.elapsed() < Duration::from_secs(3), "it does not recover");
    };
    eprintln!("quick again: answered after {:?}", begun.elapsed());
    caller.refresh(&next).await.expect("an answer").is(200);
    caller.login("alice").await.expect("an answer").is(200);
    stage.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_restarted_under_load_loses_nothing_that_was_acknowledged() {
    let restarts = if chance::is_long() { 50 } else { 3 };
    let (seed, server) = (chance::seed(), tokio::task::spawn_blocking(|| Arc::new(Postgres::start(Durability::Full))));
    let (chance, server) = (Chance::new(seed), server.await.expect("PostgreSQL starts"));
    let of_blocking = Arc::clone(&server);
    let site = Site::postgres(&tokio::task::spawn_blocking(move || of_blocking.fresh_database()).await.expect("a database"));
    site.tenants_of_an_hour_ago(&[TENANT]).await;
    let node = site.start().await;
    let mut crowd = Crowd::gather(8, vec![node.caller()], &site.admin_token(), &chance).await;
    crowd
        .works_while(async {
            for _ in 0..restarts {
                tokio::time::sleep(Duration::from_millis(1_000 + chance.below(500))).await; // How often is what is tried.
                let server = Arc::clone(&server);
                let restarted = tokio::task::spawn_blocking(move || {
                    server.stop();
                    server.start_again();
                });
                restarted.await.expect("PostgreSQL obeys");
            }
            tokio::time::sleep(Duration::from_secs(1)).await; // Some work after the last one.
        })
        .await;
    let ended = crowd.check().await;
    crowd.report("PostgreSQL restarted under load", seed, restarts);
    crowd.insists_on_its_books(seed);
    assert!(crowd.score.retried() > 0 && ended > 0, "nobody has noticed, or no session was ended, so nothing was shown");
    node.stop().await;
}
