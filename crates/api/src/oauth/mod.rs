//! The endpoints of an issuer, under `/t/{slug}` or on a domain of its own: one file each.

pub(crate) mod account;
pub(crate) mod accounts;
pub(crate) mod authorize;
pub(crate) mod backchannel;
pub(crate) mod browser;
pub(crate) mod challenge;
pub(crate) mod client_auth;
pub(crate) mod cookie;
pub(crate) mod device;
pub(crate) mod discovery;
pub(crate) mod dpop;
pub(crate) mod email;
pub(crate) mod end_session;
pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod key_log;
pub(crate) mod login;
mod login_form;
pub(crate) mod logout;
pub(crate) mod me;
pub(crate) mod mtls;
pub(crate) mod pages;
pub(crate) mod par;
pub(crate) mod recovery;
pub(crate) mod register;
pub(crate) mod revoke;
pub(crate) mod token;
pub(crate) mod userinfo;
mod visit;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use app::tokens::issue::IssuedTokens;
use domain::details::AuthorizationDetails;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::token::claims::Confirmation;
use serde::Serialize;

/// A token response (RFC 6749, 5.1).
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    expires_in: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
    scope: String,
    #[serde(skip_serializing_if = "AuthorizationDetails::is_empty")]
    authorization_details: &'a AuthorizationDetails,
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<&'a str>,
}

/// How a token with this `cnf` is presented.
const fn token_type(cnf: Option<Confirmation>) -> &'static str {
    match cnf {
        // RFC 8705, 3: bound all the same.
        None | Some(Confirmation::Certificate(_)) => "Bearer",
        Some(Confirmation::Dpop(_)) => "DPoP",
    }
}

/// The answer to a login or a refresh: never stored, the refresh token in the body or in its cookie.
fn tokens(tenant: &Tenant, issued: &IssuedTokens, now: Timestamp) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
    let is_cookie = issued.csrf_token.is_some();
    let refresh_token = issued.refresh_token.as_ref().map(|token| token.expose().as_str());
    if let Some(refresh_token) = refresh_token.filter(|_| is_cookie) {
        response.cookie(cookie::session(tenant, refresh_token, issued.session_ends_at.seconds_after(now)));
    }
    response.json(TokenResponse {
        access_token: issued.access_token.expose(),
        token_type: token_type(issued.cnf),
        issued_token_type: issued.issued_token_type,
        expires_in: issued.expires_in,
        refresh_token: refresh_token.filter(|_| !is_cookie),
        id_token: issued.id_token.as_ref().map(|token| token.expose().as_str()),
        scope: issued.scope.to_string(),
        authorization_details: &issued.details,
        csrf_token: issued.csrf_token.as_ref().map(|token| token.expose().as_str()),
    })
}
