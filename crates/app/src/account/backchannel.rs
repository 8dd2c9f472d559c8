//! What clients ask a user for behind their back (OpenID CIBA Core 1.0), as the account shows it, and the user's answer ([`decide`]).
//!
//! Invariant: nobody answers but the user who is asked, logged in, with a form of ours, once.

use domain::audit::{Actor, AuditEvent};
use domain::backchannel::BackchannelPing;
use domain::client::ClientId;
use domain::device::DeviceAnswer;
use domain::ids::{BackchannelRequestId, UserId};
use domain::openid::ClaimsRequest;
use domain::scope::Scope;
use domain::sso::SignOn;
use domain::tenant::Tenant;
use domain::time::Timestamp;

use super::{AccountDenied, Intent, Member, member};
use crate::authorize::{Browser, Decision};
use crate::ctx::{Ctx, Origin};
use crate::ports::store::{StoreError, TenantTx};
use crate::tokens::backchannel::asking;

/// A request that waits for its user, as they see it.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub id: BackchannelRequestId,
    pub client_id: ClientId,
    pub client: String,
    pub binding_message: Option<String>,
    /// The address that the client asked from.
    pub source: Option<String>,
    pub scope: Scope,
    pub asked_at: Timestamp,
}

/// What waits for this user, oldest first.
pub(super) async fn waiting(tx: &mut dyn TenantTx, user: UserId, now: Timestamp) -> Result<Vec<Waiting>, StoreError> {
    let mut all = Vec::new();
    for (_, request) in tx.backchannel_of(user).await? {
        if !request.grant.is_open(now) {
            continue;
        }
        if let Some(client) = asking(tx, &request.grant.client_id).await? {
            all.push(Waiting {
                id: request.id,
                client: client.shown_name(),
                client_id: client.id,
                binding_message: request.binding_message.map(String::from),
                source: request.grant.source,
                scope: request.grant.scope,
                asked_at: request.asked_at,
            });
        }
    }
    all.sort_by_key(|waiting| waiting.id);
    Ok(all)
}

/// Gives a client its user's answer. One that is not theirs, over, or answered already, is passed over.
///
/// # Errors
/// See [`AccountDenied`].
#[tracing::instrument(level = "debug", name = "app.decide_backchannel", skip_all)]
pub async fn decide(
    ctx: &Ctx,
    tenant: &Tenant,
    browser: &Browser,
    id: BackchannelRequestId,
    decision: Decision,
    token: &str,
    origin: &Origin,
) -> Result<(), AccountDenied> {
    let Member { mut tx, user, session, .. } = member(ctx, tenant, browser, Intent::Change(token)).await?;
    let now = ctx.now();
    let Some((code, _)) = tx.backchannel_of(user.id).await?.into_iter().find(|(_, request)| request.id == id) else { return Ok(()) };
    // Once more, and locked: another form may have answered.
    let found = tx.backchannel_by_code(&code).await?.filter(|request| request.grant.is_open(now));
    let Some(mut request) = found else { return Ok(()) };
    let client_id = request.grant.client_id.clone();
    if asking(tx.as_mut(), &client_id).await?.is_none() {
        return Ok(());
    }
    let user_id = user.id;
    let (answer, event) = match decision {
        Decision::Deny => (DeviceAnswer::Denied, AuditEvent::BackchannelDenied { user_id, client_id }),
        Decision::Allow => {
            if let Some(idle_expires_at) = session.touched(now) {
                tx.sso_touch(&session.handle, idle_expires_at).await?;
            }
            let sign_on = SignOn::of(&session, ClaimsRequest::default());
            (DeviceAnswer::Allowed { user_id, sign_on }, AuditEvent::BackchannelAllowed { user_id, client_id })
        }
    };
    request.grant.answer = answer;
    if let Some(sealed) = request.ping.take() {
        let (client_id, expires_at) = (request.grant.client_id.clone(), request.grant.expires_at);
        tx.backchannel_ping_insert(&BackchannelPing { id, client_id, sealed, expires_at }).await?;
    }
    tx.backchannel_update(&code, &request).await?;
    tx.audit_append(&ctx.record(tenant.id, Actor::User { user_id }, origin, event)).await?;
    Ok(tx.commit().await?)
}
