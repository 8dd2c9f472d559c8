//! The endpoints of an issuer, under `/t/{slug}`: one file each.

pub(crate) mod cookie;
pub(crate) mod discovery;
pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod key_log;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod me;
pub(crate) mod revoke;
pub(crate) mod token;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use app::tokens::issue::IssuedTokens;
use domain::client::ClientId;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use serde::Serialize;

use crate::error::oauth::OAuthError;
use crate::extract::form::Form;

/// A token response (RFC 6749, 5.1).
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<&'a str>,
}

/// The answer to a login or a refresh: never stored, the refresh token in the body or in its cookie.
fn tokens(tenant: &Tenant, issued: &IssuedTokens, now: Timestamp) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
    let is_cookie = issued.csrf_token.is_some();
    if is_cookie {
        response.cookie(cookie::session(tenant, issued.refresh_token.expose(), issued.session_ends_at.seconds_after(now)));
    }
    response.json(TokenResponse {
        access_token: issued.access_token.expose(),
        token_type: "Bearer",
        expires_in: issued.expires_in,
        refresh_token: (!is_cookie).then(|| issued.refresh_token.expose().as_str()),
        scope: issued.scope.to_string(),
        csrf_token: issued.csrf_token.as_ref().map(|token| token.expose().as_str()),
    })
}

/// The client a form names. Until clients can be registered there is one, and it is public: a secret is an error.
fn client(form: &Form) -> Result<ClientId, OAuthError> {
    let id = form.optional("client_id").ok_or_else(OAuthError::invalid_client)?;
    let first_party = ClientId::first_party();
    if id != first_party.as_str() || form.optional("client_secret").is_some() || form.optional("client_assertion").is_some() {
        return Err(OAuthError::invalid_client());
    }
    Ok(first_party)
}
