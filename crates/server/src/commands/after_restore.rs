//! `claviger after-restore`: ends what a database that was set back to an older state would bring back to life.
//!
//! Invariant: everything of before the named moment, and nothing of after it, so that it may be run again with the same moment.

use std::sync::Arc;

use app::ports::store::Store;
use app::ports::world::Clock;
use app::restored::{self, Ended};
use domain::text::Slug;
use domain::time::Timestamp;
use futures_util::{StreamExt, stream};
use storage::SqlStore;

use super::{Failed, say};
use crate::custody;
use crate::settings::Settings;
use crate::wire::{self, SystemClock};

/// Tenants of one page, and how many are worked on at a time: few enough that a running server's logins get between.
const PAGE: u32 = 100;
const AT_ONCE: usize = 4;

/// Ends what is from before `restored_at`, or from before now.
pub(super) async fn run(settings: &Settings, restored_at: Option<Timestamp>) -> Result<(), Failed> {
    let now = SystemClock.now();
    let restored_at = restored_at.unwrap_or(now);
    if restored_at > now {
        return Err(format!("{restored_at} is not over yet").into());
    }
    let store = SqlStore::new(wire::open_ready(settings).await?);
    say(format_args!(
        "ending what is from before {restored_at}; to go on after a failure: claviger after-restore --restored-at {restored_at}"
    ))?;
    let directory = wire::visit(settings, Arc::new(custody::open(settings).await?), Arc::new(store.clone()));
    let ctx = wire::visiting(settings, &store, &directory).await?;

    let (mut after, mut tenants, mut failed, mut sessions, mut rings): (Option<Slug>, u64, u64, u64, u64) = Default::default();
    loop {
        let page = store.begin_platform().await?.tenants_page(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.slug.clone());
        let mut done =
            stream::iter(&page).map(async |tenant| (tenant, restored::end(&ctx, tenant.id, restored_at).await)).buffer_unordered(AT_ONCE);
        while let Some((tenant, outcome)) = done.next().await {
            match outcome {
                Ok(Ended { sessions: of_tenant, are_keys_replaced, is_token_secret_replaced: _ }) => {
                    (tenants, sessions, rings) = (tenants + 1, sessions + of_tenant, rings + u64::from(are_keys_replaced));
                }
                Err(error) => {
                    failed += 1;
                    tracing::error!(tenant = %tenant.id, %error, "not ended");
                }
            }
        }
    }
    directory.shutdown().await;
    store.database().close().await?;
    say(format_args!("{tenants} tenants: {sessions} sessions were ended, the keys of {rings} tenants were replaced"))?;
    if failed == 0 { Ok(()) } else { Err(format!("{failed} tenants were not dealt with; the log names them. Run it again").into()) }
}
