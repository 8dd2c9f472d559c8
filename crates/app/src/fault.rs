//! A broken dependency: nothing the caller did, and nothing the caller can mend.

use crate::ports::keys::KeyFault;
use crate::ports::store::StoreError;

/// Why a use case could not be carried out at all.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Worth another try soon: a database that is away, a queue that is full.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Another node can do it, which is of a later release: this one must not use something that was written there.
    #[error("{0}")]
    Newer(String),
    /// Needs a person: a row that cannot be read, a key that cannot be opened.
    #[error("{0}")]
    Broken(String),
    /// What the client would get has to be signed by an algorithm that the tenant's keys have not (any more), or encrypted to a key that the
    /// client does not show: whoever administers one of the two has to decide.
    #[error("{0}")]
    NoAlgorithm(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(detail) => Self::Unavailable(detail),
            StoreError::Conflict => Self::Unavailable("somebody else changed the same thing".to_owned()),
            StoreError::Corrupt { .. } => Self::Broken(error.to_string()),
            StoreError::Newer { .. } => Self::Newer(error.to_string()),
        }
    }
}

impl From<KeyFault> for Fault {
    fn from(error: KeyFault) -> Self {
        match error {
            KeyFault::Unavailable(detail) => Self::Unavailable(detail),
            KeyFault::Newer(detail) => Self::Newer(detail),
            KeyFault::NoAlgorithm(_) | KeyFault::NoEncryptionKey(_) => Self::NoAlgorithm(error.to_string()),
            KeyFault::NoRing | KeyFault::Sealed(_) | KeyFault::NoSigner => Self::Broken(error.to_string()),
        }
    }
}
