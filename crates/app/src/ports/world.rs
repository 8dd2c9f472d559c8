//! Time and chance. The only door through which either gets into a use case.

use domain::time::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// Draws from a cryptographically secure source.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`. Never blocks for long and never fails: a machine without randomness cannot run this program.
    fn fill(&self, bytes: &mut [u8]);
}
