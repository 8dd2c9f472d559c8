//! The cookies of our own pages: which browser it is, and which session it has with a tenant.
//!
//! `__Host-` binds a cookie to this very host, so no neighbour can set one; it forbids a path, so the tenant is part of the name. On
//! plain http, which is for development, browsers refuse such cookies: there they have no prefix. Invariant: `HttpOnly`, and `Lax`:
//! a link from an application brings them along, a foreign form does not.

use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::ORIGIN;
use actix_web::{HttpRequest, HttpResponse};
use app::authorize::{Browser, Kept};
use domain::handle::{Handle, HandleKind};
use domain::sso::SsoSession;
use domain::tenant::Tenant;

use crate::extract;
use crate::site;

const BROWSER: &str = "browser";
const SESSION: &str = "sso";
/// The sessions of other accounts, with points between them.
const OTHERS: &str = "others";

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
    let value = |what| extract::cookie::value(request, &name(what, tenant, base_url));
    let read = |what, kind| value(what).and_then(|value| Handle::parse(kind, value));
    let beside = value(OTHERS).unwrap_or_default().split('.').take(SsoSession::MOST - 1);
    let mut others: Vec<_> = beside.filter_map(|text| Handle::parse(HandleKind::SsoSession, text)).collect();
    let session = read(SESSION, HandleKind::SsoSession);
    let session = session.or_else(|| if others.is_empty() { None } else { Some(others.remove(0)) });
    Browser { browser: read(BROWSER, HandleKind::Browser), session, others }
}

pub(super) fn named(tenant: &Tenant, base_url: &str, browser: &Handle) -> Cookie<'static> {
    cookie(BROWSER, tenant, base_url, browser.text().expose().clone())
}

/// Lives as long as the browser runs.
pub(super) fn session(tenant: &Tenant, base_url: &str, session: &Handle) -> Cookie<'static> {
    cookie(SESSION, tenant, base_url, session.text().expose().clone())
}

/// Has the browser keep these sessions and no others; both cookies live as long as it runs.
pub(super) fn keep(answer: &mut HttpResponse, tenant: &Tenant, base_url: &str, brought: &Browser, kept: &Kept) {
    let mut set = |what, handles: &[Handle]| {
        let texts: Vec<_> = handles.iter().map(|handle| handle.text().expose().clone()).collect();
        let mut cookie = cookie(what, tenant, base_url, texts.join("."));
        if handles.is_empty() {
            cookie.make_removal();
        }
        // A cookie that cannot be written is no cookie of ours.
        let _ = answer.add_cookie(&cookie);
    };
    let (first, rest) = kept.0.split_at(kept.0.len().min(1));
    set(SESSION, first);
    if !(rest.is_empty() && brought.others.is_empty()) {
        set(OTHERS, rest);
    }
}

/// Whether a browser says that a form was sent by another site. Our pages send no referrer, so their forms have the origin `null`
/// (Fetch, 3.1); what says nothing is left to the form's token.
pub(super) fn is_foreign_form(request: &HttpRequest, base_url: &str) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some(site), _) => site != "same-origin",
        (None, Some(origin)) => origin != "null" && origin != site::origin(request, base_url),
        (None, None) => false,
    }
}
