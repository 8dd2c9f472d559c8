//! What the use cases need from outside: somebody to store ([`store`]), somebody to keep keys ([`keys`]), and the time
//! and chance of day ([`world`]).

pub mod keys;
pub mod store;
pub mod world;
