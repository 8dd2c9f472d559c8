//! `{issuer}/.well-known/key-log/…`: the public log of the tenant's keys, as C2SP tlog-tiles lays it out, and proofs as JSON.
//!
//! Invariant: what may be cached for long never changes; what changes must be asked for anew.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use app::ports::store::LogTip;
use app::{key_log, tenants};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::ids::TenantId;
use serde::Deserialize;
use serde_json::json;

use crate::error::problem::Problem;
use crate::state::ApiState;

/// For the head of the log, which moves.
const FRESH: &str = "no-cache";
/// For tiles and entries: a week, because a tenant's address may be given to another tenant one day.
const FOR_LONG: &str = "public, max-age=604800, immutable";
const TEXT: &str = "text/plain; charset=utf-8";

async fn tenant(state: &ApiState, slug: &str) -> Result<TenantId, Problem> {
    // A suspended tenant's log stays public, like its keys.
    Ok(tenants::resolve(&state.ctx, slug).await?.id)
}

fn answer(cache: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, cache));
    response
}

async fn tip_text(state: &ApiState, slug: &str, text: fn(LogTip) -> String) -> Result<HttpResponse, Problem> {
    let tip = key_log::tip(&state.ctx, tenant(state, slug).await?).await?;
    Ok(answer(FRESH).insert_header((CONTENT_TYPE, TEXT)).body(text(tip)))
}

pub(crate) async fn checkpoint(state: web::Data<ApiState>, slug: web::Path<String>) -> Result<HttpResponse, Problem> {
    tip_text(&state, &slug, |tip| tip.checkpoint).await
}

pub(crate) async fn vkey(state: web::Data<ApiState>, slug: web::Path<String>) -> Result<HttpResponse, Problem> {
    tip_text(&state, &slug, |tip| format!("{}\n", tip.vkey)).await
}

/// Tiles of hashes and bundles of entries, whatever the depth of their address.
pub(crate) async fn tile(state: web::Data<ApiState>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let tenant = tenant(&state, request.match_info().query("slug")).await?;
    let address = request.path().split_once("/key-log/tile/").map_or("", |(_, address)| address);
    let bytes = key_log::tile(&state.ctx, tenant, address).await?;
    Ok(answer(FOR_LONG).insert_header((CONTENT_TYPE, "application/octet-stream")).body(bytes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inclusion {
    index: u64,
    size: u64,
}

pub(crate) async fn inclusion(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    asked: web::Query<Inclusion>,
) -> Result<HttpResponse, Problem> {
    let Inclusion { index, size } = *asked;
    let (leaf, proof) = key_log::inclusion(&state.ctx, tenant(&state, &slug).await?, index, size).await?;
    let hashes: Vec<_> = proof.iter().map(|hash| STANDARD.encode(hash)).collect();
    Ok(answer(FOR_LONG).json(json!({ "index": index, "size": size, "leaf_hash": STANDARD.encode(leaf), "hashes": hashes })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consistency {
    from: u64,
    to: u64,
}

pub(crate) async fn consistency(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    asked: web::Query<Consistency>,
) -> Result<HttpResponse, Problem> {
    let Consistency { from, to } = *asked;
    let proof = key_log::consistency(&state.ctx, tenant(&state, &slug).await?, from, to).await?;
    let hashes: Vec<_> = proof.iter().map(|hash| STANDARD.encode(hash)).collect();
    Ok(answer(FOR_LONG).json(json!({ "from": from, "to": to, "hashes": hashes })))
}
