//! Tokens: issuing ([`issue`]) for a code ([`redeem`]), a refresh token ([`refresh`], judged by [`judgement`]), a device ([`device`]), a
//! user's answer elsewhere ([`backchannel`]), with the answer to an authorization request ([`front_channel`]), a trusted issuer's word ([`jwt_bearer`]), another token ([`exchange`]) or a client itself
//! ([`client_credentials`]); ending ([`revoke`]), explaining ([`introspect`]). What tokens are for says [`target`].

pub mod backchannel;
pub mod client_credentials;
pub mod device;
pub mod exchange;
pub(crate) mod front_channel;
pub mod introspect;
pub mod issue;
pub mod judgement;
pub mod jwt_bearer;
mod open;
pub mod redeem;
pub mod refresh;
pub mod revoke;
pub(crate) mod target;
