//! How large a request's head may be, and how long a request may take.
//!
//! The body has its own bound (`max_body_bytes`), kept by the extractors; the head's time is kept by actix-http, and what
//! happens between requests by [`crate::connection`].

use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::rt::time::timeout;
use actix_web::{Error, HttpMessage, web};
use futures_util::Stream;
use futures_util::stream::poll_fn;

use crate::connection::Connection;
use crate::error::Refusal;
use crate::state::ApiSettings;

/// Answers a request by `work` if its head is small enough and if body and work are done in time; else drops what was
/// begun (an open transaction is rolled back) and says so, in the words of the endpoint.
pub(crate) async fn limited<W>(
    mut request: ServiceRequest,
    work: impl FnOnce(ServiceRequest) -> W,
) -> Result<ServiceResponse<BoxBody>, Error>
where
    W: Future<Output = Result<ServiceResponse<BoxBody>, Error>>,
{
    let Some(settings) = request.app_data::<web::Data<ApiSettings>>().cloned() else { return work(request).await };
    let asked = request.request().clone();
    let turn = asked.conn_data::<Connection>().map(Connection::turn);
    if turn.as_ref().is_some_and(Option::is_none) {
        let answer = Refusal::Crowded.answer(asked.match_pattern().as_deref());
        return Ok(ServiceResponse::new(asked, answer));
    }
    let refusal = if head_bytes(&request) > settings.max_head_bytes {
        Refusal::HeadTooLarge
    } else {
        let waits_for_body = watch_body(&mut request);
        match timeout(settings.request_timeout, work(request)).await {
            Ok(answer) => return answer,
            Err(_) if waits_for_body.get() => Refusal::BodyTooSlow,
            Err(_) => {
                tracing::warn!("a request took too long and was given up");
                Refusal::TookTooLong
            }
        }
    };
    if let Some(connection) = asked.conn_data::<Connection>() {
        connection.hang_up();
    }
    let answer = refusal.answer(asked.match_pattern().as_deref());
    Ok(ServiceResponse::new(asked, answer))
}

/// What the head takes, counted as it would be written.
fn head_bytes(request: &ServiceRequest) -> usize {
    let uri = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    uri + request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

/// Answers whether, at any later moment, somebody is waiting for more of the body.
fn watch_body(request: &mut ServiceRequest) -> Rc<Cell<bool>> {
    let waits = Rc::new(Cell::new(false));
    let mut payload = request.take_payload();
    if !matches!(payload, Payload::None) {
        let waiting = Rc::clone(&waits);
        let watched = poll_fn(move |context| {
            let chunk = std::pin::Pin::new(&mut payload).poll_next(context);
            waiting.set(matches!(chunk, Poll::Pending));
            chunk
        });
        payload = Payload::Stream { payload: Box::pin(watched) };
    }
    request.set_payload(payload);
    waits
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use actix_web::http::header::RETRY_AFTER;
    use actix_web::middleware::Next;
    use actix_web::{App, HttpResponse, middleware, test};
    use serde_json::Value;

    use super::*;

    /// Notes when it is dropped.
    struct Transaction(Rc<Cell<bool>>);
    impl Drop for Transaction {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    /// Asks for a route whose handler never ends.
    async fn stuck(path: &'static str) -> (ServiceResponse, bool) {
        let is_rolled_back = Rc::new(Cell::new(false));
        let seen = Rc::clone(&is_rolled_back);
        let handler = move || {
            let transaction = Transaction(Rc::clone(&is_rolled_back));
            async move {
                pending::<()>().await;
                drop(transaction);
                HttpResponse::Ok().finish()
            }
        };
        let settings = ApiSettings {
            trusted_proxies: Vec::new(),
            believes_forwarded_host: false,
            certificates: crate::oauth::mtls::CertificateHeader::default(),
            max_body_bytes: 1_024,
            max_head_bytes: 1_024,
            request_timeout: Duration::from_millis(10),
            budgets: app::budget::Limits::default(),
        };
        let app = App::new().app_data(web::Data::new(settings)).route(
            path,
            web::to(handler).wrap(middleware::from_fn(|request, next: Next<BoxBody>| limited(request, move |request| next.call(request)))),
        );
        let app = test::init_service(app).await;
        let request = test::TestRequest::post().uri(&path.replace("{slug}", "acme")).set_payload("body").to_request();
        (test::call_service(&app, request).await, seen.get())
    }

    #[actix_web::test]
    async fn a_handler_that_never_ends_is_dropped_and_refused_in_the_words_of_its_endpoint() {
        for (path, member, word) in
            [("/t/{slug}/login", "code", "took_too_long"), ("/t/{slug}/oauth/token", "error", "temporarily_unavailable")]
        {
            let (answer, is_rolled_back) = stuck(path).await;
            assert!(is_rolled_back, "what was begun is dropped");
            assert_eq!(answer.status(), 503);
            assert_eq!(answer.headers().get(RETRY_AFTER).expect("a header"), "1");
            let body: Value = test::read_body_json(answer).await;
            assert_eq!(body[member], word);
        }
    }
}
