//! Pushed authorization requests (RFC 9126): a client hands its request over itself, and the browser brings a reference alone.
//!
//! A pushed request is a pending one that no browser has yet: the same row, under a handle of another kind. Invariant: it is used up by
//! its answer, not by being looked at, so a page may be loaded again until then; of many answers to it one is given.

use domain::authorize::rules::{Arrival, Parameters};
use domain::authorize::{AuthorizationRequest, AuthorizeError, Refusal, RequestRefused};
use domain::client::Client;
use domain::handle::{Handle, HandleKind};
use domain::interaction::Progress;
use domain::keys::thumbprint::Thumbprint;
use domain::tenant::Tenant;
use domain::time::Ttl;

use super::{AuthorizeDenied, PATIENCE, read};
use crate::ctx::Ctx;
use crate::ports::store::{PendingRequest, TenantTx};

/// How long after the push a browser may come with it: less than 600 s (FAPI 2.0 Security Profile, 5.3.2.2).
pub const TTL: Ttl = Ttl::seconds(90);

/// Keeps a request that `client` pushes, proving the key `proved` if it does; the text of the handle is its `request_uri`. One transaction.
///
/// # Errors
/// [`AuthorizeDenied::Refused`] when a rule refuses it; the client hears so at once.
///
/// Source: RFC 9126, 2.
#[tracing::instrument(level = "debug", name = "app.push", skip_all)]
pub async fn push(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    parameters: &Parameters,
    proved: Option<Thumbprint>,
) -> Result<Handle, AuthorizeDenied> {
    if parameters.get("request_uri").is_some() {
        let description = "request_uri has no place in a pushed request (RFC 9126, 2.1)";
        return Err(AuthorizeDenied::Refused(Refusal { error: AuthorizeError::InvalidRequest, description }));
    }
    let request = read(ctx, tenant, client, parameters, Arrival::Pushed, proved).await?.map_err(|refused| match refused {
        RequestRefused::OnPage(refusal) | RequestRefused::ToClient(_, refusal) => AuthorizeDenied::Refused(refusal),
    })?;
    let handle = ctx.handle(HandleKind::PushedRequest);
    let row = PendingRequest {
        handle: handle.hash(),
        // A name that no browser was given.
        browser: ctx.handle(HandleKind::Browser).hash(),
        request,
        progress: Progress::default(),
        // The row outlives each login that begins in time, so that its end can tell the first answer from a second one.
        expires_at: ctx.now().plus(TTL).plus(PATIENCE),
    };
    let mut tx = ctx.store.begin(tenant.id).await?;
    tx.tenant().await?.filter(Tenant::is_active).ok_or(AuthorizeDenied::TenantSuspended)?;
    tx.pending_insert(&row).await?;
    tx.commit().await?;
    Ok(handle)
}

/// The request that this client has pushed and that `request_uri` means, if its time is not over and nothing has answered it.
pub(super) async fn taken(
    ctx: &Ctx,
    tx: &mut dyn TenantTx,
    request_uri: &str,
    client: &Client,
) -> Result<AuthorizationRequest, AuthorizeDenied> {
    let row = match Handle::parse(HandleKind::PushedRequest, request_uri) {
        Some(handle) => tx.pending_by_handle(&handle.hash()).await?,
        None => None,
    };
    let in_time = row.filter(|row| ctx.now().plus(PATIENCE) < row.expires_at && row.request.client_id == client.id);
    let row = in_time.ok_or(AuthorizeDenied::Refused(Refusal {
        error: AuthorizeError::InvalidRequestUri,
        description: "request_uri is not one that this client has pushed, or it has expired or been answered",
    }))?;
    Ok(AuthorizationRequest { pushed: Some(row.handle), ..row.request })
}
