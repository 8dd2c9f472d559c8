//! The two actors: one per awake tenant ([`tenant_keys`]), one clock per node ([`rotation_clock`]).
//!
//! Invariant: calls go down only (directory → actor → store); an actor never asks itself, and holds no policy `if`.

pub(crate) mod rotation_clock;
pub(crate) mod tenant_keys;
