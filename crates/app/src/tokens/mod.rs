//! Tokens: issuing ([`issue`]) for a code ([`redeem`]), a refresh token ([`refresh`], judged by [`judgement`]), a device ([`device`]), another
//! token ([`exchange`]) or a client itself ([`client_credentials`]); ending ([`revoke`]), explaining ([`introspect`]). What tokens are for says [`target`].

pub mod client_credentials;
pub mod device;
pub mod exchange;
pub mod introspect;
pub mod issue;
pub mod judgement;
mod open;
pub mod redeem;
pub mod refresh;
pub mod revoke;
pub(crate) mod target;
