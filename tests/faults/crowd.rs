//! Honest clients at work on several nodes at once: whatever gets no answer is tried once more, at the next node.
//!
//! Invariant: a session is used by one client, which knows what it was told; so what it must be told next is known, too.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::caller::Caller;
use crate::chance::Chance;
use crate::ledger::{Ledger, Session, State};

/// Sessions that a client keeps alive at a time.
const MOST_SESSIONS: usize = 4;
/// A client does something, and then nothing for this long.
const PACE: Duration = Duration::from_millis(8);

/// Where the nodes are, as a load balancer would know it: one that was started again is somewhere else.
#[derive(Debug)]
pub(crate) struct Doors(RwLock<Vec<Caller>>);

impl Doors {
    pub(crate) const fn new(nodes: Vec<Caller>) -> Self {
        Self(RwLock::new(nodes))
    }

    pub(crate) fn moved(&self, node: usize, to: Caller) {
        self.0.write().expect("nobody panicked with it")[node] = to;
    }

    fn len(&self) -> usize {
        self.0.read().expect("nobody panicked with it").len()
    }

    /// The door of a node; counts on from the first one after the last.
    fn at(&self, node: usize) -> Caller {
        let doors = self.0.read().expect("nobody panicked with it");
        doors[node % doors.len()].clone()
    }
}

/// What came of everything that was done.
#[derive(Debug, Default)]
pub(crate) struct Score {
    done: AtomicU64,
    /// Of those, how many needed the second try.
    retried: AtomicU64,
    /// Second tries that are under way.
    retrying: watch::Sender<usize>,
    /// Neither try was answered.
    failed: AtomicU64,
}

impl Score {
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(crate) fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Waits for a moment at which nobody is at a second try.
    pub(crate) async fn nobody_retries(&self) {
        self.retrying.subscribe().wait_for(|retrying| *retrying == 0).await.expect("its sender is here");
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Clients, their nodes and their books.
pub(crate) struct Crowd {
    clients: Vec<Client>,
    pub(crate) doors: Arc<Doors>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) score: Arc<Score>,
}

struct Client {
    number: u64,
    username: String,
    sessions: Vec<Session>,
    chance: Chance,
    admin_token: String,
    doors: Arc<Doors>,
    ledger: Arc<Ledger>,
    score: Arc<Score>,
    deeds: u64,
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    LogIn,
    Refresh(usize),
    RefreshInTwoTabs(usize),
    RefreshInASlowTab(usize),
    End(usize, u64),
    RotateKeys,
}

impl Crowd {
    /// Makes a user for each client, of a tenant that is there.
    pub(crate) async fn gather(size: u64, nodes: Vec<Caller>, admin_token: &str, chance: &Chance) -> Self {
        let admin = nodes[0].bearing(admin_token);
        let (doors, ledger, score) = (Arc::new(Doors::new(nodes)), Arc::default(), Arc::default());
        let mut clients = Vec::new();
        for number in 0..size {
            let username = format!("user-{number}");
            admin.make_user(&username).await;
            clients.push(Client {
                number,
                username,
                sessions: Vec::new(),
                chance: Chance::new(chance.number()),
                admin_token: admin_token.to_owned(),
                doors: Arc::clone(&doors),
                ledger: Arc::clone(&ledger),
                score: Arc::clone(&score),
                deeds: 0,
            });
        }
        Self { clients, doors, ledger, score }
    }

    /// All clients work until `fault` is over.
    pub(crate) async fn works_while<T>(&mut self, fault: impl Future<Output = T>) -> T {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut working = JoinSet::new();
        for client in self.clients.drain(..) {
            working.spawn(client.work(Arc::clone(&is_over)));
        }
        let outcome = fault.await;
        is_over.store(true, Ordering::SeqCst);
        self.clients = working.join_all().await;
        outcome
    }

    /// Settles what hung in the air, each session at a node of its own, and insists on everything else; answers how many sessions
    /// have ended.
    pub(crate) async fn check(&mut self) -> usize {
        let mut ended = 0;
        for client in &mut self.clients {
            for (at, session) in client.sessions.iter_mut().enumerate() {
                session.check(&self.doors.at(at), &self.ledger).await;
                ended += usize::from(session.state == State::Ended);
            }
        }
        ended
    }

    pub(crate) fn report(&self, what: &str, seed: u64, runs: u64) {
        let (done, retried, failed) = (self.score.done(), self.score.retried(), self.score.failed());
        let violations = self.ledger.breaches().len();
        eprintln!(
            "{what}: seed {seed}, {runs} runs, {done} deeds, {retried} tried twice, {failed} without an answer, {violations} violations"
        );
    }

    #[track_caller]
    pub(crate) fn insists_on_its_books(&self, seed: u64) {
        let breaches = self.ledger.breaches();
        assert!(breaches.is_empty(), "seed {seed}: {breaches:#?}");
    }
}

impl Client {
    async fn work(mut self, is_over: Arc<AtomicBool>) -> Self {
        while !is_over.load(Ordering::SeqCst) {
            let deed = self.next_deed();
            let first = usize::try_from(self.chance.below(self.doors.len() as u64)).expect("few");
            self.deeds += 1;
            self.score.done.fetch_add(1, Ordering::Relaxed);
            if self.does(deed, first).await.is_none() {
                self.score.retried.fetch_add(1, Ordering::Relaxed);
                self.score.retrying.send_modify(|retrying| *retrying += 1);
                if self.does(deed, first + 1).await.is_none() {
                    self.score.failed.fetch_add(1, Ordering::Relaxed);
                }
                self.score.retrying.send_modify(|retrying| *retrying -= 1);
            }
            tokio::time::sleep(PACE).await; // The load is steady, not as much as there can be.
        }
        self
    }

    fn next_deed(&self) -> Deed {
        let live: Vec<usize> = (0..self.sessions.len()).filter(|at| self.sessions[*at].state == State::Live).collect();
        let dice = self.chance.below(100);
        let Some(at) = self.chance.index(live.len()).map(|at| live[at]).filter(|_| dice >= 8 || live.len() >= MOST_SESSIONS) else {
            return Deed::LogIn;
        };
        match dice {
            0..72 => Deed::Refresh(at),
            72..82 => Deed::RefreshInTwoTabs(at),
            82..91 => Deed::RefreshInASlowTab(at),
            91..94 => Deed::End(at, 0),
            94..96 => Deed::End(at, 1),
            96..98 if self.sessions[at].has_stale_token() => Deed::End(at, 2),
            _ => Deed::RotateKeys,
        }
    }

    /// `None`: no answer.
    async fn does(&mut self, deed: Deed, node: usize) -> Option<()> {
        // Logins that were cut off are not forgiven, so nobody stays at one address for ever.
        let address = format!("10.{}.{}.{}", self.number, (self.deeds / 256) % 256, self.deeds % 256);
        let (caller, ledger) = (self.doors.at(node).from(address), Arc::clone(&self.ledger));
        match deed {
            Deed::LogIn => {
                self.sessions.push(ledger.log_in(&caller, &self.username).await?);
                Some(())
            }
            Deed::Refresh(at) => self.sessions[at].refresh(&caller, &ledger).await,
            Deed::RefreshInTwoTabs(at) => self.sessions[at].refresh_in_two_tabs(&caller, &ledger).await,
            Deed::RefreshInASlowTab(at) => self.sessions[at].refresh_in_a_slow_tab(&caller, &ledger).await,
            Deed::End(at, way) => self.sessions[at].end(way, &caller, &ledger).await,
            Deed::RotateKeys => ledger.rotate_keys(&caller.bearing(&self.admin_token)).await,
        }
    }
}
