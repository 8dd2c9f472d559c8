//! What Claviger knows, with nothing of how it is run: values, state machines and decisions.
//!
//! Owns every rule that would still be true on paper: which refresh token may rotate ([`token::family`]), which key may
//! sign ([`keys`]), what a password must be ([`password`]), what may be written into a token ([`token::claims`]).
//! Enter through the noun you look for; each file holds one.
//!
//! Invariant: nothing here reads a clock, draws randomness, waits, or touches a socket, a file or a database. Time and
//! entropy come in as arguments, so every decision can be replayed by a test or a model.

pub mod answer;
pub mod audit;
pub mod authorize;
pub mod backchannel;
pub mod branding;
pub mod certificate;
pub mod claim_rules;
pub mod client;
pub mod consent;
pub mod details;
pub mod device;
pub mod document;
pub mod dpop;
pub mod encryption;
pub mod guess;
pub mod handle;
pub mod host;
pub mod ids;
pub mod interaction;
pub mod jwt;
pub mod keys;
pub mod language;
pub mod mail;
pub mod misread;
pub mod openid;
pub mod password;
pub mod pseudonym;
pub mod resource;
pub mod scope;
pub mod secret;
pub mod sso;
pub mod tenant;
pub mod text;
pub mod time;
pub mod token;
pub mod trusted_issuer;
pub mod user;
pub mod user_agent;
