//! Proofs of possession as they come over HTTP (RFC 9449, 4.1).
//!
//! Whether one is good says [`app::dpop`].

use actix_web::HttpRequest;
use app::ctx::Ctx;
use app::dpop::{ShownProof, prove};
use domain::client::Client;
use domain::keys::thumbprint::Thumbprint;
use domain::tenant::Tenant;

use crate::error::oauth::OAuthError;
use crate::site;

/// What a request shows; perhaps nothing.
pub(crate) fn shown(ctx: &Ctx, request: &HttpRequest) -> ShownProof {
    // What is no text is no proof.
    let texts = request.headers().get_all("dpop").map(|value| value.to_str().unwrap_or_default().to_owned()).collect();
    ShownProof { texts, method: request.method().to_string(), uri: site::url(ctx, request) }
}

/// The key that a client proves with its own request, if it does.
///
/// # Errors
/// When what it shows proves nothing.
pub(crate) async fn proved(ctx: &Ctx, tenant: &Tenant, client: &Client, request: &HttpRequest) -> Result<Option<Thumbprint>, OAuthError> {
    let shown = shown(ctx, request);
    if shown.texts.is_empty() {
        return Ok(None);
    }
    prove(ctx, tenant, &client.settings, &shown, None).await.map(Some).map_err(OAuthError::of_proof)
}
