//! Somebody who says which key rings other nodes have changed.
//!
//! Invariant: what is heard here only hastens what the sweep finds anyway.

use async_trait::async_trait;

use crate::ports::store::{RingMark, Stored};

/// A connection on which changes are heard.
#[async_trait]
pub trait RingChanges: Send {
    /// Waits for the next change. `None`: changes may have been missed; look at every ring.
    ///
    /// # Errors
    /// When the connection is lost.
    async fn next(&mut self) -> Stored<Option<RingMark>>;
}

/// Opens such connections.
#[async_trait]
pub trait ListenForChanges: Send + Sync {
    async fn connect(&self) -> Stored<Box<dyn RingChanges>>;
}
