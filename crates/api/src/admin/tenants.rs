//! `/admin/v1/tenants`: creating, listing, changing, suspending and deleting tenants.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use app::access::{admin_of, platform_admin};
use app::tenants::{self, ChangeTenant, CreateTenant};
use domain::tenant::{Tenant, TenantPolicy, TenantStatus};
use domain::text::{DisplayName, Slug};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::problem::Problem;
use crate::extract::bearer::Bearer;
use crate::extract::origin::From;
use crate::extract::page::{Page, PageQuery};
use crate::state::ApiState;

fn view(tenant: &Tenant, base_url: &str) -> Value {
    let (status, suspended_at) = match tenant.status {
        TenantStatus::Active => ("active", None),
        TenantStatus::Suspended { at } => ("suspended", Some(at)),
    };
    json!({
        "id": tenant.id, "slug": tenant.slug, "name": tenant.name, "issuer": tenant.issuer(base_url), "status": status,
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
}

pub(crate) async fn create(
    state: web::Data<ApiState>,
    bearer: Bearer,
    from: From,
    form: web::Json<CreateForm>,
) -> Result<HttpResponse, Problem> {
    let admin = platform_admin(&state.ctx, bearer.token()).await?;
    let CreateForm { slug, name, policy } = form.into_inner();
    let tenant = tenants::create(&state.ctx, CreateTenant { slug, name, policy }, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/admin/v1/tenants/{}", tenant.slug)))
        .json(view(&tenant, &state.ctx.base_url)))
}

pub(crate) async fn list(state: web::Data<ApiState>, bearer: Bearer, query: web::Query<PageQuery>) -> Result<HttpResponse, Problem> {
    platform_admin(&state.ctx, bearer.token()).await?;
    let limit = query.limit()?;
    let rows = tenants::list(&state.ctx, query.after::<Slug>()?.as_ref(), limit).await?;
    Ok(HttpResponse::Ok().json(Page::new(rows, limit, |tenant| tenant.slug.to_string(), |tenant| view(&tenant, &state.ctx.base_url))))
}

pub(crate) async fn get(state: web::Data<ApiState>, slug: web::Path<String>, bearer: Bearer) -> Result<HttpResponse, Problem> {
    let (_, tenant) = admin_of(&state.ctx, &slug, bearer.token()).await?;
    Ok(HttpResponse::Ok().json(view(&tenant, &state.ctx.base_url)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeForm {
    name: Option<DisplayName>,
    /// Members that are left out stay as they are (RFC 7396).
    policy: Option<Map<String, Value>>,
}

/// Lays a merge patch over a policy.
fn patched(policy: &TenantPolicy, patch: Map<String, Value>) -> Result<TenantPolicy, Problem> {
    fn merge(target: &mut Value, patch: Value) {
        match (target, patch) {
            (Value::Object(target), Value::Object(patch)) => {
                for (name, value) in patch {
                    merge(target.entry(name).or_insert(Value::Null), value);
                }
            }
            (target, patch) => *target = patch,
        }
    }
    let mut value = serde_json::to_value(policy).map_err(|error| Problem::bad_request(error.to_string()))?;
    merge(&mut value, Value::Object(patch));
    serde_json::from_value(value).map_err(|error| Problem::bad_request(format!("policy: {error}")))
}

pub(crate) async fn change(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    bearer: Bearer,
    from: From,
    form: web::Json<ChangeForm>,
) -> Result<HttpResponse, Problem> {
    let (admin, tenant) = admin_of(&state.ctx, &slug, bearer.token()).await?;
    let ChangeForm { name, policy } = form.into_inner();
    let policy = policy.map(|patch| patched(&tenant.policy, patch)).transpose()?;
    let command = ChangeTenant { name, policy, is_active: None };
    let tenant = tenants::change(&state.ctx, tenant.id, command, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(view(&tenant, &state.ctx.base_url)))
}

pub(crate) async fn suspend(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    bearer: Bearer,
    from: From,
) -> Result<HttpResponse, Problem> {
    set_active(&state, &slug, &bearer, &from, false).await
}

pub(crate) async fn resume(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    bearer: Bearer,
    from: From,
) -> Result<HttpResponse, Problem> {
    set_active(&state, &slug, &bearer, &from, true).await
}

async fn set_active(state: &ApiState, slug: &str, bearer: &Bearer, from: &From, is_active: bool) -> Result<HttpResponse, Problem> {
    // Only the platform's: a suspended tenant must not resume itself.
    let admin = platform_admin(&state.ctx, bearer.token()).await?;
    let tenant = tenants::find(&state.ctx, slug).await?;
    let command = ChangeTenant { is_active: Some(is_active), ..ChangeTenant::default() };
    let tenant = tenants::change(&state.ctx, tenant.id, command, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(view(&tenant, &state.ctx.base_url)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteQuery {
    confirm: Option<String>,
}

pub(crate) async fn delete(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    bearer: Bearer,
    from: From,
    query: web::Query<DeleteQuery>,
) -> Result<HttpResponse, Problem> {
    let admin = platform_admin(&state.ctx, bearer.token()).await?;
    let tenant = tenants::find(&state.ctx, &slug).await?;
    tenants::delete(&state.ctx, &tenant, query.confirm.as_deref().unwrap_or_default(), admin.actor(), &from.0).await?;
    Ok(HttpResponse::NoContent().insert_header((LOCATION, format!("/admin/v1/deletions/{}", tenant.id))).finish())
}

/// The certificate of a deletion: the tenant is gone, so it is asked for by id.
pub(crate) async fn deletion(state: web::Data<ApiState>, tenant: web::Path<String>, bearer: Bearer) -> Result<HttpResponse, Problem> {
    platform_admin(&state.ctx, bearer.token()).await?;
    let tenant = tenant.parse().map_err(|_| Problem::not_found())?;
    let certificate = tenants::deletion_certificate(&state.ctx, tenant).await?;
    Ok(HttpResponse::Ok().json(json!({ "tenant_id": tenant, "certificate": certificate })))
}
