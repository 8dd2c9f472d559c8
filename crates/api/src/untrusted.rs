//! What takes requests of strangers apart, for whoever tries it with input of their own (the crate `fuzz`).
//!
//! Invariant: nothing here does more than what the routes do with the same bytes.

use std::net::IpAddr;

use actix_web::HttpRequest;
use app::authorize::Browser;
use app::clients::authenticate::Proof;
use domain::tenant::Tenant;

use crate::extract::form::Form;
use crate::extract::origin;
use crate::oauth::{browser, client_auth, cookie, jwks};
use crate::proxies::Proxy;
use crate::site;

/// The parameters of an OAuth form in their order, empty ones too. `None` when it is refused.
pub fn form(body: &[u8]) -> Option<Vec<(String, String)>> {
    Form::parse(body).ok().map(|form| form.pairs().collect())
}

/// The two halves of an `Authorization: Basic …`. `None` without one, and for one that is refused.
pub fn basic(request: &HttpRequest) -> Option<(String, String)> {
    let presented = client_auth::basic(request).ok()??;
    match presented.proof {
        Proof::Secret { secret, .. } => Some((presented.client_id, secret.expose().clone())),
        Proof::None | Proof::Assertion(_) => Some((presented.client_id, String::new())),
    }
}

/// Which browser and which session the cookies of our pages name.
pub fn browser(request: &HttpRequest, tenant: &Tenant, base_url: &str) -> Browser {
    browser::of(request, tenant, base_url)
}

/// The refresh token of a cookie session.
pub fn session_cookie(request: &HttpRequest) -> Option<String> {
    cookie::refresh_token(request)
}

/// Where a request comes from that `peer` has handed over with these `X-Forwarded-For`.
pub fn client_address(peer: IpAddr, forwarded: &[&str], trusted: &[IpAddr]) -> IpAddr {
    let trusted: Vec<_> = trusted.iter().copied().map(Proxy::from).collect();
    origin::client_address(peer, forwarded, &trusted)
}

/// The host that a request with this `Host` is for, where issuers begin with `base_url`. `None` when it is refused.
pub fn host(text: &str, base_url: &str) -> Option<String> {
    site::canonical(text, base_url)
}

/// Whether who sends this `If-None-Match` has what `etag` names.
pub fn is_known(if_none_match: &str, etag: &str) -> bool {
    jwks::is_known(if_none_match, etag)
}
