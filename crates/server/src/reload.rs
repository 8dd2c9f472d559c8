//! Reads the list of key-encryption keys again when somebody asks this process to, by SIGHUP.
//!
//! Invariant: a list that cannot be read leaves the one before in its place.

use std::sync::Arc;

use keys::Custody;

/// Waits for SIGHUP, again and again.
pub(crate) async fn on_signal(custody: Arc<Custody>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut hangups) = signal(SignalKind::hangup()) else {
            tracing::warn!("SIGHUP cannot be heard here: a new list of key-encryption keys needs a restart");
            return;
        };
        while hangups.recv().await.is_some() {
            if let Err(error) = custody.reread().await {
                tracing::error!(%error, "SIGHUP: the key-encryption keys could not be read again; the ones before stay");
            }
        }
    }
    #[cfg(not(unix))]
    drop(custody);
}
