//! What a client says about itself in a signed assertion (RFC 7523, 3; OpenID Connect Core, 9), and whether that is enough.
//!
//! Whose signature it bears is known before. Invariant: whatever is missing, of the wrong type or out of bounds refuses it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::ClientId;
use crate::jwt::{self, SKEW};
use crate::keys::ring::Alg;
use crate::time::{Timestamp, Ttl};

/// The one type of assertion there is for clients (RFC 7523, 2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The longest that an assertion may be good for; so long its name is remembered.
const LONGEST: Ttl = Ttl::hours(1);

/// An algorithm by which a client signs with a secret that we have as well (RFC 7518, 3.2). Nothing else is signed so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MacAlg {
    HS256,
    HS384,
    HS512,
}

impl MacAlg {
    pub const ALL: [Self; 3] = [Self::HS256, Self::HS384, Self::HS512];

    /// The name in a JWS header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }

    /// How many random bytes a key needs at least: as many as its hash has (RFC 7518, 3.2; OpenID Connect Core, 10.1).
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::HS256 => 32,
            Self::HS384 => 48,
            Self::HS512 => 64,
        }
    }
}

/// What a client signs its assertions by: a key of its own, or a secret that it shares with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AssertionAlg {
    Key(Alg),
    Secret(MacAlg),
}

impl AssertionAlg {
    /// All of them by their names.
    pub fn names() -> impl Iterator<Item = (&'static str, Self)> {
        let keys = Alg::ALL.into_iter().map(|alg| (alg.name(), Self::Key(alg)));
        keys.chain(MacAlg::ALL.into_iter().map(|alg| (alg.name(), Self::Secret(alg))))
    }
}

/// Whom an assertion may be meant for.
#[derive(Debug, Clone, Copy)]
pub struct Audience<'a> {
    pub issuer: &'a str,
    /// The token endpoint too, and either of them in an array, as OpenID Connect Core, 9 has it. `None`: the issuer alone, as one
    /// string (rfc7523bis; FAPI 2.0, 5.3.2.1-8).
    pub token_endpoint: Option<&'a str>,
}

impl Audience<'_> {
    fn is_meant_by(self, aud: &Value) -> bool {
        let is_ours = |aud: &Value| aud.as_str().is_some_and(|aud| aud == self.issuer || Some(aud) == self.token_endpoint);
        match aud {
            Value::Array(all) => {
                self.token_endpoint.is_some() && all.len() <= 8 && all.iter().all(Value::is_string) && all.iter().any(is_ours)
            }
            one => is_ours(one),
        }
    }
}

/// An assertion that is good, if it was not used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assertion {
    /// Under which it is remembered: a hash of who signed it and `jti`.
    pub name: [u8; 32],
    /// After this it is refused in any case.
    pub expires_at: Timestamp,
}

/// Why it will not do; for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AssertionRefused(pub &'static str);

/// Judges the claims of an assertion that `client` has signed.
///
/// # Errors
/// Says what is wrong.
pub fn judge(
    claims: &Map<String, Value>,
    client: &ClientId,
    audience: Audience<'_>,
    now: Timestamp,
) -> Result<Assertion, AssertionRefused> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(client.as_str()) || text("sub") != Some(client.as_str()) {
        return Err(AssertionRefused("iss and sub are not both the client"));
    }
    judge_use(claims, "client-assertion", client.as_str(), audience, now)
}

/// Judges what is the same for every assertion, whoever it is about: whom it is for, when it is good, and what it is remembered by.
/// `kind` tells the names of one kind of issuer from those of another.
///
/// # Errors
/// Says what is wrong.
pub(crate) fn judge_use(
    claims: &Map<String, Value>,
    kind: &str,
    issuer: &str,
    audience: Audience<'_>,
    now: Timestamp,
) -> Result<Assertion, AssertionRefused> {
    let refused = |why| Err(AssertionRefused(why));
    if !claims.get("aud").is_some_and(|aud| audience.is_meant_by(aud)) {
        return refused("aud is somebody else");
    }
    let Some(exp) = claims.get("exp").and_then(jwt::date) else { return refused("exp is missing or no date") };
    if exp.plus(SKEW) <= now {
        return refused("it has expired");
    }
    if exp > now.plus(LONGEST).plus(SKEW) {
        return refused("it is good for more than an hour");
    }
    if let Err(why) = jwt::has_begun(claims, now) {
        return refused(why);
    }
    let Some(jti) = jwt::jti(claims) else { return refused("jti is missing or too long") };
    let name = Sha256::new().chain_update(kind).chain_update("\0").chain_update(issuer).chain_update("\0").chain_update(jti);
    Ok(Assertion { name: name.finalize().into(), expires_at: exp.plus(SKEW) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const ISSUER: &str = "https://id.example/t/acme";
    const TOKEN: &str = "https://id.example/t/acme/oauth/token";

    fn judged(change: &[(&str, Value)], audience: Audience<'_>) -> Result<Assertion, AssertionRefused> {
        let mut claims = json!({ "iss": "shop", "sub": "shop", "aud": ISSUER, "exp": NOW + 60, "iat": NOW, "jti": "1" });
        let claims = claims.as_object_mut().expect("an object");
        for (name, value) in change {
            // What is replaced by "gone" is left out.
            let _ = if *value == json!("gone") { claims.remove(*name) } else { claims.insert((*name).to_owned(), value.clone()) };
        }
        judge(claims, &ClientId::try_from("shop".to_owned()).expect("an id"), audience, Timestamp::from_seconds(NOW))
    }

    const STRICT: Audience<'_> = Audience { issuer: ISSUER, token_endpoint: None };
    const OPEN: Audience<'_> = Audience { issuer: ISSUER, token_endpoint: Some(TOKEN) };

    #[test]
    fn s050_s073_what_is_missing_wrong_or_of_another_type_refuses_it() {
        assert!(judged(&[], STRICT).is_ok());
        let bad_dates = [json!("1800000060"), json!(-1), json!(null), json!([NOW + 60]), json!({}), json!(1e300), json!(true)];
        let mut bad: Vec<(&str, Value)> = Vec::new();
        for name in ["exp", "nbf", "iat"] {
            bad.extend(bad_dates.iter().map(|value| (name, value.clone())));
        }
        for name in ["iss", "sub", "aud", "exp", "jti"] {
            bad.extend([json!("gone"), json!(""), json!(null), json!(1), json!("other"), json!({})].map(|value| (name, value)));
        }
        bad.retain(|change| *change != ("jti", json!("other")));
        bad.extend([("exp", json!(NOW - 30)), ("exp", json!(NOW + 3_631)), ("jti", json!("x".repeat(257)))]);
        for change in bad {
            assert!(judged(std::slice::from_ref(&change), OPEN).is_err(), "{change:?}");
        }
    }

    #[test]
    fn s051_the_issuer_alone_is_meant_where_that_is_asked() {
        for aud in [json!(TOKEN), json!([ISSUER]), json!([TOKEN, "https://other.example"])] {
            assert!(judged(&[("aud", aud.clone())], OPEN).is_ok(), "{aud}");
            assert!(judged(&[("aud", aud.clone())], STRICT).is_err(), "{aud}");
        }
        for aud in [json!("https://id.example/t/acme/"), json!("https://id.example/t/acme/oauth/par"), json!([ISSUER, 1]), json!([])] {
            assert!(judged(&[("aud", aud.clone())], OPEN).is_err(), "{aud}");
        }
    }

    #[test]
    fn s053_a_clock_may_be_some_seconds_ahead() {
        for name in ["iat", "nbf"] {
            assert!(judged(&[(name, json!(NOW + 8))], STRICT).is_ok());
            assert!(judged(&[(name, json!(1_800_000_008.5))], STRICT).is_ok());
            assert!(judged(&[(name, json!(NOW + 61))], STRICT).is_err());
        }
        assert!(judged(&[("exp", json!(NOW - 8))], STRICT).is_ok());
    }

    #[test]
    fn the_same_jti_of_another_client_is_another_name() {
        let one = judged(&[], STRICT).expect("good");
        assert_eq!(one, judged(&[], STRICT).expect("good"));
        assert_ne!(one.name, judged(&[("jti", json!("2"))], STRICT).expect("good").name);
    }
}
