//! A synchronous pair of PostgreSQL servers that Patroni keeps, and two nodes before it: the primary is killed, changed, and left alone
//! by what the pair agrees by (F13).
//!
//! Only with `cargo xtask faults --long`: Patroni takes its time to be sure that a primary is gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use testkit::patroni::{Pair, Which};

use crate::caller::{Caller, TENANT};
use crate::chance::{self, Chance};
use crate::crowd::Crowd;
use crate::ledger::Ledger;
use crate::node::Site;

const CLIENTS: u64 = 8;
/// Whoever is in the middle of a transaction hears of it within this; a busy machine gets a second and a half more.
const BOUNDED: Duration = Duration::from_millis(5_500 + 1_500);
/// Public keys do not wait for a database.
const SOON: Duration = Duration::from_secs(2);
/// How long it may take until a node writes again once the pair is whole.
const AGAIN: Duration = Duration::from_secs(30);

/// What somebody sees who refreshes one session at one node again and again, and fetches its keys.
#[derive(Debug, Default)]
struct Seen {
    refreshes: u64,
    refused: u64,
    fetched: u64,
    /// When the first refresh was refused since the last one that was answered.
    refused_since: Option<Instant>,
    /// When the last one that was answered was sent.
    answered_at: Option<Instant>,
    /// Of the fault that goes on.
    longest_refusal: Duration,
    slowest_refusal: Duration,
    slowest_fetch: Duration,
}

/// One who watches a node.
struct Watch {
    caller: Caller,
    seen: Mutex<Seen>,
    is_over: AtomicBool,
    ledger: Arc<Ledger>,
}

impl Watch {
    fn new(caller: Caller, ledger: &Arc<Ledger>) -> Arc<Self> {
        Arc::new(Self { caller, seen: Mutex::default(), is_over: AtomicBool::new(false), ledger: Arc::clone(ledger) })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panicked with it")
    }

    /// Refreshes until it is over. Every answer is a 200 or a 503 that says when to come back, in bounded time; the token of before is good
    /// after any 503.
    async fn refreshes(self: Arc<Self>, mut token: String) {
        while !self.is_over.load(Ordering::SeqCst) {
            let asked = Instant::now();
            let answered = self.caller.refresh(&token).await;
            let took = asked.elapsed();
            match answered {
                Ok(reply) if reply.status == 200 => {
                    token = reply.word("refresh_token");
                    let mut seen = self.seen();
                    seen.answered_at = Some(asked);
                    if let Some(since) = seen.refused_since.take() {
                        seen.longest_refusal = seen.longest_refusal.max(since.elapsed());
                    }
                }
                Ok(reply) if reply.status == 503 && !reply.header("retry-after").is_empty() => {
                    let mut seen = self.seen();
                    seen.refused += 1;
                    seen.refused_since.get_or_insert(asked);
                    seen.slowest_refusal = seen.slowest_refusal.max(took);
                }
                // Among them a session that is lost, and an answer that does not come.
                other => {
                    self.ledger.breach(format!("a watched session was answered with {other:?}"));
                    return;
                }
            }
            self.seen().refreshes += 1;
            tokio::time::sleep(Duration::from_millis(50)).await; // A client that asks now and then, not in a loop.
        }
    }

    /// Fetches the public keys until it is over: they are there, all the time and soon.
    async fn fetches(self: Arc<Self>) {
        while !self.is_over.load(Ordering::SeqCst) {
            let asked = Instant::now();
            let answered = self.caller.jwks().await;
            match answered {
                Ok(reply) if reply.status == 200 => {}
                other => self.ledger.breach(format!("public keys were asked for and the answer was {other:?}")),
            }
            {
                let mut seen = self.seen();
                seen.fetched += 1;
                seen.slowest_fetch = seen.slowest_fetch.max(asked.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(20)).await; // The same.
        }
    }

    /// Waits until a refresh was answered that was sent after now.
    async fn is_answered_again(&self) {
        let begun = Instant::now();
        while self.seen().answered_at.is_none_or(|at| at < begun) {
            assert!(begun.elapsed() < AGAIN, "nothing is written again: {:?}; {:?}", self.seen(), self.ledger.breaches());
            tokio::time::sleep(Duration::from_millis(20)).await; // A look now and then.
        }
    }

    async fn is_refused(&self) {
        let begun = Instant::now();
        while self.seen().refused_since.is_none() {
            assert!(begun.elapsed() < AGAIN, "somebody still writes: {:?}", self.seen());
            tokio::time::sleep(Duration::from_millis(20)).await; // A look now and then.
        }
    }
}

/// Does something to the pair that blocks.
async fn with_the_pair<T: Send + 'static>(pair: &Arc<Mutex<Pair>>, work: impl FnOnce(&mut Pair) -> T + Send + 'static) -> T {
    let pair = Arc::clone(pair);
    tokio::task::spawn_blocking(move || work(&mut pair.lock().expect("nobody panicked with it"))).await.expect("the pair obeys")
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The primary and its Patroni are killed; they are started again once the other one has taken over, for in a strict pair nobody
    /// writes before.
    Lost,
    Switchover,
    /// Nobody can agree about anything for a while.
    Alone,
}

impl Fault {
    const ALL: [Self; 3] = [Self::Lost, Self::Switchover, Self::Alone];

    const fn what(self) -> &'static str {
        match self {
            Self::Lost => "kill -9 of the primary",
            Self::Switchover => "switchover",
            Self::Alone => "etcd away",
        }
    }

    async fn happens(self, pair: &Arc<Mutex<Pair>>, watches: &[Arc<Watch>]) {
        let primary: Which = with_the_pair(pair, |pair| pair.primary().expect("a primary")).await;
        let other = 1 - primary;
        match self {
            Self::Lost => {
                with_the_pair(pair, move |pair| {
                    pair.kill(primary);
                    pair.until_primary(other);
                    pair.start_again(primary);
                })
                .await;
            }
            Self::Switchover => {
                with_the_pair(pair, move |pair| {
                    pair.switch_over(primary);
                    pair.until_primary(other);
                })
                .await;
            }
            Self::Alone => {
                with_the_pair(pair, move |pair| {
                    pair.kill_etcd();
                    // It cannot know whether the other one has taken over, so it gives up its office.
                    pair.until_demoted(primary);
                    assert!(pair.is_in_recovery(other), "two primaries");
                })
                .await;
                for watch in watches {
                    watch.is_refused().await;
                }
                tokio::time::sleep(Duration::from_secs(3)).await; // For a while.
                with_the_pair(pair, Pair::start_etcd_again).await;
            }
        }
        with_the_pair(pair, |pair| pair.until_whole()).await;
        for watch in watches {
            watch.is_answered_again().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_a_failover_of_a_synchronous_pair_loses_no_session_and_makes_no_second_one() {
    if !chance::is_long() || chance::number_from("CLAVIGER_FAULTS_PATRONI") == Some(0) {
        eprintln!("failover: left out; `cargo xtask faults --long` does it where Patroni, etcd and HAProxy can be had");
        return;
    }
    let rounds = chance::number_from("CLAVIGER_FAULTS_FAILOVERS").unwrap_or(2);
    let seed = chance::seed();
    let chance = Chance::new(seed);
    let (pair, url) = tokio::task::spawn_blocking(|| {
        let pair = Pair::start();
        let url = pair.fresh_database();
        (Arc::new(Mutex::new(pair)), url)
    })
    .await
    .expect("the pair starts");
    let site = Site::postgres(&url);
    site.tenants_of_an_hour_ago(&[TENANT]).await;
    let nodes = [site.start().await, site.start().await];
    let callers = nodes.each_ref().map(|node| node.caller());
    let admin = callers[0].bearing(&site.admin_token());
    let mut crowd = Crowd::gather(CLIENTS, callers.to_vec(), &site.admin_token(), &chance).await;
    let ledger = Arc::clone(&crowd.ledger);
    let watches = callers.each_ref().map(|caller| Watch::new(caller.clone(), &ledger));
    let mut watching = tokio::task::JoinSet::new();
    for (number, watch) in watches.iter().enumerate() {
        let name = format!("watched-{number}");
        admin.make_user(&name).await;
        let token = watch.caller.login(&name).await.expect("an answer").is(200).word("refresh_token");
        watching.spawn(Arc::clone(watch).refreshes(token));
        watching.spawn(Arc::clone(watch).fetches());
    }
    crowd
        .works_while(async {
            for _ in 0..rounds {
                for fault in Fault::ALL {
                    tokio::time::sleep(Duration::from_millis(1_000 + chance.below(1_000))).await; // Some work before it.
                    watches.iter().for_each(|watch| watch.seen().longest_refusal = Duration::ZERO);
                    let begun = Instant::now();
                    fault.happens(&pair, &watches).await;
                    let refused = watches.each_ref().map(|watch| watch.seen().longest_refusal);
                    eprintln!("failover: {}: writes were refused for {refused:?}; over after {:?}", fault.what(), begun.elapsed());
                    assert!(!matches!(fault, Fault::Lost) || refused.iter().all(|span| !span.is_zero()), "nobody has noticed");
                }
            }
        })
        .await;
    for watch in &watches {
        watch.is_over.store(true, Ordering::SeqCst);
    }
    watching.join_all().await;
    let ended = crowd.check().await;
    for caller in &callers {
        ledger.check_keys(caller, &chance).await;
    }
    crowd.report("failover", seed, rounds * Fault::ALL.len() as u64);
    crowd.insists_on_its_books(seed);
    for watch in &watches {
        let seen = watch.seen();
        eprintln!("failover: {seen:?}");
        assert!(seen.slowest_refusal < BOUNDED, "a refusal took {:?}", seen.slowest_refusal);
        assert!(seen.slowest_fetch < SOON, "public keys took {:?}", seen.slowest_fetch);
        assert!(seen.refreshes > 0 && seen.fetched > 0, "nobody has looked");
    }
    assert!(crowd.score.retried() > 0 && ended > 0, "nobody has noticed, or no session was ended, so nothing was shown");
    for node in nodes {
        node.stop().await;
    }
}
