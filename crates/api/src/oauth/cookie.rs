//! The cookie of a cookie session, and what must be true of a request that uses it.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::ORIGIN;
use domain::tenant::Tenant;

use crate::extract;
use crate::site;

/// `__Secure-` and bound to the issuer's host and path: tenants of one host do not see each other's.
pub(crate) const NAME: &str = "__Secure-claviger_session";

fn path(tenant: &Tenant) -> String {
    Some(tenant.issuer_path()).filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned())
}

pub(super) fn session(tenant: &Tenant, refresh_token: &str, max_age_seconds: u32) -> Cookie<'static> {
    Cookie::build(NAME, refresh_token.to_owned())
        .path(path(tenant))
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(Duration::seconds(i64::from(max_age_seconds)))
        .finish()
}

/// The cookie that takes the session's away.
pub(super) fn gone(tenant: &Tenant) -> Cookie<'static> {
    let mut cookie = session(tenant, "", 0);
    cookie.make_removal();
    cookie
}

pub(crate) fn refresh_token(request: &HttpRequest) -> Option<String> {
    extract::cookie::value(request, NAME).map(str::to_owned)
}

pub(super) fn csrf_token(request: &HttpRequest) -> Option<String> {
    request.headers().get("x-csrf-token").and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Whether a browser says that another site sent this (Fetch Metadata, or `Origin` against our own).
pub(super) fn is_cross_site(request: &HttpRequest, base_url: &str) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let by_fetch = header("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let by_origin = header(ORIGIN.as_str()).is_some_and(|origin| origin != site::origin(request, base_url));
    by_fetch || by_origin
}
