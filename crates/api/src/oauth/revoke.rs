//! `POST {issuer}/oauth/revoke` (RFC 7009).

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use app::tenants;
use app::tokens::revoke::revoke;
use domain::token::family::RevocationCause;

use crate::error::oauth::OAuthError;
use crate::extract::form::Form;
use crate::extract::origin::From;
use crate::oauth::client_auth;
use crate::state::ApiState;

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let client = client_auth::client(&state.ctx, &tenant, &request, &form, &from.0).await?;
    let token = form.optional("token").ok_or(OAuthError::invalid_request("token is missing"))?;
    revoke(&state.ctx, &tenant, token, &client.id, RevocationCause::ClientRequest, &from.0).await.map_err(OAuthError::of_revocation)?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish())
}
