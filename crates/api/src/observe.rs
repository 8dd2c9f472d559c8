//! What happens around every request: an id in and out, a span, two metrics, and the headers that every answer carries.
//!
//! Invariant: a span holds the route pattern, never the address: no tenant, no user, no query.

use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::site;
use crate::state::ApiState;

/// The id a request is known by in logs, in the audit log and to its sender.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub String);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Takes the sender's id when it is a harmless word, else makes one.
fn request_id(request: &ServiceRequest, state: &ApiState) -> String {
    let given = request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    match given {
        Some(id) if (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') => {
            id.to_owned()
        }
        _ => state.ctx.id_entropy().iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// Goes on with the trace of a trusted proxy; anybody else's word would let strangers write into our traces.
fn follow_trace(request: &ServiceRequest, state: &ApiState, span: &Span) {
    let Some(follow) = state.follow_trace else { return };
    let is_trusted = request.peer_addr().is_some_and(|peer| state.settings.trusted_proxies.contains(&peer.ip().to_canonical()));
    let given = request.headers().get(&TRACEPARENT).and_then(|value| value.to_str().ok());
    if let (true, Some(traceparent)) = (is_trusted, given) {
        follow(span, traceparent);
    }
}

/// A method can be any word that a stranger likes: only those that routes have are told apart.
fn known_method(request: &ServiceRequest, route: &str) -> &'static str {
    match request.method().as_str() {
        _ if route == "none" => "other",
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// What a request's span is called: `http.`, the last fixed word of the route, the method.
fn span_name(route: &str, method: &str) -> String {
    let mut words = route.split('/').map(|word| word.split('.').next().unwrap_or_default());
    let word = words.rfind(|word| word.len() > 1 && !word.starts_with('{')).unwrap_or(route);
    format!("http.{word}.{}", method.to_ascii_lowercase())
}

pub(crate) async fn observe<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let Some(state) = request.app_data::<web::Data<ApiState>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let started = Instant::now();
    // First of all: by it the route is found.
    let placed = site::place(&mut request, &state).await;
    let id = request_id(&request, &state);
    request.extensions_mut().insert(RequestId(id.clone()));
    let pattern = request.match_pattern();
    let route = pattern.clone().filter(|_| placed.is_ok()).unwrap_or_else(|| "none".to_owned());
    let method = known_method(&request, &route);

    let name = span_name(&route, method);
    let span = tracing::info_span!(
        "http", otel.name = name, otel.kind = "server", otel.status_code = Empty, method, route, status = Empty, request_id = %id
    );
    follow_trace(&request, &state, &span);
    let mut response = match placed {
        Ok(()) => next.call(request).instrument(span.clone()).await?.map_into_left_body(),
        Err(refusal) => {
            let answer = span.in_scope(|| refusal.answer(pattern.as_deref()));
            request.into_response(answer).map_into_right_body()
        }
    };

    let status = response.status();
    span.record("status", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let method = if status.as_u16() == 405 { "other" } else { method };
    state.metrics.requests.with_label_values(&[route.as_str(), method, status.as_str()]).inc();
    state.metrics.request_seconds.with_label_values(&[route.as_str(), method]).observe(started.elapsed().as_secs_f64());
    span.in_scope(|| {
        tracing::debug!(status = status.as_u16(), micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX), "answered")
    });

    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::span_name;

    #[test]
    fn a_span_is_named_by_what_is_asked_for() {
        for (route, method, name) in [
            ("/t/{slug}/oauth/token", "POST", "http.token.post"),
            ("/t/{slug}/.well-known/jwks.json", "GET", "http.jwks.get"),
            ("/admin/v1/tenants/{slug}/keys/{kid}/revoke", "POST", "http.revoke.post"),
            ("/admin/v1/tenants/{slug}", "PATCH", "http.tenants.patch"),
            ("/.well-known/oauth-authorization-server/t/{slug}", "GET", "http.oauth-authorization-server.get"),
            ("none", "other", "http.none.other"),
        ] {
            assert_eq!(span_name(route, method), name);
        }
    }
}
