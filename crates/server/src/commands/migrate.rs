//! `claviger migrate`: the schema, and nothing else.
//!
//! Invariant: running it twice, or on several nodes at once, is harmless.

use super::{Failed, say};
use crate::settings::Settings;
use crate::wire::{self, Upgrade};

pub(super) async fn run(settings: &Settings) -> Result<(), Failed> {
    let db = wire::open_or_make(settings, Upgrade::ByHand).await?;
    db.close().await?;
    say(format_args!("{} is up to date", settings.database.shown()))
}
