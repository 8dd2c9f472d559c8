//! Waits until somebody asks this process to end.
//!
//! Invariant: asking twice is not needed, and asking once loses no request in flight.

/// Ends at the first SIGTERM or SIGINT (Ctrl-C).
pub(crate) async fn asked() -> &'static str {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(mut terminate), Ok(mut interrupt)) => tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            },
            _ => {
                tracing::warn!("signals cannot be heard here: this process can only be killed");
                std::future::pending().await
            }
        }
    }
    #[cfg(not(unix))]
    {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
