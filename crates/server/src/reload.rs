//! Reads the list of key-encryption keys again when somebody asks this process to, by SIGHUP.
//!
//! Invariant: SIGHUP ends no server: it is heard from before the first connection on. A list that cannot be read leaves the one
//! before in its place.

use std::sync::Arc;

use keys::Custody;

/// Hears SIGHUP from now on; what is answered reads the list each time.
#[cfg(unix)]
pub(crate) fn on_hangup(custody: Arc<Custody>) -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let hangups = signal(SignalKind::hangup());
    async move {
        let Ok(mut hangups) = hangups else {
            tracing::warn!("SIGHUP cannot be heard here: a new list of key-encryption keys needs a restart");
            return;
        };
        while hangups.recv().await.is_some() {
            if let Err(error) = custody.reread().await {
                tracing::error!(%error, "SIGHUP: the key-encryption keys could not be read again; the ones before stay");
            }
        }
    }
}

/// There is no SIGHUP here.
#[cfg(not(unix))]
pub(crate) fn on_hangup(_: Arc<Custody>) -> impl Future<Output = ()> {
    std::future::ready(())
}
