//! Request objects (RFC 9101): what a client has signed is opened with its keys, and is the request.

use domain::authorize::request_object::Conveyance;
use domain::authorize::rules::Parameters;
use domain::authorize::{AuthorizeError, Refusal, request_object};
use domain::client::Client;
use domain::tenant::Tenant;

use crate::clients::key_sets::open_signed;
use crate::ctx::Ctx;

/// The parameters of the request that `client` has signed. No transaction is held: its keys may be fetched.
///
/// # Errors
/// When it is none of this client, for us, now.
pub(super) async fn opened(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    object: &str,
    conveyance: Conveyance,
) -> Result<Parameters, Refusal> {
    if client.settings.keys.is_none() {
        let description = "this client has no keys to sign request objects with";
        return Err(Refusal { error: AuthorizeError::RequestNotSupported, description });
    }
    if object.split('.').count() == 5 {
        return Err(request_object::refusal(
            "encrypted request objects are not read here: sign it, and push it where nobody else is to see it",
        ));
    }
    let named = client.settings.request_object_signing_alg;
    let algs = named.as_ref().map_or_else(|| client.settings.signing_algs(), std::slice::from_ref);
    let opened = open_signed(ctx, tenant.id, client, object, algs).await;
    let opened = opened.map_err(|_| request_object::refusal("the client has not signed the request object"))?;
    if opened.typ.is_some_and(|typ| !request_object::TYPES.contains(&typ.to_ascii_lowercase().as_str())) {
        return Err(request_object::refusal("typ in the request object is that of another token"));
    }
    request_object::parameters(&opened.claims, client, conveyance, &tenant.issuer(&ctx.base_url), ctx.now())
}
