//! What tokens are for, as the store knows it now: an API that was deleted or taken from a client gets no more tokens.

use domain::client::Client;
use domain::details::{AuthorizationDetails, DetailsRefused};
use domain::resource::{self, Resource, ResourceSet, Target, TargetRefused};

use crate::ports::store::{StoreError, TenantTx};

/// The APIs that this client may have tokens for. For a client that has none, nothing is asked.
pub(crate) async fn apis_of(tx: &mut dyn TenantTx, client: &Client) -> Result<Vec<Resource>, StoreError> {
    known(tx, &client.settings.resources).await
}

/// What of granted details a token for `target` says: `wanted` of them, or all that are about it where nothing is named.
///
/// # Errors
/// When something is named that was not granted, or that is not about it.
pub(crate) fn details_of(
    target: &Target,
    client: &Client,
    granted: &AuthorizationDetails,
    wanted: Option<AuthorizationDetails>,
) -> Result<AuthorizationDetails, DetailsRefused> {
    let is_named = wanted.is_some();
    let details = granted.narrowed(wanted)?;
    let about = target.details(&details, client.settings.authorization_details_types.as_ref());
    if is_named && about != details { Err(DetailsRefused::NotGranted) } else { Ok(about) }
}

async fn known(tx: &mut dyn TenantTx, named: &ResourceSet) -> Result<Vec<Resource>, StoreError> {
    if named.is_empty() { Ok(Vec::new()) } else { tx.resources_named(named).await }
}

/// What tokens are for that a client wants of a grant for `granted`: for `wanted` of it, or for all of it that still is there where
/// nothing is named.
pub(crate) async fn of_grant(
    tx: &mut dyn TenantTx,
    client: &Client,
    issuer: &str,
    granted: &ResourceSet,
    wanted: ResourceSet,
) -> Result<Result<Target, TargetRefused>, StoreError> {
    let names_nothing = wanted.is_empty();
    let mut set = match resource::narrowed(granted, wanted, issuer) {
        Ok(set) if set.is_empty() => return Ok(Ok(Target::usual())),
        Ok(set) => set,
        Err(refused) => return Ok(Err(refused)),
    };
    let known = known(tx, &granted.intersection(&client.settings.resources).cloned().collect()).await?;
    if names_nothing {
        set.retain(|uri| uri.as_str() == issuer || known.iter().any(|api| api.identifier == *uri));
        if set.is_empty() {
            return Ok(Err(TargetRefused::NotThere));
        }
    }
    Ok(Target::of(&set, known, issuer).and_then(|target| target.signed_among(client.settings.signing_algs())))
}
