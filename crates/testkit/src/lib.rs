//! What the tests of all crates share: a clock to set, chance that repeats, samples, a store in memory, a PostgreSQL to throw
//! away, and the conformance suite that every [`app::ports::store::Store`] must pass.
//!
//! Invariant: nothing here is part of the program; it may panic.

pub mod clock;
pub mod conformance;
pub mod entropy;
pub mod memory_store;
pub mod patroni;
pub mod pgbouncer;
pub mod postgres;
pub mod sample;
