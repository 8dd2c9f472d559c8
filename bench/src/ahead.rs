//! The real server in this process, with its clock set forward: what is due in three months is due now.
//!
//! Invariant: nothing but the clock differs from `claviger serve`.

use std::sync::Arc;

use app::ports::world::Clock;
use clap::Args;
use domain::time::{Timestamp, Ttl};
use server::{Settings, SystemClock};

use crate::Outcome;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How far.
    #[arg(long)]
    days: u32,
}

struct Ahead(Ttl);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.0)
    }
}

/// Serves until it is killed or asked to end.
pub(crate) fn serve(options: &Options) -> Outcome<()> {
    let clock = Arc::new(Ahead(Ttl::days(options.days)));
    actix_web::rt::System::new().block_on(async {
        let running = server::start_at(Settings::load(None)?, clock).await?;
        let mut asked = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        asked.recv().await;
        running.stop().await;
        Ok(())
    })
}
