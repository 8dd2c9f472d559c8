//! What happens when the ground gives way: the real program is killed, its database goes away, its disk fills up.
//!
//! Enter at a file per kind of fault. [`node`] starts the program as an operator would, [`caller`] talks to it, [`proxy`] stands
//! between it and PostgreSQL. `cargo xtask faults` runs these tests for long, `cargo xtask test` briefly.
//!
//! Invariant: what the program has acknowledged is all that a test relies on.

mod broken_off;
mod caches;
mod caller;
mod chance;
mod clock;
mod crash;
mod crowd;
mod database;
mod disk;
mod failover;
mod flows;
mod issuer;
mod ledger;
mod node;
mod pair;
mod pooler;
mod postgres_talk;
mod power;
mod proxy;
mod restore;
mod shutdown;
mod skew;
mod start;
mod upgrade;
