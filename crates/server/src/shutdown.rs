//! Waits until somebody asks this process to end.
//!
//! Invariant: asking twice is not needed, and asking once loses no request in flight.

/// Listens for SIGTERM and SIGINT (Ctrl-C) from now on; what is answered ends at the first of them.
#[cfg(unix)]
pub(crate) fn asked() -> impl Future<Output = &'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        match signals {
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
}

/// Ends at the first Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn asked() -> &'static str {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    "Ctrl-C"
}
