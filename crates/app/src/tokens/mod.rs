//! Tokens: issuing ([`issue`]) for a code ([`redeem`]), a refresh token ([`refresh`], judged by [`judgement`]) or a client itself
//! ([`client_credentials`]); ending ([`revoke`]), explaining ([`introspect`]).

pub mod client_credentials;
pub mod introspect;
pub mod issue;
pub mod judgement;
pub mod redeem;
pub mod refresh;
pub mod revoke;
