//! `GET` and `POST {issuer}/oauth/userinfo` (OpenID Connect Core, 5.3). The token comes in the header, or in the body of a form
//! (RFC 6750, 2); one in the query is not looked at.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use app::access::ShownToken;
use app::tenants;
use app::userinfo::{Userinfo, userinfo};

use crate::admission::shown_token;
use crate::cors;
use crate::error::oauth::OAuthError;
use crate::extract::form::Form;
use crate::oauth::mtls;
use crate::state::ApiState;

pub(crate) async fn get(state: web::Data<ApiState>, slug: web::Path<String>, request: HttpRequest) -> Result<HttpResponse, OAuthError> {
    told(&state, &slug, &request, shown_token(&state.ctx, &request).as_ref()).await
}

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    form: Result<Form, OAuthError>,
) -> Result<HttpResponse, OAuthError> {
    // A body that is no form holds no token.
    let form = form.ok();
    let in_body = form.as_ref().and_then(|form| form.optional("access_token"));
    let in_body = in_body.map(|text| ShownToken { text, proof: None, certificate: mtls::thumbprint(&request) });
    match (shown_token(&state.ctx, &request), in_body) {
        (Some(_), Some(_)) => Err(OAuthError::invalid_request("send the access token in one place, not in two")),
        (in_header, in_body) => told(&state, &slug, &request, in_header.or(in_body).as_ref()).await,
    }
}

async fn told(state: &ApiState, slug: &str, request: &HttpRequest, token: Option<&ShownToken<'_>>) -> Result<HttpResponse, OAuthError> {
    let tenant = tenants::resolve(&state.ctx, slug).await?;
    let (client, told) = userinfo(&state.ctx, &tenant, token).await?;
    cors::is_for(request, &client);
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    Ok(match told {
        Userinfo::Plain(claims) => response.json(claims),
        Userinfo::Signed(token) => response.content_type("application/jwt").body(token),
    })
}
