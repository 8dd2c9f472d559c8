//! A resource server: answers GET / to whoever brings an access token of one issuer.
//!
//! `ISSUER=http://127.0.0.1:8080/t/acme [AUDIENCE=…] [PORT=7003] cargo run --release`
//!
//! One connection, one thread, one request: enough to show how a token is verified, too little to serve the public.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

const ALGORITHMS: [Algorithm; 5] = [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA, Algorithm::PS256, Algorithm::ES384];
/// How often an unknown kid makes us fetch.
const COOLDOWN: Duration = Duration::from_secs(10);
/// After this the keys are fetched again, so that a revoked one is not trusted for longer than the tenant's policy promises
/// (`jwks_max_age_seconds`).
const MAX_AGE: Duration = Duration::from_secs(300);

/// The issuer's public keys, fetched at the first token.
struct Keys {
    url: String,
    client: reqwest::blocking::Client,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, (Algorithm, DecodingKey)>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl Keys {
    fn key(&self, kid: &str) -> Result<(Algorithm, DecodingKey), String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_older = |moment: Option<Instant>, than: Duration| moment.is_none_or(|at| at.elapsed() >= than);
        let is_stale = is_older(known.fetched_at, MAX_AGE);
        if (is_stale || !known.keys.contains_key(kid)) && is_older(known.tried_at, COOLDOWN) {
            known.tried_at = Some(Instant::now());
            known.keys = self.fetch()?;
            known.fetched_at = Some(Instant::now());
        } else if is_stale {
            return Err("the keys are too old, and were asked for just now".into());
        }
        known.keys.get(kid).cloned().ok_or_else(|| format!("unknown kid {kid:?}"))
    }

    fn fetch(&self) -> Result<HashMap<String, (Algorithm, DecodingKey)>, String> {
        let problem = |error: reqwest::Error| format!("{}: {error}", self.url);
        let set: JwkSet = self
            .client
            .get(&self.url)
            .send()
            .and_then(|answer| answer.error_for_status())
            .and_then(|answer| answer.json())
            .map_err(problem)?;
        let mut keys = HashMap::new();
        for jwk in &set.keys {
            let alg = jwk.common.key_algorithm.and_then(|alg| alg.to_string().parse::<Algorithm>().ok());
            let (Some(kid), Some(alg), Ok(key)) = (jwk.common.key_id.clone(), alg, DecodingKey::from_jwk(jwk)) else { continue };
            if ALGORITHMS.contains(&alg) {
                keys.insert(kid, (alg, key));
            }
        }
        Ok(keys)
    }
}

struct Server {
    issuer: String,
    audience: String,
    keys: Keys,
}

impl Server {
    fn verify(&self, token: &str) -> Result<Value, String> {
        let header = decode_header(token).map_err(|error| error.to_string())?;
        let typ = header.typ.unwrap_or_default().to_ascii_lowercase();
        if typ != "at+jwt" && typ != "application/at+jwt" {
            return Err("not an access token".into());
        }
        // The algorithm is the key's, never the token's choice.
        let (alg, key) = self.keys.key(&header.kid.unwrap_or_default())?;
        let mut rules = Validation::new(alg);
        rules.leeway = 30;
        rules.validate_nbf = true;
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        decode::<Value>(token, &key, &rules).map(|token| token.claims).map_err(|error| error.to_string())
    }

    fn answer(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        // 16 KiB are enough for a head.
        let mut lines = BufReader::new(stream.take(16_384)).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        let mut authorization = String::new();
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("authorization")
            {
                authorization = value.trim().to_owned();
            }
        }
        let mut words = request.split(' ');
        if (words.next(), words.next()) != (Some("GET"), Some("/")) {
            return respond(stream, "404 Not Found", None, &json!({"error": "not_found"}));
        }
        let token = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token);
        let Some(token) = token else {
            return respond(stream, "401 Unauthorized", Some("Bearer"), &json!({"error": "no_token"}));
        };
        match self.verify(token) {
            Ok(claims) => {
                let shown = json!({"sub": claims["sub"], "scope": claims["scope"], "roles": claims["roles"], "exp": claims["exp"]});
                respond(stream, "200 OK", None, &shown)
            }
            Err(reason) => {
                // For the operator. The caller only learns that the token is no good.
                eprintln!("refused: {reason}");
                respond(stream, "401 Unauthorized", Some("Bearer error=\"invalid_token\""), &json!({"error": "invalid_token"}))
            }
        }
    }
}

fn respond(mut stream: &TcpStream, status: &str, challenge: Option<&str>, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    let challenge = challenge.map(|words| format!("www-authenticate: {words}\r\n")).unwrap_or_default();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncache-control: no-store\r\ncontent-length: {}\r\n{challenge}connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = std::env::var("ISSUER").map_err(|_| "set ISSUER, for example ISSUER=http://127.0.0.1:8080/t/acme")?;
    let audience = std::env::var("AUDIENCE").ok().filter(|audience| !audience.is_empty()).unwrap_or_else(|| issuer.clone());
    let port: u16 = std::env::var("PORT").unwrap_or_else(|_| "7003".into()).parse()?;
    let keys = Keys {
        url: format!("{issuer}/.well-known/jwks.json"),
        client: reqwest::blocking::Client::builder().timeout(Duration::from_secs(5)).build()?,
        known: Mutex::default(),
    };
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    writeln!(std::io::stdout(), "http://{} takes tokens of {issuer} for {audience}", listener.local_addr()?)?;
    let server = Arc::new(Server { issuer, audience, keys });
    for stream in listener.incoming().flatten() {
        let server = Arc::clone(&server);
        std::thread::spawn(move || server.answer(&stream));
    }
    Ok(())
}
