//! The cookies of our own pages: which browser it is, and which session it has with a tenant.
//!
//! `__Host-` binds a cookie to this very host, so no neighbour can set one; it forbids a path, so the tenant is part of the name. On
//! plain http, which is for development, browsers refuse such cookies: there they have no prefix. Invariant: `HttpOnly`, and `Lax`:
//! a link from an application brings them along, a foreign form does not.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::ORIGIN;
use app::authorize::Browser;
use domain::handle::{Handle, HandleKind};
use domain::tenant::Tenant;

use crate::extract;

const BROWSER: &str = "browser";
const SESSION: &str = "sso";

fn name(what: &str, tenant: &Tenant, base_url: &str) -> String {
    let prefix = if base_url.starts_with("https:") { "__Host-" } else { "" };
    format!("{prefix}claviger_{what}_{}", tenant.id)
}

fn cookie(what: &str, tenant: &Tenant, base_url: &str, value: String) -> Cookie<'static> {
    Cookie::build(name(what, tenant, base_url), value)
        .path("/")
        .secure(base_url.starts_with("https:"))
        .http_only(true)
        .same_site(SameSite::Lax)
        .finish()
}

/// What the browser brings along; a cookie that is not of ours is none.
pub(crate) fn of(request: &HttpRequest, tenant: &Tenant, base_url: &str) -> Browser {
    let read = |what, kind| extract::cookie::value(request, &name(what, tenant, base_url)).and_then(|value| Handle::parse(kind, value));
    Browser { browser: read(BROWSER, HandleKind::Browser), session: read(SESSION, HandleKind::SsoSession) }
}

pub(super) fn named(tenant: &Tenant, base_url: &str, browser: &Handle) -> Cookie<'static> {
    cookie(BROWSER, tenant, base_url, browser.text().expose().clone())
}

/// Lives as long as the browser runs.
pub(super) fn session(tenant: &Tenant, base_url: &str, session: &Handle) -> Cookie<'static> {
    cookie(SESSION, tenant, base_url, session.text().expose().clone())
}

/// Takes the session's cookie away.
pub(super) fn session_gone(tenant: &Tenant, base_url: &str) -> Cookie<'static> {
    let mut gone = cookie(SESSION, tenant, base_url, String::new());
    gone.make_removal();
    gone
}

/// Whether a browser says that a form was sent by another site. Our pages send no referrer, so their forms have the origin `null`
/// (Fetch, 3.1); what says nothing is left to the form's token.
pub(super) fn is_foreign_form(request: &HttpRequest, base_url: &str) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some(site), _) => site != "same-origin",
        (None, Some(origin)) => origin != "null" && origin != base_url,
        (None, None) => false,
    }
}
