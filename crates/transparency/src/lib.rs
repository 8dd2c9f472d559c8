//! A transparency log on paper: its Merkle tree ([`tree`]), how the tree is cut into files ([`tile`]), and its signed head
//! ([`note`]).
//!
//! Follows RFC 9162, 2.1 and C2SP's tlog-tiles, tlog-checkpoint and signed-note to the byte, so that tools of others read our
//! logs. Whoever appends and whoever checks use the same few functions.
//!
//! Invariant: nothing here waits, stores, or knows what an entry means.

pub mod note;
pub mod tile;
pub mod tree;
