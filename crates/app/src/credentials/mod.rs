//! Proving who one is: passwords ([`password`]), computed on a bounded, fair pool ([`hash_pool`]).

pub mod hash_pool;
pub mod password;
