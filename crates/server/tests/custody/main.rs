//! Custody of keys on real databases: wrapping anew while servers run, retiring, taking over what the first format sealed.
//!
//! Invariant: every test has a database of its own; nothing waits for time to pass.

mod failing;
mod first_format;
mod providers;
mod rotation;
mod stage;
