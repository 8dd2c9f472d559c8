//! Every route, on one page. Each says who may use it, and that is what is enforced; the rights test walks this very table.

use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::{HttpResponse, ResponseError, Route, guard, middleware, web};

use crate::admin::{
    branding, claims, clients, domains, events, foresight, initial_tokens, keys, resources, tenants, trusted_issuers, users,
};
use crate::admission::admit;
use crate::assets;
use crate::busy;
use crate::connection::moving;
use crate::description;
use crate::error::Refusal;
use crate::error::problem::Problem;
use crate::health;
use crate::limits::limited;
use crate::oauth::{
    account, accounts, authorize, backchannel, challenge, device, discovery, email, end_session, introspect, jwks, key_log, login, logout,
    me, par, recovery, register, revoke, token, userinfo,
};
use crate::observe::{Watched, observe, placed};
use crate::site::Left;
use crate::state::ApiState;

/// Who may use a route; checked before anything else of a request is read.
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
        // A route is looked for from the top, so those that machines ask all the time come first.
        ("/t/{slug}/.well-known/jwks.json", vec![("GET", Public, web::to(jwks::get))]),
        ("/t/{slug}/oauth/token", vec![("POST", ByCredential, web::to(token::post))]),
        ("/t/{slug}/oauth/introspect", vec![("POST", Introspector, web::to(introspect::post))]),
        ("/t/{slug}/oauth/userinfo", vec![
            ("GET", ByCredential, web::to(userinfo::get)),
            ("POST", ByCredential, web::to(userinfo::post)),
        ]),
        ("/t/{slug}/oauth/authorize", vec![
            ("GET", Public, web::to(authorize::get)),
            ("POST", Public, web::to(authorize::post)),
        ]),
        ("/t/{slug}/oauth/par", vec![("POST", ByCredential, web::to(par::post))]),
        ("/t/{slug}/login", vec![("POST", ByCredential, web::to(login::post))]),

        ("/openapi.json", vec![("GET", Public, web::to(description::get))]),
        ("/t/{slug}/.well-known/key-log/checkpoint", vec![("GET", Public, web::to(key_log::checkpoint))]),
        ("/t/{slug}/.well-known/key-log/vkey", vec![("GET", Public, web::to(key_log::vkey))]),
        // A tile's number grows by a folder for each three digits; this is room for 256 million entries.
        ("/t/{slug}/.well-known/key-log/tile/{level}/{tile}", vec![("GET", Public, web::to(key_log::tile))]),
        ("/t/{slug}/.well-known/key-log/tile/{level}/{tile}/{tile2}", vec![("GET", Public, web::to(key_log::tile))]),
        ("/t/{slug}/.well-known/key-log/tile/{level}/{tile}/{tile2}/{width}", vec![("GET", Public, web::to(key_log::tile))]),
        ("/t/{slug}/.well-known/key-log/proof/inclusion", vec![("GET", Public, web::to(key_log::inclusion))]),
        ("/t/{slug}/.well-known/key-log/proof/consistency", vec![("GET", Public, web::to(key_log::consistency))]),
        ("/t/{slug}/.well-known/openid-configuration", vec![("GET", Public, web::to(discovery::get))]),
        ("/.well-known/oauth-authorization-server/t/{slug}", vec![("GET", Public, web::to(discovery::get))]),
        ("/.well-known/installation-jwks.json", vec![("GET", Public, web::to(jwks::installation))]),
        ("/t/{slug}/assets/{file}", vec![("GET", Public, web::to(assets::get))]),
        ("/t/{slug}/logout", vec![("POST", ByCredential, web::to(logout::post))]),
        ("/t/{slug}/oauth/authorize-challenge", vec![("POST", ByCredential, web::to(challenge::post))]),
        ("/t/{slug}/oauth/device_authorization", vec![("POST", ByCredential, web::to(device::authorization))]),
        ("/t/{slug}/oauth/bc-authorize", vec![("POST", ByCredential, web::to(backchannel::post))]),
        ("/t/{slug}/device", vec![
            ("GET", Public, web::to(device::get)),
            ("POST", ByCredential, web::to(device::post)),
        ]),
        ("/t/{slug}/interaction/{request}", vec![("GET", ByCredential, web::to(authorize::look))]),
        ("/t/{slug}/interaction/{request}/login", vec![("POST", ByCredential, web::to(authorize::login))]),
        ("/t/{slug}/interaction/{request}/accounts", vec![
            ("GET", ByCredential, web::to(accounts::of_request)),
            ("POST", ByCredential, web::to(accounts::choose)),
        ]),
        ("/t/{slug}/interaction/{request}/new-password", vec![("POST", ByCredential, web::to(authorize::new_password))]),
        ("/t/{slug}/interaction/{request}/consent", vec![("POST", ByCredential, web::to(authorize::consent))]),
        ("/t/{slug}/account", vec![("GET", ByCredential, web::to(account::get))]),
        ("/t/{slug}/account/login", vec![("POST", ByCredential, web::to(account::login))]),
        ("/t/{slug}/account/accounts", vec![
            ("GET", ByCredential, web::to(accounts::of_browser)),
            ("POST", ByCredential, web::to(accounts::choose_for_browser)),
        ]),
        ("/t/{slug}/account/requests/decide", vec![("POST", ByCredential, web::to(backchannel::answer))]),
        ("/t/{slug}/account/new-password", vec![("POST", ByCredential, web::to(account::renew))]),
        ("/t/{slug}/account/profile", vec![("POST", ByCredential, web::to(account::profile))]),
        ("/t/{slug}/account/password", vec![
            ("GET", ByCredential, web::to(account::password_page)),
            ("POST", ByCredential, web::to(account::password)),
        ]),
        ("/t/{slug}/account/sessions/end", vec![("POST", ByCredential, web::to(account::end_session))]),
        ("/t/{slug}/account/sessions/end-others", vec![("POST", ByCredential, web::to(account::end_other_sessions))]),
        ("/t/{slug}/account/applications/revoke", vec![("POST", ByCredential, web::to(account::revoke))]),
        ("/t/{slug}/account/export", vec![("GET", ByCredential, web::to(account::export))]),
        ("/t/{slug}/account/email", vec![
            ("GET", ByCredential, web::to(email::page)),
            ("POST", ByCredential, web::to(email::ask)),
        ]),
        ("/t/{slug}/account/email/verify", vec![("POST", ByCredential, web::to(email::ask_proof))]),
        ("/t/{slug}/account/email/verify/{link}", vec![
            ("GET", ByCredential, web::to(email::proof_page)),
            ("POST", ByCredential, web::to(email::prove)),
        ]),
        ("/t/{slug}/account/email/verified", vec![("GET", Public, web::to(email::proved))]),
        ("/t/{slug}/account/email/change/{link}", vec![
            ("GET", ByCredential, web::to(email::change_page)),
            ("POST", ByCredential, web::to(email::change)),
        ]),
        ("/t/{slug}/password/forgot", vec![
            ("GET", Public, web::to(recovery::forgot_page)),
            ("POST", Public, web::to(recovery::forgot)),
        ]),
        ("/t/{slug}/password/sent", vec![("GET", Public, web::to(recovery::sent))]),
        ("/t/{slug}/password/reset/{link}", vec![
            ("GET", ByCredential, web::to(recovery::reset_page)),
            ("POST", ByCredential, web::to(recovery::reset)),
        ]),
        ("/t/{slug}/password/changed", vec![("GET", Public, web::to(recovery::changed))]),
        ("/t/{slug}/account/sign-out", vec![("POST", ByCredential, web::to(account::sign_out))]),
        ("/t/{slug}/oauth/end_session", vec![
            ("GET", ByCredential, web::to(end_session::get)),
            ("POST", ByCredential, web::to(end_session::post)),
        ]),
        ("/t/{slug}/oauth/register", vec![("POST", ByCredential, web::to(register::post))]),
        ("/t/{slug}/oauth/register/{client}", vec![
            ("GET", ByCredential, web::to(register::get)),
            ("PUT", ByCredential, web::to(register::put)),
            ("DELETE", ByCredential, web::to(register::delete)),
        ]),
        ("/t/{slug}/oauth/revoke", vec![("POST", ByCredential, web::to(revoke::post))]),
        ("/t/{slug}/me", vec![("GET", User, web::to(me::get))]),
        ("/t/{slug}/me/sessions", vec![("GET", User, web::to(me::sessions))]),
        ("/t/{slug}/me/sessions/{session}", vec![("DELETE", User, web::to(me::end_session))]),

        ("/admin/v1/tenants", vec![
            ("GET", PlatformAdmin, web::to(tenants::list)),
            ("POST", PlatformAdmin, web::to(tenants::create)),
        ]),
        ("/admin/v1/tenants/{slug}", vec![
            ("GET", TenantAdmin, web::to(tenants::get)),
            ("PATCH", TenantAdmin, web::to(tenants::change)),
            ("DELETE", PlatformAdmin, web::to(tenants::delete)),
        ]),
        ("/admin/v1/deletions/{tenant}", vec![("GET", PlatformAdmin, web::to(tenants::deletion))]),
        ("/admin/v1/tenants/{slug}/suspend", vec![("POST", PlatformAdmin, web::to(tenants::suspend))]),
        ("/admin/v1/tenants/{slug}/resume", vec![("POST", PlatformAdmin, web::to(tenants::resume))]),
        ("/admin/v1/tenants/{slug}/domain", vec![
            ("PUT", PlatformAdmin, web::to(domains::set)),
            ("DELETE", PlatformAdmin, web::to(domains::remove)),
        ]),
        ("/admin/v1/tenants/{slug}/branding", vec![
            ("GET", TenantAdmin, web::to(branding::get)),
            ("PUT", TenantAdmin, web::to(branding::set)),
        ]),
        ("/admin/v1/tenants/{slug}/branding/logo", vec![
            ("PUT", TenantAdmin, web::to(branding::set_logo)),
            ("DELETE", TenantAdmin, web::to(branding::delete_logo)),
        ]),
        ("/admin/v1/tenants/{slug}/claims", vec![
            ("GET", TenantAdmin, web::to(claims::get)),
            ("PUT", TenantAdmin, web::to(claims::set)),
        ]),
        ("/admin/v1/tenants/{slug}/claims/preview", vec![("POST", TenantAdmin, web::to(claims::preview))]),
        ("/admin/v1/tenants/{slug}/events", vec![("GET", TenantAdmin, web::to(events::list))]),
        ("/admin/v1/tenants/{slug}/users", vec![
            ("GET", TenantAdmin, web::to(users::list)),
            ("POST", TenantAdmin, web::to(users::create)),
        ]),
        ("/admin/v1/tenants/{slug}/users/{user}", vec![
            ("GET", TenantAdmin, web::to(users::get)),
            ("PATCH", TenantAdmin, web::to(users::change)),
            ("DELETE", TenantAdmin, web::to(users::delete)),
        ]),
        ("/admin/v1/tenants/{slug}/users/{user}/disable", vec![("POST", TenantAdmin, web::to(users::disable))]),
        ("/admin/v1/tenants/{slug}/users/{user}/enable", vec![("POST", TenantAdmin, web::to(users::enable))]),
        ("/admin/v1/tenants/{slug}/users/{user}/password", vec![("PUT", TenantAdmin, web::to(users::set_password))]),
        ("/admin/v1/tenants/{slug}/users/{user}/sessions", vec![
            ("GET", TenantAdmin, web::to(users::sessions)),
            ("DELETE", TenantAdmin, web::to(users::end_sessions)),
        ]),
        ("/admin/v1/tenants/{slug}/users/{user}/sessions/{session}", vec![("DELETE", TenantAdmin, web::to(users::end_session))]),
        ("/admin/v1/tenants/{slug}/clients", vec![
            ("GET", TenantAdmin, web::to(clients::list)),
            ("POST", TenantAdmin, web::to(clients::create)),
        ]),
        ("/admin/v1/tenants/{slug}/clients/{client}", vec![
            ("GET", TenantAdmin, web::to(clients::get)),
            ("PUT", TenantAdmin, web::to(clients::replace)),
            ("DELETE", TenantAdmin, web::to(clients::delete)),
        ]),
        ("/admin/v1/tenants/{slug}/clients/{client}/disable", vec![("POST", TenantAdmin, web::to(clients::disable))]),
        ("/admin/v1/tenants/{slug}/clients/{client}/enable", vec![("POST", TenantAdmin, web::to(clients::enable))]),
        ("/admin/v1/tenants/{slug}/clients/{client}/secrets", vec![("POST", TenantAdmin, web::to(clients::add_secret))]),
        ("/admin/v1/tenants/{slug}/clients/{client}/secrets/{secret}", vec![("DELETE", TenantAdmin, web::to(clients::remove_secret))]),
        ("/admin/v1/tenants/{slug}/resources", vec![
            ("GET", TenantAdmin, web::to(resources::list)),
            ("POST", TenantAdmin, web::to(resources::create)),
        ]),
        ("/admin/v1/tenants/{slug}/resources/{resource}", vec![
            ("GET", TenantAdmin, web::to(resources::get)),
            ("PUT", TenantAdmin, web::to(resources::replace)),
            ("DELETE", TenantAdmin, web::to(resources::delete)),
        ]),
        ("/admin/v1/tenants/{slug}/trusted-issuers", vec![
            ("GET", TenantAdmin, web::to(trusted_issuers::list)),
            ("POST", TenantAdmin, web::to(trusted_issuers::create)),
        ]),
        ("/admin/v1/tenants/{slug}/trusted-issuers/{issuer}", vec![
            ("GET", TenantAdmin, web::to(trusted_issuers::get)),
            ("PUT", TenantAdmin, web::to(trusted_issuers::replace)),
            ("DELETE", TenantAdmin, web::to(trusted_issuers::delete)),
        ]),
        ("/admin/v1/tenants/{slug}/initial-access-tokens", vec![
            ("GET", TenantAdmin, web::to(initial_tokens::list)),
            ("POST", TenantAdmin, web::to(initial_tokens::create)),
        ]),
        ("/admin/v1/tenants/{slug}/initial-access-tokens/{token}", vec![("DELETE", TenantAdmin, web::to(initial_tokens::delete))]),
        ("/admin/v1/tenants/{slug}/keys", vec![("GET", TenantAdmin, web::to(keys::get))]),
        ("/admin/v1/tenants/{slug}/keys/rotate", vec![("POST", TenantAdmin, web::to(keys::rotate))]),
        ("/admin/v1/tenants/{slug}/keys/plan", vec![("POST", TenantAdmin, web::to(foresight::plan))]),
        ("/admin/v1/tenants/{slug}/keys/verifiers", vec![("GET", TenantAdmin, web::to(foresight::verifiers))]),
        ("/admin/v1/tenants/{slug}/keys/drill", vec![("POST", TenantAdmin, web::to(foresight::drill))]),
        ("/admin/v1/tenants/{slug}/keys/token-secret/rotate", vec![("POST", TenantAdmin, web::to(keys::rotate_token_secret))]),
        ("/admin/v1/tenants/{slug}/keys/policy", vec![
            ("GET", TenantAdmin, web::to(keys::policy)),
            ("PUT", TenantAdmin, web::to(keys::set_policy)),
        ]),
        ("/admin/v1/tenants/{slug}/keys/{kid}/revoke", vec![("POST", TenantAdmin, web::to(keys::revoke))]),
    ]
}

/// The table of all routes of the public listener: the rights test must know each of them.
pub fn table() -> Vec<RouteInfo> {
    let entries = routes().into_iter();
    entries.flat_map(|(path, methods)| methods.into_iter().map(move |(method, guard, _)| RouteInfo { method, path, guard })).collect()
}

/// What the public listener serves. Must be called inside the worker's runtime.
pub fn public(state: ApiState) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        busy::watch(state.clone());
        let most = state.settings.max_body_bytes;
        let mut scope = web::scope("")
            .app_data(web::Data::from(Arc::clone(&state.settings)))
            .app_data(web::Data::new(state))
            .app_data(web::PayloadConfig::new(most))
            .app_data(web::QueryConfig::default().error_handler(|error, _| Problem::bad_request(error.to_string()).into()));
        for (path, methods) in routes() {
            let mut resource = web::resource(path);
            let allowed =
                methods.iter().map(|(method, ..)| if *method == "GET" { "GET, HEAD" } else { method }).collect::<Vec<_>>().join(", ");
            for (method, guard, route) in methods {
                resource = resource.route(guarded(path, method, guard, route));
            }
            let watched = Rc::new(Watched::route(path, allowed.clone()));
            let not_allowed = move || ready(Refusal::MethodNotAllowed { allowed: allowed.clone() }.answer(Some(path)));
            let observed = middleware::from_fn(move |request, next| observe(Rc::clone(&watched), request, next));
            scope = scope.service(resource.default_service(web::to(not_allowed)).wrap(observed));
        }
        let watched = Rc::new(Watched::none());
        let unknown = middleware::from_fn(move |request, next| observe(Rc::clone(&watched), request, next));
        config.service(
            scope
                .default_service(web::to(async || Problem::not_found().error_response()).wrap(unknown))
                .wrap(middleware::from_fn(placed))
                .wrap(middleware::from_fn(moving)),
        );
    }
}

/// A route that answers only its method, within the limits, and only whom its guard lets in. Whoever may GET may HEAD (RFC 9110,
/// 9.3.2): the same answer, of which the body is not sent.
fn guarded(path: &'static str, method: &'static str, guard: Guard, route: Route) -> Route {
    let left = Left::of(path, method);
    route
        .guard(guard::fn_guard(move |context| match context.head().method.as_str() {
            "HEAD" => method == "GET",
            asked => asked == method,
        }))
        .wrap(middleware::from_fn(move |request, next| limited(request, move |request| admit(guard, left, request, next))))
}

/// What the management listener serves: not for the internet.
pub fn management(state: ApiState) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        let scope = web::scope("")
            .app_data(web::Data::new(state))
            .route("/health/live", web::get().to(health::live))
            .route("/health/ready", web::get().to(health::ready))
            .route("/metrics", web::get().to(health::metrics))
            .default_service(web::to(async || HttpResponse::NotFound().finish()));
        config.service(scope.wrap(middleware::from_fn(moving)));
    }
}
