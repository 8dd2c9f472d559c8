//! Pages of other origins: which of our answers their scripts may read (Fetch, 3.2, "CORS protocol").
//!
//! What is public is for everybody; what a client asks for is for pages of origins where a client runs, and of this very client once
//! it is known. All else is for nobody: pages, sessions with a cookie, introspection, administration.
//!
//! Invariant: no answer lets a browser send credentials along (`Access-Control-Allow-Credentials`), and no origin is named to itself that is
//! not registered.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use app::clients::origins::{is_known_to_read, may_read};
use app::tenants;
use domain::client::Client;

use crate::admission::refused;
use crate::error::Refusal;
use crate::error::oauth::OAuthError;
use crate::state::ApiState;

/// Whose pages may read the answers of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Our own.
    SameOrigin,
    /// All: what is told is public.
    Everybody,
    /// Those where clients of the tenant run.
    Clients,
}

impl Readers {
    pub(crate) fn of(route: &str) -> Self {
        match route {
            "/t/{slug}/oauth/token" | "/t/{slug}/oauth/userinfo" | "/t/{slug}/oauth/revoke" | "/t/{slug}/oauth/par" => Self::Clients,
            _ if route.contains("/.well-known/") => Self::Everybody,
            _ => Self::SameOrigin,
        }
    }
}

/// What clients send besides what every page may.
const SENT: HeaderValue = HeaderValue::from_static("Authorization, Content-Type, DPoP, X-Request-Id");
/// What scripts may read besides what they always may.
const SHOWN: HeaderValue = HeaderValue::from_static("DPoP-Nonce, WWW-Authenticate, Retry-After, X-Request-Id");
const SHOWN_TO_ALL: HeaderValue = HeaderValue::from_static("ETag, Retry-After, X-Request-Id");
const ALL: HeaderValue = HeaderValue::from_static("*");
/// How long a browser need not ask again: seconds.
const KEPT: HeaderValue = HeaderValue::from_static("600");
const BY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// The client that an answer is for does not run where it was asked from.
struct OfAnotherClient;

/// The one `Origin` of a request.
fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut values = headers.get_all(ORIGIN);
    match (values.next(), values.next()) {
        (Some(origin), None) => Some(origin),
        _ => None,
    }
}

/// The answer to this request is for `client`: pages of other clients do not read it.
pub(crate) fn is_for(request: &HttpRequest, client: &Client) {
    let asked_from = origin(request.headers()).and_then(|origin| origin.to_str().ok());
    if asked_from.is_some_and(|asked_from| !client.origins().iter().any(|own| own.as_str() == asked_from)) {
        request.extensions_mut().insert(OfAnotherClient);
    }
}

/// Answers preflights, and says beside every other answer who may read it. `methods` are those of the route.
pub(crate) async fn share(
    readers: Readers,
    methods: &str,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if readers == Readers::SameOrigin {
        return next.call(request).await;
    }
    if request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        // Boxed, here and below: what seldom comes does not make the future of every request larger.
        return Box::pin(preflight(readers, methods, request)).await;
    }
    let asked_from = if readers == Readers::Clients { origin(request.headers()).cloned() } else { None };
    let mut response = next.call(request).await?;
    let reader = match (readers, asked_from) {
        (Readers::Everybody, _) => Some(ALL),
        (Readers::Clients, Some(asked_from)) if Box::pin(may_read_answer(&response, &asked_from)).await => Some(asked_from),
        _ => None,
    };
    let headers = response.headers_mut();
    if readers == Readers::Clients {
        headers.append(VARY, BY_ORIGIN);
    }
    if let Some(reader) = reader {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, reader);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, if readers == Readers::Everybody { SHOWN_TO_ALL } else { SHOWN });
    }
    Ok(response)
}

async fn may_read_answer(response: &ServiceResponse<BoxBody>, asked_from: &HeaderValue) -> bool {
    let (request, Ok(asked_from)) = (response.request(), asked_from.to_str()) else { return false };
    let Some(state) = request.app_data::<web::Data<ApiState>>() else { return false };
    if request.extensions().contains::<OfAnotherClient>() {
        return false;
    }
    let slug = request.match_info().get("slug").unwrap_or_default();
    // Whoever has used up its budget gets no look into the database for being told so.
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        return is_known_to_read(&state.ctx, slug, asked_from);
    }
    let Ok(tenant) = tenants::resolve(&state.ctx, slug).await else { return false };
    may_read(&state.ctx, tenant.id, asked_from).await.unwrap_or_else(|fault| {
        tracing::warn!(%fault, "whose pages may read an answer is not known: none may");
        false
    })
}

async fn preflight(readers: Readers, methods: &str, request: ServiceRequest) -> Result<ServiceResponse<BoxBody>, Error> {
    let reader = match granted(readers, &request).await {
        Ok(Some(reader)) => reader,
        Ok(None) => {
            let mut answer = OAuthError::foreign_origin().error_response();
            answer.headers_mut().append(VARY, BY_ORIGIN);
            return Ok(request.into_response(answer));
        }
        Err(refusal) => return refused(request, refusal).await,
    };
    let mut response = HttpResponse::NoContent();
    response.insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, reader)).insert_header((ACCESS_CONTROL_ALLOW_METHODS, methods.to_owned()));
    response.insert_header((ACCESS_CONTROL_MAX_AGE, KEPT));
    response.insert_header((ACCESS_CONTROL_ALLOW_HEADERS, if readers == Readers::Everybody { ALL } else { SENT }));
    if readers == Readers::Clients {
        response.insert_header((VARY, BY_ORIGIN));
    }
    Ok(request.into_response(response.finish()))
}

/// Who may read what the request behind a preflight will be answered; `None` for nobody there.
async fn granted(readers: Readers, request: &ServiceRequest) -> Result<Option<HeaderValue>, Refusal> {
    let Some(state) = request.app_data::<web::Data<ApiState>>() else { return Ok(None) };
    let slug = request.match_info().get("slug").unwrap_or_default();
    if !slug.is_empty() {
        state.budgets.request(slug, state.ctx.now())?;
    }
    if readers == Readers::Everybody {
        return Ok(Some(ALL));
    }
    let tenant = tenants::resolve(&state.ctx, slug).await?;
    let origin = origin(request.headers()).and_then(|origin| Some((origin, origin.to_str().ok()?)));
    let Some((origin, text)) = origin else { return Ok(None) };
    Ok(may_read(&state.ctx, tenant.id, text).await?.then(|| origin.clone()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::router::table;

    #[test]
    fn few_routes_are_for_pages_of_other_origins() {
        let of_clients: BTreeSet<_> =
            table().into_iter().map(|route| route.path).filter(|path| Readers::of(path) == Readers::Clients).collect();
        let meant = ["/t/{slug}/oauth/par", "/t/{slug}/oauth/userinfo", "/t/{slug}/oauth/token", "/t/{slug}/oauth/revoke"];
        assert_eq!(of_clients, BTreeSet::from(meant));
        for route in table() {
            let is_public_document = route.path.contains("/.well-known/") && route.method == "GET";
            assert_eq!(Readers::of(route.path) == Readers::Everybody, is_public_document, "{}", route.path);
        }
    }
}
