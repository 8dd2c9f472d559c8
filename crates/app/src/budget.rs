//! What each tenant may ask of one node, before anything is read, looked up or computed for it.
//!
//! A tenant has a *share*: requests that it may always make. What it asks beyond is answered as well, as long as the node has time to
//! spare or nobody else is there. A node that is busy and has several tenants to serve quarters what each may ask, again and again down
//! to its share, and doubles it again when it is not: so the node stays in use, and whoever asks least is answered.
//! Two ceilings hold at any time: one for requests, and one for what a tenant's administrators change.
//!
//! Invariant: the memory is fixed when the table is made, however many tenants ask; and a budget is asked without waiting.

use std::array::from_fn;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::time::Timestamp;
use tokio::sync::Semaphore;

const SECOND: i64 = 1_000_000_000;
/// How long a tenant counts as one of several after another one asked.
const REMEMBERED: i64 = SECOND;
/// How often it is looked whether the node is busy, and how often what tenants may ask is doubled above their share before it is
/// as much as they like.
pub const LOOK: Duration = Duration::from_millis(100);
const EASIEST: u32 = 10;
/// Accounts are kept in sets, each with a lock of its own; a tenant's can only be in one of them.
const SETS: usize = 1_024;
const WAYS: usize = 8;
/// How long the answer to a refused request is held back, so that whoever does not listen asks less often: from the shortest time to the
/// longest, so that those who were refused together do not come again together. And how many are at a time; beyond that they are answered at once.
const SHORTEST_HOLD: Duration = Duration::from_millis(200);
const LONGEST_HOLD: Duration = Duration::from_millis(300);
const MOST_HELD: usize = 1_024;

/// So much a second, and so much at once after a quiet time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds until one more is there.
    each: i64,
    /// Nanoseconds until a budget that was used up is whole again.
    depth: i64,
}

impl Rate {
    /// `None`, which is no limit, for `per_second` 0. At once is at least one, whatever `burst` says.
    pub fn new(per_second: u32, burst: u32) -> Option<Self> {
        let each = SECOND.checked_div(i64::from(per_second))?.max(1);
        Some(Self { each, depth: each * i64::from(burst.max(1)) })
    }

    /// The same budget with everything in it worth twice as much, so many times.
    const fn eased(self, times: u32) -> Self {
        Self { each: self.each >> times, depth: self.depth }
    }

    /// Takes one. What is left is told by the moment `whole_at` when the budget would be whole again, in nanoseconds.
    ///
    /// # Errors
    /// How many nanoseconds it takes until there is one.
    ///
    /// Source: the generic cell rate algorithm, ITU-T I.371, which needs no more than that one number.
    pub(crate) fn take(self, whole_at: &mut i64, now: i64) -> Result<(), i64> {
        // Kept in a refusal, too: for a clock that was set back, so that what is used up is whole after `depth` by the new one.
        *whole_at = (*whole_at).min(now + self.depth);
        let then = (*whole_at).max(now) + self.each;
        let early = then - (now + self.depth);
        if early > 0 {
            return Err(early);
        }
        *whole_at = then;
        Ok(())
    }
}

/// What every tenant gets; `None` where nothing is limited.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Requests that are answered even when the node is busy.
    pub share: Option<Rate>,
    /// The most requests at any time.
    pub ceiling: Option<Rate>,
    /// The most changes by the tenant's administrators at any time.
    pub changes: Option<Rate>,
}

/// Which budget was used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    Share,
    Ceiling,
    Changes,
}

impl Budget {
    pub const ALL: [Self; 3] = [Self::Share, Self::Ceiling, Self::Changes];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Ceiling => "ceiling",
            Self::Changes => "changes",
        }
    }
}

/// A budget is used up; worth another try after so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedUp {
    pub budget: Budget,
    pub retry_after_seconds: u32,
}

impl UsedUp {
    fn of(budget: Budget) -> impl Fn(i64) -> Self {
        move |wait| Self { budget, retry_after_seconds: u32::try_from(wait / SECOND + 1).unwrap_or(u32::MAX) }
    }
}

/// What one tenant has left: for each [`Budget`], when it is whole again.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    tenant: u64,
    whole_at: [i64; 3],
}

/// The accounts of those who have lately used something.
pub struct Budgets {
    limits: Limits,
    /// Keyed anew in every process, so that nobody can choose whom they share a set with.
    keyed: RandomState,
    sets: Box<[Mutex<[Account; WAYS]>]>,
    /// Who asked last, and until when the node counts as one with several tenants.
    last: AtomicU64,
    several_until: AtomicI64,
    /// When a worker was last seen busy, when that was last acted on, and what came of it: how often shares are doubled.
    busy_at: AtomicI64,
    eased_at: AtomicI64,
    ease: AtomicU32,
    held: Semaphore,
    /// How many were refused, by and by.
    refused: AtomicU32,
}

impl std::fmt::Debug for Budgets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budgets").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Budgets {
    /// Takes about 300 KB.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            keyed: RandomState::new(),
            sets: (0..SETS).map(|_| Mutex::new(from_fn(|_| Account::default()))).collect(),
            last: AtomicU64::new(0),
            several_until: AtomicI64::new(i64::MIN),
            busy_at: AtomicI64::new(i64::MIN),
            eased_at: AtomicI64::new(i64::MIN),
            ease: AtomicU32::new(EASIEST),
            held: Semaphore::new(MOST_HELD),
            refused: AtomicU32::new(0),
        }
    }

    /// One request for the tenant that an address names.
    ///
    /// # Errors
    /// [`UsedUp`], and then nothing may be done for it.
    pub fn request(&self, tenant: &str, now: Timestamp) -> Result<(), UsedUp> {
        let Limits { share, ceiling, .. } = self.limits;
        if share.is_none() && ceiling.is_none() {
            return Ok(());
        }
        let (tenant, now) = (self.keyed.hash_one(tenant), nanos(now));
        let ease = self.ease.load(Ordering::Relaxed);
        let is_held_back = self.is_one_of_several(tenant, now) && ease < EASIEST;
        self.with_account(tenant, now, |account| {
            if let Some(Err(wait)) = share.map(|share| share.eased(ease).take(&mut account.whole_at[Budget::Share as usize], now))
                && is_held_back
            {
                return Err(UsedUp::of(Budget::Share)(wait));
            }
            match ceiling {
                Some(ceiling) => ceiling.take(&mut account.whole_at[Budget::Ceiling as usize], now).map_err(UsedUp::of(Budget::Ceiling)),
                None => Ok(()),
            }
        })
    }

    /// One change by an administrator of the tenant that an address names.
    ///
    /// # Errors
    /// [`UsedUp`], and then nothing may be done for it.
    pub fn change(&self, tenant: &str, now: Timestamp) -> Result<(), UsedUp> {
        let Some(changes) = self.limits.changes else { return Ok(()) };
        let (tenant, now) = (self.keyed.hash_one(tenant), nanos(now));
        let spend = |account: &mut Account| changes.take(&mut account.whole_at[Budget::Changes as usize], now);
        self.with_account(tenant, now, spend).map_err(UsedUp::of(Budget::Changes))
    }

    /// Notes whether one of the node's workers has little time to spare. Each looks every [`LOOK`]; one of them that is busy
    /// makes the node busy.
    pub fn look(&self, is_busy: bool, now: Timestamp) {
        const STEP: i64 = LOOK.as_nanos() as i64;
        let now = nanos(now);
        if is_busy {
            self.busy_at.store(now, Ordering::Relaxed);
        }
        let eased_at = self.eased_at.load(Ordering::Relaxed);
        let is_time = !(eased_at..eased_at.saturating_add(STEP)).contains(&now);
        if is_time && self.eased_at.compare_exchange(eased_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let busy_at = self.busy_at.load(Ordering::Relaxed);
            let ease = self.ease.load(Ordering::Relaxed);
            let is_busy = (busy_at..=busy_at.saturating_add(STEP)).contains(&now);
            self.ease.store(if is_busy { ease.saturating_sub(2) } else { (ease + 1).min(EASIEST) }, Ordering::Relaxed);
        }
    }

    /// Waits for a moment before a refusal is said, unless many wait already.
    pub async fn hold(&self) {
        if let Ok(_held) = self.held.try_acquire() {
            tokio::time::sleep(spread(self.refused.fetch_add(1, Ordering::Relaxed))).await;
        }
    }

    fn is_one_of_several(&self, tenant: u64, now: i64) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        if last == tenant {
            return is_near(self.several_until.load(Ordering::Relaxed), now);
        }
        self.last.store(tenant, Ordering::Relaxed);
        // Zero: the first one of all.
        let are_several = last != 0;
        if are_several {
            self.several_until.store(now + REMEMBERED, Ordering::Relaxed);
        }
        are_several
    }

    /// Does something with a tenant's account. Where there is none, that of whoever has used least makes room: nothing is lost if
    /// it is whole again, and otherwise its owner gains.
    fn with_account<T>(&self, tenant: u64, now: i64, work: impl FnOnce(&mut Account) -> T) -> T {
        let set = &self.sets[tenant as usize % SETS];
        // Numbers only, each whole by itself: whoever panicked left nothing half done.
        let mut accounts = set.lock().unwrap_or_else(PoisonError::into_inner);
        let at = accounts.iter().position(|account| account.tenant == tenant).unwrap_or_else(|| {
            let least = (0..WAYS).min_by_key(|at| accounts[*at].whole_at.iter().max().copied()).unwrap_or(0);
            accounts[least] = Account { tenant, whole_at: [now; 3] };
            least
        });
        work(&mut accounts[at])
    }
}

fn nanos(now: Timestamp) -> i64 {
    now.as_micros().saturating_mul(1_000)
}

/// Whether `until` is still to come, and was not set by a clock that has been set back since.
const fn is_near(until: i64, now: i64) -> bool {
    now < until && until <= now + REMEMBERED
}

/// How long the refusal of this number is held back: neighbours far from each other, all of them evenly spread.
fn spread(number: u32) -> Duration {
    // By the golden ratio: its multiples, without their whole parts, leave no gaps and make no clusters.
    let place = u64::from(number.wrapping_mul(0x9E37_79B9));
    SHORTEST_HOLD + Duration::from_micros((LONGEST_HOLD - SHORTEST_HOLD).as_micros() as u64 * place / (1 << 32))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000 + micros)
    }

    fn budgets(share: Option<Rate>, ceiling: Option<Rate>) -> Budgets {
        Budgets::new(Limits { share, ceiling, changes: None })
    }

    /// How many of `count` requests of one moment pass.
    fn passed(budgets: &Budgets, tenant: &str, count: usize, now: Timestamp) -> usize {
        (0..count).filter(|_| budgets.request(tenant, now).is_ok()).count()
    }

    /// Looks every tenth of a second.
    fn looks(budgets: &Budgets, is_busy: bool, from_micros: i64, count: i64) {
        (0..count).for_each(|look| budgets.look(is_busy, at(from_micros + look * 100_000)));
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_time_has_brought(
            per_second in 1_u32..5_000,
            burst in 0_u32..200,
            steps in prop::collection::vec((0_i64..2_000_000, 1_usize..40), 1..60),
        ) {
            let budgets = budgets(None, Rate::new(per_second, burst));
            let (mut now, mut admitted) = (0, 0);
            for (pause, asked) in steps {
                now += pause;
                admitted += passed(&budgets, "acme", asked, at(now));
                // A nanosecond of rounding a request, at the most.
                let rate = f64::from(per_second) * (1.0 + f64::from(per_second) / 1e9);
                let most = f64::from(burst.max(1)) + rate * now as f64 / 1e6;
                prop_assert!(admitted as f64 <= most + 1e-6, "{admitted} of {most} after {now} µs");
            }
        }

        #[test]
        fn who_waits_as_long_as_is_said_is_let_in(per_second in 1_u32..50, burst in 1_u32..20) {
            let budgets = budgets(None, Rate::new(per_second, burst));
            prop_assert_eq!(passed(&budgets, "acme", 100, at(0)), burst as usize);
            let used_up = budgets.request("acme", at(0)).expect_err("it is used up");
            prop_assert_eq!(used_up.budget, Budget::Ceiling);
            let later = i64::from(used_up.retry_after_seconds) * 1_000_000;
            prop_assert_eq!(budgets.request("acme", at(later)), Ok(()));
        }
    }

    #[test]
    fn a_share_holds_only_while_the_node_is_busy_and_has_several_tenants() {
        let budgets = budgets(Rate::new(10, 10), None);
        assert_eq!(passed(&budgets, "acme", 1_000, at(0)), 1_000, "an idle node");
        looks(&budgets, true, 0, 20);
        assert_eq!(passed(&budgets, "acme", 1_000, at(2_000_000)), 1_000, "alone on a busy node");
        assert_eq!(budgets.request("globex", at(2_000_000)), Ok(()), "whoever is within its share");
        assert_eq!(passed(&budgets, "acme", 1_000, at(2_000_000)), 0, "and now there are two");
        assert_eq!(passed(&budgets, "acme", 1_000, at(2_600_000)), 6, "as many as the time has brought");
        looks(&budgets, false, 2_000_000, 10);
        assert_eq!(passed(&budgets, "acme", 1_000, at(3_000_000)), 1_000, "and the node has recovered");
    }

    #[test]
    fn a_busy_node_quarters_what_is_beyond_the_share_and_doubles_it_again() {
        let budgets = budgets(Rate::new(10, 10), None);
        let admitted = |looks_taken: i64, now| {
            assert_eq!(budgets.ease.load(Ordering::Relaxed), looks_taken as u32);
            budgets.request("globex", now).expect("always");
            passed(&budgets, &format!("acme{}", now.as_micros()), 100_000, now)
        };
        looks(&budgets, true, 0, 2);
        assert_eq!(admitted(6, at(300_000)), 640);
        looks(&budgets, true, 300_000, 1);
        assert_eq!(admitted(4, at(500_000)), 160);
        looks(&budgets, false, 600_000, 1);
        assert_eq!(admitted(5, at(700_000)), 320);
        // Two workers, of which one is busy, are no faster than one.
        for step in 0..2 {
            for is_busy in [true, false] {
                budgets.look(is_busy, at(800_000 + step * 100_000));
            }
        }
        assert_eq!(admitted(1, at(1_000_000)), 20);
    }

    #[test]
    fn a_ceiling_holds_on_an_idle_node_and_each_budget_counts_by_itself() {
        let budgets = Budgets::new(Limits { share: None, ceiling: Rate::new(1, 3), changes: Rate::new(1, 2) });
        assert_eq!(passed(&budgets, "acme", 10, at(0)), 3);
        assert_eq!([0; 3].map(|_| budgets.change("acme", at(0)).is_ok()), [true, true, false]);
        assert_eq!(passed(&budgets, "globex", 10, at(0)), 3);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let budgets = budgets(Rate::new(0, 5), None);
        looks(&budgets, true, 0, 20);
        assert_eq!(passed(&budgets, "acme", 10_000, at(0)), 10_000);
        assert_eq!(budgets.change("acme", at(0)), Ok(()));
    }

    #[test]
    fn a_hundred_thousand_tenants_take_no_more_memory_and_do_not_make_room_for_an_attacker() {
        let budgets = budgets(None, Rate::new(1, 5));
        assert_eq!(passed(&budgets, "attacked", 10, at(0)), 5);
        for tenant in 0..100_000 {
            assert_eq!(budgets.request(&format!("tenant-{tenant}"), at(tenant)), Ok(()));
        }
        assert_eq!(passed(&budgets, "attacked", 10, at(100_000)), 0, "its account is still there");
        let bytes = size_of_val(&*budgets.sets);
        assert!(bytes < 400_000, "{bytes}");
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let budgets = budgets(Rate::new(1, 5), Rate::new(1, 5));
        let hour = 3_600_000_000;
        looks(&budgets, true, hour, 20);
        assert_eq!(passed(&budgets, "acme", 10, at(hour)), 5);
        assert_eq!(passed(&budgets, "acme", 10, at(1_000_000)), 0);
        assert_eq!(passed(&budgets, "acme", 10, at(6_000_000)), 5);
        looks(&budgets, false, 6_000_000, 12);
        assert_eq!(budgets.ease.load(Ordering::Relaxed), EASIEST);
    }

    #[test]
    fn threads_together_get_no_more_than_one() {
        let budgets = budgets(None, Rate::new(1, 1_000));
        let all: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| passed(&budgets, "acme", 1_000, at(0)))).collect();
            threads.into_iter().map(|thread| thread.join().expect("counts")).sum()
        });
        assert_eq!(all, 1_000);
    }

    #[test]
    fn refusals_are_held_back_for_times_that_are_far_apart() {
        for first in [0, 12_345, u32::MAX - 10] {
            let mut holds: Vec<_> = (0..50).map(|number| spread(first.wrapping_add(number))).collect();
            holds.sort_unstable();
            assert!(holds.iter().all(|hold| (SHORTEST_HOLD..=LONGEST_HOLD).contains(hold)), "{holds:?}");
            let apart = holds.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(apart.clone().min() > Some(Duration::from_millis(1)) && apart.max() < Some(Duration::from_millis(4)), "{holds:?}");
        }
    }
}
