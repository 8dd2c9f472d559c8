//! Tokens: issuing ([`issue`]), refreshing ([`refresh`], judged by [`judgement`]), ending ([`revoke`]), explaining ([`introspect`]).

pub mod introspect;
pub mod issue;
pub mod judgement;
pub mod refresh;
pub mod revoke;
