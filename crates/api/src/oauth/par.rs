//! `POST {issuer}/oauth/par`: pushed authorization requests (RFC 9126).

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use app::authorize::pushed;
use app::clients::documents;
use app::tenants;
use domain::authorize::rules::Parameters;
use serde_json::json;

use crate::error::oauth::OAuthError;
use crate::extract::form::Form;
use crate::extract::origin::From;
use crate::oauth::{client_auth, dpop};
use crate::state::ApiState;

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    if let Some(id) = form.optional("client_id") {
        documents::meet(&state.ctx, &tenant, id, &from.0).await?;
    }
    let client = client_auth::client(&state.ctx, &tenant, &request, &form, &from.0).await?;
    let proved = dpop::proved(&state.ctx, &tenant, &client, &request).await?;
    let parameters = Parameters::new(form.pairs()).map_err(OAuthError::of_refusal)?;
    let pushed = pushed::push(&state.ctx, &tenant, &client, &parameters, proved).await.map_err(OAuthError::of_push)?;
    Ok(HttpResponse::Created()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({ "request_uri": pushed.text().expose(), "expires_in": pushed::TTL.as_seconds() })))
}
