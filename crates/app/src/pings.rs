//! Tells clients that their user has answered (OpenID CIBA Core 1.0, 10.2): what [`crate::account::backchannel`] has written down, after
//! its commit.
//!
//! Invariant: at least once, and only that there is an answer, not which. A client that is not told may ask all the same.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::{BackchannelRequestId, TenantId};
use domain::secret::Secret;
use domain::tenant::Tenant;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::ports::keys::{KeyFault, TokenSigner};
use crate::ports::outbound::not_taken;

/// Clients that are told at a time.
const BATCH: u32 = 16;

/// What a client is told, and with which token of its own.
#[derive(Serialize, Deserialize)]
struct Told {
    auth_req_id: String,
    token: String,
}

const USE: &str = "backchannel-ping";

/// Seals what a client will be told with.
pub(crate) fn sealed(signer: &dyn TokenSigner, auth_req_id: &Secret<String>, token: &Secret<String>) -> Result<String, KeyFault> {
    let told = Told { auth_req_id: auth_req_id.expose().clone(), token: token.expose().clone() };
    let plain = serde_json::to_vec(&told).map_err(|error| KeyFault::Sealed(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(signer.conceal(USE, &plain)?))
}

fn opened(signer: &dyn TokenSigner, sealed: &str) -> Option<Told> {
    let plain = signer.reveal(USE, &URL_SAFE_NO_PAD.decode(sealed).ok()?)?;
    serde_json::from_slice(plain.expose()).ok()
}

/// Tells those whom it is time to tell, up to [`BATCH`] of them at once; answers how many there were. Other nodes do the same beside us.
///
/// # Errors
/// When the database is away. A client that does not answer is none.
pub async fn deliver(ctx: &Ctx) -> Result<usize, Fault> {
    let mut tx = ctx.store.begin_platform().await?;
    let due = tx.backchannel_pings_claim(BATCH).await?;
    if due.is_empty() {
        return Ok(0);
    }
    tx.commit().await?;
    let told = join_all(due.iter().map(|(tenant, id)| tell(ctx, *tenant, *id))).await;
    told.into_iter().collect::<Result<(), _>>()?;
    Ok(due.len())
}

/// Tells one client, and forgets that when it is done.
async fn tell(ctx: &Ctx, tenant_id: TenantId, id: BackchannelRequestId) -> Result<(), Fault> {
    let mut tx = ctx.store.begin_read(tenant_id).await?;
    let Some(ping) = tx.backchannel_ping(id).await? else { return Ok(()) };
    if ping.expires_at <= ctx.now() {
        return Ok(());
    }
    let tenant = tx.tenant().await?.filter(Tenant::is_active);
    let client = tx.client_by_id(&ping.client_id).await?;
    drop(tx);
    if let (Some(tenant), Some(client)) = (tenant, client)
        && let Some(uri) = &client.settings.backchannel_client_notification_endpoint
        && let Some(told) = opened(ctx.keys.signer(tenant_id, 0).await?.as_ref(), &ping.sealed)
    {
        let body = serde_json::json!({ "auth_req_id": told.auth_req_id }).to_string();
        if let Some(why) = not_taken(ctx.outbound.post_json(uri, &Secret::new(told.token), body).await) {
            tracing::warn!(tenant = %tenant.slug, client_id = %ping.client_id, why, "a client was not told of an answer; it is tried again");
            return Ok(());
        }
    }
    let mut tx = ctx.store.begin(tenant_id).await?;
    tx.backchannel_ping_delete(id).await?;
    Ok(tx.commit().await?)
}
