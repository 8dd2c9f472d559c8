//! `/admin/v1/tenants/{slug}/trusted-issuers`: whose word about users the tenant's clients may exchange for tokens (RFC 7523).

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use app::trusted_issuers;
use domain::ids::TrustedIssuerId;
use domain::trusted_issuer::{TrustedIssuer, TrustedIssuerForm};
use serde_json::{Value, json};

use crate::admission::AdminOf;
use crate::error::problem::Problem;
use crate::extract::address::Named;
use crate::extract::json::Json;
use crate::extract::origin::From;
use crate::extract::page::{Page, PageQuery};
use crate::state::ApiState;

fn view(trusted: &TrustedIssuer) -> Value {
    let mut view = json!({
        "id": trusted.id, "issuer": trusted.issuer, "created_at": trusted.created_at, "updated_at": trusted.updated_at,
    });
    // The rest has the names of the wire.
    if let (Some(view), Ok(Value::Object(settings))) = (view.as_object_mut(), serde_json::to_value(&trusted.settings)) {
        view.extend(settings);
    }
    view
}

pub(crate) async fn create(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    form: Json<TrustedIssuerForm>,
) -> Result<HttpResponse, Problem> {
    let trusted = trusted_issuers::create(&state.ctx, &tenant, form.0, admin.actor(), &from.0).await?;
    let location = format!("/admin/v1/tenants/{}/trusted-issuers/{}", tenant.slug, trusted.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(view(&trusted)))
}

pub(crate) async fn list(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let (limit, after) = (query.limit()?, query.after::<TrustedIssuerId>()?);
    let rows = trusted_issuers::list(&state.ctx, &tenant, after, limit).await?;
    Ok(HttpResponse::Ok().json(Page::new(rows, limit, |trusted| trusted.id.to_string(), |trusted| view(&trusted))))
}

pub(crate) async fn get(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    Named(id): Named<TrustedIssuerId>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(view(&trusted_issuers::get(&state.ctx, &tenant, id).await?)))
}

pub(crate) async fn replace(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<TrustedIssuerId>,
    from: From,
    form: Json<TrustedIssuerForm>,
) -> Result<HttpResponse, Problem> {
    let trusted = trusted_issuers::replace(&state.ctx, &tenant, id, form.0, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(view(&trusted)))
}

pub(crate) async fn delete(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<TrustedIssuerId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    trusted_issuers::delete(&state.ctx, &tenant, id, admin.actor(), &from.0).await?;
    Ok(HttpResponse::NoContent().finish())
}
