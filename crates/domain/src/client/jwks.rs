//! A client's public keys, as it shows them (RFC 7517): which of them may have signed something, and to which something may be encrypted.
//!
//! Invariant: a weak key, and one whose private half was shown, is none.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::certificate::Certificate;
use crate::encryption::KeyManagement;
use crate::keys::ring::{Alg, PublicJwk};
use crate::keys::thumbprint::Thumbprint;
use crate::text::BadText;

/// Keys that are looked at in one set.
const MOST_KEYS: usize = 32;
/// The shortest RSA modulus, in bits (RFC 7518, 3.3), and the longest, which takes a verifier some 0.2 ms.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// What every implementation can work with: exponents below 2^32.
const MOST_EXPONENT_BYTES: usize = 4;

/// A public key for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientKey {
    pub kid: Option<String>,
    /// The only algorithm it is for, when it says so.
    alg: Option<String>,
    pub public: PublicJwk,
    /// The certificate that it is shown with (`x5c`).
    certificate: Option<Thumbprint>,
}

impl ClientKey {
    /// Whether it may have made a signature by this algorithm, under this name if one was given.
    pub fn may_be(&self, alg: Alg, kid: Option<&str>) -> bool {
        let fits = match (&self.public, alg) {
            (PublicJwk::EC { crv, .. }, Alg::ES256) => crv == "P-256",
            (PublicJwk::EC { crv, .. }, Alg::ES384) => crv == "P-384",
            (PublicJwk::OKP { crv, .. }, Alg::EdDSA) => crv == "Ed25519",
            (PublicJwk::RSA { .. }, Alg::RS256 | Alg::PS256) => true,
            _ => false,
        };
        let is_named = kid.is_none() || self.kid.as_deref() == kid;
        fits && is_named && self.alg.as_deref().is_none_or(|own| own == alg.name())
    }

    /// Whether a certificate is the one it is shown with, or has this key where it is shown with none.
    ///
    /// Source: RFC 8705, 2.2.
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        match self.certificate {
            Some(own) => own == certificate.thumbprint,
            None => certificate.key.as_ref() == Some(&self.public),
        }
    }
}

/// A public key that something may be encrypted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionKey {
    pub kid: Option<String>,
    /// The only algorithm it is for, when it says so.
    alg: Option<String>,
    pub public: PublicJwk,
}

impl EncryptionKey {
    /// Whether the key of some content may be brought to its owner in this way.
    pub fn may_be(&self, alg: KeyManagement) -> bool {
        let fits = match alg {
            KeyManagement::RsaOaep256 => matches!(self.public, PublicJwk::RSA { .. }),
            KeyManagement::EcdhEs | KeyManagement::EcdhEsA128Kw | KeyManagement::EcdhEsA256Kw => {
                matches!(self.public, PublicJwk::EC { .. })
            }
        };
        fits && self.alg.as_deref().is_none_or(|own| own == alg.name())
    }
}

/// The keys for encryption of a JWK Set: those that say so (`use`, RFC 7517, 4.2), for whoever shows keys of both kinds has to (OpenID
/// Connect Registration, 2). Others are passed over.
///
/// # Errors
/// When it is no JWK Set, or has a key that must not be used: weak, secret, or with its private half.
pub fn read_encryption(set: &Value) -> Result<Vec<EncryptionKey>, BadText> {
    let read = |key: &Value| {
        let key = key.as_object().ok_or(BadText("has a key that is no JSON object"))?;
        is_public(key)?;
        if text(key, "use") != Some("enc") {
            return Ok(None);
        }
        let key_of = |public| EncryptionKey { kid: text(key, "kid").map(str::to_owned), alg: text(key, "alg").map(str::to_owned), public };
        Ok(public_half(key)?.map(key_of))
    };
    listed(set)?.iter().map(read).filter_map(Result::transpose).collect()
}

/// The keys for signatures of a JWK Set; keys for other things, and of kinds that nobody here knows, are passed over (RFC 7517, 5).
///
/// # Errors
/// When it is no JWK Set, or has a key that must not be used: weak, secret, or with its private half.
pub fn read(set: &Value) -> Result<Vec<ClientKey>, BadText> {
    let keys = listed(set)?.iter().map(|key| read_key(key.as_object().ok_or(BadText("has a key that is no JSON object"))?));
    keys.filter_map(Result::transpose).collect()
}

fn listed(set: &Value) -> Result<&Vec<Value>, BadText> {
    let keys = set.get("keys").and_then(Value::as_array).ok_or(BadText("must be a JWK Set (RFC 7517, 5)"))?;
    if keys.len() > MOST_KEYS { Err(BadText("has more than 32 keys")) } else { Ok(keys) }
}

/// One key for signatures, as somebody shows it by itself.
///
/// # Errors
/// When it is none, or one that must not be used.
pub fn read_one(key: &Value) -> Result<ClientKey, BadText> {
    let key = key.as_object().ok_or(BadText("is no JSON object"))?;
    read_key(key)?.ok_or(BadText("is no key for signatures of a kind that is known here"))
}

fn text<'k>(key: &'k Map<String, Value>, name: &str) -> Option<&'k str> {
    key.get(name).and_then(Value::as_str)
}

fn is_public(key: &Map<String, Value>) -> Result<(), BadText> {
    if text(key, "kty") == Some("oct") || ["d", "p", "q", "k"].iter().any(|part| key.contains_key(*part)) {
        return Err(BadText("has a secret or the private half of a key, which is not for us to know: that key is lost"));
    }
    Ok(())
}

fn read_key(key: &Map<String, Value>) -> Result<Option<ClientKey>, BadText> {
    is_public(key)?;
    if text(key, "use").is_some_and(|meant| meant != "sig") {
        return Ok(None);
    }
    let Some(public) = public_half(key)? else { return Ok(None) };
    let certificate = key.get("x5c").map(|chain| shown_with(chain, &public)).transpose()?;
    Ok(Some(ClientKey { kid: text(key, "kid").map(str::to_owned), alg: text(key, "alg").map(str::to_owned), public, certificate }))
}

/// What of a key counts, for kinds that are known here.
fn public_half(key: &Map<String, Value>) -> Result<Option<PublicJwk>, BadText> {
    let text = |name: &str| self::text(key, name).map(str::to_owned);
    let (Some(kty), crv) = (text("kty"), text("crv").unwrap_or_default()) else { return Ok(None) };
    let bytes = |name: &str| text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(BadText("has a key that cannot be read"));
    let width = match crv.as_str() {
        "P-384" => 48,
        _ => 32,
    };
    let coordinate = |name: &str| match bytes(name)? {
        bytes if bytes.len() == width => Ok(URL_SAFE_NO_PAD.encode(bytes)),
        _ => Err(BadText("has a key that cannot be read")),
    };
    Ok(Some(match (kty.as_str(), crv.as_str()) {
        ("EC", "P-256" | "P-384") => PublicJwk::EC { x: coordinate("x")?, y: coordinate("y")?, crv },
        ("OKP", "Ed25519") => PublicJwk::OKP { x: coordinate("x")?, crv },
        ("EC", "P-192" | "P-224" | "secp192r1" | "secp224r1") => return Err(BadText("has a weak key: use P-256, P-384 or Ed25519")),
        ("RSA", _) => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            // Zeros before a number are no part of it (RFC 7518, 2): a key has one spelling and one thumbprint.
            let number = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
            let (n, e) = (number(n), number(e));
            let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
            if !RSA_BITS.contains(&bits) {
                return Err(BadText("has an RSA key of less than 2048 bits, or of more than 8192"));
            }
            // With the exponent 1 everybody can sign, and an even one belongs to no key.
            if e.len() > MOST_EXPONENT_BYTES || e == [1] || e.last().is_none_or(|last| last % 2 == 0) {
                return Err(BadText("has an RSA key whose exponent is none: 65537 is usual"));
            }
            PublicJwk::RSA { n: URL_SAFE_NO_PAD.encode(n), e: URL_SAFE_NO_PAD.encode(e) }
        }
        _ => return Ok(None),
    }))
}

/// The first certificate of a chain, which must be that of the key (RFC 7517, 4.7).
fn shown_with(chain: &Value, public: &PublicJwk) -> Result<Thumbprint, BadText> {
    let first = chain.get(0).and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
    let read = first.and_then(|der| Certificate::read(&der).ok()).ok_or(BadText("has an x5c that cannot be read"))?;
    if read.key.as_ref() != Some(public) {
        return Err(BadText("has an x5c whose first certificate is not that of the key"));
    }
    Ok(read.thumbprint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_bytes(length: usize) -> String {
        URL_SAFE_NO_PAD.encode(vec![0xff; length])
    }

    fn set(key: Value) -> Value {
        json!({ "keys": [key] })
    }

    #[test]
    fn s054_weak_keys_and_private_halves_are_refused() {
        for bad in [
            json!({ "kty": "RSA", "n": of_bytes(255), "e": "AQAB" }),
            json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([vec![0; 8], vec![0xff; 255]].concat()), "e": "AQAB" }),
            json!({ "kty": "RSA", "n": of_bytes(1025), "e": "AQAB" }),
            json!({ "kty": "RSA", "n": "", "e": "AQAB" }),
            json!({ "kty": "RSA", "n": of_bytes(256), "e": "AQ" }),
            json!({ "kty": "RSA", "n": of_bytes(256), "e": "AAE" }),
            json!({ "kty": "RSA", "n": of_bytes(256), "e": "AQAA" }),
            json!({ "kty": "RSA", "n": of_bytes(256), "e": "" }),
            json!({ "kty": "RSA", "n": of_bytes(256), "e": "AQAAAAE" }),
            json!({ "kty": "RSA", "n": of_bytes(256), "e": "AQAB", "d": "AQAB" }),
            json!({ "kty": "EC", "crv": "P-224", "x": of_bytes(28), "y": of_bytes(28) }),
            json!({ "kty": "EC", "crv": "P-256", "x": of_bytes(31), "y": of_bytes(32) }),
            json!({ "kty": "EC", "crv": "P-256", "x": of_bytes(32) }),
            json!({ "kty": "EC", "crv": "P-256", "x": of_bytes(32), "y": of_bytes(32), "d": of_bytes(32) }),
            json!({ "kty": "oct", "k": of_bytes(32) }),
            json!("key"),
        ] {
            assert!(read(&set(bad.clone())).is_err(), "{bad}");
        }
        let pair = rcgen::KeyPair::generate().expect("a key");
        let own = rcgen::CertificateParams::default().self_signed(&pair).expect("signed");
        let point = pair.public_key_raw();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let with = |x5c: Value, y: &str| set(json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "x5c": x5c }));
        let der = STANDARD.encode(own.der());
        let key = read(&with(json!([der]), &y)).expect("good").remove(0);
        let certificate = Certificate::read(own.der()).expect("good");
        let renewed = rcgen::CertificateParams::default().self_signed(&pair).expect("signed");
        let renewed = Certificate::read(renewed.der()).expect("good");
        assert!(key.is_of(&certificate) && !key.is_of(&renewed), "a certificate is that one alone");
        let bare = read(&set(json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }))).expect("good").remove(0);
        assert!(bare.is_of(&certificate) && bare.is_of(&renewed), "a key is any certificate's that has it");
        for bad in [json!([]), json!(der), json!(["AQID"]), json!([1]), json!([format!("{der}A")])] {
            assert!(read(&with(bad.clone(), &y)).is_err(), "{bad}");
        }
        assert!(read(&with(json!([der]), &x)).is_err(), "another key's certificate");
        for none in [json!({}), json!([]), json!({ "keys": {} }), json!({ "keys": vec![json!({}); 33] })] {
            assert!(read(&none).is_err(), "{none}");
        }
    }

    #[test]
    fn s054_something_is_encrypted_to_good_keys_that_are_for_it_alone() {
        use KeyManagement::{EcdhEs, EcdhEsA256Kw, RsaOaep256};
        let ec = json!({ "kty": "EC", "crv": "P-256", "x": of_bytes(32), "y": of_bytes(32), "kid": "a", "alg": "ECDH-ES", "use": "enc" });
        let key = read_encryption(&set(ec.clone())).expect("reads").remove(0);
        assert_eq!(key.kid.as_deref(), Some("a"));
        assert!(key.may_be(EcdhEs) && !key.may_be(EcdhEsA256Kw) && !key.may_be(RsaOaep256));
        let rsa = read_encryption(&set(json!({ "kty": "RSA", "n": of_bytes(256), "e": "AQAB", "use": "enc" }))).expect("reads").remove(0);
        assert!(rsa.may_be(RsaOaep256) && !rsa.may_be(EcdhEs));
        let other = |name: &str, value: Value| {
            let mut other = ec.clone();
            other[name] = value;
            other
        };
        for passed_over in
            [other("use", json!("sig")), other("use", Value::Null), other("crv", json!("secp256k1")), json!({ "use": "enc" })]
        {
            assert_eq!(read_encryption(&set(passed_over.clone())), Ok(Vec::new()), "{passed_over}");
        }
        let okp = json!({ "kty": "OKP", "crv": "Ed25519", "x": of_bytes(32), "use": "enc" });
        assert!(!read_encryption(&set(okp)).expect("reads")[0].may_be(EcdhEs));
        for bad in [
            other("d", json!(of_bytes(32))),
            other("x", json!(of_bytes(31))),
            json!({ "kty": "RSA", "n": of_bytes(255), "e": "AQAB", "use": "enc" }),
            json!({ "kty": "RSA", "n": of_bytes(256), "e": "AQ", "use": "enc" }),
        ] {
            assert!(read_encryption(&set(bad.clone())).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_for_its_algorithm_its_name_and_signatures_alone() {
        let ec = json!({ "kty": "EC", "crv": "P-256", "x": of_bytes(32), "y": of_bytes(32), "kid": "a", "alg": "ES256", "use": "sig" });
        let key = read(&set(ec.clone())).expect("reads").remove(0);
        assert!(key.may_be(Alg::ES256, Some("a")) && key.may_be(Alg::ES256, None));
        assert!(!key.may_be(Alg::ES256, Some("b")) && !key.may_be(Alg::ES384, Some("a")) && !key.may_be(Alg::RS256, Some("a")));
        let rsa = read(&set(json!({ "kty": "RSA", "n": of_bytes(256), "e": "AQAB", "alg": "PS256" }))).expect("reads").remove(0);
        assert!(rsa.may_be(Alg::PS256, None) && !rsa.may_be(Alg::RS256, None) && !rsa.may_be(Alg::PS256, Some("a")));
        let mut other = ec;
        other["use"] = json!("enc");
        for passed_over in [other, json!({ "kty": "EC", "crv": "secp256k1" }), json!({ "kty": "AKP" }), json!({})] {
            assert_eq!(read(&set(passed_over.clone())), Ok(Vec::new()), "{passed_over}");
        }
    }
}
