//! The three actors: one per awake tenant ([`tenant_keys`]), one clock ([`rotation_clock`]) and one ear ([`change_feed`]) per node.
//!
//! Invariant: calls go down only (directory → actor → store); an actor never asks itself, and holds no policy `if`.

pub(crate) mod change_feed;
pub(crate) mod rotation_clock;
pub(crate) mod tenant_keys;
