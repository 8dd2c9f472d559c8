//! Tokens: our own as they come back, and what clients sign.
//!
//! One line is a token as it comes. Two lines are a header and claims, which are then really signed, so that what is refused is refused
//! for what they say. Three lines are the same with a signature of the stranger's own.

use std::sync::LazyLock;

use app::ports::keys::TokenVerifier;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::authorize::request_object::{self, Conveyance};
use domain::client::assertion::{self, Audience};
use domain::client::jwks::{self, ClientKey};
use domain::client::{Client, ClientId};
use domain::dpop::{self, Nonces, Request};
use domain::keys::ring::{Alg, KeyRing, PublicJwk, RingKey};
use domain::keys::thumbprint::Thumbprint;
use domain::time::{Timestamp, Ttl};
use keys::untrusted;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::{Map, Value, json};
use url::Url;

const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
const ISSUER: &str = "https://id.example/t/acme";
const TOKEN_ENDPOINT: &str = "https://id.example/t/acme/oauth/token";
/// Header members that bring a key along, or ask for something that is not understood.
const NEVER: [&str; 8] = ["crit", "jku", "x5u", "x5c", "x5t", "x5t#S256", "b64", "zip"];

/// Two key pairs, always the same.
struct Pairs {
    ed: Ed25519KeyPair,
    ec: EcdsaKeyPair,
    ed_public: PublicJwk,
    ec_public: PublicJwk,
}

static PAIRS: LazyLock<Pairs> = LazyLock::new(|| {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    let ed = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap_or_else(|_| unreachable!("a seed"));
    let ed_public = PublicJwk::OKP { crv: "Ed25519".to_owned(), x: URL_SAFE_NO_PAD.encode(ed.public_key()) };
    // The key of RFC 7515, A.3.
    let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    let (private, point) = (bytes("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"), [vec![4], bytes(x), bytes(y)].concat());
    let ec = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &private, &point)
        .unwrap_or_else(|_| unreachable!("the key of the standard"));
    let ec_public = PublicJwk::EC { crv: "P-256".to_owned(), x: x.to_owned(), y: y.to_owned() };
    Pairs { ed, ec, ed_public, ec_public }
});

static VERIFIER: LazyLock<Box<dyn TokenVerifier>> = LazyLock::new(|| {
    let key = |alg, public: &PublicJwk| {
        let kid = Thumbprint::of(public).into();
        let published_at = NOW.minus(Ttl::days(1));
        RingKey { alg, public: public.clone(), published_at, sign_from: published_at, ..testkit::sample::ring_key(kid) }
    };
    let keys = vec![key(Alg::EdDSA, &PAIRS.ed_public), key(Alg::ES256, &PAIRS.ec_public)];
    let ring = KeyRing { keys, ..testkit::sample::ring() };
    untrusted::verifier(&ring, Ttl::seconds(30)).unwrap_or_else(|fault| unreachable!("{fault}"))
});

static CLIENT_KEYS: LazyLock<Vec<ClientKey>> = LazyLock::new(|| {
    let set = json!({ "keys": [PAIRS.ed_public, PAIRS.ec_public] });
    jwks::read(&set).unwrap_or_else(|bad| unreachable!("{bad}"))
});

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let id = ClientId::try_from("cli".to_owned()).unwrap_or_else(|_| unreachable!("an id"));
    Client { id, ..testkit::sample::client() }
});

/// The token that an input stands for.
fn token(data: &[u8]) -> String {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(3, '\n');
    let (first, claims, signature) = (lines.next().unwrap_or_default(), lines.next(), lines.next());
    let Some(claims) = claims else { return first.to_owned() };
    let jwk = |public: &PublicJwk| serde_json::to_string(public).unwrap_or_default();
    let header = first
        .replace("KID_ED", &Thumbprint::of(&PAIRS.ed_public).to_string())
        .replace("KID_EC", &Thumbprint::of(&PAIRS.ec_public).to_string())
        .replace("\"JWK_ED\"", &jwk(&PAIRS.ed_public))
        .replace("\"JWK_EC\"", &jwk(&PAIRS.ec_public));
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(claims));
    let signature = match signature {
        Some(theirs) => theirs.to_owned(),
        None if header.contains("ES256") => {
            let signed = PAIRS.ec.sign(&SystemRandom::new(), message.as_bytes());
            URL_SAFE_NO_PAD.encode(signed.unwrap_or_else(|_| unreachable!("a signature")))
        }
        None => URL_SAFE_NO_PAD.encode(PAIRS.ed.sign(message.as_bytes())),
    };
    format!("{message}.{signature}")
}

/// Whether this key has signed it, by the library itself and nothing of ours.
fn is_signed(token: &str, public: &PublicJwk) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    match public {
        PublicJwk::OKP { x, .. } => UnparsedPublicKey::new(&ED25519, bytes(x)).verify(message.as_bytes(), &signature).is_ok(),
        PublicJwk::EC { crv, x, y } if crv == "P-256" => {
            let point = [vec![4], bytes(x), bytes(y)].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message.as_bytes(), &signature).is_ok()
        }
        // Others can be shown, but nobody here has their private half.
        PublicJwk::EC { .. } | PublicJwk::RSA { .. } => false,
    }
}

/// The names of an object in their order, also those that come twice.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Names;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, _)) = access.next_entry::<String, Value>()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The `at`-th part of a token, which was taken: what is in it, and that every name in it stands once if it `is_strict`.
fn part(token: &str, at: usize, is_strict: bool) -> Map<String, Value> {
    let part = token.split('.').nth(at).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_else(|_| panic!("taken, and no base64url: {part}"));
    let Names(names) = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("taken, and no JSON object: {error}"));
    let is_unique = names.iter().enumerate().all(|(at, name)| !names[..at].contains(name));
    assert!(is_unique || !is_strict, "taken with a name that stands twice: {names:?}");
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The header of a token of ours that was taken.
fn ours(token: &str) -> Map<String, Value> {
    assert_eq!(token.split('.').count(), 3, "{token}");
    let header = part(token, 0, false);
    assert!(NEVER.iter().chain(&["jwk"]).all(|name| !header.contains_key(*name)), "{header:?}");
    let (alg, public) = match header.get("kid").and_then(Value::as_str) {
        Some(kid) if kid == Thumbprint::of(&PAIRS.ed_public).to_string() => ("EdDSA", &PAIRS.ed_public),
        Some(kid) if kid == Thumbprint::of(&PAIRS.ec_public).to_string() => ("ES256", &PAIRS.ec_public),
        other => panic!("taken by the key {other:?}"),
    };
    assert_eq!(header.get("alg"), Some(&json!(alg)), "taken by another algorithm than its key's");
    assert!(is_signed(token, public), "taken, and nobody has signed it: {token}");
    header
}

pub(super) fn access_token(data: &[u8]) {
    let token = token(data);
    let (verifier, now) = (&*VERIFIER, NOW);
    let for_us = verifier.verify(&token, ISSUER, now);
    let Ok(claims) = verifier.verify_for_whomever(&token, ISSUER, now) else {
        assert!(for_us.is_err());
        return;
    };
    let header = ours(&token);
    let typ = header.get("typ").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    assert!(typ == "at+jwt" || typ == "application/at+jwt", "taken as {typ}");
    assert_eq!(claims.iss, ISSUER);
    assert!(claims.exp > now.as_seconds() - 30 && claims.nbf.max(claims.iat) <= now.as_seconds() + 30, "{claims:?}");
    assert_eq!(for_us.is_ok(), claims.aud.contains(ISSUER));
    assert!(verifier.verify(&token, "https://id.example/t/globex", now).is_err());
    assert!(verifier.verify_for_whomever(&token, ISSUER, now.plus(Ttl::days(40_000))).is_err() || claims.exp > 5_000_000_000);
}

pub(super) fn id_token_hint(data: &[u8]) {
    let token = token(data);
    let Ok(claims) = VERIFIER.verify_id(&token, ISSUER) else { return };
    let header = ours(&token);
    assert!(header.get("typ").and_then(Value::as_str).is_some_and(|typ| typ.eq_ignore_ascii_case("JWT")), "{header:?}");
    assert_eq!(claims.iss, ISSUER);
    assert!(VERIFIER.verify_for_whomever(&token, ISSUER, NOW).is_err(), "one token is of two kinds");
}

/// The claims of a token that the client has signed, with everything that must be true of one.
fn of_client(token: &str) -> Option<(Option<String>, Map<String, Value>)> {
    let opened = untrusted::open(token, &CLIENT_KEYS, &[Alg::EdDSA, Alg::ES256]).ok()?;
    assert_eq!(token.split('.').count(), 3, "{token}");
    let header = part(token, 0, true);
    assert!(NEVER.iter().chain(&["jwk"]).all(|name| !header.contains_key(*name)), "{header:?}");
    let public = match header.get("alg").and_then(Value::as_str) {
        Some("EdDSA") => &PAIRS.ed_public,
        Some("ES256") => &PAIRS.ec_public,
        other => panic!("taken by {other:?}"),
    };
    assert!(is_signed(token, public), "taken, and nobody has signed it: {token}");
    assert_eq!(part(token, 1, true), opened.claims);
    assert!(untrusted::open(token, &CLIENT_KEYS, &[Alg::PS256]).is_err() && untrusted::open(token, &[], &Alg::ALL).is_err());
    Some((opened.typ, opened.claims))
}

fn seconds(claims: &Map<String, Value>, name: &str) -> f64 {
    claims.get(name).and_then(Value::as_f64).unwrap_or_else(|| panic!("taken with this {name}: {:?}", claims.get(name)))
}

#[expect(clippy::cast_precision_loss, reason = "it is within the years that are exact")]
fn now_as_f64() -> f64 {
    NOW.as_seconds() as f64
}

pub(super) fn client_assertion(data: &[u8]) {
    let token = token(data);
    let Some((_, claims)) = of_client(&token) else { return };
    for token_endpoint in [None, Some(TOKEN_ENDPOINT)] {
        let audience = Audience { issuer: ISSUER, token_endpoint };
        let Ok(taken) = assertion::judge(&claims, &CLIENT.id, audience, NOW) else { continue };
        assert!(claims["iss"] == "cli" && claims["sub"] == "cli", "{claims:?}");
        assert!(claims["jti"].as_str().is_some_and(|jti| !jti.is_empty()));
        let exp = seconds(&claims, "exp");
        assert!(exp > now_as_f64() - 31.0 && exp < now_as_f64() + 3_632.0, "{exp}");
        assert!(taken.expires_at > NOW, "it would be forgotten while it is good");
        let aud = &claims["aud"];
        assert!(aud == ISSUER || (token_endpoint.is_some() && (aud == TOKEN_ENDPOINT || aud.is_array())), "{aud}");
        let other = ClientId::try_from("other".to_owned()).unwrap_or_else(|_| unreachable!("an id"));
        assert!(assertion::judge(&claims, &other, audience, NOW).is_err());
    }
}

pub(super) fn request_object(data: &[u8]) {
    let token = token(data);
    let Some((_, claims)) = of_client(&token) else { return };
    let Ok(parameters) = request_object::parameters(&claims, &CLIENT, Conveyance::ByReference, ISSUER, NOW) else { return };
    assert_eq!(parameters.get("client_id"), Some("cli"));
    for name in ["iss", "aud", "exp", "nbf", "iat", "jti", "sub", "request", "request_uri"] {
        assert_eq!(parameters.get(name), None, "{name} is no parameter");
    }
    let by_value = request_object::parameters(&claims, &CLIENT, Conveyance::ByValue, ISSUER, NOW).is_ok();
    assert_eq!(by_value, claims.contains_key("exp") && claims.contains_key("aud"), "by value it says until when and for whom");
    if claims.contains_key("exp") {
        let exp = seconds(&claims, "exp");
        assert!(exp > now_as_f64() - 31.0 && exp < now_as_f64() + 3_632.0, "{exp}");
    }
    if let Some(said) = claims.get("aud") {
        assert!(said == ISSUER || said.as_array().is_some_and(|all| all.iter().any(|aud| aud == ISSUER)));
    }
    // An assertion of the client is no request, and a request is no assertion.
    let audience = Audience { issuer: ISSUER, token_endpoint: Some(TOKEN_ENDPOINT) };
    assert!(assertion::judge(&claims, &CLIENT.id, audience, NOW).is_err(), "one token is of two kinds");
}

pub(super) fn dpop_proof(data: &[u8]) {
    let token = token(data);
    let Ok(opened) = untrusted::open_self_signed(&token, &Alg::ALL) else { return };
    let header = part(&token, 0, true);
    assert!(NEVER.iter().all(|name| !header.contains_key(*name)), "{header:?}");
    assert!(is_signed(&token, &opened.key), "taken, and nobody has signed it: {token}");
    let shown = header.get("jwk").unwrap_or(&Value::Null);
    assert_eq!(jwks::read_one(shown).map(|key| key.public).as_ref(), Ok(&opened.key));
    let key = Thumbprint::of(&opened.key);
    let request = Request { method: "POST", uri: TOKEN_ENDPOINT, access_token: None };
    let Ok(proof) = dpop::judge(&opened.claims, key, request, Nonces { good: &[], are_needed: false }, NOW) else { return };
    assert!(proof.expires_at > NOW.plus(Ttl::seconds(90)), "it would be forgotten while it is good");
    assert_eq!(opened.claims["htm"], "POST");
    let htu = opened.claims["htu"].as_str().unwrap_or_default();
    let (theirs, meant) = (Url::parse(htu), Url::parse(TOKEN_ENDPOINT));
    let (Ok(theirs), Ok(meant)) = (theirs, meant) else { panic!("taken for {htu}") };
    assert!(theirs.origin() == meant.origin() && theirs.path() == meant.path() && theirs.username().is_empty(), "taken for {htu}");
    let iat = seconds(&opened.claims, "iat");
    assert!((iat - now_as_f64()).abs() < 62.0, "{iat}");
    let elsewhere = Request { uri: "https://id.example/t/globex/oauth/token", ..request };
    assert!(dpop::judge(&opened.claims, key, elsewhere, Nonces { good: &[], are_needed: false }, NOW).is_err());
}

/// Whether an input comes as far as the property of its target.
pub(crate) fn is_taken(name: &str, data: &[u8]) -> bool {
    let token = token(data);
    match name {
        "access-token" => VERIFIER.verify_for_whomever(&token, ISSUER, NOW).is_ok(),
        "id-token-hint" => VERIFIER.verify_id(&token, ISSUER).is_ok(),
        "client-assertion" => of_client(&token).is_some_and(|(_, claims)| {
            assertion::judge(&claims, &CLIENT.id, Audience { issuer: ISSUER, token_endpoint: None }, NOW).is_ok()
        }),
        "request-object" => of_client(&token)
            .is_some_and(|(_, claims)| request_object::parameters(&claims, &CLIENT, Conveyance::ByValue, ISSUER, NOW).is_ok()),
        "dpop-proof" => untrusted::open_self_signed(&token, &Alg::ALL).is_ok_and(|opened| {
            let request = Request { method: "POST", uri: TOKEN_ENDPOINT, access_token: None };
            dpop::judge(&opened.claims, Thumbprint::of(&opened.key), request, Nonces { good: &[], are_needed: false }, NOW).is_ok()
        }),
        _ => false,
    }
}
