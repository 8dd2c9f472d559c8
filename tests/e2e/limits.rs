//! What one caller may take of the server: head, body, time and connections are bounded, and others do not notice.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;
use server::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{World, in_world, in_world_with, sent};

/// Longer than anything here takes; a test that waits this long has failed.
const FOREVER: Duration = Duration::from_secs(30);

/// Everything within a second.
fn hasty(settings: &mut Settings) {
    settings.server.head_timeout_seconds = 1;
    settings.server.request_timeout_seconds = 1;
    settings.server.keep_alive_seconds = 1;
}

/// A connection that speaks bytes instead of requests.
struct Raw(TcpStream);

impl Raw {
    async fn to(world: &World) -> Self {
        let address = world.base_url.strip_prefix("http://").expect("a plain address");
        Self(TcpStream::connect(address).await.expect("a connection"))
    }

    async fn says(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("written");
    }

    /// Everything that comes until the server closes.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset instead of an end is an end, too.
        let _ = timeout(FOREVER, self.0.read_to_end(&mut bytes)).await.expect("the server closes the connection");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads until the text was seen.
    async fn until(&mut self, wanted: &str) -> String {
        let mut seen = String::new();
        let reading = async {
            let mut buffer = [0_u8; 4_096];
            while !seen.contains(wanted) {
                let length = self.0.read(&mut buffer).await.expect("read");
                assert_ne!(length, 0, "closed before '{wanted}' came: {seen}");
                seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        };
        timeout(FOREVER, reading).await.expect("an answer");
        seen
    }
}

/// The body of an answer that was read as text.
#[track_caller]
fn body_of(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").expect("a head and a body").1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// A whole request. What it asks for does not exist, which is quickly said even by a busy machine.
const WHOLE: &str = "GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n";
/// The end of its answer.
const ANSWERED: &str = "not_found\"}";

#[test]
fn a_head_that_never_ends_is_given_up() {
    in_world_with(hasty, async |world| {
        let mut first = Raw::to(world).await;
        first.says("GET /t/acme/me HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await;
        assert!(first.rest().await.starts_with("HTTP/1.1 408 "));

        // The second head of a connection, sent byte by byte: it has no answer, but an end.
        let mut second = Raw::to(world).await;
        second.says(WHOLE).await;
        second.until(ANSWERED).await;
        second.says("GET /t/acme/me HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await;
        second.rest().await;

        // Even when its beginning came together with the first request.
        let mut together = Raw::to(world).await;
        together.says(&format!("{WHOLE}GET /t/acme/me HTTP/1.1\r\nx-slow: ")).await;
        assert!(together.rest().await.contains(ANSWERED));
    });
}

#[test]
fn an_answer_that_nobody_reads_does_not_hold_its_connection() {
    in_world_with(hasty, async |world| {
        let mut deaf = Raw::to(world).await;
        let asking = async { while deaf.0.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n").await.is_ok() {} };
        timeout(FOREVER, asking).await.expect("the server closes the connection");
    });
}

#[test]
fn a_body_that_never_ends_is_refused_in_the_words_of_its_endpoint() {
    in_world_with(hasty, async |world| {
        for framing in ["content-length: 1000", "transfer-encoding: chunked"] {
            let begun = if framing.starts_with('c') { "{\"username\":" } else { "b\r\n{\"username\"\r\n" };
            let mut login = Raw::to(world).await;
            login
                .says(&format!(
                    "POST /t/acme/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{framing}\r\n\r\n{begun}"
                ))
                .await;
            let answer = login.rest().await;
            assert!(answer.starts_with("HTTP/1.1 408 "), "{framing}: {answer}");
            assert!(answer.to_lowercase().contains("x-request-id: "), "{answer}");
            assert_eq!(body_of(&answer)["code"], "too_slow", "{answer}");

            let mut token = Raw::to(world).await;
            let form = "content-type: application/x-www-form-urlencoded";
            token.says(&format!("POST /t/acme/oauth/token HTTP/1.1\r\nhost: localhost\r\n{form}\r\n{framing}\r\n\r\n")).await;
            let answer = token.rest().await;
            assert!(answer.starts_with("HTTP/1.1 408 "), "{framing}: {answer}");
            assert_eq!(body_of(&answer)["error"], "invalid_request", "{answer}");
        }
    });
}

#[test]
fn who_may_not_use_a_route_is_told_so_without_the_body() {
    in_world_with(
        |settings| settings.server.request_timeout_seconds = 600,
        async |world| {
            let mut stranger = Raw::to(world).await;
            let head =
                "POST /admin/v1/tenants HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n";
            stranger.says(&format!("{head}{{")).await;
            let answer = stranger.rest().await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
            assert_eq!(body_of(&answer)["code"], "no_token");
        },
    );
}

#[test]
fn a_head_larger_than_the_limit_is_refused_and_one_below_it_is_not() {
    in_world(async |world| {
        world.tenant("acme").await;
        let with = |path: &str, bytes: usize| world.anon().request("GET", path).header("x-padding", "a".repeat(bytes));
        sent(with("/t/acme/.well-known/jwks.json", 15_000)).await.is(200);
        sent(with("/t/acme/.well-known/jwks.json", 17_000)).await.refused(431, "head_too_large");
        sent(with(&format!("/t/acme/me?{}", "a".repeat(17_000)), 1)).await.refused(431, "head_too_large");
        let token = world.anon().request("POST", "/t/acme/oauth/token").header("x-padding", "a".repeat(17_000));
        sent(token.form(&[("client_id", "first-party")])).await.refused_oauth(431, "invalid_request");
        // What the parser itself refuses: no endpoint is known yet, so there is no body.
        let mut raw = Raw::to(world).await;
        raw.says(&format!("GET / HTTP/1.1\r\nhost: localhost\r\nx-padding: {}", "a".repeat(200_000))).await;
        assert!(raw.rest().await.starts_with("HTTP/1.1 431 "));
    });
}

#[test]
fn more_connections_than_there_may_be_wait_until_one_is_closed() {
    let few = |settings: &mut Settings| {
        settings.server.workers = 2;
        settings.server.max_connections = 4;
        settings.server.keep_alive_seconds = 1;
        settings.server.request_timeout_seconds = 5;
    };
    in_world_with(few, async |world| {
        // Twelve ask at once and keep their connection open, as browsers do. All are answered: each as soon as there is room.
        let started = Instant::now();
        let ask = || async {
            let mut raw = Raw::to(world).await;
            raw.says(WHOLE).await;
            raw.until(ANSWERED).await;
            raw.rest().await;
        };
        join_all((0..12).map(|_| ask())).await;
        assert!(started.elapsed() >= Duration::from_secs(2), "more than four were served at a time: {:?}", started.elapsed());
    });
}

#[test]
fn a_connection_that_is_used_is_never_closed_for_its_age() {
    let patient = |settings: &mut Settings| {
        settings.server.keep_alive_seconds = 3;
        settings.server.request_timeout_seconds = 1;
    };
    in_world_with(patient, async |world| {
        let management = world.management_url().strip_prefix("http://").expect("a plain address");
        let mut probe = Raw(TcpStream::connect(management).await.expect("a connection"));
        let mut raw = Raw::to(world).await;
        let started = Instant::now();
        // Longer than an unused one may stay.
        while started.elapsed() < Duration::from_secs(5) {
            raw.says(WHOLE).await;
            raw.until(ANSWERED).await;
            probe.says("GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
            probe.until("ok\"}").await;
        }
    });
}

#[test]
fn the_connections_of_the_public_do_not_take_those_of_health_checks() {
    let few = |settings: &mut Settings| {
        settings.server.workers = 1;
        settings.server.max_connections = 1;
        settings.server.head_timeout_seconds = 600;
    };
    in_world_with(few, async |world| {
        let mut greedy = Raw::to(world).await;
        greedy.says("GET / HTTP/1.1\r\n").await;
        // Until it was let in; and until it is gone again, with all that was kept about it.
        let seen = async |count: &str| {
            while !world.metrics().await.contains(&format!("claviger_http_connections{{listener=\"public\"}} {count}\n")) {}
        };
        timeout(FOREVER, seen("1")).await.expect("the connection is counted");
        drop(greedy);
        timeout(FOREVER, seen("0")).await.expect("the connection is forgotten");
    });
}
