//! How threads that hash give way to those that answer requests. Linux only: elsewhere a niceness is that of the whole process.
//!
//! A niceness shares a core out by weights, and a thread keeps the core for a few milliseconds once it has it, whatever its weight. A
//! request goes through several threads on its way and could wait for that at each. A thread on idle cores only (`SCHED_IDLE`) makes room
//! at once; and a core that has nothing but such a thread counts as idle, so that whoever wakes up is put there.
//!
//! Invariant: a priority can only be lowered here, which takes no privilege; where that is refused, everything works at the one before.

use std::time::Duration;

/// Beside a thread that answers requests, one with this niceness gets a tenth of a core, and on an idle core all of it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lets threads that answer requests go first.
pub(super) fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "a hashing thread runs at the usual priority: logins will slow down what else is asked");
    }
}

/// From here on this thread works only while a core has nothing else to do. Answers how its own time is told; `None` where that is not to
/// be had.
#[cfg(target_os = "linux")]
pub(super) fn only_on_idle_cores() -> Option<OwnTime> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // By its number, because musl's function of that name does nothing.
    // SAFETY: the call reads the parameters, which live until it is back, and changes nothing but this thread (0).
    #[expect(unsafe_code, reason = "no crate here wraps this call of the system")]
    let failed = unsafe {
        libc::syscall(libc::SYS_sched_setscheduler, libc::c_long::from(0_i32), libc::c_long::from(libc::SCHED_IDLE), &raw const parameters)
    } != 0;
    if failed {
        let error = std::io::Error::last_os_error();
        tracing::warn!(%error, "a hashing thread does not make room at once: logins will slow down what else is asked");
        return None;
    }
    Some(OwnTime)
}

#[cfg(not(target_os = "linux"))]
pub(super) const fn only_on_idle_cores() -> Option<OwnTime> {
    None
}

/// How long this thread has worked, not counting what it waited for a core.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnTime;

impl OwnTime {
    #[cfg(target_os = "linux")]
    pub(super) fn spent(self) -> Duration {
        let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        spent.try_into().unwrap_or_default()
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn spent(self) -> Duration {
        Duration::ZERO
    }
}

/// The number of its policy, as `/proc` shows it.
#[cfg(all(test, target_os = "linux"))]
pub(super) fn policy_of_this_thread() -> u32 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("readable");
    // Field 41; the second one, the name, may hold anything.
    let behind_name = stat.rsplit_once(')').expect("a name").1;
    behind_name.split_ascii_whitespace().nth(38).expect("a policy").parse().expect("a number")
}
