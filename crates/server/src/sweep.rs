//! Removes what is over: ended families after a day, guess counters after two, what deleted tenants owned; minute after minute, in
//! small batches.
//!
//! Invariant: safe to run on every node at once, and to stop at any moment; the next minute goes on where this one ended.

use std::sync::Arc;
use std::time::Duration;

use app::ctx::Ctx;
use app::ports::store::Stored;
use domain::time::Ttl;

const EVERY: Duration = Duration::from_secs(60);
const BATCH: u32 = 500;
const KEEP_FAMILIES: Ttl = Ttl::days(1);
const KEEP_GUESSES: Ttl = Ttl::days(2);

pub(crate) async fn forever(ctx: Arc<Ctx>) {
    let mut minute = tokio::time::interval(EVERY);
    minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        minute.tick().await;
        match once(&ctx).await {
            Ok((0, 0)) => {}
            Ok((families, guesses)) => tracing::debug!(families, guesses, "swept"),
            Err(error) => tracing::warn!(%error, "the sweep of ended sessions did not finish; it goes on in a minute"),
        }
        match app::tenants::erase_deleted(&ctx).await {
            Ok(0) => {}
            Ok(transactions) => tracing::info!(transactions, "erased what deleted tenants had left"),
            Err(error) => tracing::warn!(%error, "deleted tenants are not wholly erased yet; it goes on in a minute"),
        }
    }
}

/// Sweeps until nothing is left to sweep. Each batch is a transaction of its own, so that logins get between.
async fn once(ctx: &Ctx) -> Stored<(u64, u64)> {
    let (mut families, mut guesses) = (0, 0);
    loop {
        let mut tx = ctx.store.begin_platform().await?;
        let swept = tx.families_sweep(ctx.now().minus(KEEP_FAMILIES), BATCH).await?;
        tx.commit().await?;
        families += swept;
        if swept < u64::from(BATCH) {
            break;
        }
    }
    loop {
        let mut tx = ctx.store.begin_platform().await?;
        let swept = tx.guesses_sweep(ctx.now().minus(KEEP_GUESSES), BATCH).await?;
        tx.commit().await?;
        guesses += swept;
        if swept < u64::from(BATCH) {
            return Ok((families, guesses));
        }
    }
}
