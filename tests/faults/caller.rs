//! Talks HTTP to a node and knows that there may be no answer.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// A password that no rule has anything against.
pub(crate) const PASSWORD: &str = "wobbly-lantern-quartz-91-ferry";
/// The tenant of all these tests.
pub(crate) const TENANT: &str = "acme";
/// Far above what any request may take, so that a test ends and says what hung.
const HUNG: Duration = Duration::from_secs(30);

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// The connection ended before the answer did, or was not there.
#[derive(Debug)]
pub(crate) struct NoReply(pub(crate) reqwest::Error);

impl NoReply {
    /// Whether nobody took the connection, so that nobody can have done anything.
    pub(crate) fn is_refused(&self) -> bool {
        let mut cause: Option<&dyn std::error::Error> = Some(&self.0);
        while let Some(error) = cause {
            if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

pub(crate) type Answered = Result<Reply, NoReply>;

impl Reply {
    /// A string member of the answer.
    #[track_caller]
    pub(crate) fn word(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no string '{name}' in {}", self.text)).to_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text))
    }

    /// Insists on a status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Somebody who sends requests, from an address and perhaps with a bearer token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    http: Client,
    base: String,
    tenant: String,
    from: String,
    bearer: Option<String>,
}

impl Caller {
    pub(crate) fn new(base: &str) -> Self {
        let http = Client::builder().no_proxy().timeout(HUNG).build().expect("a client");
        Self { http, base: base.to_owned(), tenant: TENANT.to_owned(), from: "198.51.100.1".to_owned(), bearer: None }
    }

    pub(crate) fn bearing(&self, token: &str) -> Self {
        Self { bearer: Some(token.to_owned()), ..self.clone() }
    }

    /// The same one, who asks another node.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    pub(crate) fn from(&self, address: String) -> Self {
        Self { from: address, ..self.clone() }
    }

    /// Of another tenant than [`TENANT`].
    pub(crate) fn of(&self, tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..self.clone() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base)).header("x-forwarded-for", &self.from);
        match &self.bearer {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        sent(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answered {
        sent(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answered {
        sent(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answered {
        sent(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answered {
        sent(self.request(Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn form(&self, path: &str, parameters: &[(&str, &str)]) -> Answered {
        sent(self.request(Method::POST, path).form(parameters)).await
    }

    pub(crate) async fn login(&self, username: &str) -> Answered {
        self.post(&format!("/t/{}/login", self.tenant), json!({ "username": username, "password": PASSWORD })).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answered {
        let parameters = [("grant_type", "refresh_token"), ("client_id", "first-party"), ("refresh_token", token)];
        self.form(&format!("/t/{}/oauth/token", self.tenant), &parameters).await
    }

    pub(crate) async fn revoke(&self, token: &str) -> Answered {
        self.form(&format!("/t/{}/oauth/revoke", self.tenant), &[("client_id", "first-party"), ("token", token)]).await
    }

    pub(crate) async fn logout(&self, token: &str) -> Answered {
        self.post(&format!("/t/{}/logout", self.tenant), json!({ "refresh_token": token })).await
    }

    pub(crate) async fn me(&self, access_token: &str) -> Answered {
        self.bearing(access_token).get(&format!("/t/{}/me", self.tenant)).await
    }

    pub(crate) async fn jwks(&self) -> Answered {
        self.get(&format!("/t/{}/.well-known/jwks.json", self.tenant)).await
    }

    /// As an administrator: the path of something of the tenant.
    pub(crate) fn admin_path(&self, rest: &str) -> String {
        format!("/admin/v1/tenants/{}/{rest}", self.tenant)
    }

    /// As an administrator: makes the tenant, with cheap hashes, tokens of a minute, and keys that may be changed every few
    /// seconds.
    pub(crate) async fn make_tenant(&self) {
        self.make_tenant_for_clocks(0, false).await;
    }

    /// Like [`Self::make_tenant`] where clocks differ by up to `skew` seconds; the keys are changed as often as that allows, or
    /// by hand only.
    pub(crate) async fn make_tenant_for_clocks(&self, skew: u64, is_scheduled: bool) {
        let argon2 = json!({ "memory_kib": 7_168, "iterations": 5, "parallelism": 1 });
        let policy = json!({ "argon2": argon2, "access_ttl_seconds": 60 });
        let tenant = json!({ "slug": self.tenant, "name": self.tenant, "policy": policy });
        self.post("/admin/v1/tenants", tenant).await.expect("an answer").is(201);
        let (lead, overlap) = (2 + skew, 60 + 2 * skew);
        let keys = json!({
            "algs": ["ES256"], "access_token_alg": "ES256", "jwks_max_age_seconds": 1, "lead_seconds": lead, "token_ttl_cap_seconds": 60,
            "overlap_seconds": overlap, "rotate_every_seconds": is_scheduled.then_some(lead + overlap),
        });
        self.put(&self.admin_path("keys/policy"), keys).await.expect("an answer").is(200);
    }

    /// As an administrator: makes a user with [`PASSWORD`]; answers the id.
    pub(crate) async fn make_user(&self, username: &str) -> String {
        let form = json!({ "username": username, "password": PASSWORD });
        self.post(&self.admin_path("users"), form).await.expect("an answer").is(201).word("id")
    }
}

async fn sent(request: RequestBuilder) -> Answered {
    let response = request.send().await.map_err(NoReply)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Reply { status, headers, text: response.text().await.map_err(NoReply)? })
}
