//! `/admin/v1/tenants/{slug}/branding`: how the tenant's pages look; and `…/branding/logo`.

use actix_web::{Error, HttpResponse, web};
use app::branding;
use domain::branding::{Appearance, Branding, Logo};
use domain::tenant::Tenant;
use serde_json::{Value, json};

use crate::admission::AdminOf;
use crate::error::problem::Problem;
use crate::extract::json::Json;
use crate::extract::origin::From;
use crate::state::ApiState;

fn view(state: &ApiState, tenant: &Tenant, appearance: &Appearance) -> Value {
    let logo_url = appearance.logo_name.as_ref().map(|name| format!("{}/assets/{name}", tenant.issuer(&state.ctx.base_url)));
    json!({ "branding": appearance.branding, "logo_url": logo_url })
}

pub(crate) async fn get(state: web::Data<ApiState>, AdminOf { tenant, .. }: AdminOf) -> Result<HttpResponse, Problem> {
    let appearance = branding::appearance(&state.ctx, tenant.id).await?;
    Ok(HttpResponse::Ok().json(view(&state, &tenant, &appearance)))
}

pub(crate) async fn set(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    form: Json<Branding>,
) -> Result<HttpResponse, Problem> {
    let appearance = branding::set(&state.ctx, tenant.id, &form.0, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(view(&state, &tenant, &appearance)))
}

/// The body is the picture itself; what kind it is, its first bytes say, whatever the header does.
pub(crate) async fn set_logo(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    bytes: Result<web::Bytes, Error>,
) -> Result<HttpResponse, Problem> {
    let bytes = bytes.map_err(|_| Problem::too_large())?;
    let logo = Logo::new(bytes.to_vec())?;
    let appearance = branding::set_logo(&state.ctx, tenant.id, Some(&logo), admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(view(&state, &tenant, &appearance)))
}

pub(crate) async fn delete_logo(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
) -> Result<HttpResponse, Problem> {
    branding::set_logo(&state.ctx, tenant.id, None, admin.actor(), &from.0).await?;
    Ok(HttpResponse::NoContent().finish())
}
