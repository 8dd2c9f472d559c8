//! Whether this node has time to spare: what the budgets of tenants ease by.
//!
//! Invariant: looked at by the workers themselves, so that one which never gets to look is busy, too, as soon as it does.

use std::time::Instant;

use actix_web::rt;
use app::budget::LOOK;
use tokio::runtime::Handle;

use crate::state::ApiState;

/// The part of its time from which on a worker is busy.
const BUSY: f64 = 0.9;

/// Watches the worker that this runs on, for as long as it lives. Must be called inside its runtime.
pub(crate) fn watch(state: ApiState) {
    let runtime = Handle::current().metrics();
    rt::spawn(async move {
        let (mut looked_at, mut worked) = (Instant::now(), runtime.worker_total_busy_duration(0));
        loop {
            rt::time::sleep(LOOK).await;
            let (now, total) = (Instant::now(), runtime.worker_total_busy_duration(0));
            let span = now - looked_at;
            let is_busy = total.saturating_sub(worked).as_secs_f64() >= BUSY * span.as_secs_f64();
            if is_busy {
                state.metrics.busy_seconds.inc_by(span.as_secs_f64());
            }
            state.budgets.look(is_busy, state.ctx.now());
            (looked_at, worked) = (now, total);
        }
    });
}
