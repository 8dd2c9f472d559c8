//! Speaks HTTP with the server, as an application, a user or an administrator would.
//!
//! Invariant: a token is shown by its first twelve characters only.

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

/// Why a step did not hold.
pub(super) type NotHeld = String;

/// An answer: its status and its JSON.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// The answer, if it has the status that this step needs.
    pub(super) fn expect(self, status: u16) -> Result<Self, NotHeld> {
        if self.status == status {
            return Ok(self);
        }
        let told = ["code", "error", "detail", "error_description"].iter().filter_map(|name| self.body[*name].as_str()).collect::<Vec<_>>();
        Err(format!("expected {status}, got {} ({})", self.status, told.join(": ")))
    }

    /// A text in the answer.
    pub(super) fn text(&self, name: &str) -> Result<String, NotHeld> {
        self.body[name].as_str().map(str::to_owned).ok_or_else(|| format!("the answer has no text `{name}`"))
    }
}

/// What a login or a refresh gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Tokens {
    fn of(answer: &Answer) -> Result<Self, NotHeld> {
        if answer.body["expires_in"].as_u64().is_none_or(|seconds| seconds == 0) {
            return Err("the answer does not say when the token expires".to_owned());
        }
        Ok(Self { access: answer.text("access_token")?, refresh: answer.text("refresh_token")? })
    }
}

#[derive(Debug, Clone)]
pub(super) struct Browser {
    pub(super) http: Client,
    base_url: String,
    admin_token: String,
}

impl Browser {
    pub(super) fn new(base_url: String, admin_token: String) -> Result<Self, NotHeld> {
        let http = Client::builder().timeout(std::time::Duration::from_secs(10)).no_proxy().build().map_err(|error| error.to_string())?;
        Ok(Self { http, base_url, admin_token })
    }

    /// Asks the admin API as the platform's administrator.
    pub(super) async fn admin(&self, method: Method, path: &str, body: &Value) -> Result<Answer, NotHeld> {
        let url = format!("{}/admin/v1{path}", self.base_url);
        sent(self.http.request(method, url).bearer_auth(&self.admin_token).json(body)).await
    }

    pub(super) async fn try_login(&self, issuer: &str, password: &str) -> Result<Answer, NotHeld> {
        sent(self.http.post(format!("{issuer}/login")).json(&serde_json::json!({ "username": "alice", "password": password }))).await
    }

    pub(super) async fn login(&self, issuer: &str, password: &str) -> Result<Tokens, NotHeld> {
        Tokens::of(&self.try_login(issuer, password).await?.expect(200)?)
    }

    pub(super) async fn try_refresh(&self, issuer: &str, token: &str) -> Result<Answer, NotHeld> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "first-party")];
        sent(self.http.post(format!("{issuer}/oauth/token")).form(&form)).await
    }

    pub(super) async fn refresh(&self, issuer: &str, token: &str) -> Result<Tokens, NotHeld> {
        Tokens::of(&self.try_refresh(issuer, token).await?.expect(200)?)
    }
}

async fn sent(request: RequestBuilder) -> Result<Answer, NotHeld> {
    let response = request.send().await.map_err(|error| format!("no answer: {error}"))?;
    let status = response.status().as_u16();
    let text = response.text().await.map_err(|error| format!("half an answer: {error}"))?;
    Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
}

/// Enough of a token to recognise it, and not enough to use it.
pub(super) fn shown(token: &str) -> String {
    format!("{}…", token.chars().take(12).collect::<String>())
}
