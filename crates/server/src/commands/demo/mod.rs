//! `claviger demo`: the whole story over real HTTP, each step checked.
//!
//! Invariant: the steps use nothing but HTTP and what is public; the only thing bent is the clock, once, and it is said when.

mod browser;
mod clock;
mod story;
mod verifier;

use std::sync::Arc;

use domain::time::Ttl;

use self::browser::Browser;
use self::clock::DemoClock;
use super::{Failed, say};
use crate::settings::{LogFormat, LogSettings, Settings};
use crate::{start, telemetry};

/// Starts a server on free ports with a database in a temporary folder, plays the story, and stops the server.
pub(super) async fn run() -> Result<(), Failed> {
    let started = std::time::Instant::now();
    telemetry::start_logs(&LogSettings { format: LogFormat::Pretty, level: "error".to_owned() });
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(DemoClock::default());
    let running = start::start_at(settings(folder.path())?, Arc::clone(&clock) as _).await?;
    told(format_args!("Claviger runs on {} with SQLite in {}.", running.base_url, folder.path().display()));
    told("The administrator's token comes from `claviger admin token`: whoever reads database and key file may make one.\n");
    let token = running.admin_token(Ttl::hours(1)).await.map_err(|fault| format!("no administrator's token: {fault}"))?;
    let told = match Browser::new(running.base_url.clone(), token) {
        Ok(browser) => story::tell(browser, clock).await,
        Err(error) => Err(error),
    };
    running.stop().await;
    told.map_err(|error| format!("the demo failed: {error}"))?;
    say(format_args!("\nEvery step held, in {:.1} s.", started.elapsed().as_secs_f32()))
}

/// Tells a line of the story, which goes on when nobody listens: whether it held is what the exit code says.
fn told(line: impl std::fmt::Display) {
    let _ = say(line);
}

fn settings(folder: &std::path::Path) -> Result<Settings, Failed> {
    let mut settings = Settings::defaults()?;
    let free = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    settings.server.public_addr = free;
    settings.server.management_addr = free;
    settings.server.base_url = String::new();
    settings.server.shutdown_grace_seconds = 2;
    settings.database.url = format!("sqlite:{}", folder.join("claviger.db").display());
    settings.keys.kek_file = folder.join("kek");
    // One node, one clock: so a rotation takes seconds instead of a day.
    settings.keys.sweep_interval_seconds = 1;
    settings.keys.clock_skew_seconds = 0;
    settings.keys.rsa_pool = 2;
    Ok(settings)
}
