//! What happens around every request: an id in and out, a span, two metrics, the headers that every answer carries, and who may read it.
//!
//! Invariant: a span holds the route pattern, never the address: no tenant, no user, no query.

use std::rc::Rc;
use std::time::Instant;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::cors::{Readers, share};
use crate::proxies::have;
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
        _ => {
            let mut id = [0; 16];
            id[6..].copy_from_slice(&state.ctx.id_entropy());
            format!("{:020x}", u128::from_be_bytes(id))
        }
    }
}

/// Goes on with the trace of a trusted proxy; anybody else's word would let strangers write into our traces.
fn follow_trace(request: &ServiceRequest, state: &ApiState, span: &Span) {
    let Some(follow) = state.follow_trace else { return };
    let is_trusted = request.peer_addr().is_some_and(|peer| have(&state.settings.trusted_proxies, peer.ip()));
    let given = request.headers().get(&TRACEPARENT).and_then(|value| value.to_str().ok());
    if let (true, Some(traceparent)) = (is_trusted, given) {
        follow(span, traceparent);
    }
}

/// What a request is counted and traced under. A method can be any word that a stranger likes: only those that routes have are told apart.
#[derive(Debug)]
pub(crate) struct Watched {
    route: &'static str,
    /// Methods, and what the span of each is called.
    methods: Vec<(&'static str, String)>,
    other: String,
    /// Whose pages may read the answers, and by which methods they may ask.
    readers: Readers,
    allowed: String,
}

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const OTHER: &str = "other";

impl Watched {
    /// A route that answers the methods `allowed`.
    pub(crate) fn route(route: &'static str, allowed: String) -> Self {
        let methods = METHODS.map(|method| (method, span_name(route, method))).into();
        Self { route, methods, other: span_name(route, OTHER), readers: Readers::of(route), allowed }
    }

    /// What no route is for.
    pub(crate) fn none() -> Self {
        Self { methods: Vec::new(), ..Self::route("none", String::new()) }
    }

    fn method(&self, asked: &str) -> (&'static str, &str) {
        let known = self.methods.iter().find(|(method, _)| *method == asked);
        known.map_or((OTHER, &self.other), |(method, name)| (method, name))
    }
}

/// What a request's span is called: `http.`, the last fixed word of the route, the method.
fn span_name(route: &str, method: &str) -> String {
    let mut words = route.split('/').map(|word| word.split('.').next().unwrap_or_default());
    let word = words.rfind(|word| word.len() > 1 && !word.starts_with('{')).unwrap_or(route);
    format!("http.{word}.{}", method.to_ascii_lowercase())
}

/// Leads a request to its routes; one whose host is nobody's is answered here. First of all: by it the route is found.
pub(crate) async fn placed(mut request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(state) = request.app_data::<web::Data<ApiState>>().cloned() else { return next.call(request).await };
    match site::place(&mut request, &state).await {
        Ok(()) => next.call(request).await,
        Err(refusal) => {
            let answer = async |request: ServiceRequest| {
                let answer = refusal.answer(request.match_pattern().as_deref());
                Ok(request.into_response(answer))
            };
            Box::pin(observed(&Watched::none(), request, answer)).await
        }
    }
}

/// Answers a request of this route, by whatever is next, and says who may read it.
pub(crate) async fn observe(watched: Rc<Watched>, request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    observed(&watched, request, |request| share(watched.readers, &watched.allowed, request, next)).await
}

async fn observed<W>(
    watched: &Watched,
    request: ServiceRequest,
    work: impl FnOnce(ServiceRequest) -> W,
) -> Result<ServiceResponse<BoxBody>, Error>
where
    W: Future<Output = Result<ServiceResponse<BoxBody>, Error>>,
{
    let Some(state) = request.app_data::<web::Data<ApiState>>().cloned() else { return work(request).await };
    let started = Instant::now();
    let id = request_id(&request, &state);
    request.extensions_mut().insert(RequestId(id.clone()));
    let route = watched.route;
    let (method, name) = watched.method(request.method().as_str());
    let span = tracing::info_span!(
        "http", otel.name = name, otel.kind = "server", otel.status_code = Empty, method, route, status = Empty, request_id = %id
    );
    follow_trace(&request, &state, &span);
    let mut response = work(request).instrument(span.clone()).await?;

    let status = response.status();
    span.record("status", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let method = if status.as_u16() == 405 { OTHER } else { method };
    state.metrics.requests.with_label_values(&[route, method, status.as_str()]).inc();
    state.metrics.request_seconds.with_label_values(&[route, method]).observe(started.elapsed().as_secs_f64());
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
