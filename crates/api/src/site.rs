//! Which site a request is for: the installation's, or the domain of a tenant.
//!
//! A tenant's domain has the tenant's addresses and no others: `/oauth/token` there is `/t/{slug}/oauth/token` among the routes, so that each
//! has one route, one guard and one name in the metrics. Enter at [`place`], which every request goes through before its route is looked for.
//!
//! Invariant: no address that is made for an answer holds anything of the request's host. A host that is nobody's is answered by nobody.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::HttpMessage;
use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HOST, HeaderName};
use actix_web::http::uri::{Authority, PathAndQuery};
use actix_web::http::{Uri, Version};
use app::ctx::Ctx;
use app::tenants::{self, NoTenant};
use domain::tenant::Tenant;

use crate::error::Refusal;
use crate::proxies::have;
use crate::state::{ApiSettings, ApiState};

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Where a request came to, when that is not the installation's own address.
enum Site {
    /// The address for clients with certificates.
    ForCertificates,
    Domain(Arc<Tenant>),
}

/// Finds the site of a request, and leads what came to a tenant's domain to the tenant's routes.
///
/// # Errors
/// When the host is nobody's, or there is no saying which one is meant.
pub(crate) async fn place(request: &mut ServiceRequest, state: &ApiState) -> Result<(), Refusal> {
    let Some(host) = asked_host(request.request(), &state.settings, &state.ctx.base_url)? else { return Ok(()) };
    if state.ctx.mutual_tls.base_url.as_deref().and_then(authority) == Some(&*host) {
        request.extensions_mut().insert(Site::ForCertificates);
        return Ok(());
    }
    if state.ctx.hosts.are(&host) {
        return Ok(());
    }
    let tenant = Box::pin(tenants::at_host(&state.ctx, &host)).await.map_err(|denied| match denied {
        NoTenant::Unknown => Refusal::UnknownHost,
        NoTenant::Fault(fault) => Refusal::Fault(fault),
    })?;
    lead(request, &tenant)?;
    request.extensions_mut().insert(Site::Domain(tenant));
    Ok(())
}

/// Puts the tenant's own route in the place of the path on its domain.
fn lead(request: &mut ServiceRequest, tenant: &Tenant) -> Result<(), Refusal> {
    let mut parts = request.uri().clone().into_parts();
    let route = tenant.route_of(request.uri().path());
    let route = match request.uri().query() {
        Some(query) => format!("{route}?{query}"),
        None => route,
    };
    parts.path_and_query = Some(route.parse::<PathAndQuery>().map_err(|_| Refusal::BadHost)?);
    let uri = Uri::from_parts(parts).map_err(|_| Refusal::BadHost)?;
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
    Ok(())
}

/// The authority of an address.
fn authority(address: &str) -> Option<&str> {
    address.split_once("://").map(|(_, authority)| authority)
}

/// The host that a request was sent to, in lower case, without the port that its scheme has anyway. `None` is the installation's own, said
/// as it is configured, or nothing by whoever may say nothing (HTTP/1.0).
///
/// Source: RFC 9112, 3.2; RFC 9113, 8.3.1.
fn asked_host(request: &HttpRequest, settings: &ApiSettings, base_url: &str) -> Result<Option<String>, Refusal> {
    let mut hosts = request.headers().get_all(HOST);
    let (host, others) = (hosts.next(), hosts.next());
    if others.is_some() {
        return Err(Refusal::BadHost);
    }
    let host = host.map(|host| host.to_str().map_err(|_| Refusal::BadHost)).transpose()?;
    let target = request.uri().authority().map(Authority::as_str);
    let asked = match (target, host) {
        // Two hosts of one request, of which a cache or a proxy on the way may have read the other one.
        (Some(target), Some(host)) if request.version() == Version::HTTP_2 && !target.eq_ignore_ascii_case(host) => {
            return Err(Refusal::BadHost);
        }
        (Some(target), _) => Some(target),
        (None, Some(host)) => Some(host),
        (None, None) if request.version() >= Version::HTTP_11 => return Err(Refusal::BadHost),
        (None, None) => None,
    };
    let forwarded = forwarded(request, settings)?;
    match forwarded.or(asked) {
        None => Ok(None),
        Some(asked) if authority(base_url) == Some(asked) => Ok(None),
        Some(asked) => canonical(asked, base_url).map(Some).ok_or(Refusal::BadHost),
    }
}

/// What a proxy that may say so says it was asked for.
fn forwarded<'r>(request: &'r HttpRequest, settings: &ApiSettings) -> Result<Option<&'r str>, Refusal> {
    if !settings.believes_forwarded_host {
        return Ok(None);
    }
    if !request.peer_addr().is_some_and(|peer| have(&settings.trusted_proxies, peer.ip())) {
        return Ok(None);
    }
    let mut values = request.headers().get_all(FORWARDED_HOST);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        // Several are of several proxies, or of a client whose word was passed on: which is which, nobody knows.
        (Some(one), None) => one.to_str().map(Some).map_err(|_| Refusal::BadHost),
        (Some(_), Some(_)) => Err(Refusal::BadHost),
    }
}

/// Lower case, without the usual port. `None` for what can be no host.
pub(crate) fn canonical(host: &str, base_url: &str) -> Option<String> {
    let is_of_a_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~:[]".contains(&byte);
    if host.is_empty() || host.len() > 263 || !host.bytes().all(is_of_a_host) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    let usual = if base_url.starts_with("https:") { ":443" } else { ":80" };
    Some(host.strip_suffix(usual).map(str::to_owned).unwrap_or(host))
}

/// The address that this request was sent to, without its query (RFC 9449, 4.3).
pub(crate) fn url(ctx: &Ctx, request: &HttpRequest) -> String {
    let (origin, path) = match request.extensions().get::<Site>() {
        None => (Cow::Borrowed(ctx.base_url.as_str()), None),
        Some(Site::ForCertificates) => (Cow::Owned(ctx.mutual_tls.base_url.clone().unwrap_or_default()), None),
        Some(Site::Domain(tenant)) => (Cow::Owned(tenant.origin(&ctx.base_url)), tenant.path_of(request.path())),
    };
    format!("{origin}{}", path.as_deref().unwrap_or(request.path()))
}

/// What a browser calls the site that this request was sent to. `base_url` is the installation's.
pub(crate) fn origin<'u>(request: &HttpRequest, base_url: &'u str) -> Cow<'u, str> {
    match request.extensions().get::<Site>() {
        Some(Site::Domain(tenant)) => Cow::Owned(tenant.origin(base_url)),
        Some(Site::ForCertificates) | None => Cow::Borrowed(base_url),
    }
}

/// What is left of a tenant's addresses in the installation once it has a domain of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// All there is: public keys and their log, which those who verify older tokens go on fetching.
    Everything,
    /// Where it is now: pages that people come back to from a mail or a bookmark.
    Redirect,
    /// For clients with certificates, at their address alone.
    ForCertificates,
    Nothing,
}

impl Left {
    /// Of the route of this pattern, for those who ask by `method` (and HEAD is GET).
    pub(crate) fn of(route: &str, method: &str) -> Self {
        let Some(rest) = route.strip_prefix("/t/{slug}/") else {
            return if route.contains("/t/{slug}") { Self::Nothing } else { Self::Everything };
        };
        let is_page = ["account", "device"].contains(&rest) || ["account/", "password/"].iter().any(|folder| rest.starts_with(folder));
        let by_clients = ["token", "revoke", "introspect", "par", "device_authorization", "bc-authorize", "userinfo", "register"];
        match rest.strip_prefix("oauth/") {
            Some(endpoint) if by_clients.contains(&endpoint.split('/').next().unwrap_or_default()) => Self::ForCertificates,
            Some(_) => Self::Nothing,
            None if rest == ".well-known/jwks.json" || rest.starts_with(".well-known/key-log/") => Self::Everything,
            None if is_page && method == "GET" => Self::Redirect,
            None => Self::Nothing,
        }
    }
}

/// Lets a request through that came to the address of its tenant's issuer. Spent budgets come first.
///
/// # Errors
/// When the tenant is elsewhere.
pub(crate) async fn at_its_issuer(state: &ApiState, left: Left, request: &ServiceRequest) -> Result<(), Refusal> {
    if left == Left::Everything {
        return Ok(());
    }
    let slug = request.match_info().get("slug").unwrap_or_default();
    // Why there is none, the endpoint says in its own words.
    let Ok(tenant) = tenants::resolve(&state.ctx, slug).await else { return Ok(()) };
    let extensions = request.extensions();
    match (extensions.get::<Site>(), left) {
        (Some(Site::Domain(found)), _) if found.custom_domain == tenant.custom_domain => Ok(()),
        (Some(Site::Domain(_)), _) => Err(NoTenant::Unknown.into()),
        _ if tenant.custom_domain.is_none() => Ok(()),
        (Some(Site::ForCertificates), Left::ForCertificates) => Ok(()),
        (_, Left::Redirect) => {
            let path = tenant.path_of(request.path()).ok_or(NoTenant::Unknown)?;
            let query = request.query_string();
            let mark = if query.is_empty() { "" } else { "?" };
            Err(Refusal::Moved { to: format!("{}{path}{mark}{query}", tenant.origin(&state.ctx.base_url)) })
        }
        _ => Err(NoTenant::Unknown.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use actix_web::test::TestRequest;

    use super::*;
    use crate::router::table;

    const BASE: &str = "https://id.example";

    fn settings(believes_forwarded_host: bool) -> ApiSettings {
        ApiSettings {
            trusted_proxies: vec![IpAddr::from([10, 0, 0, 1]).into()],
            believes_forwarded_host,
            certificates: crate::oauth::mtls::CertificateHeader::default(),
            max_body_bytes: 1_024,
            max_head_bytes: 1_024,
            request_timeout: std::time::Duration::from_secs(1),
            budgets: app::budget::Limits::default(),
        }
    }

    /// What is asked for by a request with these `Host` headers and this target; `Err` where that is not to be told.
    fn asked(version: Version, target: &str, hosts: &[&[u8]]) -> Result<Option<String>, ()> {
        let mut request = TestRequest::with_uri(target).version(version);
        for host in hosts {
            request = request.append_header((HOST, actix_web::http::header::HeaderValue::from_bytes(host).expect("a value")));
        }
        asked_host(&request.to_http_request(), &settings(false), BASE).map_err(drop)
    }

    #[test]
    fn one_host_is_asked_for_or_none_is_answered() {
        use actix_web::http::Version as V;
        let host = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(asked(V::HTTP_11, "/", &[b"id.example"]), Ok(None), "the installation's own");
        assert_eq!(asked(V::HTTP_11, "/", &[b"login.acme.example"]), host("login.acme.example"));
        assert_eq!(asked(V::HTTP_11, "/", &[b"LOGIN.Acme.example:443"]), host("login.acme.example"), "case and the usual port");
        assert_eq!(asked(V::HTTP_11, "/", &[b"login.acme.example:8443"]), host("login.acme.example:8443"), "another port is another host");
        assert_eq!(asked(V::HTTP_11, "/", &[b"login.acme.example."]), host("login.acme.example."), "and so is a dot at the end");
        for bad in [&b""[..], b"a b", b"a,b", b"a/b", b"u@a", b"a\tb", b"b\xc3\xbccher.example", b"a%2e", b"a?b", b"a#b", b"a\\b"] {
            assert_eq!(asked(V::HTTP_11, "/", &[bad]), Err(()), "{bad:?}");
        }
        assert_eq!(asked(V::HTTP_11, "/", &[b"a.example", b"a.example"]), Err(()), "two, even the same");
        assert_eq!(asked(V::HTTP_11, "/", &[]), Err(()));
        assert_eq!(asked(V::HTTP_10, "/", &[]), Ok(None));
        assert_eq!(asked(V::HTTP_11, "http://a.example/x", &[b"b.example"]), host("a.example"), "the target's counts (RFC 9112, 3.2.2)");
        assert_eq!(asked(V::HTTP_11, "http://u@a.example/x", &[b"a.example"]), Err(()));
        assert_eq!(asked(V::HTTP_2, "https://a.example/x", &[]), host("a.example"));
        assert_eq!(asked(V::HTTP_2, "https://a.example/x", &[b"A.example"]), host("a.example"));
        assert_eq!(asked(V::HTTP_2, "https://a.example/x", &[b"b.example"]), Err(()));
    }

    #[test]
    fn s151_a_forwarded_host_counts_where_it_is_switched_on_and_of_a_proxy_alone() {
        let asked = |peer: &str, is_on, forwarded: &[&str]| {
            let mut request = TestRequest::default().peer_addr(peer.parse().expect("an address")).insert_header((HOST, "inside.example"));
            for host in forwarded {
                request = request.append_header((FORWARDED_HOST, *host));
            }
            asked_host(&request.to_http_request(), &settings(is_on), BASE).map_err(drop)
        };
        let host = |text: &str| Ok(Some(text.to_owned()));
        let (proxy, stranger) = ("10.0.0.1:1", "198.51.100.1:1");
        assert_eq!(asked(proxy, true, &["Login.acme.example"]), host("login.acme.example"));
        assert_eq!(asked(proxy, true, &["id.example"]), Ok(None));
        assert_eq!(asked(proxy, true, &[]), host("inside.example"));
        assert_eq!(asked(proxy, true, &["evil.example, login.acme.example"]), Err(()));
        assert_eq!(asked(proxy, true, &["evil.example", "login.acme.example"]), Err(()));
        assert_eq!(asked(proxy, false, &["login.acme.example"]), host("inside.example"));
        assert_eq!(asked(stranger, true, &["login.acme.example"]), host("inside.example"));
    }

    #[test]
    fn of_a_tenant_with_a_domain_little_is_left_in_the_installation() {
        let mut redirected = Vec::new();
        for route in table().into_iter().filter(|route| route.path.contains("/t/{slug}")) {
            match Left::of(route.path, route.method) {
                Left::Everything => {
                    assert!(route.path.contains(".well-known/jwks.json") || route.path.contains(".well-known/key-log/"), "{}", route.path);
                }
                Left::Redirect => {
                    assert_eq!(route.method, "GET");
                    redirected.push(route.path);
                }
                Left::ForCertificates => assert!(route.path.starts_with("/t/{slug}/oauth/"), "{}", route.path),
                Left::Nothing => {}
            }
        }
        redirected.retain(|path| !path.starts_with("/t/{slug}/account") && !path.starts_with("/t/{slug}/password/"));
        assert_eq!(redirected, ["/t/{slug}/device"]);
        for (route, left) in [
            ("/t/{slug}/.well-known/openid-configuration", Left::Nothing),
            ("/.well-known/oauth-authorization-server/t/{slug}", Left::Nothing),
            ("/t/{slug}/oauth/authorize", Left::Nothing),
            ("/t/{slug}/oauth/end_session", Left::Nothing),
            ("/t/{slug}/interaction/{request}", Left::Nothing),
            ("/t/{slug}/oauth/register/{client}", Left::ForCertificates),
            ("/admin/v1/tenants/{slug}", Left::Everything),
        ] {
            assert_eq!(Left::of(route, "GET"), left, "{route}");
        }
    }
}
