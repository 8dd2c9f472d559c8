//! The client credentials grant (RFC 6749, 4.4): a token for the client itself. No session, no refresh token, nothing stored.

use domain::client::Client;
use domain::keys::thumbprint::Thumbprint;
use domain::scope::Scope;
use domain::tenant::Tenant;
use domain::token::claims::Confirmation;

use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::keys::signer_for;
use crate::tokens::issue::{IssuedTokens, issue_to_client};

#[derive(Debug)]
pub enum ClientGrantDenied {
    /// More was asked for than the client has.
    InvalidScope,
    Fault(Fault),
}

/// A token with `scope`, or with all that the client has, for whoever proves the key `proved`.
///
/// # Errors
/// See [`ClientGrantDenied`].
#[tracing::instrument(name = "app.client_credentials", skip_all)]
pub async fn client_credentials(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    scope: Option<Scope>,
    proved: Option<Thumbprint>,
) -> Result<IssuedTokens, ClientGrantDenied> {
    // What speaks of a user is nothing a client has of itself.
    let own = client.settings.scope.clone().retain(|token| !Scope::OF_OPENID.contains(&token));
    let scope = scope.unwrap_or_else(|| own.clone());
    if !scope.is_within(&own) {
        return Err(ClientGrantDenied::InvalidScope);
    }
    let signer = signer_for(ctx, tenant.id, client, 0).await.map_err(ClientGrantDenied::Fault)?;
    issue_to_client(ctx, tenant, client, scope, proved.map(Confirmation::Dpop), signer.as_ref(), ctx.now())
        .map_err(ClientGrantDenied::Fault)
}
