//! Each tenant's keys: made, sealed, published, signed with, rotated. Enter at [`KeyDirectory`], which is the port
//! [`app::ports::keys::Keys`].
//!
//! Reading goes map → snapshot, without a lock or a mailbox; changing goes directory → actor → store, one change at a time
//! per tenant.
//!
//! Invariant: no actix type and no private key leaves this crate.

mod actors;
mod aead;
mod custody;
mod directory;
mod foreign;
mod installation;
mod jwe;
mod jwks;
pub mod kek;
mod key_log;
mod keygen;
mod messages;
mod node;
mod pseudonyms;
mod rehearsal;
mod resting;
mod rewrap;
mod rsa_pool;
mod seal;
mod signer;
mod snapshot;
pub mod untrusted;
mod verified;
mod verifier;

pub use custody::Custody;
pub use directory::{KeyDirectory, KeySettings, KeyStats};
pub use rewrap::{Rewrapped, rewrap_all};
