//! Who is let in: spends of the tenant's budget, then asks `app::access` what the route's [`Guard`] demands, before anything else of the request is read.
//!
//! Whoever passes is handed to the handler, which takes it by naming one of the types below as an argument.
//! Invariant: no query and no body is looked at before, and no database before the budget; whoever may not use a route learns nothing
//! about what it takes.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use app::access::{self, Admin, PlatformToken, ShownToken, SignedIn};
use app::clients::authenticate::{ClientDenied, authenticate};
use app::ctx::Ctx;
use app::fault::Fault;
use app::tenants;
use domain::client::{AuthMethod, Client};
use domain::scope::Scope;
use domain::tenant::Tenant;

use crate::error::Refusal;
use crate::error::problem::Problem;
use crate::extract::origin::From;
use crate::oauth::{client_auth, dpop, mtls};
use crate::router::Guard;
use crate::site::{self, Left};
use crate::state::ApiState;

/// One of the platform's administrators.
pub(crate) struct PlatformAdmin(pub Admin);

/// An administrator, and the tenant of the address, which they may administer.
pub(crate) struct AdminOf {
    pub admin: Admin,
    pub tenant: Tenant,
}

/// A signed-in user of the tenant of the address.
pub(crate) struct UserOf {
    pub who: SignedIn,
    pub tenant: Arc<Tenant>,
}

/// Somebody who may introspect tokens of the tenant of the address, or who has not said yet who they are.
pub(crate) struct IntrospectorOf {
    pub tenant: Arc<Tenant>,
    pub who: Introspector,
}

pub(crate) enum Introspector {
    /// One who may look at all tokens.
    OfAll,
    /// A client, which looks at its own.
    Client(Box<Client>),
    /// Nobody, as far as the head of the request tells: clients prove themselves in the body as well. Nothing else of that may be looked at before.
    NotSaidYet,
}

/// Lets a request through to its handler, or answers it.
pub(crate) async fn admit(
    guard: Guard,
    left: Left,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match admitted(guard, left, &request).await {
        Ok(()) => next.call(request).await,
        // Boxed: what seldom comes does not make the future of every request larger.
        Err(refusal) => Box::pin(refused(request, refusal)).await,
    }
}

/// The answer to a request that is not let through.
pub(crate) async fn refused(request: ServiceRequest, refusal: Refusal) -> Result<ServiceResponse<BoxBody>, Error> {
    if let (Refusal::UsedUp(used_up), Some(state)) = (&refusal, request.app_data::<web::Data<ApiState>>()) {
        state.metrics.used_up.with_label_values(&[used_up.budget.name()]).inc();
        state.budgets.hold().await;
    }
    let answer = refusal.answer(request.match_pattern().as_deref());
    Ok(request.into_response(answer))
}

async fn admitted(guard: Guard, left: Left, request: &ServiceRequest) -> Result<(), Refusal> {
    let Some(state) = request.app_data::<web::Data<ApiState>>() else { return Err(misplaced().into()) };
    let ctx = &state.ctx;
    let token = shown_token(ctx, request.request());
    let (token, bearer) = (token.as_ref(), token.as_ref().and_then(ShownToken::bearer));
    let slug = request.match_info().get("slug").unwrap_or_default();
    // What the platform's administrators do is not the tenant's; that they are such is looked at before anything else.
    let is_platforms = guard == Guard::TenantAdmin && bearer.is_some_and(PlatformToken::is_one);
    if !slug.is_empty() && !is_platforms {
        state.budgets.request(slug, ctx.now())?;
    }
    if left == Left::Everything && matches!(guard, Guard::Public | Guard::ByCredential) {
        return Ok(());
    }
    let known = async {
        site::at_its_issuer(state, left, request).await?;
        match guard {
            Guard::Public | Guard::ByCredential => {}
            Guard::User => {
                let tenant = tenants::resolve(ctx, slug).await?;
                let who = access::signed_in(ctx, &tenant, token, Scope::ACCOUNT).await?;
                request.extensions_mut().insert(UserOf { who, tenant });
            }
            Guard::Introspector => {
                let tenant = tenants::resolve(ctx, slug).await?;
                let unproved = |denied| Refusal::Client(denied, ctx.now());
                let who = match client_auth::basic(request.request()) {
                    Ok(Some(presented)) => {
                        let origin = From::of(request.request()).0;
                        let client = authenticate(ctx, &tenant, presented, &origin).await.map_err(unproved)?;
                        if client.settings.token_endpoint_auth_method == AuthMethod::None {
                            return Err(unproved(ClientDenied::NotAuthenticated));
                        }
                        Introspector::Client(Box::new(client))
                    }
                    Ok(None) if !request.headers().contains_key(AUTHORIZATION) => Introspector::NotSaidYet,
                    Ok(None) => {
                        access::introspector(ctx, &tenant, token).await?;
                        Introspector::OfAll
                    }
                    Err(_) => return Err(unproved(ClientDenied::NotAuthenticated)),
                };
                request.extensions_mut().insert(IntrospectorOf { tenant, who });
            }
            Guard::TenantAdmin => {
                let (admin, tenant) = access::admin_of(ctx, slug, token).await?;
                // Not before: strangers shall not use it up.
                if admin != Admin::Platform && !request.method().is_safe() {
                    state.budgets.change(tenant.slug.as_str(), ctx.now())?;
                }
                request.extensions_mut().insert(AdminOf { admin, tenant });
            }
            Guard::PlatformAdmin => {
                let admin = access::platform_admin(ctx, bearer).await?;
                request.extensions_mut().insert(PlatformAdmin(admin));
            }
        }
        Ok(())
    };
    Box::pin(known).await
}

/// The access token, when there is exactly one `Authorization: Bearer …` (RFC 6750, 2.1) or `Authorization: DPoP …` (RFC 9449, 7.1). It
/// is never taken from anywhere else.
pub(crate) fn shown_token<'r>(ctx: &Ctx, request: &'r HttpRequest) -> Option<ShownToken<'r>> {
    let (scheme, text) = credential(request)?;
    let proof = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => None,
        "dpop" => Some(dpop::shown(ctx, request)),
        _ => return None,
    };
    Some(ShownToken { text, proof, certificate: mtls::thumbprint(request) })
}

/// The token of a client that registers or manages itself: always a bearer's (RFC 7591, 3; RFC 7592, 2).
pub(crate) fn bearer_token(request: &HttpRequest) -> Option<&str> {
    credential(request).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token)
}

/// Scheme and token, when there is exactly one `Authorization`.
fn credential(request: &HttpRequest) -> Option<(&str, &str)> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    Some((scheme, token.trim()))
}

/// The guard of the route lets somebody else in than its handler asks for: a mistake in the route table.
fn misplaced() -> Fault {
    Fault::Broken("a handler asks for somebody whom the guard of its route does not let in".to_owned())
}

macro_rules! handed_over {
    ($($who:ty),*) => {$(
        impl FromRequest for $who {
            type Error = Error;
            type Future = Ready<Result<Self, Error>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let who = request.extensions_mut().remove::<Self>();
                ready(who.ok_or_else(|| Problem::from(misplaced()).into()))
            }
        }
    )*};
}
handed_over!(PlatformAdmin, AdminOf, UserOf, IntrospectorOf);
