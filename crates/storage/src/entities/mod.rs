//! The tables as SeaORM sees them, one file each: plain columns, no relations, no meaning.
//!
//! Invariant: no entity has the column of password hashes, so that none is read, copied or shown by accident.
#![allow(unreachable_pub, missing_debug_implementations, reason = "SeaORM's macros write `pub` items, some of them without Debug")]

pub(crate) mod audit_events;
pub(crate) mod authorization_codes;
pub(crate) mod authorization_requests;
pub(crate) mod backchannel_pings;
pub(crate) mod backchannel_requests;
pub(crate) mod client_origins;
pub(crate) mod clients;
pub(crate) mod consents;
pub(crate) mod data_keys;
pub(crate) mod deletion_certificates;
pub(crate) mod device_codes;
pub(crate) mod guess_counters;
pub(crate) mod initial_access_tokens;
pub(crate) mod installation_secrets;
pub(crate) mod jwks_verifiers;
pub(crate) mod key_log_entries;
pub(crate) mod key_log_hashes;
pub(crate) mod key_logs;
pub(crate) mod key_rings;
pub(crate) mod known_sources;
pub(crate) mod logout_notices;
pub(crate) mod mail_links;
pub(crate) mod mails;
pub(crate) mod refresh_families;
pub(crate) mod resources;
pub(crate) mod sealed_secrets;
pub(crate) mod sso_sessions;
pub(crate) mod tenant_branding;
pub(crate) mod tenants;
pub(crate) mod trusted_issuers;
pub(crate) mod used_kids;
pub(crate) mod users;
