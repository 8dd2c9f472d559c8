//! `/admin/v1/tenants/{slug}/keys`: what the ring holds, and asking for changes of it.

use actix_web::{HttpResponse, web};
use app::keys::{self, Rotation};
use app::ports::keys::{KeyChange, PublishedKeys};
use domain::keys::plan;
use domain::keys::policy::RotationNumbers;
use domain::keys::ring::{Alg, KeyEnd, Kid, RingKey};
use domain::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::tenants::Confirmation;
use crate::admission::AdminOf;
use crate::error::problem::Problem;
use crate::extract::address::Named;
use crate::extract::json::Json;
use crate::extract::origin::From;
use crate::state::ApiState;

fn key_view(key: &RingKey, now: Timestamp) -> Value {
    let (ended_at, reason) = match &key.end {
        None => (None, None),
        Some(KeyEnd::Retired { at }) => (Some(*at), None),
        Some(KeyEnd::Revoked { at, reason }) => (Some(*at), Some(reason.as_str())),
    };
    json!({
        "kid": key.kid, "alg": key.alg, "state": key.state_at(now), "published_at": key.published_at, "sign_from": key.sign_from,
        "sign_until": key.superseded.map(|s| s.sign_until), "published_until": key.superseded.map(|s| s.published_until),
        "ended_at": ended_at, "reason": reason,
    })
}

fn ring_view(keys: &PublishedKeys, now: Timestamp) -> Value {
    let mut sorted: Vec<_> = keys.ring.keys.iter().collect();
    sorted.sort_by(|a, b| b.sign_from.cmp(&a.sign_from).then_with(|| a.kid.cmp(&b.kid)));
    json!({
        "generation": keys.ring.generation,
        "signing_kid": keys.ring.signer_at(now).map(|key| &key.kid),
        "keys": sorted.into_iter().map(|key| key_view(key, now)).collect::<Vec<_>>(),
        "jwks_max_age_seconds": keys.max_age(now),
        "token_secrets": keys.ring.token_secrets,
        "next_planned_change_at": keys.next_change,
        // A key that is staged now signs from here at the earliest; and by the policy's lead from there.
        "earliest_sign_from": plan::known_from(&keys.ring, &keys.policy, now),
        "planned_sign_from": plan::successor_signs_from(&keys.ring, &keys.policy, now),
        "policy": keys.policy.numbers(),
    })
}

fn change_view(change: &KeyChange, now: Timestamp) -> Value {
    let mut body = ring_view(&change.keys, now);
    if let (Some(members), Some(consequences)) = (body.as_object_mut(), &change.consequences) {
        members.insert("breaks".to_owned(), json!(consequences));
    }
    body
}

pub(crate) async fn get(state: web::Data<ApiState>, AdminOf { tenant, .. }: AdminOf) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(ring_view(&*keys::look(&state.ctx, tenant.id).await?, state.ctx.now())))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateForm {
    /// Only these algorithms; all of the policy's when left out.
    algs: Option<Vec<Alg>>,
    /// When the successors are to sign; after the policy's lead when left out.
    sign_from: Option<Timestamp>,
    /// Replace and revoke everything at once.
    #[serde(default)]
    emergency: bool,
    reason: Option<String>,
}

fn reason(text: Option<String>) -> Result<String, Problem> {
    let text = text.unwrap_or_else(|| "no reason given".to_owned());
    if text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err(Problem::bad_request("reason must be at most 200 characters on one line"));
    }
    Ok(text)
}

pub(crate) async fn rotate(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    form: Json<RotateForm>,
) -> Result<HttpResponse, Problem> {
    let form = form.0;
    let rotation = if form.emergency {
        if form.algs.is_some() || form.sign_from.is_some() {
            return Err(Problem::bad_request("An emergency replaces every key at once: leave out algs and sign_from."));
        }
        Rotation::Emergency { reason: reason(form.reason)? }
    } else {
        if form.algs.as_ref().is_some_and(Vec::is_empty) {
            return Err(Problem::bad_request("algs must name at least one algorithm, or be left out for all."));
        }
        Rotation::Planned { algs: form.algs, sign_from: form.sign_from }
    };
    let change = keys::rotate(&state.ctx, tenant.id, rotation, &admin, &from.0).await?;
    Ok(HttpResponse::Accepted().json(change_view(&change, state.ctx.now())))
}

pub(crate) async fn rotate_token_secret(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
) -> Result<HttpResponse, Problem> {
    let change = keys::rotate_token_secret(&state.ctx, &tenant, &admin, &from.0).await?;
    Ok(HttpResponse::Ok().json(change_view(&change, state.ctx.now())))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeForm {
    reason: Option<String>,
}

pub(crate) async fn revoke(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(kid): Named<Kid>,
    from: From,
    form: Json<RevokeForm>,
) -> Result<HttpResponse, Problem> {
    let change = keys::revoke(&state.ctx, tenant.id, kid, reason(form.0.reason)?, &admin, &from.0).await?;
    Ok(HttpResponse::Ok().json(change_view(&change, state.ctx.now())))
}

pub(crate) async fn policy(state: web::Data<ApiState>, AdminOf { tenant, .. }: AdminOf) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(keys::look(&state.ctx, tenant.id).await?.policy.numbers()))
}

pub(crate) async fn set_policy(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    query: web::Query<Confirmation>,
    form: Json<RotationNumbers>,
) -> Result<HttpResponse, Problem> {
    let (numbers, confirm) = (form.0, query.into_inner().confirm);
    let change = keys::change_policy(&state.ctx, &tenant, numbers, confirm.as_deref(), &admin, &from.0).await?;
    Ok(HttpResponse::Ok().json(change_view(&change, state.ctx.now())))
}
