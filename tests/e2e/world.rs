//! The stage of a test: a real server on free ports, a fresh SQLite database, a clock that can be moved, and who acts.
//!
//! Personas: [`World::anon`] brings nothing, [`World::platform_admin`] the platform's token, `alice` is a user without roles
//! ([`World::alice`]), [`World::tenant_admin`] administers one tenant.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use app::ports::world::Clock;
use domain::time::{Timestamp, Ttl};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use server::{Running, Settings, SystemClock};

/// A password that no rule has anything against.
pub(crate) const PASSWORD: &str = "wobbly-lantern-quartz-91-ferry";

/// The machine's clock, set forward by hand.
#[derive(Debug, Default)]
pub(crate) struct MovedClock {
    ahead_seconds: AtomicU32,
}

impl MovedClock {
    pub(crate) fn forward(&self, seconds: u32) {
        self.ahead_seconds.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(Ttl::seconds(self.ahead_seconds.load(Ordering::SeqCst)))
    }
}

pub(crate) struct World {
    pub(crate) base_url: String,
    pub(crate) clock: Arc<MovedClock>,
    /// The file of the database.
    pub(crate) database: PathBuf,
    running: Running,
    /// Other nodes on the same database.
    others: Vec<Running>,
    turn: AtomicUsize,
    http: Client,
    platform_token: String,
}

/// Plays `test` in a world of its own.
pub(crate) fn in_world(test: impl AsyncFnOnce(&World)) {
    in_world_with(|_| {}, test);
}

/// Plays `test` in a world of its own with other settings than the usual ones.
pub(crate) fn in_world_with(change: impl FnOnce(&mut Settings), test: impl AsyncFnOnce(&World)) {
    in_world_by(anybody(), change, test);
}

fn anybody() -> Client {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

/// Plays `test` in a world of its own, where everybody sends requests by `http`.
pub(crate) fn in_world_by(http: Client, change: impl FnOnce(&mut Settings), test: impl AsyncFnOnce(&World)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings = quick(folder.path());
    change(&mut settings);
    actix_web::rt::System::new().block_on(play(http, settings, 1, test));
}

/// Plays `test` on two nodes with one PostgreSQL; requests go to them in turns.
pub(crate) fn on_two_nodes_with(change: impl FnOnce(&mut Settings), test: impl AsyncFnOnce(&World)) {
    on_nodes_with(2, change, test);
}

/// Plays `test` on a node that has a single connection to its PostgreSQL: whoever holds it and waits for another one waits in vain.
pub(crate) fn on_one_connection_with(change: impl FnOnce(&mut Settings), test: impl AsyncFnOnce(&World)) {
    let change = |settings: &mut Settings| {
        settings.database.max_connections = 1;
        change(settings);
    };
    on_nodes_with(1, change, test);
}

fn on_nodes_with(nodes: usize, change: impl FnOnce(&mut Settings), test: impl AsyncFnOnce(&World)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings = quick(folder.path());
    change(&mut settings);
    crate::two_nodes::give_kek(folder.path());
    actix_web::rt::System::new().block_on(async {
        settings.database.url = testkit::postgres::fresh_database().await;
        play(anybody(), settings, nodes, test).await;
    });
}

/// A server on free ports with a database of its own in this folder.
fn quick(folder: &Path) -> Settings {
    let mut settings = Settings::defaults().expect("the defaults are good");
    let free = "127.0.0.1:0".parse().expect("an address");
    (settings.server.public_addr, settings.server.management_addr) = (free, free);
    settings.server.base_url.clear();
    settings.server.workers = 2;
    settings.server.shutdown_grace_seconds = 1;
    settings.database.url = format!("sqlite:{}", folder.join("claviger.db").display());
    settings.keys.kek_file = folder.join("kek");
    settings.keys.rsa_pool = 0;
    settings.hashing.threads = 2;
    settings
}

async fn play(http: Client, mut settings: Settings, nodes: usize, test: impl AsyncFnOnce(&World)) {
    let database = settings.database.sqlite_file().unwrap_or_default();
    let clock = Arc::new(MovedClock::default());
    let start = async |settings: &Settings| {
        server::start_at(settings.clone(), Arc::clone(&clock) as Arc<dyn Clock>).await.expect("the server starts")
    };
    let running = start(&settings).await;
    settings.server.base_url.clone_from(&running.base_url);
    let mut others = Vec::new();
    while others.len() + 1 < nodes {
        others.push(start(&settings).await);
    }
    let platform_token = running.admin_token(Ttl::hours(1)).await.expect("a platform token");
    let world =
        World { base_url: running.base_url.clone(), clock, database, running, others, turn: AtomicUsize::new(0), http, platform_token };
    test(&world).await;
    let World { running, others, http, .. } = world;
    drop(http);
    running.stop().await;
    for other in others {
        other.stop().await;
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    asked: String,
}

impl Answer {
    /// Insists on a status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} answered {}", self.asked, self.text);
        self
    }

    /// Insists on problem details (RFC 9457) with this status and `code`.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.asked);
        assert_eq!(answer.json()["code"], code, "{} answered {}", answer.asked, answer.text);
        assert_eq!(answer.json()["status"], status, "{}", answer.asked);
        answer
    }

    /// Insists on an OAuth error (RFC 6749, 5.2).
    #[track_caller]
    pub(crate) fn refused_oauth(self, status: u16, error: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.json()["error"], error, "{} answered {}", answer.asked, answer.text);
        assert_eq!(answer.header("cache-control"), "no-store", "{}", answer.asked);
        answer
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{} answered no JSON ({error}): {}", self.asked, self.text))
    }

    /// A string member of the answer.
    #[track_caller]
    pub(crate) fn word(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("{}: no string '{name}' in {}", self.asked, self.text)).to_owned()
    }

    /// A header's value, empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Somebody who sends requests, with or without a bearer token.
#[derive(Clone)]
pub(crate) struct Caller<'w> {
    world: &'w World,
    bearer: Option<String>,
}

impl Caller<'_> {
    /// A request to be completed and handed to [`sent`].
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.world.http.request(method, format!("{}{path}", self.world.node()));
        match &self.bearer {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        sent(self.request("GET", path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        sent(self.request("DELETE", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        sent(self.request("POST", path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        sent(self.request("PUT", path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        sent(self.request("PATCH", path).json(&body)).await
    }

    pub(crate) async fn form(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        sent(self.request("POST", path).form(parameters)).await
    }
}

/// Sends a request and reads the whole answer, which must be as the API's description says.
pub(crate) async fn sent(request: RequestBuilder) -> Answer {
    let path = request.try_clone().and_then(|request| request.build().ok()).map(|request| request.url().path().to_owned());
    sent_as(request, &path.expect("a request")).await
}

/// Like [`sent`], to an address that is described as `path`.
pub(crate) async fn sent_as(request: RequestBuilder, path: &str) -> Answer {
    let (client, request) = request.build_split();
    let request = request.expect("a request");
    let method = request.method().to_string();
    let asked = format!("{method} {path}");
    let body = request.body().and_then(|body| body.as_bytes()).map(<[u8]>::to_vec);
    let response = client.execute(request).await.unwrap_or_else(|error| panic!("{asked}: no answer: {error}"));
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let answer = Answer { status, headers, text: response.text().await.expect("a text"), asked };
    crate::description::check(&method, path, body.as_deref(), &answer);
    answer
}

/// A signed-in user.
pub(crate) struct SignedIn {
    pub(crate) user: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl World {
    /// What the server's use cases are given, to look and act behind its back.
    pub(crate) fn ctx(&self) -> &app::ctx::Ctx {
        &self.running.ctx
    }

    /// Where the next node listens.
    pub(crate) fn node(&self) -> &str {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % (self.others.len() + 1);
        if turn == 0 { &self.running.public_url } else { &self.others[turn - 1].public_url }
    }

    pub(crate) fn anon(&self) -> Caller<'_> {
        Caller { world: self, bearer: None }
    }

    pub(crate) fn platform_admin(&self) -> Caller<'_> {
        self.bearing(&self.platform_token)
    }

    /// Where health and metrics are.
    pub(crate) fn management_url(&self) -> &str {
        &self.running.management_url
    }

    /// Whoever holds this token.
    pub(crate) fn bearing(&self, token: &str) -> Caller<'_> {
        Caller { world: self, bearer: Some(token.to_owned()) }
    }

    /// Another platform token, with a life of its own.
    pub(crate) async fn platform_token(&self, ttl: Ttl) -> String {
        self.running.admin_token(ttl).await.expect("a platform token")
    }

    /// Creates a tenant whose password hashes are as cheap as may be.
    pub(crate) async fn tenant(&self, slug: &str) -> Value {
        let argon2 = json!({ "memory_kib": 7_168, "iterations": 5, "parallelism": 1 });
        let form = json!({ "slug": slug, "name": slug, "policy": { "argon2": argon2 } });
        self.platform_admin().post("/admin/v1/tenants", form).await.is(201).json()
    }

    /// Changes a tenant's policy, whatever becomes of its clients.
    pub(crate) async fn policy(&self, slug: &str, patch: Value) {
        self.platform_admin().patch(&format!("/admin/v1/tenants/{slug}?confirm={slug}"), json!({ "policy": patch })).await.is(200);
    }

    /// Creates a user with [`PASSWORD`]; answers the id.
    pub(crate) async fn user(&self, slug: &str, username: &str, roles: &[&str]) -> String {
        let form = json!({ "username": username, "password": PASSWORD, "roles": roles });
        self.platform_admin().post(&format!("/admin/v1/tenants/{slug}/users"), form).await.is(201).word("id")
    }

    /// Tries to log in.
    pub(crate) async fn login(&self, slug: &str, username: &str, password: &str) -> Answer {
        self.anon().post(&format!("/t/{slug}/login"), json!({ "username": username, "password": password })).await
    }

    /// Logs a user in who exists, for their own account.
    pub(crate) async fn sign_in(&self, slug: &str, username: &str) -> SignedIn {
        self.sign_in_for(slug, username, "account").await
    }

    async fn sign_in_for(&self, slug: &str, username: &str, scope: &str) -> SignedIn {
        let form = json!({ "username": username, "password": PASSWORD, "scope": scope });
        let answer = self.anon().post(&format!("/t/{slug}/login"), form).await.is(200);
        let (access_token, refresh_token) = (answer.word("access_token"), answer.word("refresh_token"));
        let user = self.bearing(&access_token).get(&format!("/t/{slug}/me")).await.is(200).word("sub");
        SignedIn { user, access_token, refresh_token }
    }

    /// Creates and logs in a user without any role.
    pub(crate) async fn alice(&self, slug: &str) -> SignedIn {
        self.user(slug, "alice", &[]).await;
        self.sign_in(slug, "alice").await
    }

    /// Creates and logs in an administrator of the tenant.
    pub(crate) async fn tenant_admin(&self, slug: &str) -> SignedIn {
        self.user(slug, "tess", &["claviger:admin"]).await;
        self.sign_in_for(slug, "tess", "account admin").await
    }

    /// Presents a refresh token.
    pub(crate) async fn refresh(&self, slug: &str, token: &str) -> Answer {
        let parameters = [("grant_type", "refresh_token"), ("client_id", "first-party"), ("refresh_token", token)];
        self.anon().form(&format!("/t/{slug}/oauth/token"), &parameters).await
    }

    /// Looks at the files of the TLS listener.
    pub(crate) fn reread_certificates(&self) {
        self.running.reread_certificates();
    }

    /// Removes what is over now.
    pub(crate) async fn sweep(&self) {
        self.running.sweep().await;
    }

    /// Writes down which verifiers have fetched.
    pub(crate) async fn note_verifiers(&self) {
        self.running.note_verifiers().await;
    }

    /// What the management listener shows to Prometheus.
    pub(crate) async fn metrics(&self) -> String {
        // Not part of the described API.
        let answer = self.http.get(format!("{}/metrics", self.running.management_url)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a text")
    }

    pub(crate) async fn jwks(&self, slug: &str) -> Value {
        self.anon().get(&format!("/t/{slug}/.well-known/jwks.json")).await.is(200).json()
    }
}
