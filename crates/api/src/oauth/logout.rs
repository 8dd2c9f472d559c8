//! `POST {issuer}/logout`: ends the session of the cookie, or of the refresh token in the body.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use app::tenants;
use app::tokens::revoke::{RevokeDenied, has_csrf_token, revoke};
use domain::client::ClientId;
use domain::secret::Secret;
use domain::token::family::RevocationCause;
use serde::Deserialize;

use crate::error::problem::Problem;
use crate::extract::json::OptionalJson;
use crate::extract::origin::From;
use crate::oauth::cookie;
use crate::state::ApiState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogoutForm {
    refresh_token: Option<Secret<String>>,
}

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: OptionalJson<LogoutForm>,
) -> Result<HttpResponse, Problem> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let token = match (form.0.and_then(|form| form.refresh_token), cookie::refresh_token(&request)) {
        (Some(token), _) => token,
        (None, Some(token)) => {
            let csrf_token = cookie::csrf_token(&request);
            if cookie::is_cross_site(&request, &state.ctx.base_url)
                || !has_csrf_token(&state.ctx, &tenant, &token, csrf_token.as_deref()).await?
            {
                return Err(Problem::cross_site());
            }
            Secret::new(token)
        }
        (None, None) => return Err(Problem::bad_request("Send {\"refresh_token\": …} or the session's cookie.")),
    };
    match revoke(&state.ctx, &tenant, token.expose(), &ClientId::first_party(), RevocationCause::Logout, &from.0).await {
        Ok(_) | Err(RevokeDenied::NoSession) => {}
        Err(RevokeDenied::Fault(fault)) => return Err(fault.into()),
    }
    Ok(HttpResponse::NoContent().insert_header((CACHE_CONTROL, "no-store")).cookie(cookie::gone(&tenant)).finish())
}
