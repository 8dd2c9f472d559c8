//! `POST {issuer}/oauth/introspect` (RFC 7662), for users with the role `claviger:introspect` or `claviger:admin`, and the
//! platform's administrator.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use app::access::{AccessDenied, introspector};
use app::tenants;
use app::tokens::introspect::{Living, introspect};
use serde_json::{Value, json};

use crate::error::oauth::OAuthError;
use crate::extract::bearer::Bearer;
use crate::extract::form::Form;
use crate::state::ApiState;

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    bearer: Bearer,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    introspector(&state.ctx, &tenant, bearer.token()).await.map_err(|denied: AccessDenied| OAuthError::of_access(denied))?;
    let token = form.optional("token").ok_or(OAuthError::invalid_request("token is missing"))?;
    let body = match introspect(&state.ctx, &tenant, token).await? {
        None => json!({ "active": false }),
        Some(Living::Access(claims)) => {
            let mut body = serde_json::to_value(&*claims).unwrap_or(Value::Null);
            if let Some(members) = body.as_object_mut() {
                members.insert("active".to_owned(), json!(true));
                members.insert("token_type".to_owned(), json!("Bearer"));
            }
            body
        }
        Some(Living::Refresh { session_id, user_id, client_id, scope, expires_at, issued_at }) => json!({
            "active": true, "iss": tenant.issuer(&state.ctx.base_url), "sub": user_id, "sid": session_id, "client_id": client_id,
            "scope": scope, "exp": expires_at.as_seconds(), "iat": issued_at.as_seconds(),
        }),
    };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body))
}
