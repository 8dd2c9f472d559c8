//! `GET {issuer}/.well-known/jwks.json`: ready bytes, an entity tag, and a max-age that the ring can stand behind.

use actix_web::http::Method;
use actix_web::http::header::{self, CACHE_CONTROL, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use app::tenants;
use app::verifiers::FetchedBy;
use domain::keys::verifier::{Fetch, VerifierLabel};

use crate::error::problem::Problem;
use crate::extract::origin;
use crate::proxies::Proxy;
use crate::state::ApiState;

/// The header, or the parameter of the same meaning for whoever can only set an address, by which a verifier says who it is.
const VERIFIER: HeaderName = HeaderName::from_static("claviger-verifier");

/// Whom a fetch is counted for. What is no label is passed over.
fn fetched_by<'a>(request: &'a HttpRequest, trusted_proxies: &[Proxy]) -> FetchedBy<'a> {
    let header = request.headers().get(VERIFIER).and_then(|value| value.to_str().ok());
    let parameter = || request.query_string().split('&').find_map(|pair| pair.strip_prefix("verifier="));
    match header.or_else(parameter).filter(|label| VerifierLabel::fits(label)) {
        Some(label) => FetchedBy::Label(label),
        None => FetchedBy::Client {
            user_agent: request.headers().get(header::USER_AGENT).map_or(&[], HeaderValue::as_bytes),
            address: origin::source(request, trusted_proxies),
        },
    }
}

/// Whether an `If-None-Match` lists this tag, strong or weak, or says "whatever there is" (RFC 9110, 13.1.2).
pub(crate) fn is_known(if_none_match: &str, etag: &str) -> bool {
    let mut tags = if_none_match.split(',').map(str::trim);
    tags.any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag || tag == "*")
}

pub(crate) async fn get(state: web::Data<ApiState>, slug: web::Path<String>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    // A suspended tenant's keys stay published: running tokens still verify.
    let (tenant, keys) = tenants::published(&state.ctx, &slug).await?;
    let now = state.ctx.now();
    let max_age = keys.max_age(now);
    if request.method() == Method::GET {
        let fetch = Fetch { at: now, generation: keys.ring.generation, max_age };
        state.ctx.verifiers.count(tenant, fetched_by(&request, &state.settings.trusted_proxies), fetch);
    }
    let cache = format!("public, max-age={}, must-revalidate", max_age.as_seconds());
    let is_known =
        request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).is_some_and(|value| is_known(value, &keys.etag));
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((CACHE_CONTROL, cache)).insert_header((ETAG, keys.etag.clone()));
    if is_known {
        return Ok(response.finish());
    }
    Ok(response.content_type("application/jwk-set+json").body(web::Bytes::copy_from_slice(&keys.jwks)))
}

/// `GET /.well-known/installation-jwks.json`: what certificates of deletion are verified with, also by whoever stored it long ago.
pub(crate) async fn installation(state: web::Data<ApiState>) -> Result<HttpResponse, Problem> {
    let notary = state.ctx.keys.notary().await.map_err(app::fault::Fault::from)?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=3600"))
        .content_type("application/jwk-set+json")
        .body(web::Bytes::copy_from_slice(&notary.jwks())))
}
