//! A relying party on loopback: it shows its keys, and takes what is posted to it.

use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// A key of the relying party's.
pub(crate) struct Key {
    pub(crate) kid: &'static str,
    pair: EcdsaKeyPair,
}

impl Key {
    pub(crate) fn new(kid: &'static str) -> Self {
        Self { kid, pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key") }
    }

    pub(crate) fn jwk(&self) -> Value {
        let point = &self.pair.public_key().as_ref()[1..];
        let [x, y] = [&point[..32], &point[32..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "alg": "ES256", "use": "sig" })
    }

    /// Signs these very bytes as header and payload.
    pub(crate) fn sign_raw(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).expect("signed");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_raw(&json!({ "alg": "ES256", "kid": self.kid }).to_string(), &claims.to_string())
    }
}

/// What it was asked, and what it answers.
#[derive(Default)]
struct Told {
    jwks: Value,
    /// Statuses of the answers to posts; 200 when there is none left.
    statuses: Vec<u16>,
    fetched: usize,
    posted: Vec<(String, String)>,
    /// Their `Authorization` headers, where they have one.
    bearers: Vec<String>,
    /// What is at `/request…`.
    request: Option<(u16, String, String)>,
}

#[derive(Clone)]
pub(crate) struct RelyingParty {
    pub(crate) url: String,
    told: Arc<Mutex<Told>>,
    comes: Arc<Notify>,
}

impl RelyingParty {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let told: Arc<Mutex<Told>> = Arc::default();
        let comes = Arc::new(Notify::new());
        let (taking, came) = (Arc::clone(&told), Arc::clone(&comes));
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                let mut chunk = [0; 4096];
                loop {
                    let read = stream.read(&mut chunk).await.unwrap_or(0);
                    request.extend_from_slice(&chunk[..read]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else {
                        assert!(read > 0, "half a request");
                        continue;
                    };
                    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    if body.len() < length.unwrap_or(0) {
                        assert!(read > 0, "half a request");
                        continue;
                    }
                    let (status, content_type, answer) = taking.lock().expect("not poisoned").answer(head, body);
                    let answer = format!(
                        "HTTP/1.1 {status} Said\r\nContent-Type: {content_type}\r\nLocation: /elsewhere\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
                        answer.len()
                    );
                    stream.write_all(answer.as_bytes()).await.expect("answered");
                    came.notify_waiters();
                    break;
                }
            }
        });
        Self { url, told, comes }
    }

    pub(crate) fn show(&self, keys: &[&Key]) {
        self.told.lock().expect("not poisoned").jwks = json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() });
    }

    /// Shows this to whoever gets anything.
    pub(crate) fn show_document(&self, document: Value) {
        self.told.lock().expect("not poisoned").jwks = document;
    }

    /// Answers the next posts with these.
    pub(crate) fn answer_with(&self, statuses: &[u16]) {
        self.told.lock().expect("not poisoned").statuses = statuses.iter().rev().copied().collect();
    }

    /// Shows this to whoever gets `/request…`, with a status and a content type; the next ones are told the same.
    pub(crate) fn show_request(&self, status: u16, content_type: &str, body: &str) {
        self.told.lock().expect("not poisoned").request = Some((status, content_type.to_owned(), body.to_owned()));
    }

    /// How often its keys were fetched.
    pub(crate) fn fetched(&self) -> usize {
        self.told.lock().expect("not poisoned").fetched
    }

    /// The `Authorization` headers of the posts that had one.
    pub(crate) fn bearers(&self) -> Vec<String> {
        self.told.lock().expect("not poisoned").bearers.clone()
    }

    /// Path and body of every post, once there are `count` of them.
    pub(crate) async fn posted(&self, count: usize) -> Vec<(String, String)> {
        let enough = async {
            loop {
                let comes = self.comes.notified();
                let posted = self.told.lock().expect("not poisoned").posted.clone();
                if posted.len() >= count {
                    return posted;
                }
                comes.await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), enough).await.expect("posted in time")
    }
}

impl Told {
    fn answer(&mut self, head: &str, body: &str) -> (u16, String, String) {
        let json = || "application/json".to_owned();
        let mut words = head.split(' ');
        match (words.next(), words.next()) {
            (Some("GET"), path) => {
                self.fetched += 1;
                let request = self.request.clone().filter(|_| path.is_some_and(|path| path.starts_with("/request")));
                request.unwrap_or_else(|| (200, json(), self.jwks.to_string()))
            }
            (_, path) => {
                self.bearers.extend(
                    head.lines()
                        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("authorization")))
                        .map(|(_, value)| value.to_owned()),
                );
                self.posted.push((path.unwrap_or_default().to_owned(), body.to_owned()));
                (self.statuses.pop().unwrap_or(200), json(), String::new())
            }
        }
    }
}
