//! `/admin/v1/tenants/{slug}/clients` and the secrets under them.

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpResponse, web};
use app::clients::{self, ShownSecret, stranded};
use domain::client::metadata::ClientMetadata;
use domain::client::{Client, ClientId, ClientKeys, ClientSecret, ClientStatus};
use domain::ids::{ClientSecretId, RegisteredClientId};
use domain::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admission::AdminOf;
use crate::error::problem::Problem;
use crate::extract::address::Named;
use crate::extract::json::{Json, OptionalJson};
use crate::extract::origin::From;
use crate::extract::page::{Page, PageQuery};
use crate::state::ApiState;

fn secret_view(secret: &ClientSecret) -> Value {
    json!({ "id": secret.id, "created_at": secret.created_at, "expires_at": secret.expires_at })
}

fn view(client: &Client) -> Value {
    let settings = &client.settings;
    let (status, disabled_at) = match client.status {
        ClientStatus::Active => ("active", None),
        ClientStatus::Disabled { at } => ("disabled", Some(at)),
    };
    let (jwks, jwks_uri) = match &settings.keys {
        None => (None, None),
        Some(ClientKeys::Jwks(jwks)) => (Some(jwks), None),
        Some(ClientKeys::JwksUri(uri)) => (None, Some(uri)),
    };
    let mut view = json!({
        "client_id": client.id, "kind": settings.kind(), "status": status, "disabled_at": disabled_at,
        "created_at": client.created_at, "updated_at": client.updated_at,
        "secrets": client.secrets.iter().map(secret_view).collect::<Vec<_>>(), "jwks": jwks, "jwks_uri": jwks_uri,
    });
    // The rest has the names of the wire.
    if let (Some(view), Ok(Value::Object(settings))) = (view.as_object_mut(), serde_json::to_value(settings)) {
        view.extend(settings.into_iter().filter(|(name, _)| name != "keys"));
    }
    view
}

/// With the secret in clear: the only time that it is shown.
fn shown(shown: &ShownSecret) -> Value {
    let mut view = secret_view(&shown.secret);
    view["client_secret"] = json!(shown.text.expose());
    view
}

fn id_of(id: RegisteredClientId) -> Result<ClientId, Problem> {
    ClientId::try_from(id.to_string()).map_err(|_| Problem::not_found())
}

pub(crate) async fn create(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    form: Json<ClientMetadata>,
) -> Result<HttpResponse, Problem> {
    let (client, secret) = clients::create(&state.ctx, &tenant, form.0, admin.actor(), &from.0).await?;
    let mut view = view(&client);
    view["client_secret"] = json!(secret.as_ref().map(|secret| secret.text.expose()));
    let location = format!("/admin/v1/tenants/{}/clients/{}", tenant.slug, client.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).insert_header((CACHE_CONTROL, "no-store")).json(view))
}

pub(crate) async fn list(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let (limit, after) = (query.limit()?, query.after::<ClientId>()?);
    let rows = clients::list(&state.ctx, &tenant, after.as_ref(), limit).await?;
    Ok(HttpResponse::Ok().json(Page::new(rows, limit, |client| client.id.to_string(), |client| view(&client))))
}

pub(crate) async fn get(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    Named(id): Named<RegisteredClientId>,
) -> Result<HttpResponse, Problem> {
    let client = clients::get(&state.ctx, &tenant, &id_of(id)?).await?;
    let lacks = stranded::lacking(&state.ctx, &tenant, &client).await?;
    let mut view = view(&client);
    view["warnings"] = lacks.into_iter().map(|lack| json!({ "member": lack.member(), "detail": lack.to_string() })).collect();
    Ok(HttpResponse::Ok().json(view))
}

pub(crate) async fn replace(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<RegisteredClientId>,
    from: From,
    form: Json<ClientMetadata>,
) -> Result<HttpResponse, Problem> {
    let client = clients::replace(&state.ctx, &tenant, &id_of(id)?, form.0, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(view(&client)))
}

pub(crate) async fn disable(
    state: web::Data<ApiState>,
    by: AdminOf,
    Named(id): Named<RegisteredClientId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    set_active(&state, by, id, &from, false).await
}

pub(crate) async fn enable(
    state: web::Data<ApiState>,
    by: AdminOf,
    Named(id): Named<RegisteredClientId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    set_active(&state, by, id, &from, true).await
}

async fn set_active(
    state: &ApiState,
    AdminOf { admin, tenant }: AdminOf,
    id: RegisteredClientId,
    from: &From,
    is_active: bool,
) -> Result<HttpResponse, Problem> {
    let client = clients::set_active(&state.ctx, &tenant, &id_of(id)?, is_active, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(view(&client)))
}

pub(crate) async fn delete(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<RegisteredClientId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    clients::delete(&state.ctx, &tenant, &id_of(id)?, admin.actor(), &from.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretForm {
    expires_at: Option<Timestamp>,
}

pub(crate) async fn add_secret(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<RegisteredClientId>,
    from: From,
    form: OptionalJson<SecretForm>,
) -> Result<HttpResponse, Problem> {
    let expires_at = form.0.unwrap_or_default().expires_at;
    let id = id_of(id)?;
    let secret = clients::add_secret(&state.ctx, &tenant, &id, expires_at, admin.actor(), &from.0).await?;
    let location = format!("/admin/v1/tenants/{}/clients/{id}/secrets/{}", tenant.slug, secret.secret.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).insert_header((CACHE_CONTROL, "no-store")).json(shown(&secret)))
}

pub(crate) async fn remove_secret(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<RegisteredClientId>,
    Named(secret): Named<ClientSecretId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    clients::remove_secret(&state.ctx, &tenant, &id_of(id)?, secret, admin.actor(), &from.0).await?;
    Ok(HttpResponse::NoContent().finish())
}
