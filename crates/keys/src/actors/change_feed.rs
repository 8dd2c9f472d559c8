//! The node's ear: connects, hears which rings other nodes have changed, has those read again that are awake here.
//!
//! Invariant: after every (re)connect all awake rings are looked at, so nothing that was missed stays missed; and it never
//! fails twice without a pause in between.

use std::sync::Weak;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use app::ports::changes::{ListenForChanges, RingChanges};
use app::ports::store::Stored;

use crate::actors::rotation_clock::Stop;
use crate::directory::Directory;

/// The pause after the first failure; it doubles with every further one.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub(crate) struct ChangeFeed {
    /// Taken when the actor starts.
    ear: Option<Ear>,
}

/// What listens; it lives in the actor's one future and ends with the actor.
struct Ear {
    directory: Weak<Directory>,
    connector: Box<dyn ListenForChanges>,
    first_pause: Duration,
    pause: Duration,
}

/// Nobody wants to know any more.
struct Unwanted;

impl ChangeFeed {
    /// It ends by itself at the first change that is heard when the directory is gone.
    pub(crate) fn new(directory: Weak<Directory>, connector: Box<dyn ListenForChanges>, first_pause: Duration) -> Self {
        Self { ear: Some(Ear { directory, connector, first_pause, pause: first_pause }) }
    }
}

impl Actor for ChangeFeed {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Not in a handler: an atomic one would keep `Stop` waiting for as long as nothing is heard.
        if let Some(ear) = self.ear.take() {
            ctx.spawn(ear.listen().into_actor(self).map(|_, _, ctx| ctx.stop()));
        }
    }
}

impl Handler<Stop> for ChangeFeed {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Ear {
    async fn listen(mut self) -> Unwanted {
        loop {
            match self.hear_one_connection().await {
                Ok(unwanted) => return unwanted,
                Err(error) => tracing::warn!(%error, "changed key rings are not heard of; the sweep finds them meanwhile"),
            }
            if self.directory.strong_count() == 0 {
                return Unwanted;
            }
            tokio::time::sleep(self.pause).await;
            self.pause = longer(self.pause);
        }
    }

    /// Connects, catches up, and follows until the connection is lost.
    async fn hear_one_connection(&mut self) -> Stored<Unwanted> {
        let mut changes: Box<dyn RingChanges> = self.connector.connect().await?;
        let Some(directory) = self.directory.upgrade() else { return Ok(Unwanted) };
        directory.catch_up().await;
        drop(directory);
        loop {
            let heard = changes.next().await?;
            self.pause = self.first_pause;
            let Some(directory) = self.directory.upgrade() else { return Ok(Unwanted) };
            if let Some(mark) = heard {
                directory.heard(mark).await;
            } else {
                directory.catch_up().await;
                // What comes meanwhile waits in the connection; one that flaps does not keep us busy.
                tokio::time::sleep(self.first_pause).await;
            }
        }
    }
}

fn longer(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let pauses = std::iter::successors(Some(FIRST_PAUSE), |pause| Some(longer(*pause)));
        assert_eq!(pauses.take(7).map(|pause| pause.as_secs()).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 30, 30]);
    }
}
