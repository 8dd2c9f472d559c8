//! Tells clients of logouts (OpenID Connect Back-Channel Logout 1.0): what [`crate::authorize::sign_out`] has written down, after its commit.
//!
//! Invariant: at least once. A notice goes when the client has taken note of it or is no client any more; else somebody tries again.

use domain::answer::SignedAnswer;
use domain::ids::{EventId, FamilyId, TenantId};
use domain::openid::LogoutClaims;
use domain::tenant::Tenant;
use futures_util::future::join_all;

use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::keys::sign_answer;
use crate::ports::outbound::not_taken;
use crate::subjects::subject;

/// Clients that are told at a time.
const BATCH: u32 = 16;

/// Tells those whom it is time to tell, up to [`BATCH`] of them at once; answers how many there were. Other nodes do the same beside us.
///
/// # Errors
/// When the database is away. A client that does not answer is none.
pub async fn deliver(ctx: &Ctx) -> Result<usize, Fault> {
    let mut tx = ctx.store.begin_platform().await?;
    let due = tx.logout_notices_claim(BATCH).await?;
    if due.is_empty() {
        return Ok(0);
    }
    tx.commit().await?;
    let told = join_all(due.iter().map(|(tenant, family)| tell(ctx, *tenant, *family))).await;
    told.into_iter().collect::<Result<(), _>>()?;
    Ok(due.len())
}

/// Tells one client, and forgets the notice when that is done.
async fn tell(ctx: &Ctx, tenant_id: TenantId, family: FamilyId) -> Result<(), Fault> {
    let mut tx = ctx.store.begin_read(tenant_id).await?;
    let Some(notice) = tx.logout_notice(family).await? else { return Ok(()) };
    let now = ctx.now();
    if notice.expires_at <= now {
        return Ok(());
    }
    let tenant = tx.tenant().await?.filter(Tenant::is_active);
    let client = tx.client_by_id(&notice.client_id).await?;
    drop(tx);
    if let (Some(tenant), Some(client)) = (tenant, client)
        && let Some(uri) = &client.settings.backchannel_logout_uri
    {
        let subject = subject(ctx, tenant_id, &client, notice.user_id).await?;
        let jti = EventId::new(now, ctx.id_entropy()).to_string();
        let client_id = notice.client_id;
        let claims = LogoutClaims::new(tenant.issuer(&ctx.base_url), subject, client_id.clone(), family, jti, now);
        let why = match sign_answer(ctx, tenant_id, &client, SignedAnswer::Logout, claims.into()).await {
            Ok(token) => not_taken(ctx.outbound.post_form(uri, &[("logout_token", &token)]).await),
            // Its administrator may mend that within the day; the others are told meanwhile.
            Err(Fault::NoAlgorithm(why)) => Some(why),
            Err(fault) => return Err(fault),
        };
        if let Some(why) = why {
            tracing::warn!(tenant = %tenant.slug, %client_id, why, "a client was not told of a logout; it is tried again");
            return Ok(());
        }
    }
    let mut tx = ctx.store.begin(tenant_id).await?;
    tx.logout_notice_delete(family).await?;
    Ok(tx.commit().await?)
}
