//! What Claviger does: one file per use case, and the ports through which it reaches the world.
//!
//! Enter by the verb: [`login`], [`tokens::refresh`], [`tokens::revoke`], [`keys`], [`key_log`], [`tenants`], [`search`], [`import`],
//! [`users`], [`clients`], [`resources`] (APIs that tokens are for), [`claims`] (what tokens say of users), [`authorize`] (logins on our own pages), [`account`] (a user's own), [`recovery`] (forgotten passwords), [`mail`] (what users are told), [`userinfo`], [`sessions`], [`foresight`] (what would be if), [`verifiers`] (who fetches the keys), [`access`] (who may ask). Every use
//! case takes a [`ctx::Ctx`] and a command, and answers with its own enum of refusals.
//!
//! Invariant: no sockets, files or SQL here, and no status codes: a refusal names a fact, `api` gives it a number.

pub mod access;
pub mod account;
pub mod audit;
pub mod authorize;
pub mod branding;
pub mod budget;
pub mod claims;
pub mod clients;
pub mod credentials;
pub mod ctx;
pub mod domains;
pub mod dpop;
pub mod fair;
pub mod fault;
pub mod foresight;
pub mod hosts;
pub mod import;
pub mod key_log;
pub mod keys;
pub mod login;
pub mod logouts;
pub mod mail;
pub mod mtls;
pub mod pings;
pub mod ports;
pub mod recovery;
pub mod resources;
pub mod restored;
pub mod search;
pub mod sessions;
mod subjects;
pub mod tenants;
pub mod tokens;
pub mod trusted_issuers;
pub mod userinfo;
pub mod users;
pub mod verifiers;
pub mod warm;
