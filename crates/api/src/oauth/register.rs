//! `POST {issuer}/oauth/register` (RFC 7591; OpenID Connect Registration 1.0), and `{issuer}/oauth/register/{client}`, where a client
//! looks at itself, changes itself and removes itself (RFC 7592).

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use actix_web::{HttpRequest, HttpResponse, web};
use app::clients::registration::{self, Registered};
use app::tenants;
use domain::client::ClientKeys;
use domain::tenant::Tenant;
use serde_json::{Map, Value, json};

use crate::admission::bearer_token;
use crate::error::oauth::OAuthError;
use crate::extract::json::Members;
use crate::extract::origin::From;
use crate::state::ApiState;

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    members: Members,
) -> Result<HttpResponse, OAuthError> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let registered = registration::register(&state.ctx, &tenant, bearer_token(&request), members.0, &from.0).await;
    let registered = registered.map_err(|denied| OAuthError::of_registration(denied, state.ctx.now()))?;
    Ok(shown(&state, &tenant, StatusCode::CREATED, &registered))
}

pub(crate) async fn get(
    state: web::Data<ApiState>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, OAuthError> {
    let (slug, id) = path.into_inner();
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let registered = registration::look(&state.ctx, &tenant, &id, bearer_token(&request)).await;
    let registered = registered.map_err(|denied| OAuthError::of_registration(denied, state.ctx.now()))?;
    Ok(shown(&state, &tenant, StatusCode::OK, &registered))
}

pub(crate) async fn put(
    state: web::Data<ApiState>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    from: From,
    members: Members,
) -> Result<HttpResponse, OAuthError> {
    let (slug, id) = path.into_inner();
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let token = bearer_token(&request);
    let registered = registration::replace(&state.ctx, &tenant, &id, token, members.0, &from.0).await;
    let registered = registered.map_err(|denied| OAuthError::of_registration(denied, state.ctx.now()))?;
    Ok(shown(&state, &tenant, StatusCode::OK, &registered))
}

pub(crate) async fn delete(
    state: web::Data<ApiState>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    from: From,
) -> Result<HttpResponse, OAuthError> {
    let (slug, id) = path.into_inner();
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let removed = registration::remove(&state.ctx, &tenant, &id, bearer_token(&request), &from.0).await;
    removed.map_err(|denied| OAuthError::of_registration(denied, state.ctx.now()))?;
    Ok(HttpResponse::NoContent().insert_header((CACHE_CONTROL, "no-store")).finish())
}

/// All that is registered, with the names of RFC 7591; what there is not is left out.
fn shown(state: &ApiState, tenant: &Tenant, status: StatusCode, registered: &Registered) -> HttpResponse {
    let Registered { client, secret, token } = registered;
    let address = format!("{}/oauth/register/{}", tenant.issuer(&state.ctx.base_url), client.id);
    let mut members = Map::from_iter([
        ("client_id".to_owned(), json!(client.id)),
        ("client_id_issued_at".to_owned(), json!(client.created_at.as_seconds())),
        ("registration_client_uri".to_owned(), json!(address)),
        ("registration_access_token".to_owned(), json!(token.expose())),
    ]);
    if let Ok(Value::Object(settings)) = serde_json::to_value(&client.settings) {
        let is_said = |value: &Value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty());
        members.extend(settings.into_iter().filter(|(name, value)| name != "keys" && is_said(value)));
    }
    match &client.settings.keys {
        Some(ClientKeys::Jwks(set)) => drop(members.insert("jwks".to_owned(), set.clone())),
        Some(ClientKeys::JwksUri(uri)) => drop(members.insert("jwks_uri".to_owned(), json!(uri))),
        None => {}
    }
    if let Some(secret) = secret {
        members.insert("client_secret".to_owned(), json!(secret.text.expose()));
        members.insert("client_secret_expires_at".to_owned(), json!(secret.secret.expires_at.map_or(0, |at| at.as_seconds())));
    }
    let mut response = HttpResponse::build(status);
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
    response.json(members)
}
