//! Whether this node has time to spare: what the budgets of tenants ease by.
//!
//! Invariant: workers look at themselves, so that one which does not get to look for long is seen to be busy as soon as it does.

use std::time::{Duration, Instant};

use actix_web::rt;
use app::budget::LOOK;
use tokio::runtime::Handle;

use crate::state::ApiState;

/// The part of its time from which on a worker is busy: beyond it, whoever comes waits noticeably for those who came before.
const BUSY: f64 = 0.9;

/// Watches the worker that this runs on, for as long as it lives. Must be called inside its runtime.
pub(crate) fn watch(state: ApiState) {
    rt::spawn(looks(move |is_busy, span| {
        if is_busy {
            state.metrics.busy_seconds.inc_by(span.as_secs_f64());
        }
        state.budgets.look(is_busy, state.ctx.now());
    }));
}

/// Tells again and again whether the worker was busy, and for how long that is said.
async fn looks(mut tell: impl FnMut(bool, Duration)) {
    let runtime = Handle::current().metrics();
    let (mut looked_at, mut worked) = (Instant::now(), runtime.worker_total_busy_duration(0));
    loop {
        rt::time::sleep(LOOK).await;
        let (now, total) = (Instant::now(), runtime.worker_total_busy_duration(0));
        let span = now - looked_at;
        tell(total.saturating_sub(worked).as_secs_f64() >= BUSY * span.as_secs_f64(), span);
        (looked_at, worked) = (now, total);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[actix_web::test]
    async fn a_worker_that_never_rests_is_busy_and_one_that_rests_is_not() {
        let (tell, mut told) = unbounded_channel();
        // Who listens goes away at the end.
        rt::spawn(looks(move |is_busy, _| tell.send(is_busy).unwrap_or_default()));
        rt::task::yield_now().await;
        let begun = Instant::now();
        while begun.elapsed() < 5 * LOOK {
            std::hint::spin_loop();
        }
        assert_eq!(told.recv().await, Some(true));
        while told.recv().await != Some(false) {}
    }
}
