//! A closed loop: each connection asks, waits for its answer, judges it, and asks again.
//!
//! Invariant: only answers that were judged right, and that came within the window, are counted; a wrong one ends the run.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::runtime::Runtime;

use crate::http::{Answer, Connection};
use crate::{Outcome, machine, stats};

/// Asked but not counted at the beginning of a window, until every connection is in its stride.
const RAMP: Duration = Duration::from_millis(500);
/// How much longer than planned a window may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one connection says and wants to hear. It lives on from window to window.
pub(crate) trait Talk: Send {
    /// Writes the next request over the last one.
    fn ask(&mut self, request: &mut Vec<u8>);

    /// Judges the answer.
    ///
    /// # Errors
    /// What is wrong with it; the run ends.
    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<()>;
}

/// Whom to ask: an address, and the process whose use of the processor is watched meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) pid: u32,
}

/// What a window showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) per_second: f64,
    /// Microseconds from asking to the whole answer.
    pub(crate) p50_micros: u32,
    pub(crate) p99_micros: u32,
    /// Processor cores that were busy on average: in the server's process, and in this one.
    pub(crate) server_cores: f64,
    pub(crate) client_cores: f64,
}

impl Load {
    /// Processor time that the server spent on each answer, in microseconds.
    pub(crate) fn server_micros(&self) -> f64 {
        self.server_cores / self.per_second * 1e6
    }

    /// The rest of what the window showed, for people.
    pub(crate) fn detail(&self) -> String {
        let millis = |micros: u32| f64::from(micros) / 1_000.0;
        format!(
            "p50 {:.2} ms, p99 {:.2} ms; busy cores: server {:.2}, client {:.2}",
            millis(self.p50_micros),
            millis(self.p99_micros),
            self.server_cores,
            self.client_cores
        )
    }
}

/// Lets all `talks` talk side by side, each on a connection of its own, for `span`. Blocks for a little longer than that.
///
/// # Errors
/// The first wrong answer, or a server that does not answer.
pub(crate) fn window<T: Talk>(target: Target, talks: &mut [T], span: Duration) -> Outcome<Load> {
    // Half of the machine at most: the other half is for whoever answers.
    let threads = (machine::cores() / 2).clamp(1, talks.len().max(1));
    let share = talks.len().div_ceil(threads).max(1);
    let ready = Barrier::new(talks.chunks(share).len());
    let (server_before, client_before) = (machine::cpu_seconds(target.pid)?, machine::cpu_seconds(std::process::id())?);
    let begun = Instant::now();
    let heard = std::thread::scope(|scope| {
        let ready = &ready;
        let threads: Vec<_> = talks.chunks_mut(share).map(|talks| scope.spawn(move || generate(target.addr, talks, ready, span))).collect();
        let heard: Vec<_> =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a generator panicked".into()))).collect();
        heard.into_iter().collect::<Outcome<Vec<_>>>()
    })?;
    let elapsed = begun.elapsed().as_secs_f64();
    let server_cores = (machine::cpu_seconds(target.pid)? - server_before) / elapsed;
    let client_cores = (machine::cpu_seconds(std::process::id())? - client_before) / elapsed;
    let mut micros = heard.concat();
    let per_second = micros.len() as f64 / span.as_secs_f64();
    let nothing = "not one answer within the window";
    let p50_micros = stats::percentile(&mut micros, 0.5).ok_or(nothing)?;
    let p99_micros = stats::percentile(&mut micros, 0.99).ok_or(nothing)?;
    Ok(Load { per_second, p50_micros, p99_micros, server_cores, client_cores })
}

/// One thread's part: answers the microseconds that each counted answer took.
fn generate<T: Talk>(addr: SocketAddr, talks: &mut [T], ready: &Barrier, span: Duration) -> Outcome<Vec<u32>> {
    let opened = open(addr, talks.len());
    // Before anybody leaves: the others wait for all.
    ready.wait();
    let (runtime, connections) = opened?;
    let from = Instant::now() + RAMP;
    let until = from + span;
    let all = try_join_all(talks.iter_mut().zip(connections).map(|(talk, connection)| converse(talk, connection, from, until)));
    let within = until.saturating_duration_since(Instant::now()) + PATIENCE;
    let heard = runtime.block_on(async { tokio::time::timeout(within, all).await })?;
    Ok(heard?.concat())
}

fn open(addr: SocketAddr, connections: usize) -> Outcome<(Runtime, Vec<Connection>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connections = runtime.block_on(try_join_all((0..connections).map(|_| Connection::open(addr))))?;
    Ok((runtime, connections))
}

async fn converse<T: Talk>(talk: &mut T, mut connection: Connection, from: Instant, until: Instant) -> Outcome<Vec<u32>> {
    let mut request = Vec::new();
    let mut micros = Vec::new();
    let mut asked_at = Instant::now();
    while asked_at < until {
        talk.ask(&mut request);
        talk.hear(&connection.exchange(&request).await?)?;
        let heard_at = Instant::now();
        if from <= heard_at && heard_at < until {
            micros.push(u32::try_from((heard_at - asked_at).as_micros()).unwrap_or(u32::MAX));
        }
        asked_at = heard_at;
    }
    Ok(micros)
}
