//! `claviger serve`: the server, until somebody asks it to end.
//!
//! Invariant: the process ends only after the last request it accepted was answered, or the grace is over.

use std::time::Duration;

use super::Failed;
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use crate::{descriptors, shutdown, start};

pub(super) async fn run(settings: Settings) -> Result<(), Failed> {
    let telemetry = Telemetry::start(&settings)?;
    let outcome = serve(settings).await;
    // Last, so that the spans of the last requests are sent, also when the start failed.
    telemetry.stop().await;
    outcome
}

async fn serve(settings: Settings) -> Result<(), Failed> {
    let is_first = settings.database.sqlite_file().is_some_and(|file| !file.exists());
    let (database, grace) = (settings.database.shown(), settings.server.shutdown_grace_seconds);
    let drain = Duration::from_secs(settings.server.drain_seconds);
    descriptors::raise(settings.server.max_connections);
    // Before the first connection: whoever asks this process to end is heard from then on.
    let asked = shutdown::asked();
    let mut running = start::start(settings).await?;
    tracing::info!("claviger {} serves {} on {}", env!("CARGO_PKG_VERSION"), running.base_url, running.public_url);
    if running.base_url != running.public_url && running.base_url.starts_with("http://127.0.0.1") {
        tracing::warn!(
            "issuers are named {}, where this server does not listen: set server.base_url (CLAVIGER__SERVER__BASE_URL) to where clients reach it",
            running.base_url
        );
    }
    tracing::info!("health and metrics: {}/health/ready, {0}/metrics", running.management_url);
    tracing::info!("database: {database}");
    if is_first {
        tracing::info!("this is a new installation; get an administrator's token with: claviger admin token --ttl 10m");
    }
    let outcome = tokio::select! {
        signal = asked => {
            if !drain.is_zero() {
                tracing::info!("{signal}: not ready any more, and serves for another {} s", drain.as_secs());
                running.drain(drain).await;
            }
            tracing::info!("{signal}: no new connections; requests in flight have {grace} s");
            Ok(())
        }
        () = running.ended() => Err("a listener ended by itself; the log says why".into()),
    };
    running.stop().await;
    tracing::info!("stopped");
    outcome
}
