//! A resource server that others could have written: it knows an issuer's address, and fetches the JWKS over HTTP.
//!
//! Invariant: shares no code with the server's own verifier, and fetches again only when its copy's `max-age` is over.

use std::sync::Arc;

use app::ports::world::Clock;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use reqwest::header::CACHE_CONTROL;
use serde_json::Value;

use super::browser::NotHeld;
use super::clock::DemoClock;

pub(super) struct Verifier {
    http: reqwest::Client,
    issuer: String,
    clock: Arc<DemoClock>,
    copy: Option<(JwkSet, i64)>,
    pub(super) fetches: u32,
}

impl Verifier {
    pub(super) const fn new(http: reqwest::Client, issuer: String, clock: Arc<DemoClock>) -> Self {
        Self { http, issuer, clock, copy: None, fetches: 0 }
    }

    /// Forgets its copy of the JWKS.
    pub(super) fn forget(&mut self) {
        self.copy = None;
    }

    async fn jwks(&mut self) -> Result<&JwkSet, NotHeld> {
        let now = self.clock.now().as_micros();
        if self.copy.as_ref().is_some_and(|(_, until)| now >= *until) {
            self.copy = None;
        }
        if self.copy.is_none() {
            let url = format!("{}/.well-known/jwks.json", self.issuer);
            let response =
                self.http.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(|error| error.to_string())?;
            let header = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let max_age: i64 =
                header.split([',', ' ']).find_map(|part| part.strip_prefix("max-age=")).and_then(|age| age.parse().ok()).unwrap_or(0);
            let set = response.json().await.map_err(|error| format!("not a JWKS: {error}"))?;
            self.fetches += 1;
            self.copy = Some((set, now + max_age * 1_000_000));
        }
        self.copy.as_ref().map(|(set, _)| set).ok_or_else(|| "no JWKS".to_owned())
    }

    /// The kids in the JWKS.
    pub(super) async fn kids(&mut self) -> Result<Vec<String>, NotHeld> {
        Ok(self.jwks().await?.keys.iter().filter_map(|key| key.common.key_id.clone()).collect())
    }

    /// Verifies an access token (RFC 9068): its signature by the key that it names, `typ`, `iss`, `aud`, `exp` and `nbf`.
    /// Answers its claims.
    pub(super) async fn verify(&mut self, token: &str) -> Result<Value, NotHeld> {
        let header = decode_header(token).map_err(|error| format!("not a JWT: {error}"))?;
        if header.typ.as_deref() != Some("at+jwt") {
            return Err(format!("typ is {:?}, not at+jwt", header.typ));
        }
        let (now, issuer) = (self.clock.now().as_seconds(), self.issuer.clone());
        let kid = header.kid.unwrap_or_default();
        let key = self.jwks().await?.find(&kid).ok_or_else(|| format!("the JWKS has no key {kid}"))?;
        // The algorithm is the key's, never the token's word for it.
        let algorithm: Algorithm = key
            .common
            .key_algorithm
            .and_then(|algorithm| algorithm.to_string().parse().ok())
            .ok_or_else(|| format!("key {kid} does not say its algorithm"))?;
        let mut rules = Validation::new(algorithm);
        rules.set_issuer(&[&issuer]);
        rules.set_audience(&[&issuer]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Time goes by the demo's clock.
        rules.validate_exp = false;
        let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
        let claims = decode::<Value>(token, &key, &rules).map_err(|error| error.to_string())?.claims;
        let at = |name: &str| claims[name].as_i64().ok_or_else(|| format!("no `{name}`"));
        if now < at("nbf")? - 1 || now >= at("exp")? {
            return Err("not valid now".to_owned());
        }
        Ok(claims)
    }
}

/// The key that a token says it is signed with.
pub(super) fn kid_of(token: &str) -> Result<String, NotHeld> {
    decode_header(token).map_err(|error| error.to_string())?.kid.ok_or_else(|| "the token names no key".to_owned())
}
