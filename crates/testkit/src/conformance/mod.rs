//! What every [`app::ports::store::Store`] must do, on every backend. Each function takes a store with an empty database.
//!
//! Invariant: nothing here knows which backend it talks to.

pub mod audit;
pub mod branding;
pub mod contention;
pub mod custody;
pub mod families;
pub mod guesses;
pub mod isolation;
pub mod key_log;
pub mod platform;
pub mod provider;
pub mod rings;
pub mod tenants;
pub mod users;
pub mod verifiers;
