//! Threads that hash, and the queue before them: bounded in length, and fair between tenants (each tenant in turn).
//!
//! Each thread owns the memory it hashes in, keeps it from job to job, and gives it back when there is nothing to do.
//!
//! Invariant: hashing never runs on an async worker nor before one, and a tenant under attack fills at most half of the queue.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::Block;
use domain::ids::TenantId;
use tokio::sync::oneshot;
use zeroize::Zeroize;

use crate::fair::Turns;

type Job = Box<dyn FnOnce(&mut HashMemory) + Send>;

/// Between the logins of a busy hour memory stays; after it, it goes.
const KEEP_MEMORY: Duration = Duration::from_secs(2);

/// The memory that argon2 fills: asked of the system once and used again, since touching 19 MiB of new pages costs a third of a
/// hash. It grows to the largest hash and is wiped when it is given back.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl HashMemory {
    /// At least `count` blocks of 1 KiB, with whatever the last hash left in them.
    pub(crate) fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            // Not grown in place: what is in there need not be copied.
            self.give_back();
            self.0 = vec![Block::default(); count];
        }
        &mut self.0
    }

    fn give_back(&mut self) {
        for block in &mut self.0 {
            block.as_mut().zeroize();
        }
        self.0 = Vec::new();
    }
}

impl Drop for HashMemory {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl std::fmt::Debug for HashMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HashMemory({} KiB)", self.0.len())
    }
}

/// The queue is full; worth another try after about this many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    pub retry_after_seconds: u32,
}

const BUSY: Busy = Busy { retry_after_seconds: 1 };

struct Queue {
    jobs: Turns<TenantId, Job>,
    /// Places that are kept for jobs to come, by tenant, and how many there are.
    kept: HashMap<TenantId, usize>,
    all_kept: usize,
    is_closed: bool,
}

impl Queue {
    fn keep(&mut self, tenant: TenantId) -> bool {
        let own = self.kept.get(&tenant).copied().unwrap_or_default();
        let is_kept = !self.is_closed && self.jobs.has_room(tenant, own, self.all_kept);
        if is_kept {
            self.kept.insert(tenant, own + 1);
            self.all_kept += 1;
        }
        is_kept
    }

    fn give_up(&mut self, tenant: TenantId) {
        if let Some(own) = self.kept.get_mut(&tenant) {
            *own -= 1;
            if *own == 0 {
                self.kept.remove(&tenant);
            }
            self.all_kept -= 1;
        }
    }
}

/// A place in the queue that is kept until it is used or dropped: whoever has one is not turned away when the job is known.
pub struct HashPlace {
    shared: Arc<Shared>,
    tenant: TenantId,
}

impl std::fmt::Debug for HashPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashPlace").finish_non_exhaustive()
    }
}

impl Drop for HashPlace {
    fn drop(&mut self) {
        self.shared.lock().give_up(self.tenant);
    }
}

impl HashPlace {
    /// Runs `job` on the pool, in the tenant's turn. If the caller goes away before the job has begun, it is not run.
    ///
    /// # Errors
    /// [`Busy`] when the pool has ended, or the job panicked.
    pub async fn run<T: Send + 'static>(self, job: impl FnOnce(&mut HashMemory) -> T + Send + 'static) -> Result<T, Busy> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            if !reply.is_closed() {
                // Nobody may be waiting any more; then the result is of no use.
                let _ = reply.send(job(memory));
            }
        });
        {
            // It is in the queue while its place is still kept: there is room for both.
            let mut queue = self.shared.lock();
            if queue.is_closed || queue.jobs.push(self.tenant, job).is_err() {
                return Err(BUSY);
            }
        }
        self.shared.bell.notify_one();
        drop(self);
        answer.await.map_err(|_| BUSY)
    }
}

struct Shared {
    queue: Mutex<Queue>,
    bell: Condvar,
    /// How long a thread without work keeps its memory.
    keep_memory: Duration,
    busy: AtomicUsize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A job that panicked did not hold the lock; the queue is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle on the pool. Dropping it lets the threads finish what waits and end.
pub struct HashPool {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for HashPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashPool").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl HashPool {
    /// Starts `threads` threads (at least one) behind a queue of `most_waiting` jobs.
    pub fn start(threads: usize, most_waiting: usize) -> Self {
        Self::start_keeping(threads, most_waiting, KEEP_MEMORY)
    }

    fn start_keeping(threads: usize, most_waiting: usize, keep_memory: Duration) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { jobs: Turns::new(most_waiting), kept: HashMap::new(), all_kept: 0, is_closed: false }),
            bell: Condvar::new(),
            keep_memory,
            busy: AtomicUsize::new(0),
        });
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&shared);
            let started = std::thread::Builder::new().name(format!("hash-{number}")).spawn(move || work(&shared));
            if let Err(error) = started {
                tracing::error!(%error, "a hashing thread could not be started");
            }
        }
        Self { shared }
    }

    /// How many jobs wait for a thread.
    pub fn waiting(&self) -> usize {
        self.shared.lock().jobs.len()
    }

    /// How many threads are at work.
    pub fn busy(&self) -> usize {
        self.shared.busy.load(Ordering::Relaxed)
    }

    /// Keeps a place for a job of `tenant`'s: before whatever has to be done for it first, which would be for nothing without one.
    ///
    /// # Errors
    /// [`Busy`] when the queue is full, or this tenant's half of it.
    pub fn place(&self, tenant: TenantId) -> Result<HashPlace, Busy> {
        if self.shared.lock().keep(tenant) { Ok(HashPlace { shared: Arc::clone(&self.shared), tenant }) } else { Err(BUSY) }
    }

    /// Runs `job` on the pool, in the tenant's turn. If the caller goes away before the job has begun, it is not run.
    ///
    /// # Errors
    /// As for [`Self::place`]; also when the job panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        tenant: TenantId,
        job: impl FnOnce(&mut HashMemory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        self.place(tenant)?.run(job).await
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.bell.notify_all();
    }
}

/// How much this thread gives way (`nice`): beside a thread that answers requests it gets a tenth of a core, and on an idle core all of it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lets threads that answer requests go first. Linux only: there a niceness is that of a thread; elsewhere the whole process would give way.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "a hashing thread runs at the usual priority: logins will slow down what else is asked");
    }
}

fn work(shared: &Shared) {
    give_way();
    let mut memory = HashMemory::default();
    loop {
        let job = {
            let mut queue = shared.lock();
            loop {
                if let Some(job) = queue.jobs.pop() {
                    shared.busy.fetch_add(1, Ordering::Relaxed);
                    break job;
                }
                if queue.is_closed {
                    return;
                }
                if memory.0.is_empty() {
                    queue = shared.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                let (again, waited) = shared.bell.wait_timeout(queue, shared.keep_memory).unwrap_or_else(PoisonError::into_inner);
                queue = again;
                if waited.timed_out() && queue.jobs.is_empty() {
                    drop(queue);
                    memory.give_back();
                    queue = shared.lock();
                }
            }
        };
        // A panic costs one job, not the thread.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut memory))).is_err() {
            tracing::error!("a hashing job panicked");
        }
        shared.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::Timestamp;

    fn tenant(number: u8) -> TenantId {
        TenantId::new(Timestamp::EPOCH, [number; 10])
    }

    #[tokio::test]
    async fn a_full_queue_says_so_and_one_tenant_cannot_fill_it() {
        let pool = HashPool::start(1, 4);
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let mut running = Box::pin(pool.run(tenant(1), move |_| gate.recv().is_ok()));
        assert!(futures_util::poll!(running.as_mut()).is_pending());
        while pool.waiting() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.busy(), 1);
        let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(pool.run(tenant(1), |_| true))).collect();
        for job in &mut waiting {
            assert!(futures_util::poll!(job.as_mut()).is_pending());
        }
        assert_eq!(pool.run(tenant(1), |_| true).await, Err(Busy { retry_after_seconds: 1 }), "half of the queue is the most");
        let mut other = Box::pin(pool.run(tenant(2), |_| true));
        assert!(futures_util::poll!(other.as_mut()).is_pending(), "there is room for others");
        open.send(()).expect("the job waits");
        assert_eq!(other.await, Ok(true));
    }

    #[tokio::test]
    async fn a_place_is_kept_until_it_is_used_or_given_up() {
        let pool = HashPool::start(1, 4);
        let (mine, other) = (pool.place(tenant(1)).expect("free"), pool.place(tenant(1)).expect("free"));
        assert_eq!(pool.run(tenant(1), |_| 1).await, Err(BUSY), "half of the queue is kept");
        assert_eq!(pool.run(tenant(2), |_| 2).await, Ok(2));
        drop(other);
        assert_eq!(pool.run(tenant(1), |_| 3).await, Ok(3));
        assert_eq!(mine.run(|_| 4).await, Ok(4));
        let places: Vec<_> = (0..2).map(|_| pool.place(tenant(1)).expect("used up and given back")).collect();
        assert_eq!(pool.place(tenant(1)).map(drop), Err(BUSY));
        drop(pool);
        for place in places {
            assert_eq!(place.run(|_| 5).await, Err(BUSY), "nobody is left to do it");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_gives_way_to_whoever_started_it() {
        let own = || rustix::process::getpriority_process(None).expect("a priority");
        let before = own();
        let hashing = HashPool::start(1, 4).run(tenant(1), move |_| own()).await.expect("runs");
        assert_eq!((own(), hashing), (before, NICENESS));
    }

    #[tokio::test]
    async fn a_panicking_job_costs_itself_only() {
        let pool = HashPool::start(1, 4);
        assert!(pool.run(tenant(1), |_| -> bool { panic!("on purpose") }).await.is_err());
        assert_eq!(pool.run(tenant(1), |_| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn memory_is_kept_from_job_to_job_and_given_back_when_there_is_no_work() {
        let pool = HashPool::start(1, 4);
        pool.run(tenant(1), |memory| memory.blocks(64).len()).await.expect("runs");
        assert_eq!(pool.run(tenant(1), |memory| memory.0.len()).await, Ok(64));

        let pool = HashPool::start_keeping(1, 4, Duration::ZERO);
        pool.run(tenant(1), |memory| memory.blocks(64).len()).await.expect("runs");
        let is_given_back = async { while pool.run(tenant(1), |memory| memory.0.len()).await != Ok(0) {} };
        tokio::time::timeout(Duration::from_secs(30), is_given_back).await.expect("in time");
    }
}
