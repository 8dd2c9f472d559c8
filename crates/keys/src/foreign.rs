//! Reads JWTs that clients have signed with keys of their own: the one place for it.
//!
//! Invariant: the algorithm must be one that the caller allows, and the key one that the caller has; no key in or linked from a token is
//! looked at.

use app::ports::keys::{ForeignRefused, ForeignToken};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::client::jwks::ClientKey;
use domain::keys::ring::Alg;
use jsonwebtoken::crypto;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Value};

use crate::verifier::{LONGEST, REFUSED_HEADERS, algorithm, decoding_key, install_provider};

/// Keys that one token is tried with, when it does not name one.
const MOST_TRIED: usize = 4;

/// A JSON object in which every name stands once (RFC 7515, 5.2; RFC 8725, 2.4): of two the reader before us may have meant the other.
struct Unique(Map<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Unique;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Unique, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(de::Error::custom("a name stands twice"));
                    }
                }
                Ok(Unique(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// Opens a token that one of `keys` has signed by one of `algs`.
pub(crate) fn open(token: &str, keys: &[ClientKey], algs: &[Alg]) -> Result<ForeignToken, ForeignRefused> {
    install_provider();
    if token.len() > LONGEST {
        return Err(ForeignRefused::Bad);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(ForeignRefused::Bad);
    };
    let Some(Unique(header)) = part(header) else { return Err(ForeignRefused::Bad) };
    if REFUSED_HEADERS.iter().any(|name| header.contains_key(*name)) {
        return Err(ForeignRefused::Bad);
    }
    // Absent, or a text: nothing else.
    let text = |name: &str| match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(ForeignRefused::Bad),
    };
    let (alg, kid, typ) = (text("alg")?, text("kid")?, text("typ")?);
    let alg = algs.iter().copied().find(|known| Some(known.name()) == alg).ok_or(ForeignRefused::Bad)?;
    let mut candidates = keys.iter().filter(|key| key.may_be(alg, kid)).take(MOST_TRIED).peekable();
    if candidates.peek().is_none() {
        return Err(ForeignRefused::UnknownKey);
    }
    let (message, _) = token.rsplit_once('.').ok_or(ForeignRefused::Bad)?;
    let is_signed = candidates
        .filter_map(|key| decoding_key(&key.public).ok())
        .any(|key| crypto::verify(signature, message.as_bytes(), &key, algorithm(alg)).unwrap_or(false));
    let Some(Unique(claims)) = part(payload).filter(|_| is_signed) else { return Err(ForeignRefused::Bad) };
    Ok(ForeignToken { typ: typ.map(str::to_owned), claims })
}
