//! Removes what is over, minute after minute, in small batches: all that grows with use and not with tenants and users, and what
//! deleted tenants owned.
//!
//! Invariant: safe to run on every node at once, and to stop at any moment; the next minute goes on where this one ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use app::ctx::Ctx;
use app::login::KNOWN_SOURCE;
use app::ports::store::{Leftover, Stored};
use domain::guess::GuessCounter;
use domain::time::Ttl;

const EVERY: Duration = Duration::from_secs(60);
/// Rows of one transaction, so that logins get between.
const BATCH: u32 = 500;
/// Batches of one kind in one minute: what was left lying for months goes over hours, and no other kind waits for it.
const MOST_BATCHES: u32 = 200;
/// Ended families are kept this long, for who asks what became of a session.
const KEEP_FAMILIES: Ttl = Ttl::days(1);

/// Verifiers that have not fetched for so long are forgotten.
const KEEP_VERIFIERS: Ttl = Ttl::days(30);
/// A code is remembered this long after its minute, to notice that a thief had it, too.
const KEEP_CODES: Ttl = Ttl::hours(1);
/// A device, or a client that asked a user, may still ask what became of it, and is told that it has expired.
const KEEP_DEVICES: Ttl = Ttl::hours(1);

/// The sweep of one node, and what it has removed since the start.
#[derive(Debug)]
pub(crate) struct Sweep {
    ctx: Arc<Ctx>,
    /// `None` = for ever.
    keep_audit: Option<Ttl>,
    removed: [AtomicU64; Leftover::ALL.len()],
    failures: AtomicU64,
}

impl Sweep {
    /// `audit_retention_days` of 0 keeps the audit log for ever.
    pub(crate) fn new(ctx: Arc<Ctx>, audit_retention_days: u32) -> Self {
        let keep_audit = (audit_retention_days > 0).then(|| Ttl::days(audit_retention_days));
        Self { ctx, keep_audit, removed: Default::default(), failures: AtomicU64::new(0) }
    }

    pub(crate) async fn forever(self: Arc<Self>) {
        let mut minute = tokio::time::interval(EVERY);
        minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            minute.tick().await;
            self.once().await;
        }
    }

    /// One round. What fails is logged and counted, and does not keep the others from being swept.
    pub(crate) async fn once(&self) {
        for (what, removed) in Leftover::ALL.into_iter().zip(&self.removed) {
            let Some(keep) = self.keep(what) else { continue };
            match self.all_of(what, keep, removed).await {
                Ok(0) => {}
                Ok(rows) => tracing::debug!(table = what.table(), rows, "swept"),
                Err(error) => {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(table = what.table(), %error, "a sweep did not finish; it goes on in a minute");
                }
            }
        }
        match app::tenants::erase_deleted(&self.ctx).await {
            Ok(0) => {}
            Ok(transactions) => tracing::info!(transactions, "erased what deleted tenants had left"),
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "deleted tenants are not wholly erased yet; it goes on in a minute");
            }
        }
    }

    /// How long it lies after it is over; `None` = for ever.
    const fn keep(&self, what: Leftover) -> Option<Ttl> {
        match what {
            Leftover::Families => Some(KEEP_FAMILIES),
            Leftover::GuessCounters => Some(GuessCounter::FORGET_AFTER),
            Leftover::KnownSources => Some(KNOWN_SOURCE),
            Leftover::AuditEvents => self.keep_audit,
            Leftover::Verifiers => Some(KEEP_VERIFIERS),
            Leftover::AuthorizationCodes => Some(KEEP_CODES),
            Leftover::DeviceCodes | Leftover::BackchannelRequests => Some(KEEP_DEVICES),
            Leftover::PendingRequests
            | Leftover::SsoSessions
            | Leftover::SpentNames
            | Leftover::LogoutNotices
            | Leftover::BackchannelPings
            | Leftover::Mails
            | Leftover::MailLinks
            | Leftover::InitialAccessTokens
            | Leftover::UnusedClients => Some(Ttl::ZERO),
        }
    }

    async fn all_of(&self, what: Leftover, keep: Ttl, removed: &AtomicU64) -> Stored<u64> {
        let mut rows = 0;
        for _ in 0..MOST_BATCHES {
            let mut tx = self.ctx.store.begin_platform().await?;
            let swept = tx.sweep(what, self.ctx.now().minus(keep), BATCH).await?;
            tx.commit().await?;
            removed.fetch_add(swept, Ordering::Relaxed);
            rows += swept;
            if swept < u64::from(BATCH) {
                break;
            }
        }
        Ok(rows)
    }

    /// Rows removed since the start, by table.
    pub(crate) fn removed(&self) -> Vec<(&'static str, u64)> {
        let count = |(what, removed): (Leftover, &AtomicU64)| (what.table(), removed.load(Ordering::Relaxed));
        Leftover::ALL.into_iter().zip(&self.removed).map(count).collect()
    }

    /// Rounds of one table that did not finish.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}
