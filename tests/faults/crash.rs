//! SIGKILL under load, and power cuts: what was acknowledged is there after the restart, and no honest client loses its session.
//!
//! `CLAVIGER_FAULTS_CYCLES` says how often per database; without it a few times, and no longer than two minutes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::caller::{Caller, TENANT};
use crate::chance::{self, Chance};
use crate::ledger::{Ledger, Session, State};
use crate::node::{Node, Site};

const CLIENTS: u64 = 8;
const USUAL_CYCLES: u64 = 20;
const USUAL_LIMIT: Duration = Duration::from_secs(120);
/// Sessions that a client keeps alive at a time.
const MOST_SESSIONS: usize = 5;
/// Ended sessions that a client looks at after each crash; all of them in the end.
const LOOKED_AT: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9_on_sqlite() {
    run("sqlite", &Site::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f05_nothing_acknowledged_is_lost_by_a_power_cut_on_sqlite() {
    run("sqlite, power cut", &Site::with_power_cuts()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9_on_postgres() {
    let url = testkit::postgres::fresh_database().await;
    run("postgres", &Site::postgres(&url)).await;
}

/// The moment of the crash: so many requests from now.
struct Crash {
    requests_left: AtomicI64,
    is_near: Notify,
    is_here: AtomicBool,
}

impl Crash {
    fn after(requests: u64) -> Self {
        let requests = i64::try_from(requests).expect("few");
        Self { requests_left: AtomicI64::new(requests), is_near: Notify::new(), is_here: AtomicBool::new(false) }
    }

    fn one_more_request(&self) {
        if self.requests_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.is_near.notify_one();
        }
    }

    fn is_here(&self) -> bool {
        self.is_here.load(Ordering::SeqCst)
    }
}

/// Somebody with an account, some sessions and a program that uses them.
struct Client {
    username: String,
    user: String,
    sessions: Vec<Session>,
    /// Disabling the user was asked for, and nothing is known.
    may_be_disabled: bool,
    chance: Chance,
    ledger: Arc<Ledger>,
}

async fn run(database: &str, site: &Site) {
    let seed = chance::seed();
    let given = chance::number_from("CLAVIGER_FAULTS_CYCLES");
    let (cycles, limit) = (given.unwrap_or(USUAL_CYCLES), if given.is_some() { Duration::MAX } else { USUAL_LIMIT });
    eprintln!("{database}: {cycles} crashes; again with CLAVIGER_FAULTS_SEED={seed}");
    let chance = Chance::new(seed);
    // Built before anything is measured.
    site.run(&["--version"]);
    for _ in 0..3 {
        site.start_and_kill(a_moment(&chance, 300)).await;
        site.power_fails(&chance);
    }
    site.tenants_of_an_hour_ago(&[TENANT]).await;
    let mut node = site.start().await;
    let admin_token = site.admin_token();
    let admin = node.caller().bearing(&admin_token);
    let ledger = Arc::new(Ledger::default());
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let username = format!("user-{number}");
        let user = admin.make_user(&username).await;
        let chance = Chance::new(chance.number());
        clients.push(Client { username, user, sessions: Vec::new(), may_be_disabled: false, chance, ledger: Arc::clone(&ledger) });
    }

    let begun = Instant::now();
    let (mut done, mut lost) = (0, 0);
    while done < cycles && begun.elapsed() < limit && ledger.breaches().is_empty() {
        done += 1;
        clients = crash(node, &admin_token, clients, &chance, done).await;
        lost += site.power_fails(&chance);
        if chance.below(6) == 0 {
            site.start_and_kill(a_moment(&chance, 300)).await;
            lost += site.power_fails(&chance);
        }
        node = site.start().await;
        ledger.check_keys(&node.caller(), &chance).await;
        clients = checked(&node, &admin_token, clients, done, LOOKED_AT).await;
        if done % 10 == 0 || done == cycles {
            report(database, seed, done, cycles, &ledger, begun);
        }
    }
    let clients = checked(&node, &admin_token, clients, done + 1, usize::MAX).await;
    let breaches = ledger.breaches();
    for breach in &breaches {
        eprintln!("VIOLATION (seed {seed}, cycle {done}): {breach}");
    }
    assert!(breaches.is_empty(), "seed {seed}, cycle {done}: {breaches:#?}\n{}", node.last_words());
    let ended = clients.iter().flat_map(|client| &client.sessions).filter(|session| session.state == State::Ended).count();
    assert!(done == cycles || done >= 5, "only {done} crashes in {limit:?}");
    assert!(ended > 0, "no session was ended, so nothing was shown about those");
    assert_eq!(lost > 0, site.power().is_some(), "{lost} pages were lost");
    if lost > 0 {
        eprintln!("{database}: {lost} pages that were not flushed were lost");
    }
    report(database, seed, done, cycles, &ledger, begun);
    node.stop().await;
}

fn report(database: &str, seed: u64, done: u64, cycles: u64, ledger: &Ledger, begun: Instant) {
    let (requests, unanswered) = (ledger.requests.load(Ordering::Relaxed), ledger.unanswered.load(Ordering::Relaxed));
    eprintln!(
        "{database}: seed {seed}, cycle {done}/{cycles}, {requests} requests, {unanswered} without an answer, {} violations, {} s",
        ledger.breaches().len(),
        begun.elapsed().as_secs()
    );
}

async fn a_moment(chance: &Chance, most_millis: u64) {
    let moment = Duration::from_micros(chance.below(most_millis * 1_000));
    tokio::time::sleep(moment).await; // The moment of a crash is chance, not synchronisation.
}

/// Lets all clients work until the node is killed under them.
async fn crash(node: Node, admin_token: &str, clients: Vec<Client>, chance: &Chance, cycle: u64) -> Vec<Client> {
    let crash = Arc::new(Crash::after(1 + chance.below(200)));
    let mut working = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        // Logins that were cut off are not forgiven, so nobody stays at one address for ever.
        let caller = node.caller().from(format!("10.{}.{}.{number}", cycle / 2_560, (cycle / 10) % 256));
        working.spawn(client.work(caller.clone(), caller.bearing(admin_token), Arc::clone(&crash)));
    }
    crash.is_near.notified().await;
    a_moment(chance, 12).await;
    crash.is_here.store(true, Ordering::SeqCst);
    node.kill().await;
    working.join_all().await
}

async fn checked(node: &Node, admin_token: &str, clients: Vec<Client>, cycle: u64, ended: usize) -> Vec<Client> {
    let mut checking = JoinSet::new();
    for client in clients {
        checking.spawn(client.check(node.caller(), node.caller().bearing(admin_token), cycle, ended));
    }
    checking.join_all().await
}

impl Client {
    /// Uses its sessions until there is no answer any more.
    async fn work(mut self, caller: Caller, admin: Caller, crash: Arc<Crash>) -> Self {
        loop {
            crash.one_more_request();
            if self.act(&caller, &admin).await.is_none() {
                // A 503 tells as little as silence, but the server lives; this client is done until the crash.
                let is_alive = caller.get(&format!("/t/{TENANT}/.well-known/openid-configuration")).await.is_ok();
                if !is_alive && !crash.is_here() {
                    self.ledger.breach("a request got no answer though nobody had killed the server".to_owned());
                }
                crash.is_near.notify_one();
                return self;
            }
        }
    }

    /// Does one thing. `None`: no answer.
    async fn act(&mut self, caller: &Caller, admin: &Caller) -> Option<()> {
        let ledger = Arc::clone(&self.ledger);
        let live: Vec<usize> = (0..self.sessions.len()).filter(|at| self.sessions[*at].state == State::Live).collect();
        let dice = self.chance.below(100);
        let Some(at) = self.chance.index(live.len()).filter(|_| dice >= 12 || live.len() >= MOST_SESSIONS) else {
            self.sessions.push(ledger.log_in(caller, &self.username).await?);
            return Some(());
        };
        let session = &mut self.sessions[live[at]];
        match dice {
            0..68 => session.refresh(caller, &ledger).await,
            68..78 => session.refresh_in_two_tabs(caller, &ledger).await,
            78..86 => session.refresh_in_a_slow_tab(caller, &ledger).await,
            86..89 => session.end(0, caller, &ledger).await,
            89..92 => session.end(1, caller, &ledger).await,
            92..95 if session.has_stale_token() => session.end(2, caller, &ledger).await,
            95..97 if !self.may_be_disabled => self.be_disabled(caller, admin).await,
            _ => ledger.rotate_keys(admin).await,
        }
    }

    /// An administrator disables the user while one of its sessions is being refreshed, and enables it again.
    async fn be_disabled(&mut self, caller: &Caller, admin: &Caller) -> Option<()> {
        let ledger = Arc::clone(&self.ledger);
        self.may_be_disabled = true;
        let head = self.sessions.iter_mut().find(|session| session.state == State::Live).map(Session::presents);
        // Whoever comes first: the session is over afterwards.
        let (disabled, _) = tokio::join!(ledger.disable(admin, &self.user), async {
            match &head {
                Some(head) => Some(caller.refresh(head).await),
                None => None,
            }
        });
        disabled?;
        for session in &mut self.sessions {
            session.state = State::Ended;
        }
        ledger.enable(admin, &self.user).await?;
        self.may_be_disabled = false;
        Some(())
    }

    /// After a restart: settles what hung in the air and insists on everything else.
    async fn check(mut self, caller: Caller, admin: Caller, cycle: u64, most_ended: usize) -> Self {
        let ledger = Arc::clone(&self.ledger);
        if self.may_be_disabled {
            // All of it happened, or nothing.
            if ledger.is_disabled(&admin, &self.user, cycle).await == Some(true) {
                for session in &mut self.sessions {
                    session.state = State::Ended;
                }
                if ledger.enable(&admin, &self.user).await.is_none() {
                    ledger.breach("no answer after the restart".to_owned());
                }
            }
            self.may_be_disabled = false;
        }
        let ended: Vec<usize> = (0..self.sessions.len()).filter(|at| self.sessions[*at].state == State::Ended).collect();
        let mut looked_at: Vec<usize> = ended.iter().rev().take(most_ended.div_ceil(2)).copied().collect();
        if most_ended < ended.len() {
            looked_at.extend((0..most_ended / 2).filter_map(|_| self.chance.index(ended.len()).map(|at| ended[at])));
        } else {
            looked_at = ended;
        }
        let going_on = (0..self.sessions.len()).filter(|at| self.sessions[*at].state != State::Ended);
        let all: Vec<usize> = going_on.chain(looked_at).collect();
        for at in all {
            self.sessions[at].check(&caller, &ledger).await;
        }
        self
    }
}
