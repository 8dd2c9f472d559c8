//! Traces as a collector gets them: what arrives, what hangs together, and what must never be there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use domain::secret::Secret;
use domain::time::Ttl;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use server::{Running, Settings, Telemetry};

const PASSWORD: &str = "wobbly-lantern-quartz-91-ferry";
const COLLECTOR_SECRET: &str = "only-for-the-collector";

/// Everything that was delivered, heads and bodies.
#[derive(Clone, Default)]
struct Delivered(Arc<Mutex<(String, Vec<u8>)>>);

impl Delivered {
    fn count(&self, bytes: impl AsRef<[u8]>) -> usize {
        let bytes = bytes.as_ref();
        self.0.lock().expect("whole").1.windows(bytes.len()).filter(|window| *window == bytes).count()
    }

    fn holds(&self, bytes: impl AsRef<[u8]>) -> bool {
        self.count(bytes) > 0
    }
}

/// A collector: takes whatever is posted and says that it is well.
fn collector() -> (SocketAddr, Delivered) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("an address");
    let delivered = Delivered::default();
    let kept = delivered.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let kept = kept.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let (mut head, mut length) = (String::new(), 0);
                    loop {
                        let begin = head.len();
                        if reader.read_line(&mut head).unwrap_or(0) == 0 {
                            return;
                        }
                        let line = head[begin..].trim().to_ascii_lowercase();
                        if let Some(text) = line.strip_prefix("content-length:") {
                            length = text.trim().parse().expect("a length");
                        }
                        if line.is_empty() {
                            break;
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).expect("a whole body");
                    {
                        let mut all = kept.0.lock().expect("whole");
                        all.0.push_str(&head);
                        all.1.extend(body);
                    }
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
                    if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (addr, delivered)
}

fn settings(folder: &std::path::Path, name: &str) -> Settings {
    let mut settings = Settings::defaults().expect("the defaults are good");
    let free = "127.0.0.1:0".parse().expect("an address");
    (settings.server.public_addr, settings.server.management_addr) = (free, free);
    settings.server.base_url.clear();
    settings.server.workers = 1;
    settings.database.url = format!("sqlite:{}", folder.join(format!("{name}.db")).display());
    settings.keys.kek_file = folder.join("kek");
    settings.keys.rsa_pool = 0;
    settings
}

/// A header by which a proxy says that it has begun a trace.
fn traceparent(trace: u128) -> String {
    format!("00-{trace:032x}-00f067aa0ba902b7-01")
}

async fn sent(request: RequestBuilder, status: u16) -> Value {
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), status);
    serde_json::from_str(&response.text().await.expect("a text")).unwrap_or(Value::Null)
}

/// Logs in, refreshes and rotates; answers what must not be found anywhere else.
async fn play(running: &Running, trace: u128) -> Vec<String> {
    let client = Client::builder().no_proxy().build().expect("a client");
    let base = &running.base_url;
    let admin = running.admin_token(Ttl::hours(1)).await.expect("a token");
    let post = |path: &str, body: Value| client.post(format!("{base}{path}")).bearer_auth(&admin).json(&body);
    let tenant = sent(post("/admin/v1/tenants", json!({ "slug": "acme-and-sons", "name": "Acme" })), 201).await;
    let user = json!({ "username": "alice-liddell", "password": PASSWORD });
    let user = sent(post("/admin/v1/tenants/acme-and-sons/users", user), 201).await;
    let login = client.post(format!("{base}/t/acme-and-sons/login")).header("traceparent", traceparent(trace));
    let login = login.header("x-request-id", "the-login-request");
    let tokens = sent(login.json(&json!({ "username": "alice-liddell", "password": PASSWORD })), 200).await;
    let old = tokens["refresh_token"].as_str().expect("a token");
    let form = [("grant_type", "refresh_token"), ("client_id", "first-party"), ("refresh_token", old)];
    let fresh = sent(client.post(format!("{base}/t/acme-and-sons/oauth/token")).form(&form), 200).await;
    sent(post("/admin/v1/tenants/acme-and-sons/keys/rotate", json!({ "algs": ["ES256"] })), 202).await;
    sent(client.get(format!("{base}/t/nowhere/me?needle=in-the-query")), 404).await;

    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    let words =
        [&tenant["id"], &user["id"], &tokens["access_token"], &tokens["refresh_token"], &fresh["access_token"], &fresh["refresh_token"]];
    let own = [PASSWORD, COLLECTOR_SECRET, "alice-liddell", "acme-and-sons", "in-the-query", &admin].map(str::to_owned);
    words.into_iter().map(word).chain(own).collect()
}

#[test]
fn spans_reach_the_collector_hang_together_and_hold_no_secret() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (addr, delivered) = collector();
    let mut trusting = settings(folder.path(), "trusting");
    trusting.server.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    trusting.telemetry.otlp_endpoint = format!("http://{addr}/v1/traces");
    trusting.telemetry.otlp_headers = Secret::new(format!("x-collector-key={COLLECTOR_SECRET}"));
    let telemetry = Telemetry::start(&trusting).expect("it starts");
    let (believed, stranger) = (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    let hidden = actix_web::rt::System::new().block_on(async {
        let mut hidden = Vec::new();
        for (settings, trace) in [(trusting, believed), (settings(folder.path(), "wary"), stranger)] {
            let running = server::start(settings).await.expect("the server starts");
            hidden.extend(play(&running, trace).await);
            running.stop().await;
        }
        telemetry.stop().await;
        hidden
    });

    let head = delivered.0.lock().expect("whole").0.clone();
    assert!(head.contains("POST /v1/traces") && head.contains(&format!("x-collector-key: {COLLECTOR_SECRET}")), "{head}");
    for name in ["http.login.post", "app.login", "app.check_password", "http.token.post", "app.refresh", "db.refresh", "keys.rotate"] {
        assert!(delivered.holds(name), "no span {name}");
    }
    for value in ["/t/{slug}/oauth/token", "the-login-request", "claviger", "service.version"] {
        assert!(delivered.holds(value), "no value {value}");
    }
    // The request, the login, and in it the check of the password and the opening of the session.
    assert_eq!(delivered.count(believed.to_be_bytes()), 4, "a trusted proxy's trace goes on");
    assert!(!delivered.holds(stranger.to_be_bytes()), "a stranger's does not");
    for secret in &hidden {
        assert!(!delivered.holds(secret), "the payload holds {secret}");
    }
}
