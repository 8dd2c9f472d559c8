//! The client credentials grant (RFC 6749, 4.4): a token for the client itself. No session, no refresh token, nothing stored.

use domain::client::Client;
use domain::resource::{self, ResourceSet, Target, TargetRefused};
use domain::scope::Scope;
use domain::tenant::Tenant;
use domain::token::claims::Confirmation;

use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::tokens::issue::{IssueToClient, IssuedTokens, issue_to_client};
use crate::tokens::target::apis_of;

#[derive(Debug)]
pub enum ClientGrantDenied {
    /// More was asked for than the client has.
    InvalidScope,
    InvalidTarget(TargetRefused),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for ClientGrantDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// A token for `wanted` with `scope`, or with all that the client has there, bound to what was proved.
///
/// # Errors
/// See [`ClientGrantDenied`].
#[tracing::instrument(level = "debug", name = "app.client_credentials", skip_all)]
pub async fn client_credentials(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    scope: Option<Scope>,
    wanted: ResourceSet,
    proved: Option<Confirmation>,
) -> Result<IssuedTokens, ClientGrantDenied> {
    // What speaks of a user is nothing a client has of itself.
    let own = client.settings.scope.clone().retain(|token| !Scope::OF_OPENID.contains(&token));
    if scope.as_ref().is_some_and(|scope| !scope.is_within(&own)) {
        return Err(ClientGrantDenied::InvalidScope);
    }
    let apis = match client.settings.resources.is_empty() {
        true => Vec::new(),
        false => apis_of(ctx.store.begin_read(tenant.id).await?.as_mut(), client).await?,
    };
    let issuer = tenant.issuer(&ctx.base_url);
    let asked = scope.clone().unwrap_or(own);
    let (set, left) = resource::aimed(wanted, asked, &apis, &issuer).map_err(ClientGrantDenied::InvalidTarget)?;
    // Nothing of what was asked for by name is left out in silence.
    if scope.is_some_and(|scope| scope != left) {
        return Err(ClientGrantDenied::InvalidScope);
    }
    let target = Target::of(&set, apis, &issuer).and_then(|target| target.signed_among(client.settings.signing_algs()));
    let target = target.map_err(ClientGrantDenied::InvalidTarget)?;
    let what = IssueToClient { tenant, client, scope: left, target, cnf: proved };
    Ok(issue_to_client(ctx, what).await?)
}
