//! `/admin/v1/tenants`: creating, listing, changing, suspending and deleting tenants.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use app::search;
use app::tenants::{self, ChangeTenant, CreateTenant, Deletion, PolicyPatch};
use domain::keys::policy::RotationNumbers;
use domain::tenant::{Tenant, TenantPolicy, TenantStatus};
use domain::text::{DisplayName, Slug};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::admission::{AdminOf, PlatformAdmin};
use crate::error::problem::Problem;
use crate::extract::json::{Json, Object};
use crate::extract::origin::From;
use crate::extract::page::{Page, PageQuery};
use crate::state::ApiState;

pub(super) fn view(tenant: &Tenant, base_url: &str) -> Value {
    let (status, suspended_at) = match tenant.status {
        TenantStatus::Active => ("active", None),
        TenantStatus::Suspended { at } => ("suspended", Some(at)),
    };
    json!({
        "id": tenant.id, "slug": tenant.slug, "name": tenant.name, "issuer": tenant.issuer(base_url), "domain": tenant.custom_domain, "status": status,
        "suspended_at": suspended_at, "policy": tenant.policy, "created_at": tenant.created_at, "updated_at": tenant.updated_at,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateForm {
    slug: Slug,
    name: DisplayName,
    #[serde(default)]
    policy: TenantPolicy,
    /// Like the body of `PUT …/keys/policy`.
    key_policy: Option<Object<RotationNumbers>>,
}

pub(crate) async fn create(
    state: web::Data<ApiState>,
    PlatformAdmin(admin): PlatformAdmin,
    from: From,
    form: Json<CreateForm>,
) -> Result<HttpResponse, Problem> {
    let CreateForm { slug, name, policy, key_policy } = form.0;
    let key_policy = key_policy.map(|Object(numbers)| numbers);
    let tenant = tenants::create(&state.ctx, CreateTenant { slug, name, policy, key_policy }, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/admin/v1/tenants/{}", tenant.slug)))
        .json(view(&tenant, &state.ctx.base_url)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    limit: Option<String>,
    after: Option<String>,
    /// The beginning of slugs or names.
    search: Option<String>,
}

pub(crate) async fn list(state: web::Data<ApiState>, query: web::Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let ListQuery { limit, after, search } = query.into_inner();
    let query = PageQuery { limit, after };
    let limit = query.limit()?;
    let show = |tenant: Tenant| view(&tenant, &state.ctx.base_url);
    let page = match search {
        None => {
            let rows = tenants::list(&state.ctx, query.after::<Slug>()?.as_ref(), limit).await?;
            Page::new(rows, limit, |tenant| tenant.slug.to_string(), show)
        }
        Some(search) => {
            let found = search::tenants(&state.ctx, &search.parse()?, query.after()?, limit).await?;
            Page { items: found.tenants.into_iter().map(show).collect(), next: found.next.map(|place| place.to_string()) }
        }
    };
    Ok(HttpResponse::Ok().json(page))
}

pub(crate) async fn get(state: web::Data<ApiState>, AdminOf { tenant, .. }: AdminOf) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(view(&tenant, &state.ctx.base_url)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeForm {
    name: Option<DisplayName>,
    /// Members that are left out stay as they are (RFC 7396).
    policy: Option<Map<String, Value>>,
}

/// The tenant's slug once more, where something is meant that does not come back or that others stumble over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmation {
    pub(crate) confirm: Option<String>,
}

pub(crate) async fn change(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    query: web::Query<Confirmation>,
    form: Json<ChangeForm>,
) -> Result<HttpResponse, Problem> {
    let ChangeForm { name, policy } = form.0;
    let command = ChangeTenant { name, policy: policy.map(PolicyPatch), is_active: None, confirmation: query.into_inner().confirm };
    let tenant = tenants::change(&state.ctx, tenant.id, command, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(view(&tenant, &state.ctx.base_url)))
}

pub(crate) async fn suspend(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    by: PlatformAdmin,
    from: From,
) -> Result<HttpResponse, Problem> {
    set_active(&state, &slug, by, &from, false).await
}

pub(crate) async fn resume(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    by: PlatformAdmin,
    from: From,
) -> Result<HttpResponse, Problem> {
    set_active(&state, &slug, by, &from, true).await
}

/// Only the platform's administrators get here: a suspended tenant must not resume itself.
async fn set_active(
    state: &ApiState,
    slug: &str,
    PlatformAdmin(admin): PlatformAdmin,
    from: &From,
    is_active: bool,
) -> Result<HttpResponse, Problem> {
    let tenant = tenants::find(&state.ctx, slug).await?;
    let command = ChangeTenant { is_active: Some(is_active), ..ChangeTenant::default() };
    let tenant = tenants::change(&state.ctx, tenant.id, command, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(view(&tenant, &state.ctx.base_url)))
}

pub(crate) async fn delete(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    PlatformAdmin(admin): PlatformAdmin,
    from: From,
    query: web::Query<Confirmation>,
) -> Result<HttpResponse, Problem> {
    let tenant = tenants::find(&state.ctx, &slug).await?;
    let deletion = tenants::delete(&state.ctx, &tenant, query.confirm.as_deref().unwrap_or_default(), admin.actor(), &from.0).await?;
    let mut response = match deletion {
        Deletion::Complete => HttpResponse::NoContent(),
        // Gone for everybody, but its rows take a while; its slug is free when they are gone.
        Deletion::Continuing => HttpResponse::Accepted(),
    };
    Ok(response.insert_header((LOCATION, format!("/admin/v1/deletions/{}", tenant.id))).finish())
}

/// The certificate of a deletion: the tenant is gone, so it is asked for by id.
pub(crate) async fn deletion(state: web::Data<ApiState>, tenant: web::Path<String>) -> Result<HttpResponse, Problem> {
    let tenant = tenant.parse().map_err(|_| Problem::not_found())?;
    let certificate = tenants::deletion_certificate(&state.ctx, tenant).await?;
    Ok(HttpResponse::Ok().json(json!({ "tenant_id": tenant, "certificate": certificate })))
}
