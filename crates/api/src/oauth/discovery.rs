//! Metadata of an issuer (RFC 8414; OpenID Connect Discovery's address too): only what is true.

use actix_web::http::header::{self, CACHE_CONTROL};
use actix_web::{HttpResponse, web};
use app::tenants;
use domain::scope::Scope;
use serde_json::json;

use crate::error::problem::Problem;
use crate::state::ApiState;

pub(crate) async fn get(state: web::Data<ApiState>, slug: web::Path<String>) -> Result<HttpResponse, Problem> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let issuer = tenant.issuer(&state.ctx.base_url);
    let body = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth/token"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "grant_types_supported": ["refresh_token"],
        // No authorization endpoint yet, so no response type (RFC 8414, 2 asks for the member).
        "response_types_supported": [],
        "scopes_supported": [Scope::ACCOUNT, Scope::ADMIN],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    });
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .json(body))
}
