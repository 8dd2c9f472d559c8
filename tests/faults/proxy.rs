//! A road to PostgreSQL on which accidents happen: nothing gets through and nobody is told, answers take their time, a connection
//! is cut at a COMMIT, and whoever asks is killed at a question.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::postgres_talk::{Kind, Message, Talk};

/// What happens to what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Road {
    is_open: bool,
    /// Connections of an earlier age are lost for good: they swallow everything, even when the road is open.
    age: u64,
    /// How long each answer is under way.
    delay: Duration,
}

/// What a connection that is cut at a COMMIT takes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The order to commit: PostgreSQL rolls back.
    Order,
    /// The answer: PostgreSQL has committed.
    Answer,
}

/// Something that happens once. The number counts down: at zero it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Accident {
    AtCommit(u64, Lost),
    /// SIGKILL hits the process that asks; its question arrives all the same.
    AtQuestion(u64, String),
}

#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    road: Arc<watch::Sender<Road>>,
    accident: Arc<Mutex<Option<Accident>>>,
    /// One for each connection, besides the proxy's own and that of whoever accepts.
    alive: Arc<()>,
}

impl Proxy {
    /// Forwards connections to `port` of this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let road = Arc::new(watch::Sender::new(Road { is_open: true, age: 0, delay: Duration::ZERO }));
        let (accident, alive) = (Arc::default(), Arc::new(()));
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        tokio::spawn(accept(listener, to, Arc::clone(&road), Arc::clone(&accident), Arc::clone(&alive)));
        Self { port: own, road, accident, alive }
    }

    /// A database's URL, by way of this proxy.
    pub(crate) fn before(&self, url: &str, port: u16) -> String {
        url.replace(&format!(":{port}/"), &format!(":{}/", self.port))
    }

    /// Nothing gets through any more, on old connections or new ones, and none of them ends.
    pub(crate) fn swallow(&self) {
        self.road.send_modify(|road| road.is_open = false);
    }

    /// Everything that was held up arrives.
    pub(crate) fn forward_again(&self) {
        self.road.send_modify(|road| road.is_open = true);
    }

    /// New connections get through; the old ones stay lost, as after a firewall has forgotten them.
    pub(crate) fn forget_old_connections(&self) {
        self.road.send_modify(|road| (road.is_open, road.age) = (true, road.age + 1));
    }

    /// From now on each answer takes so long.
    pub(crate) fn delay_answers(&self, delay: Duration) {
        self.road.send_modify(|road| road.delay = delay);
    }

    /// Cuts the connection that says the `nth` COMMIT from now.
    pub(crate) fn cut_at_commit(&self, nth: u64, lost: Lost) {
        self.expect_accident(Accident::AtCommit(nth, lost));
    }

    /// Kills the process at the `nth` question from now.
    pub(crate) fn kill_at_question(&self, nth: u64, pid: String) {
        self.expect_accident(Accident::AtQuestion(nth, pid));
    }

    fn expect_accident(&self, accident: Accident) {
        *self.accident.lock().expect("nobody panicked with it") = Some(accident);
    }

    /// How many connections there are now.
    pub(crate) fn connections(&self) -> usize {
        Arc::strong_count(&self.alive) - 2
    }

    /// Whether what was ordered has happened. If not, it will not happen any more.
    pub(crate) fn has_happened(&self) -> bool {
        self.accident.lock().expect("nobody panicked with it").take().is_none()
    }
}

async fn accept(
    listener: TcpListener,
    to: SocketAddr,
    road: Arc<watch::Sender<Road>>,
    accident: Arc<Mutex<Option<Accident>>>,
    alive: Arc<()>,
) {
    while let Ok((inner, _)) = listener.accept().await {
        let (mut road, accident, alive) = (road.subscribe(), Arc::clone(&accident), Arc::clone(&alive));
        tokio::spawn(async move {
            let Some(opened) = opened(&mut road, None).await else { return };
            let Ok(outer) = TcpStream::connect(to).await else { return };
            // Messages are passed on one by one, and none waits for the next.
            for side in [&inner, &outer] {
                side.set_nodelay(true).expect("it can be set");
            }
            let connection = Connection { inner, outer, talk: Talk::default(), road, age: opened.age, accident };
            // However it ends: both sides are closed.
            let _ = connection.carry().await;
            drop(alive);
        });
    }
}

/// Waits until the road is open for a connection of this age (`None`: a new one). Waits for ever for one that is lost, and says
/// `None` when the proxy is gone.
async fn opened(road: &mut watch::Receiver<Road>, age: Option<u64>) -> Option<Road> {
    let is_mine = |road: &Road| road.is_open && age.is_none_or(|age| age == road.age);
    road.wait_for(is_mine).await.ok().map(|road| *road)
}

struct Connection {
    inner: TcpStream,
    outer: TcpStream,
    talk: Talk,
    road: watch::Receiver<Road>,
    age: u64,
    accident: Arc<Mutex<Option<Accident>>>,
}

impl Connection {
    /// Carries everything both ways until an end, or an accident.
    async fn carry(mut self) -> Option<()> {
        let (mut from_inner, mut from_outer) = (vec![0; 16 * 1_024], vec![0; 16 * 1_024]);
        loop {
            tokio::select! {
                read = self.inner.read(&mut from_inner) => {
                    let length = read.ok()?;
                    // The end of a connection does not get through either.
                    opened(&mut self.road, Some(self.age)).await?;
                    if length == 0 {
                        return None;
                    }
                    self.talk.hear(&from_inner[..length]);
                    while let Some(message) = self.talk.next() {
                        self.pass_on(&message).await?;
                    }
                }
                read = self.outer.read(&mut from_outer) => {
                    let length = read.ok()?;
                    let road = opened(&mut self.road, Some(self.age)).await?;
                    if length == 0 {
                        return None;
                    }
                    tokio::time::sleep(road.delay).await; // The answer is under way.
                    self.inner.write_all(&from_outer[..length]).await.ok()?;
                }
            }
        }
    }

    /// Passes a question on, unless this is where it is cut.
    async fn pass_on(&mut self, message: &Message) -> Option<()> {
        match self.accident_at(message) {
            Some(Accident::AtCommit(_, Lost::Order)) => return None,
            Some(Accident::AtCommit(_, Lost::Answer)) => {
                self.outer.write_all(&message.bytes).await.ok()?;
                // It has committed once it says so.
                let mut answer = [0; 1];
                let _ = self.outer.read(&mut answer).await;
                return None;
            }
            Some(Accident::AtQuestion(_, pid)) => kill(&pid),
            None => {}
        }
        self.outer.write_all(&message.bytes).await.ok()
    }

    /// What happens at this message, if anything does.
    fn accident_at(&self, message: &Message) -> Option<Accident> {
        let mut expected = self.accident.lock().expect("nobody panicked with it");
        let left = match (expected.as_mut()?, message.kind) {
            (Accident::AtCommit(left, _), Kind::Question { is_commit: true }) | (Accident::AtQuestion(left, _), Kind::Question { .. }) => {
                left
            }
            _ => return None,
        };
        *left = left.saturating_sub(1);
        if *left == 0 { expected.take() } else { None }
    }
}

/// SIGKILL. Answers when the signal was sent: the process does nothing more.
fn kill(pid: &str) {
    let status = Command::new("kill").args(["-KILL", pid]).status().expect("kill runs");
    assert!(status.success());
}
