//! What happens around every request: an id in and out, a span, two metrics, and the headers that every answer carries.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use crate::state::ApiState;

/// The id a request is known by in logs, in the audit log and to its sender.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub String);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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

pub(crate) async fn observe(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(state) = request.app_data::<web::Data<ApiState>>().cloned() else { return next.call(request).await };
    let started = Instant::now();
    let id = request_id(&request, &state);
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().as_str().to_owned();
    let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());

    let span = tracing::info_span!("http", %method, route, request_id = %id);
    let mut response = tracing::Instrument::instrument(next.call(request), span.clone()).await?;

    let status = response.status();
    let method = if status.as_u16() == 405 || route == "none" { "other" } else { &method };
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
