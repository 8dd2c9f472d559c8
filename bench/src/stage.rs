//! Who acts in a measurement: a tenant, users who log in, and sessions that are refreshed honestly.
//!
//! Invariant: all of it is made over the real API; nothing is written into a database by hand.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use domain::password::Argon2Params;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Outcome;
use crate::claviger::{Admin, Claviger};
use crate::http::{self, Answer, Line};
use crate::load::Talk;

pub(crate) const SLUG: &str = "bench";
pub(crate) const JWKS: &str = "/t/bench/.well-known/jwks.json";
pub(crate) const TOKEN: &str = "/t/bench/oauth/token";
const LOGIN: &str = "/t/bench/login";
const ISSUER_PATH: &str = "/t/bench";
pub(crate) const PASSWORD: &str = "wobbly-lantern-quartz-91-ferry";
pub(crate) const JSON: &str = "content-type: application/json\r\n";
pub(crate) const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";

/// Argon2id by the parameters that a new tenant has: what the product computes for each login.
pub(crate) fn argon2() -> Outcome<Argon2<'static>> {
    argon2_of(Argon2Params::default())
}

fn argon2_of(Argon2Params { memory_kib, iterations, parallelism }: Argon2Params) -> Outcome<Argon2<'static>> {
    let params = Params::new(memory_kib, iterations, parallelism, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Creates the tenant, with the policy that every new tenant has (access tokens by ES256).
pub(crate) fn tenant(admin: &mut Admin) -> Outcome<()> {
    admin.post("/admin/v1/tenants", &json!({ "slug": SLUG, "name": "Bench" }))
}

/// Creates the tenant with keys of one algorithm.
pub(crate) fn tenant_that_signs_by(admin: &mut Admin, alg: &str) -> Outcome<()> {
    admin.post("/admin/v1/tenants", &json!({ "slug": SLUG, "name": "Bench", "key_policy": { "algs": [alg], "access_token_alg": alg } }))
}

/// A client as it was registered, with the secret that is shown once.
#[derive(Deserialize)]
pub(crate) struct Registered {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

impl Registered {
    /// How it proves itself in a form. Neither word needs escaping.
    pub(crate) fn in_form(&self) -> String {
        format!("client_id={}&client_secret={}", self.client_id, self.client_secret)
    }
}

/// Registers a confidential client.
pub(crate) fn client(admin: &mut Admin, metadata: &Value) -> Outcome<Registered> {
    Ok(serde_json::from_value(admin.make(&format!("/admin/v1/tenants/{SLUG}/clients"), metadata)?)?)
}

/// The access token that a token endpoint answers with.
pub(crate) fn access_token<'a>(answer: &Answer<'a>) -> Outcome<&'a str> {
    #[derive(Deserialize)]
    struct Token<'a> {
        access_token: &'a str,
    }
    answer.insist(200)?;
    Ok(serde_json::from_slice::<Token<'_>>(answer.body)?.access_token)
}

/// The hash of every user's password, by these parameters.
pub(crate) fn phc(params: Argon2Params) -> Outcome<String> {
    let (salt, mut hash) = ([7; 16], [0; 32]);
    argon2_of(params)?.hash_password_into(PASSWORD.as_bytes(), &salt, &mut hash).map_err(|error| error.to_string())?;
    let Argon2Params { memory_kib, iterations, parallelism } = params;
    Ok(format!(
        "$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(hash)
    ))
}

/// Creates `count` users and answers their names. They are imported with their hash, so that this takes no time.
pub(crate) fn users(admin: &mut Admin, prefix: &str, count: usize) -> Outcome<Vec<String>> {
    let phc = phc(Argon2Params::default())?;
    let names: Vec<_> = (0..count).map(|number| format!("{prefix}{number}")).collect();
    for name in &names {
        admin.post(&format!("/admin/v1/tenants/{SLUG}/users"), &json!({ "username": name, "password_hash": phc }))?;
    }
    Ok(names)
}

/// What a login or a refresh answers.
#[derive(Deserialize)]
struct Tokens<'a> {
    access_token: &'a str,
    refresh_token: &'a str,
}

impl<'a> Tokens<'a> {
    fn of(answer: &Answer<'a>) -> Outcome<Self> {
        answer.insist(200)?;
        let tokens: Self = serde_json::from_slice(answer.body)?;
        let (access, refresh) = (tokens.access_token, tokens.refresh_token);
        if access.split('.').filter(|part| !part.is_empty()).count() == 3 && refresh.starts_with("rt1_") {
            Ok(tokens)
        } else {
            Err("what came instead of tokens has not their form".into())
        }
    }
}

/// One session. Asks for new tokens with the refresh token that it got last.
pub(crate) struct Session {
    token_path: String,
    access_token: String,
    refresh_token: String,
    body: String,
}

impl Talk for Session {
    fn ask(&mut self, request: &mut Vec<u8>) {
        self.body.clear();
        // The token is base64url: nothing in it needs escaping.
        self.body.push_str("grant_type=refresh_token&client_id=first-party&refresh_token=");
        self.body.push_str(&self.refresh_token);
        http::request(request, "POST", &self.token_path, FORM, self.body.as_bytes());
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<()> {
        let tokens = Tokens::of(answer)?;
        if tokens.refresh_token == self.refresh_token || tokens.access_token == self.access_token {
            return Err("a token came twice".into());
        }
        tokens.access_token.clone_into(&mut self.access_token);
        tokens.refresh_token.clone_into(&mut self.refresh_token);
        Ok(())
    }
}

/// Creates `count` users and logs each of them in.
pub(crate) fn sessions(claviger: &Claviger, admin: &mut Admin, count: usize) -> Outcome<Vec<Session>> {
    let mut line = Line::open(claviger.target().addr)?;
    let names = users(admin, "session", count)?;
    names.iter().map(|name| log_in(&mut line, SLUG, name)).collect()
}

/// Logs a user of whatever tenant in.
pub(crate) fn log_in(line: &mut Line, slug: &str, name: &str) -> Outcome<Session> {
    let mut request = Vec::new();
    let body = json!({ "username": name, "password": PASSWORD }).to_string();
    http::request(&mut request, "POST", &format!("/t/{slug}/login"), JSON, body.as_bytes());
    let answer = line.exchange(&request)?;
    let tokens = Tokens::of(&answer)?;
    let (access_token, refresh_token) = (tokens.access_token.to_owned(), tokens.refresh_token.to_owned());
    Ok(Session { token_path: format!("/t/{slug}/oauth/token"), access_token, refresh_token, body: String::new() })
}

/// Verifies the access token that each session got last, as a resource server does: by the published keys.
///
/// # Errors
/// The first that does not verify, or is not signed by ES256.
pub(crate) fn verify(claviger: &Claviger, sessions: &[Session]) -> Outcome<()> {
    let (_, jwks) = claviger.get(JWKS)?;
    let jwks: JwkSet = serde_json::from_slice(&jwks)?;
    let mut validation = Validation::new(jsonwebtoken::Algorithm::ES256);
    let issuer = format!("http://{}{ISSUER_PATH}", claviger.target().addr);
    validation.set_issuer(&[&issuer]);
    validation.set_audience(&[&issuer]);
    for session in sessions {
        let kid = jsonwebtoken::decode_header(&session.access_token)?.kid.ok_or("a token without a kid")?;
        let key = DecodingKey::from_jwk(jwks.find(&kid).ok_or("a token of a key that is not published")?)?;
        jsonwebtoken::decode::<serde::de::IgnoredAny>(&session.access_token, &key, &validation)?;
    }
    Ok(())
}

/// Logs in one user after the other, round and round.
pub(crate) struct Logins {
    names: Vec<String>,
    next: usize,
}

/// Shares users among `connections` that log them in: no user is logged in on two of them.
pub(crate) fn logins(names: &[String], connections: usize) -> Vec<Logins> {
    names.chunks(names.len().div_ceil(connections).max(1)).map(|names| Logins { names: names.to_vec(), next: 0 }).collect()
}

impl Talk for Logins {
    fn ask(&mut self, request: &mut Vec<u8>) {
        let name = &self.names[self.next];
        self.next = (self.next + 1) % self.names.len();
        let body = json!({ "username": name, "password": PASSWORD }).to_string();
        http::request(request, "POST", LOGIN, JSON, body.as_bytes());
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<()> {
        Tokens::of(answer).map(|_| ())
    }
}
