//! Every route, on one page. Each says who may use it; the rights test walks this very table.

use actix_web::{HttpResponse, ResponseError, Route, middleware, web};

use crate::admin::{events, keys, tenants, users};
use crate::error::problem::Problem;
use crate::extract::json;
use crate::health;
use crate::oauth::{discovery, introspect, jwks, login, logout, me, revoke, token};
use crate::observe::observe;
use crate::state::ApiState;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Anybody.
    Public,
    /// Whoever brings the secret that the request is about: a password, a refresh token.
    ByCredential,
    /// A signed-in user of the tenant.
    User,
    /// A user of the tenant who may introspect.
    Introspector,
    /// The tenant's administrators, and the platform's.
    TenantAdmin,
    /// The platform's administrators alone.
    PlatformAdmin,
}

/// One method at one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteInfo {
    pub method: &'static str,
    pub path: &'static str,
    pub guard: Guard,
}

type Entry = (&'static str, Vec<(&'static str, Guard, Route)>);

#[rustfmt::skip]
fn routes() -> Vec<Entry> {
    use Guard::{ByCredential, Introspector, PlatformAdmin, Public, TenantAdmin, User};
    vec![
        ("/t/{slug}/.well-known/jwks.json", vec![("GET", Public, web::get().to(jwks::get))]),
        ("/t/{slug}/.well-known/openid-configuration", vec![("GET", Public, web::get().to(discovery::get))]),
        ("/.well-known/oauth-authorization-server/t/{slug}", vec![("GET", Public, web::get().to(discovery::get))]),
        ("/.well-known/installation-jwks.json", vec![("GET", Public, web::get().to(jwks::installation))]),
        ("/t/{slug}/login", vec![("POST", ByCredential, web::post().to(login::post))]),
        ("/t/{slug}/logout", vec![("POST", ByCredential, web::post().to(logout::post))]),
        ("/t/{slug}/oauth/token", vec![("POST", ByCredential, web::post().to(token::post))]),
        ("/t/{slug}/oauth/revoke", vec![("POST", ByCredential, web::post().to(revoke::post))]),
        ("/t/{slug}/oauth/introspect", vec![("POST", Introspector, web::post().to(introspect::post))]),
        ("/t/{slug}/me", vec![("GET", User, web::get().to(me::get))]),
        ("/t/{slug}/me/sessions", vec![("GET", User, web::get().to(me::sessions))]),
        ("/t/{slug}/me/sessions/{session}", vec![("DELETE", User, web::delete().to(me::end_session))]),

        ("/admin/v1/tenants", vec![
            ("GET", PlatformAdmin, web::get().to(tenants::list)),
            ("POST", PlatformAdmin, web::post().to(tenants::create)),
        ]),
        ("/admin/v1/tenants/{slug}", vec![
            ("GET", TenantAdmin, web::get().to(tenants::get)),
            ("PATCH", TenantAdmin, web::patch().to(tenants::change)),
            ("DELETE", PlatformAdmin, web::delete().to(tenants::delete)),
        ]),
        ("/admin/v1/deletions/{tenant}", vec![("GET", PlatformAdmin, web::get().to(tenants::deletion))]),
        ("/admin/v1/tenants/{slug}/suspend", vec![("POST", PlatformAdmin, web::post().to(tenants::suspend))]),
        ("/admin/v1/tenants/{slug}/resume", vec![("POST", PlatformAdmin, web::post().to(tenants::resume))]),
        ("/admin/v1/tenants/{slug}/events", vec![("GET", TenantAdmin, web::get().to(events::list))]),
        ("/admin/v1/tenants/{slug}/users", vec![
            ("GET", TenantAdmin, web::get().to(users::list)),
            ("POST", TenantAdmin, web::post().to(users::create)),
        ]),
        ("/admin/v1/tenants/{slug}/users/{user}", vec![
            ("GET", TenantAdmin, web::get().to(users::get)),
            ("PATCH", TenantAdmin, web::patch().to(users::change)),
            ("DELETE", TenantAdmin, web::delete().to(users::delete)),
        ]),
        ("/admin/v1/tenants/{slug}/users/{user}/disable", vec![("POST", TenantAdmin, web::post().to(users::disable))]),
        ("/admin/v1/tenants/{slug}/users/{user}/enable", vec![("POST", TenantAdmin, web::post().to(users::enable))]),
        ("/admin/v1/tenants/{slug}/users/{user}/password", vec![("PUT", TenantAdmin, web::put().to(users::set_password))]),
        ("/admin/v1/tenants/{slug}/users/{user}/sessions", vec![
            ("GET", TenantAdmin, web::get().to(users::sessions)),
            ("DELETE", TenantAdmin, web::delete().to(users::end_sessions)),
        ]),
        ("/admin/v1/tenants/{slug}/users/{user}/sessions/{session}", vec![("DELETE", TenantAdmin, web::delete().to(users::end_session))]),
        ("/admin/v1/tenants/{slug}/keys", vec![("GET", TenantAdmin, web::get().to(keys::get))]),
        ("/admin/v1/tenants/{slug}/keys/rotate", vec![("POST", TenantAdmin, web::post().to(keys::rotate))]),
        ("/admin/v1/tenants/{slug}/keys/policy", vec![
            ("GET", TenantAdmin, web::get().to(keys::policy)),
            ("PUT", TenantAdmin, web::put().to(keys::set_policy)),
        ]),
        ("/admin/v1/tenants/{slug}/keys/{kid}/revoke", vec![("POST", TenantAdmin, web::post().to(keys::revoke))]),
    ]
}

/// The table of all routes of the public listener: the rights test must know each of them.
pub fn table() -> Vec<RouteInfo> {
    let entries = routes().into_iter();
    entries.flat_map(|(path, methods)| methods.into_iter().map(move |(method, guard, _)| RouteInfo { method, path, guard })).collect()
}

/// What the public listener serves.
pub fn public(state: ApiState) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        let most = state.settings.max_body_bytes;
        let mut scope = web::scope("")
            .app_data(web::Data::new(state))
            .app_data(json::config(most))
            .app_data(web::PayloadConfig::new(most))
            .app_data(web::QueryConfig::default().error_handler(|error, _| Problem::bad_request(error.to_string()).into()));
        for (path, methods) in routes() {
            let mut resource = web::resource(path);
            for (_, _, route) in methods {
                resource = resource.route(route);
            }
            scope = scope.service(resource.default_service(web::to(async || Problem::method_not_allowed().error_response())));
        }
        config.service(scope.default_service(web::to(async || Problem::not_found().error_response())).wrap(middleware::from_fn(observe)));
    }
}

/// What the management listener serves: not for the internet.
pub fn management(state: ApiState) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config
            .app_data(web::Data::new(state))
            .route("/health/live", web::get().to(health::live))
            .route("/health/ready", web::get().to(health::ready))
            .route("/metrics", web::get().to(health::metrics))
            .default_service(web::to(async || HttpResponse::NotFound().finish()));
    }
}
