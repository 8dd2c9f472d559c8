//! What goes on beside the commits to a SQLite file: its write-ahead log is flushed and, now and then, copied into the database.
//!
//! Invariant: see [`crate::flushes`] and [`crate::checkpoints`].

use std::io;
use std::path::Path;

use app::ports::store::Stored;
use sea_orm::DatabaseConnection;

use crate::checkpoints::Checkpoints;
use crate::flushes::{Doubt, Flushes};

/// Of one file.
#[derive(Debug)]
pub(crate) struct Wal {
    checkpoints: Checkpoints,
    flushes: Flushes,
}

impl Wal {
    /// Of the database at `path`, which is open; `aside` makes the checkpoints. Must be called on a tokio runtime.
    pub(crate) fn of(path: &Path, aside: DatabaseConnection) -> io::Result<Self> {
        Ok(Self { flushes: Flushes::of_the_log_of(path)?, checkpoints: Checkpoints::by(aside) })
    }

    /// Before a commit is made.
    pub(crate) fn doubt(&self) -> Doubt {
        self.flushes.doubt()
    }

    /// Waits until a commit of so many rows is durable, after it was made.
    ///
    /// # Errors
    /// `Unavailable` when the disk cannot be flushed, now or earlier.
    pub(crate) async fn durable(&self, doubt: Doubt, rows: usize) -> Stored<()> {
        self.checkpoints.written(rows);
        doubt.durable().await
    }

    /// Waits until everything is durable that was read up to now.
    ///
    /// # Errors
    /// As for [`Self::durable`].
    pub(crate) async fn settled(&self) -> Stored<()> {
        self.flushes.settled().await
    }

    /// Whether commits can still become durable.
    ///
    /// # Errors
    /// `Unavailable` when they cannot.
    pub(crate) fn sound(&self) -> Stored<()> {
        self.flushes.sound()
    }

    /// Makes no more checkpoints.
    pub(crate) async fn close(&self) -> Stored<()> {
        self.checkpoints.close().await
    }
}
