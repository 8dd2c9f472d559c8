//! The truth, in SQLite or PostgreSQL. [`connect()`] gives a [`Database`]; [`SqlStore`] is its [`app::ports::store::Store`].
//!
//! One file per port; where the backends differ is `dialect.rs`; what a database error means is `error.rs`.
//!
//! Invariant: every statement on what a tenant owns names the tenant; the only ones across tenants are in `platform.rs`
//! and the second half of `custody.rs`.

mod audit;
mod authorizations;
mod backchannel;
mod branding;
mod checkpoints;
mod clients;
mod connect;
mod consents;
mod custody;
mod devices;
mod dialect;
mod entities;
mod error;
mod families;
mod flushes;
mod gauges;
mod grounds;
mod guesses;
mod key_log;
mod lane;
mod logouts;
mod mails;
mod notices;
mod once;
mod outbox;
mod places;
mod platform;
mod pool;
mod refresh;
mod registrations;
mod resources;
mod rings;
mod rows;
mod sso;
mod store;
mod tenants;
mod trusted_issuers;
mod tx;
mod users;
mod verifiers;
mod wal;

pub use connect::{Database, Road, connect, legible, migrate, migrate_steps, take_steps};
pub use gauges::PoolSize;
pub use migrations::Fit;
pub use notices::RingNotices;
pub use store::SqlStore;
