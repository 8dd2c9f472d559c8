//! DPoP proofs (RFC 9449): what one says, and whether that is enough. Whose signature it bears is known before.
//!
//! Invariant: a proof is for one request, to one address, now. What is missing, of the wrong type or out of bounds refuses it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

use crate::jwt::{self, SKEW};
use crate::keys::thumbprint::Thumbprint;
use crate::time::{Timestamp, Ttl};

/// The `typ` header of a proof (RFC 9449, 4.2).
pub const PROOF_TYPE: &str = "dpop+jwt";

/// How old a proof may be that says no nonce of ours (RFC 9449, 11.1: seconds or minutes).
const OLDEST: Ttl = Ttl::seconds(60);
/// How long a proof's name is remembered: longer than it may be good for, also by a clock that is behind.
const REMEMBERED: Ttl = Ttl::minutes(5);
/// How long one nonce is given out. It is good for this and the two after it, and by a clock that is this much behind.
const NONCE_STEP: Ttl = Ttl::seconds(60);

/// The request that a proof has to be for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// The address, without query.
    pub uri: &'a str,
    /// The token that the proof comes with, if it comes to a protected resource.
    pub access_token: Option<&'a str>,
}

/// What must be true of a proof's nonce (RFC 9449, 8). One that says a nonce must say one of ours, in any case.
#[derive(Debug, Clone, Copy)]
pub struct Nonces<'a> {
    /// Those that are good now.
    pub good: &'a [String],
    pub are_needed: bool,
}

/// A proof that is good, if it was not used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Under which it is remembered: a hash of key and `jti`.
    pub name: [u8; 32],
    /// Until when.
    pub expires_at: Timestamp,
}

/// Why a proof will not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofRefused {
    /// For the log.
    #[error("{0}")]
    Bad(&'static str),
    /// It is good but for its nonce, which is missing or too old.
    #[error("it has no nonce of ours that is good now")]
    Nonce,
}

/// The numbers of the nonces that are good at `now`: the one to give out first.
pub const fn nonce_numbers(now: Timestamp) -> [i64; 4] {
    let number = now.as_seconds().div_euclid(NONCE_STEP.as_seconds() as i64);
    [number, number - 1, number - 2, number + 1]
}

/// Whether two addresses are the same but for query and fragment, which are not compared, and for spelling (RFC 9449, 4.3).
fn is_same_place(one: &str, other: &str) -> bool {
    let place = |text: &str| {
        // Scheme, host, port and dots are spelled in one way by this (RFC 3986, 6.2.2.1, 6.2.2.3, 6.2.3).
        let mut url = Url::parse(text).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(plainly_encoded(url.as_str()))
    };
    place(one).is_some_and(|one| Some(one) == place(other))
}

/// `address` with its percent-encoding spelled in one way: capital digits, and none where none is needed (RFC 3986, 6.2.2.1, 6.2.2.2).
fn plainly_encoded(address: &str) -> String {
    let byte = |digits: &str| u8::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let mut pieces = address.split('%');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((byte, rest)) = piece.split_at_checked(2).and_then(|(digits, rest)| Some((byte(digits)?, rest))) else {
            plain.push('%');
            plain.push_str(piece);
            continue;
        };
        match char::from(byte) {
            unreserved if unreserved.is_ascii_alphanumeric() || "-._~".contains(unreserved) => plain.push(unreserved),
            _ => plain.push_str(&format!("%{byte:02X}")),
        }
        plain.push_str(rest);
    }
    plain
}

/// Judges the claims of a proof that `key` has signed.
///
/// # Errors
/// Says what is wrong. That its nonce is, it says only when nothing else is.
///
/// Source: RFC 9449, 4.3.
pub fn judge(
    claims: &Map<String, Value>,
    key: Thumbprint,
    request: Request<'_>,
    nonces: Nonces<'_>,
    now: Timestamp,
) -> Result<Proof, ProofRefused> {
    let refused = |why| Err(ProofRefused::Bad(why));
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let Some(jti) = jwt::jti(claims) else { return refused("jti is missing or too long") };
    if text("htm") != Some(request.method) {
        return refused("htm is another method");
    }
    if !text("htu").is_some_and(|htu| is_same_place(htu, request.uri)) {
        return refused("htu is another address");
    }
    if let Some(token) = request.access_token
        && text("ath") != Some(URL_SAFE_NO_PAD.encode(Sha256::digest(token)).as_str())
    {
        return refused("ath is not the hash of the access token");
    }
    let Some(iat) = claims.get("iat").and_then(jwt::date) else { return refused("iat is missing or no date") };
    match claims.get("exp").map(jwt::date) {
        None => {}
        Some(Some(exp)) if now < exp.plus(SKEW) => {}
        Some(_) => return refused("exp is over or no date"),
    }
    let nonce_is_good = match claims.get("nonce") {
        None if nonces.are_needed => Err(ProofRefused::Nonce),
        None => Ok(false),
        Some(nonce) if nonces.good.iter().any(|good| nonce == good) => Ok(true),
        Some(_) => Err(ProofRefused::Nonce),
    };
    // A nonce says when the proof was made better than the client's clock does (RFC 9449, 11.3).
    if nonce_is_good != Ok(true) {
        if let Err(why) = jwt::has_begun(claims, now) {
            return refused(why);
        }
        if iat.plus(OLDEST) <= now {
            return refused("it is too old");
        }
    }
    nonce_is_good?;
    let name = Sha256::new().chain_update("dpop-proof\0").chain_update(key.as_bytes()).chain_update(jti);
    Ok(Proof { name: name.finalize().into(), expires_at: now.plus(REMEMBERED) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::keys::ring::PublicJwk;

    const NOW: i64 = 1_800_000_000;
    const URI: &str = "https://id.example/t/acme/oauth/userinfo";
    const NONE: Nonces<'_> = Nonces { good: &[], are_needed: false };

    fn key() -> Thumbprint {
        Thumbprint::of(&PublicJwk::OKP { crv: "Ed25519".to_owned(), x: "x".to_owned() })
    }

    fn judged(change: &[(&str, Value)], nonces: Nonces<'_>) -> Result<Proof, ProofRefused> {
        // RFC 9449, figure 12: a token and its hash.
        let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
        let ath = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";
        let mut claims = json!({ "jti": "1", "htm": "GET", "htu": URI, "iat": NOW, "ath": ath });
        let claims = claims.as_object_mut().expect("an object");
        for (name, value) in change {
            // What is replaced by "gone" is left out.
            let _ = if *value == json!("gone") { claims.remove(*name) } else { claims.insert((*name).to_owned(), value.clone()) };
        }
        let request = Request { method: "GET", uri: URI, access_token: Some(token) };
        judge(claims, key(), request, nonces, Timestamp::from_seconds(NOW))
    }

    fn refused(change: &[(&str, Value)]) {
        assert!(matches!(judged(change, NONE), Err(ProofRefused::Bad(_))), "{change:?}");
    }

    #[test]
    fn s096_s099_what_is_missing_wrong_or_of_another_type_refuses_it() {
        assert!(judged(&[], NONE).is_ok());
        for name in ["jti", "htm", "htu", "iat", "ath"] {
            for value in [json!("gone"), json!(""), json!(null), json!({}), json!([]), json!(true)] {
                refused(&[(name, value)]);
            }
        }
        for (name, value) in [
            ("jti", json!("x".repeat(257))),
            ("htm", json!("get")),
            ("htm", json!("POST")),
            ("ath", json!("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEO")),
            ("iat", json!("1800000000")),
            ("exp", json!("1800000000")),
            ("exp", json!(NOW - 30)),
            ("nbf", json!(NOW + 31)),
        ] {
            refused(&[(name, value)]);
        }
        assert!(judged(&[("exp", json!(NOW + 300)), ("nbf", json!(NOW)), ("more", json!({}))], NONE).is_ok());
    }

    #[test]
    fn s097_the_address_is_compared_without_query_and_fragment() {
        for same in ["?a=1", "#f", "?a=1#f"] {
            assert!(judged(&[("htu", json!(format!("{URI}{same}")))], NONE).is_ok(), "{same}");
        }
        for same in [
            "HTTPS://ID.example/t/acme/oauth/userinfo",
            "https://id.example:443/t/acme/oauth/userinfo",
            "https://id.example/t/acme/oauth/%75ser%69nfo",
            "https://id.example/x/%2E./t/acme/oauth/userinfo",
        ] {
            assert!(judged(&[("htu", json!(same))], NONE).is_ok(), "{same}");
        }
        for other in [
            "http://id.example/t/acme/oauth/userinfo",
            "https://id.example:444/t/acme/oauth/userinfo",
            "https://id.example/t/acme/oauth/userinfo/",
            "https://id.example/t/acme/oauth/token",
            "https://id.example/t/globex/oauth/userinfo",
            "https://evil@id.example/t/acme/oauth/userinfo",
            "https://id.example/t/acme/oauth/Userinfo",
            "https://id.example/t/acme/oauth/%55serinfo",
            "https://id.example/t/acme%2Foauth/userinfo",
            "https://id.example/t/acme/oauth/%2575serinfo",
            "https://id.example/t/acme/oauth/userinfo%",
            "/t/acme/oauth/userinfo",
        ] {
            refused(&[("htu", json!(other))]);
        }
    }

    #[test]
    fn percent_encoding_is_spelled_in_one_way_and_what_is_reserved_stays_encoded() {
        for (one, other) in [
            ("https://id.example/t/%61-%2d%2E%5F%7e", "https://id.example/t/a--._~"),
            ("https://id.example/a%2fb%c3%A9", "https://id.example/a%2Fb%C3%A9"),
            ("https://id.example/%", "https://id.example/%"),
            ("https://id.example/%zz%1", "https://id.example/%zz%1"),
            ("https://id.example/%+1", "https://id.example/%+1"),
        ] {
            assert_eq!(plainly_encoded(one), other);
        }
    }

    #[test]
    fn s098_a_proof_is_of_now() {
        for seconds in [-59, -10, 10, 30] {
            assert!(judged(&[("iat", json!(NOW + seconds))], NONE).is_ok(), "{seconds}");
        }
        for seconds in [-3_600, -61, -60, 31, 3_600] {
            refused(&[("iat", json!(NOW + seconds))]);
        }
    }

    #[test]
    fn s100_a_nonce_that_is_said_is_one_of_ours_and_stands_for_the_clock() {
        let good = ["a".to_owned(), "b".to_owned()];
        for are_needed in [true, false] {
            let nonces = Nonces { good: &good, are_needed };
            assert!(judged(&[("nonce", json!("b"))], nonces).is_ok());
            assert!(judged(&[("nonce", json!("b")), ("iat", json!(NOW - 3_600))], nonces).is_ok());
            for other in [json!("c"), json!(""), json!(1), json!(null)] {
                assert_eq!(judged(&[("nonce", other)], nonces), Err(ProofRefused::Nonce));
            }
            assert!(matches!(judged(&[("nonce", json!("b")), ("htm", json!("PUT"))], nonces), Err(ProofRefused::Bad(_))));
            assert_eq!(judged(&[], nonces).is_ok(), !are_needed);
        }
        let at = |seconds| nonce_numbers(Timestamp::from_seconds(seconds));
        let given = at(NOW)[0];
        for (seconds, is_good) in [(-60, true), (-61, false), (0, true), (179, true), (180, false)] {
            assert_eq!(at(NOW + seconds).contains(&given), is_good, "{seconds}");
        }
    }

    #[test]
    fn s098_the_same_jti_of_another_key_is_another_name() {
        let one = judged(&[], NONE).expect("good");
        assert_eq!(one, judged(&[], NONE).expect("good"));
        assert_ne!(one.name, judged(&[("jti", json!("2"))], NONE).expect("good").name);
        let other = Thumbprint::of(&PublicJwk::OKP { crv: "Ed25519".to_owned(), x: "y".to_owned() });
        let request = Request { method: "GET", uri: URI, access_token: None };
        let claims = json!({ "jti": "1", "htm": "GET", "htu": URI, "iat": NOW });
        let theirs = judge(claims.as_object().expect("an object"), other, request, NONE, Timestamp::from_seconds(NOW));
        assert_ne!(one.name, theirs.expect("good").name);
    }
}
