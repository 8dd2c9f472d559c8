//! After the database was set back to an older state: what it has forgotten must not come back to life.
//!
//! An older state takes sessions for open that were ended since, and the tokens that were current then for current; it publishes
//! keys that were revoked since. Nobody can tell which, so all of it ends: whatever is from before the restore.
//!
//! Invariant: each step looks for what is left to do, so that this may be stopped anywhere and run again, beside running nodes.

use domain::audit::{Actor, AuditEvent};
use domain::ids::TenantId;
use domain::keys::plan::Intent;
use domain::time::Timestamp;
use domain::token::family::{Revocation, RevocationCause};

use crate::ctx::{Ctx, Origin};
use crate::ports::keys::{KeyCommand, KeyCommandError, KeyFault, OrderedBy};
use crate::ports::store::StoreError;

/// Families that one transaction ends.
const TOGETHER: u32 = 500;

/// What was ended for one tenant. All zero and false when nothing was left to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    pub sessions: u64,
    pub are_keys_replaced: bool,
    pub is_token_secret_replaced: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum NotEnded {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keys(#[from] KeyCommandError),
}

impl From<KeyFault> for NotEnded {
    fn from(fault: KeyFault) -> Self {
        Self::Keys(fault.into())
    }
}

/// Ends what one tenant has from before `restored_at`: its sessions are revoked, its signing keys revoked and replaced by new ones,
/// and its token secret replaced, the old one to be destroyed as soon as nothing of it can be alive.
///
/// # Errors
/// When the database is away or the tenant's secrets do not open; what was ended until then stays so.
#[tracing::instrument(level = "debug", name = "app.end_what_was_restored", skip_all)]
pub async fn end(ctx: &Ctx, tenant: TenantId, restored_at: Timestamp) -> Result<Ended, NotEnded> {
    let mut ended = Ended::default();
    loop {
        let mut tx = ctx.store.begin(tenant).await?;
        let revocation = Revocation { at: ctx.now(), cause: RevocationCause::DatabaseRestored };
        let sessions = tx.families_revoke_opened(restored_at, revocation, TOGETHER).await?;
        // Of these there are few beside the others: one lives a week.
        let with_pages = tx.sso_delete_begun(restored_at).await?;
        if sessions > 0 || with_pages > 0 {
            let event = AuditEvent::DatabaseRestored { sessions };
            tx.audit_append(&ctx.record(tenant, Actor::System, &Origin::default(), event)).await?;
            tx.commit().await?;
        }
        ended.sessions += sessions;
        if sessions < u64::from(TOGETHER) {
            break;
        }
    }
    let ring = ctx.keys.published(tenant).await?;
    let is_old = |at: Timestamp| at < restored_at;
    if ring.ring.keys.iter().any(|key| key.is_live() && is_old(key.published_at)) {
        order(ctx, tenant, Intent::Emergency { reason: "the database was restored".to_owned() }).await?;
        ended.are_keys_replaced = true;
    }
    if ring.ring.token_secrets.iter().all(|secret| is_old(secret.created_at)) {
        // Of sessions that were opened since; those of before have ended just now.
        let last_end = ctx.store.begin_read(tenant).await?.families_last_end().await?;
        let sessions_end_by = last_end.unwrap_or_else(|| ctx.now());
        order(ctx, tenant, Intent::RotateTokenSecret { sessions_end_by }).await?;
        ended.is_token_secret_replaced = true;
    }
    Ok(ended)
}

async fn order(ctx: &Ctx, tenant: TenantId, intent: Intent) -> Result<(), KeyCommandError> {
    let by = OrderedBy { actor: Actor::System, source: None, request_id: None };
    ctx.keys.execute(tenant, KeyCommand::Plan(intent), by).await.map(|_| ())
}
