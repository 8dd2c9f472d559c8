//! The schema, step by step. Each step is one file, is never changed after a release (`released.txt`), and runs in one transaction.
//!
//! Enter at [`steps`] for what there is, at [`take`] to bring a database up to date, at [`fit`] to ask whether it is.
//!
//! Invariant: a step works on SQLite and on PostgreSQL, and never needs data to be gone.

mod m20261124_000001_first_schema;
mod m20261124_000002_batches;
mod m20261124_000003_ring_claims;
mod m20261124_000004_audit_retention;
mod m20261124_000010_custody;
mod m20261124_000020_verifiers;
mod m20261124_000030_key_log;
mod m20261124_000040_tenant_search;
mod m20261124_000050_openid;
mod m20261124_000060_branding;
mod m20261124_000070_once_and_logouts;
mod m20261124_000120_registration;
mod m20261124_000130_session_devices;
mod m20261124_000131_mail;
mod m20261124_000140_device_codes;
mod m20261124_000210_client_origins;
mod m20261124_000270_resources;
mod m20261124_000280_password_change;
mod m20261124_000410_trusted_issuers;
mod m20261124_000420_backchannel;
mod m20261124_000470_authorization_details;

mod step;

pub use step::{Fit, Kind, Step, fit, level, lowest, take};

/// All steps, oldest first. A new one comes at the end, as [`Step::expand`] or [`Step::contract`]; `docs/src/upgrades.md` says which.
pub fn steps() -> Vec<Step> {
    vec![
        Step::baseline(m20261124_000001_first_schema::Migration),
        Step::baseline(m20261124_000002_batches::Migration),
        Step::baseline(m20261124_000003_ring_claims::Migration),
        Step::baseline(m20261124_000004_audit_retention::Migration),
        Step::baseline(m20261124_000010_custody::Migration),
        Step::baseline(m20261124_000020_verifiers::Migration),
        Step::baseline(m20261124_000030_key_log::Migration),
        Step::baseline(m20261124_000040_tenant_search::Migration),
        Step::baseline(m20261124_000050_openid::Migration),
        Step::baseline(m20261124_000060_branding::Migration),
        Step::baseline(m20261124_000070_once_and_logouts::Migration),
        Step::baseline(m20261124_000120_registration::Migration),
        Step::baseline(m20261124_000130_session_devices::Migration),
        Step::baseline(m20261124_000131_mail::Migration),
        Step::baseline(m20261124_000140_device_codes::Migration),
        Step::baseline(m20261124_000210_client_origins::Migration),
        Step::baseline(m20261124_000270_resources::Migration),
        Step::baseline(m20261124_000280_password_change::Migration),
        Step::baseline(m20261124_000410_trusted_issuers::Migration),
        Step::baseline(m20261124_000420_backchannel::Migration),
        Step::baseline(m20261124_000470_authorization_details::Migration),
    ]
}
