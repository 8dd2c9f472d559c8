//! The whole server, driven through HTTP by personas: one file per flow, the stage in [`world`].
//!
//! Invariant: every test has a server, a database and a clock of its own; nothing of ours is replaced by a stand-in but the clock.

mod account;
mod bad_input;
mod branding;
mod browser;
mod budgets;
mod client_keys;
mod clients;
mod cookie;
mod description;
mod device;
mod dpop;
mod fapi;
mod foreign_parties;
mod foreign_verifiers;
mod foresight;
mod junk;
mod key_log;
mod keys;
mod limits;
mod live_pages;
mod login_limits;
mod logouts;
mod mail;
mod main_job;
mod message_signing;
mod metrics;
mod oidc;
mod pairwise;
mod par;
mod registration;
mod relay;
mod relying_party;
mod request_objects;
mod rights;
mod search;
mod signed_answers;
mod tenant_life;
mod token_secret;
mod two_nodes;
mod upkeep;
mod verifiers;
mod world;
