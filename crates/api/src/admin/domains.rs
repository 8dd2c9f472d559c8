//! `/admin/v1/tenants/{slug}/domain`: the host of a tenant's own, which its issuer is made of.

use actix_web::{HttpResponse, web};
use app::domains::{self, ChangeDomain};
use app::tenants;
use domain::host::HostName;
use serde::Deserialize;

use crate::admin::tenants::view;
use crate::admission::PlatformAdmin;
use crate::error::problem::Problem;
use crate::extract::json::Json;
use crate::extract::origin::From;
use crate::state::ApiState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainForm {
    domain: HostName,
    /// The tenant's slug.
    confirm: Option<String>,
}

pub(crate) async fn set(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    by: PlatformAdmin,
    from: From,
    form: Json<DomainForm>,
) -> Result<HttpResponse, Problem> {
    let DomainForm { domain, confirm } = form.0;
    change(&state, &slug, by, &from, ChangeDomain { domain: Some(domain), confirmation: confirm }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemovalQuery {
    confirm: Option<String>,
}

pub(crate) async fn remove(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    by: PlatformAdmin,
    from: From,
    query: web::Query<RemovalQuery>,
) -> Result<HttpResponse, Problem> {
    change(&state, &slug, by, &from, ChangeDomain { domain: None, confirmation: query.into_inner().confirm }).await
}

/// Only the platform's administrators get here: whose a host is, a tenant cannot say of itself.
async fn change(
    state: &ApiState,
    slug: &str,
    PlatformAdmin(admin): PlatformAdmin,
    from: &From,
    command: ChangeDomain,
) -> Result<HttpResponse, Problem> {
    let tenant = tenants::find(&state.ctx, slug).await?;
    let tenant = domains::change(&state.ctx, tenant.id, command, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(view(&tenant, &state.ctx.base_url)))
}
