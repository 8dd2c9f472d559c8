//! Reads JWTs that clients have signed with keys of their own: the one place for it.
//!
//! Invariant: the algorithm must be one that the caller allows, and the key one that the caller has; a key in a token is looked at
//! where it proves nothing but that somebody has it ([`open_self_signed`]), one that is linked from it never.

use app::ports::keys::{ForeignRefused, ForeignToken, SelfSigned};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::client::assertion::MacAlg;
use domain::client::jwks::{self, ClientKey};
use domain::keys::ring::{Alg, PublicJwk};
use domain::secret::Secret;
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

/// A token in its parts. Nobody has looked at its signature.
struct Apart<'t, A> {
    header: Map<String, Value>,
    alg: A,
    typ: Option<String>,
    message: &'t str,
    payload: &'t str,
    signature: &'t str,
}

impl<'t, A: Copy> Apart<'t, A> {
    /// Takes a token apart that says to be signed by one of `algs`, and has no header member that may not be there but perhaps `allowed`.
    fn take(token: &'t str, algs: &[A], name: fn(A) -> &'static str, allowed: Option<&str>) -> Result<Self, ForeignRefused> {
        if token.len() > LONGEST {
            return Err(ForeignRefused::Bad);
        }
        let mut parts = token.split('.');
        let (Some(first), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(ForeignRefused::Bad);
        };
        let Some(Unique(header)) = part(first) else { return Err(ForeignRefused::Bad) };
        if REFUSED_HEADERS.iter().any(|name| Some(*name) != allowed && header.contains_key(*name)) {
            return Err(ForeignRefused::Bad);
        }
        let (message, _) = token.rsplit_once('.').ok_or(ForeignRefused::Bad)?;
        let alg = text(&header, "alg")?;
        let alg = algs.iter().copied().find(|known| Some(name(*known)) == alg).ok_or(ForeignRefused::Bad)?;
        let typ = text(&header, "typ")?.map(str::to_owned);
        Ok(Self { header, alg, typ, message, payload, signature })
    }
}

impl Apart<'_, Alg> {
    /// What it says, if one of these keys has signed it.
    fn claims<'k>(&self, keys: impl Iterator<Item = &'k PublicJwk>) -> Result<Map<String, Value>, ForeignRefused> {
        install_provider();
        let is_signed = keys
            .filter_map(|key| decoding_key(key).ok())
            .any(|key| crypto::verify(self.signature, self.message.as_bytes(), &key, algorithm(self.alg)).unwrap_or(false));
        let claims = part(self.payload).filter(|_| is_signed);
        claims.map(|Unique(claims)| claims).ok_or(ForeignRefused::Bad)
    }
}

impl Apart<'_, MacAlg> {
    /// What it says, if somebody has signed it with one of these secrets.
    fn shared_claims(&self, secrets: &[Secret<Vec<u8>>]) -> Result<Map<String, Value>, ForeignRefused> {
        let alg = match self.alg {
            MacAlg::HS256 => hmac::HMAC_SHA256,
            MacAlg::HS384 => hmac::HMAC_SHA384,
            MacAlg::HS512 => hmac::HMAC_SHA512,
        };
        let signature = URL_SAFE_NO_PAD.decode(self.signature).map_err(|_| ForeignRefused::Bad)?;
        // All of them, so that time does not tell which one it was.
        let is_signed = secrets.iter().fold(false, |found, secret| {
            found | hmac::verify(&hmac::Key::new(alg, secret.expose()), self.message.as_bytes(), &signature).is_ok()
        });
        let claims = part(self.payload).filter(|_| is_signed);
        claims.map(|Unique(claims)| claims).ok_or(ForeignRefused::Bad)
    }
}

/// A header member that is absent, or a text: nothing else.
fn text<'h>(header: &'h Map<String, Value>, name: &str) -> Result<Option<&'h str>, ForeignRefused> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(ForeignRefused::Bad),
    }
}

/// Opens a token that one of `keys` has signed by one of `algs`.
pub(crate) fn open(token: &str, keys: &[ClientKey], algs: &[Alg]) -> Result<ForeignToken, ForeignRefused> {
    let apart = Apart::take(token, algs, Alg::name, None)?;
    let kid = text(&apart.header, "kid")?;
    let mut candidates = keys.iter().filter(|key| key.may_be(apart.alg, kid)).take(MOST_TRIED).map(|key| &key.public).peekable();
    if candidates.peek().is_none() {
        return Err(ForeignRefused::UnknownKey);
    }
    let claims = apart.claims(candidates)?;
    Ok(ForeignToken { typ: apart.typ, claims })
}

/// Opens a token that somebody has signed with one of `secrets` by one of `algs`. Its `kid` says nothing: there are two secrets at most.
pub(crate) fn open_shared(token: &str, secrets: &[Secret<Vec<u8>>], algs: &[MacAlg]) -> Result<ForeignToken, ForeignRefused> {
    if secrets.is_empty() {
        return Err(ForeignRefused::UnknownKey);
    }
    let apart = Apart::take(token, algs, MacAlg::name, None)?;
    let claims = apart.shared_claims(secrets)?;
    Ok(ForeignToken { typ: apart.typ, claims })
}

/// Opens a token that the key in its header has signed by one of `algs` (RFC 9449, 4.2).
pub(crate) fn open_self_signed(token: &str, algs: &[Alg]) -> Result<SelfSigned, ForeignRefused> {
    let apart = Apart::take(token, algs, Alg::name, Some("jwk"))?;
    let key = apart.header.get("jwk").and_then(|key| jwks::read_one(key).ok());
    let key = key.filter(|key| key.may_be(apart.alg, None)).ok_or(ForeignRefused::Bad)?;
    let claims = apart.claims(std::iter::once(&key.public))?;
    Ok(SelfSigned { typ: apart.typ, key: key.public, claims })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keygen::generate;
    use crate::signer::sign_raw;

    #[test]
    fn a_token_is_opened_by_the_secret_that_it_was_signed_with_and_by_no_public_key() {
        let secret = |byte: u8| Secret::new(vec![byte; 64]);
        let signed = |alg: MacAlg, said: &str, key: &[u8]| {
            let algorithm = [hmac::HMAC_SHA256, hmac::HMAC_SHA384, hmac::HMAC_SHA512][alg as usize];
            let message =
                format!("{}.{}", URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{said}"}}"#)), URL_SAFE_NO_PAD.encode(r#"{"jti":"1"}"#));
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&hmac::Key::new(algorithm, key), message.as_bytes())))
        };
        for alg in MacAlg::ALL {
            let token = signed(alg, alg.name(), secret(1).expose());
            for known in [vec![secret(1)], vec![secret(2), secret(1)]] {
                assert!(open_shared(&token, &known, &MacAlg::ALL).is_ok());
            }
            assert_eq!(open_shared(&token, &[], &MacAlg::ALL), Err(ForeignRefused::UnknownKey));
            assert_eq!(open_shared(&token, &[secret(2)], &MacAlg::ALL), Err(ForeignRefused::Bad));
            let others: Vec<_> = MacAlg::ALL.into_iter().filter(|other| *other != alg).collect();
            assert_eq!(open_shared(&token, &[secret(1)], &others), Err(ForeignRefused::Bad));
            for said in ["none", "HS1", "hs256", "ES256", "", MacAlg::ALL[(alg as usize + 1) % 3].name()] {
                assert_eq!(
                    open_shared(&signed(alg, said, secret(1).expose()), &[secret(1)], &MacAlg::ALL),
                    Err(ForeignRefused::Bad),
                    "{said}"
                );
            }
            let (message, _) = token.rsplit_once('.').unwrap();
            assert_eq!(open_shared(&format!("{message}."), &[secret(1)], &MacAlg::ALL), Err(ForeignRefused::Bad));
            // Where public keys are known, nothing that is signed by one of them as by a secret opens (RFC 8725, 2.1).
            let pair = generate(Alg::ES256).unwrap();
            let known = jwks::read(&serde_json::json!({ "keys": [pair.public] })).unwrap();
            let public = serde_json::to_vec(&pair.public).unwrap();
            assert_eq!(open(&signed(alg, alg.name(), &public), &known, &Alg::ALL), Err(ForeignRefused::Bad));
        }
    }

    #[test]
    fn s096_a_token_is_opened_by_its_own_key_by_every_algorithm_that_is_allowed_and_by_no_other() {
        for alg in Alg::ALL {
            let pair = generate(alg).unwrap();
            let header = |more: &str| {
                let jwk = serde_json::to_string(&pair.public).unwrap();
                format!(r#"{{"typ":"dpop+jwt","alg":"{alg}","jwk":{}{more}}}"#, jwk.replacen('{', r#"{"kid":"1","#, 1))
            };
            let signed = |header: &str| sign_raw(&pair.kid, alg, &pair.private, header, r#"{"jti":"1"}"#).unwrap();
            let token = signed(&header(""));
            let opened = open_self_signed(&token, &Alg::ALL).unwrap();
            assert_eq!((opened.key, opened.typ.as_deref()), (pair.public.clone(), Some("dpop+jwt")), "{alg}");
            let others: Vec<_> = Alg::ALL.into_iter().filter(|other| *other != alg).collect();
            assert_eq!(open_self_signed(&token, &others), Err(ForeignRefused::Bad));
            assert_eq!(open_self_signed(&signed(&header(r#","jku":"https://evil.example""#)), &Alg::ALL), Err(ForeignRefused::Bad));
            // Where the keys are known, one in the token is not looked at, however right it is.
            let known = jwks::read(&serde_json::json!({ "keys": [pair.public] })).unwrap();
            assert_eq!(open(&token, &known, &Alg::ALL), Err(ForeignRefused::Bad));
            let (message, signature) = token.rsplit_once('.').unwrap();
            assert_eq!(open_self_signed(&format!("{message}A.{signature}"), &Alg::ALL), Err(ForeignRefused::Bad));
        }
    }
}
