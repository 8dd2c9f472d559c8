//! `/admin/v1/tenants/{slug}/resources`: the tenant's APIs, which tokens may be for (RFC 8707).

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use app::resources;
use domain::client::ClientId;
use domain::details::{DetailType, DetailTypeName};
use domain::ids::ResourceId;
use domain::keys::ring::Alg;
use domain::resource::{Permission, Resource, ResourceSettings, ResourceUri};
use domain::scope::Scope;
use domain::text::{DisplayName, Role};
use domain::time::Ttl;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admission::AdminOf;
use crate::error::problem::Problem;
use crate::extract::address::Named;
use crate::extract::json::Json;
use crate::extract::origin::From;
use crate::extract::page::{Page, PageQuery};
use crate::state::ApiState;

fn view(resource: &Resource) -> Value {
    let mut view = json!({
        "id": resource.id, "identifier": resource.identifier, "created_at": resource.created_at, "updated_at": resource.updated_at,
    });
    // The rest has the names of the wire.
    if let (Some(view), Ok(Value::Object(settings))) = (view.as_object_mut(), serde_json::to_value(&resource.settings)) {
        view.extend(settings);
    }
    view
}

/// What somebody says about an API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceForm {
    identifier: ResourceUri,
    name: DisplayName,
    #[serde(default)]
    scope: Scope,
    access_ttl_seconds: Option<Ttl>,
    signing_alg: Option<Alg>,
    #[serde(default)]
    must_be_named: bool,
    #[serde(default)]
    permissions: BTreeMap<Role, BTreeSet<Permission>>,
    #[serde(default)]
    servers: BTreeSet<ClientId>,
    #[serde(default)]
    authorization_details_types: BTreeMap<DetailTypeName, DetailType>,
}

impl ResourceForm {
    fn read(self) -> (ResourceUri, ResourceSettings) {
        let Self {
            identifier,
            name,
            scope,
            access_ttl_seconds,
            signing_alg,
            must_be_named,
            permissions,
            servers,
            authorization_details_types,
        } = self;
        let settings = ResourceSettings {
            name,
            scope,
            access_ttl_seconds,
            signing_alg,
            must_be_named,
            permissions,
            servers,
            authorization_details_types,
        };
        (identifier, settings)
    }
}

pub(crate) async fn create(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    form: Json<ResourceForm>,
) -> Result<HttpResponse, Problem> {
    let (identifier, settings) = form.0.read();
    let resource = resources::create(&state.ctx, &tenant, identifier, settings, admin.actor(), &from.0).await?;
    let location = format!("/admin/v1/tenants/{}/resources/{}", tenant.slug, resource.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(view(&resource)))
}

pub(crate) async fn list(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let (limit, after) = (query.limit()?, query.after::<ResourceId>()?);
    let rows = resources::list(&state.ctx, &tenant, after, limit).await?;
    Ok(HttpResponse::Ok().json(Page::new(rows, limit, |resource| resource.id.to_string(), |resource| view(&resource))))
}

pub(crate) async fn get(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    Named(id): Named<ResourceId>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(view(&resources::get(&state.ctx, &tenant, id).await?)))
}

pub(crate) async fn replace(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<ResourceId>,
    from: From,
    form: Json<ResourceForm>,
) -> Result<HttpResponse, Problem> {
    let (identifier, settings) = form.0.read();
    let resource = resources::replace(&state.ctx, &tenant, id, &identifier, settings, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(view(&resource)))
}

pub(crate) async fn delete(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<ResourceId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    resources::delete(&state.ctx, &tenant, id, admin.actor(), &from.0).await?;
    Ok(HttpResponse::NoContent().finish())
}
