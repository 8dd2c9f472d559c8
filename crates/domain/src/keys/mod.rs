//! Signing keys as a state machine that refuses to be unsafe: what a tenant's ring holds ([`ring`]), which numbers a
//! rotation may have ([`policy`]) what is to be done now ([`plan`]) and what is told
//! about it in public ([`log`]).
//!
//! Invariant: no private key, no signature and no random number lives here; a plan says what to generate, somebody else does.

pub mod forecast;
pub mod log;
pub mod plan;
pub mod policy;
pub mod ring;
pub mod thumbprint;
pub mod verifier;
