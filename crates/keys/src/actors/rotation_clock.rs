//! The node's one timer: what is due is advanced, what changed elsewhere is read again, who is idle leaves.
//!
//! Invariant: sweeps never overlap: the next one is set when the last one has ended. A lost sweep costs time, not safety.

use std::sync::Weak;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, Message, WrapFuture};

use crate::directory::Directory;

pub(crate) struct RotationClock {
    directory: Weak<Directory>,
    interval: Duration,
}

#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
struct Tick;

/// Stop sweeping. Answered when the sweep under way has ended.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

impl RotationClock {
    /// It ends by itself when the directory is gone.
    pub(crate) const fn new(directory: Weak<Directory>, interval: Duration) -> Self {
        Self { directory, interval }
    }
}

impl Actor for RotationClock {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Tick);
    }
}

impl Handler<Tick> for RotationClock {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: Tick, _: &mut Self::Context) -> Self::Result {
        let directory = self.directory.upgrade();
        let sweep = async move {
            match directory {
                Some(directory) => {
                    directory.sweep().await;
                    true
                }
                None => false,
            }
        };
        AtomicResponse::new(Box::pin(sweep.into_actor(self).map(|is_wanted, clock, ctx| {
            if is_wanted {
                ctx.notify_later(Tick, clock.interval);
            } else {
                ctx.stop();
            }
        })))
    }
}

impl Handler<Stop> for RotationClock {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
