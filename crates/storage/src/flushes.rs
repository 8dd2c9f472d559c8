//! Flushes of SQLite's log, which commits share.
//!
//! SQLite would flush the disk within each commit, and whoever writes next would wait for it. Here a commit only writes to the log: the
//! connection is free at once, and whoever committed waits for a flush that begins after that. One flush makes everything durable that
//! was written before it began, whoever wrote it ([ADR 0012](../../../docs/src/adr/0012-commits-on-sqlite-share-a-flush.md)).
//!
//! Invariant: nobody is told of a commit before a flush that began after it has succeeded. After one that failed there are no more, and
//! nobody is told of a commit until a restart: what the disk lost then, a later flush would not say.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use app::ports::store::{StoreError, Stored};
use tokio::sync::oneshot;

/// Has the log flushed, by a thread of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Flushes(Arc<Line>);

#[derive(Debug, Default)]
struct Line {
    state: Mutex<State>,
    changed: Condvar,
    /// Commits that others may see already and that may not be durable yet.
    in_doubt: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(oneshot::Sender<Stored<()>>, Option<Doubt>)>,
    /// Why there are no more.
    failed: Option<String>,
    is_over: bool,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked with it did so between two whole states.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a flush that begins from now on.
    async fn flushed(&self, doubt: Option<Doubt>) -> Stored<()> {
        let answer = {
            let mut state = self.state();
            if let Some(why) = &state.failed {
                return Err(StoreError::Unavailable(why.clone()));
            }
            let (reply, answer) = oneshot::channel();
            state.waiting.push((reply, doubt));
            answer
        };
        self.changed.notify_one();
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("interrupted".to_owned())))
    }

    fn go_on(&self, mut flush: impl FnMut() -> io::Result<()>) {
        loop {
            let waiting = {
                let mut state = self.state();
                while state.waiting.is_empty() && !state.is_over {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                std::mem::take(&mut state.waiting)
            };
            if waiting.is_empty() {
                return;
            }
            let flushed =
                flush().map_err(|error| format!("the database's log could not be flushed, so nothing is written until a restart: {error}"));
            let late = match &flushed {
                Ok(()) => Vec::new(),
                Err(why) => {
                    tracing::error!("{why}");
                    let mut state = self.state();
                    state.failed = Some(why.clone());
                    std::mem::take(&mut state.waiting)
                }
            };
            for (reply, doubt) in waiting.into_iter().chain(late) {
                drop(doubt);
                // Whoever has gone away in the meantime needs no answer.
                let _ = reply.send(flushed.clone().map_err(StoreError::Unavailable));
            }
            if flushed.is_err() {
                return;
            }
        }
    }
}

/// A commit, from before others may see it until it is durable.
#[derive(Debug)]
pub(crate) struct Doubt(Arc<Line>);

impl Drop for Doubt {
    fn drop(&mut self) {
        self.0.in_doubt.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Doubt {
    /// Waits until the commit is durable, after it was made.
    ///
    /// # Errors
    /// `Unavailable` when the disk cannot be flushed, now or earlier.
    pub(crate) async fn durable(self) -> Stored<()> {
        let line = Arc::clone(&self.0);
        line.flushed(Some(self)).await
    }
}

impl Flushes {
    /// Of the log of the database at this path, which a connection has opened.
    pub(crate) fn of_the_log_of(database: &Path) -> io::Result<Self> {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        // It stays the same file for as long as any connection is open.
        let log = File::options().read(true).write(true).open(PathBuf::from(log))?;
        Self::by(move || log.sync_data())
    }

    fn by(flush: impl FnMut() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let line = Arc::<Line>::default();
        let flushing = Arc::clone(&line);
        std::thread::Builder::new().name("flush".to_owned()).spawn(move || flushing.go_on(flush))?;
        Ok(Self(line))
    }

    /// Before a commit is made.
    pub(crate) fn doubt(&self) -> Doubt {
        self.0.in_doubt.fetch_add(1, Ordering::SeqCst);
        Doubt(Arc::clone(&self.0))
    }

    /// Waits until everything is durable that was read up to now.
    ///
    /// # Errors
    /// `Unavailable` when the disk cannot be flushed, now or earlier.
    pub(crate) async fn settled(&self) -> Stored<()> {
        if self.0.in_doubt.load(Ordering::SeqCst) == 0 { self.sound() } else { self.0.flushed(None).await }
    }

    /// Whether commits can still become durable.
    ///
    /// # Errors
    /// `Unavailable` when they cannot.
    pub(crate) fn sound(&self) -> Stored<()> {
        self.0.state().failed.clone().map_or(Ok(()), |why| Err(StoreError::Unavailable(why)))
    }
}

impl Drop for Flushes {
    /// Who still waits is answered first.
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::mpsc;

    use futures_util::future::join_all;

    use super::*;

    /// Flushes that say when one begins, and end when they are let.
    fn held() -> (Flushes, mpsc::Receiver<()>, mpsc::Sender<io::Result<()>>) {
        let (begins, begun) = mpsc::channel();
        let (end, ends) = mpsc::channel();
        let flushes = Flushes::by(move || {
            begins.send(()).expect("somebody listens");
            ends.recv().expect("somebody ends it")
        });
        (flushes.expect("a thread"), begun, end)
    }

    #[tokio::test]
    async fn whoever_commits_during_a_flush_waits_for_the_next_one_and_shares_it() {
        let (flushes, begun, end) = held();
        let first = tokio::spawn(flushes.doubt().durable());
        tokio::task::yield_now().await;
        begun.recv().expect("the first one");
        let others: Vec<_> = (0..5).map(|_| tokio::spawn(flushes.doubt().durable())).collect();
        tokio::task::yield_now().await;
        end.send(Ok(())).expect("it waits");
        assert_eq!(first.await.expect("no panic"), Ok(()));
        begun.recv().expect("the second one");
        assert!(others.iter().all(|other| !other.is_finished()), "the first flush began before they had committed");
        end.send(Ok(())).expect("it waits");
        assert!(join_all(others).await.into_iter().all(|other| other.expect("no panic") == Ok(())));
        assert!(begun.try_recv().is_err(), "one for all five");
        assert_eq!(flushes.0.in_doubt.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn after_a_flush_that_failed_nobody_is_told_of_a_commit() {
        let (flushes, begun, end) = held();
        let first = tokio::spawn(flushes.doubt().durable());
        tokio::task::yield_now().await;
        begun.recv().expect("the first one");
        let late = tokio::spawn(flushes.doubt().durable());
        tokio::task::yield_now().await;
        end.send(Err(io::Error::other("no disk"))).expect("it waits");
        for told in
            [first.await.expect("no panic"), late.await.expect("no panic"), flushes.doubt().durable().await, flushes.settled().await]
        {
            assert!(matches!(&told, Err(StoreError::Unavailable(why)) if why.contains("no disk") && why.contains("restart")), "{told:?}");
        }
        assert!(begun.try_recv().is_err(), "there is no second one");
    }

    #[tokio::test]
    async fn a_reader_waits_for_what_it_may_have_seen_and_for_nothing_else() {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let flushes = Flushes::by(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let flushes = flushes.expect("a thread");
        assert_eq!(flushes.settled().await, Ok(()));
        assert_eq!(count.load(Ordering::SeqCst), 0, "nothing was written");
        let doubt = flushes.doubt();
        assert_eq!(flushes.settled().await, Ok(()));
        assert_eq!(count.load(Ordering::SeqCst), 1, "somebody's commit may have been seen");
        assert_eq!(doubt.durable().await, Ok(()));
        assert_eq!(flushes.settled().await, Ok(()));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}
