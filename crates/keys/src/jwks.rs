//! The JWK Set of a ring (RFC 7517, 5), as the bytes that are sent.
//!
//! Invariant: public members only; there is no type here that could hold a private one.

use std::sync::Arc;

use app::ports::keys::KeyFault;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::keys::ring::{Alg, KeyRing, Kid, PublicJwk};
use serde::Serialize;

/// The set, and a strong entity tag of its bytes, quotes included.
pub(crate) struct JwkSet {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) etag: String,
}

#[derive(Serialize)]
struct Set<'a> {
    keys: Vec<Jwk<'a>>,
}

#[derive(Serialize)]
struct Jwk<'a> {
    #[serde(flatten)]
    public: &'a PublicJwk,
    #[serde(rename = "use")]
    purpose: &'static str,
    alg: Alg,
    kid: &'a Kid,
}

/// The bytes of a set of signing keys.
pub(crate) fn written<'a>(keys: impl Iterator<Item = (&'a PublicJwk, Alg, &'a Kid)>) -> Result<Vec<u8>, KeyFault> {
    let keys = keys.map(|(public, alg, kid)| Jwk { public, purpose: "sig", alg, kid }).collect();
    serde_json::to_vec(&Set { keys }).map_err(|error| KeyFault::Unavailable(format!("the JWK Set cannot be written: {error}")))
}

impl JwkSet {
    pub(crate) fn of(ring: &KeyRing) -> Result<Self, KeyFault> {
        let bytes = written(ring.published().into_iter().map(|key| (&key.public, key.alg, &key.kid)))?;
        let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, &bytes));
        // 132 bits tell sets apart well enough.
        Ok(Self { etag: format!("\"{}\"", &hash[..22]), bytes: bytes.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::fakes::{ring_of, tenant};

    #[test]
    fn the_set_holds_public_members_only() {
        let (ring, _) = ring_of(tenant(1), &Alg::ALL);
        let set = JwkSet::of(&ring).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&set.bytes).unwrap();
        let keys = value["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 5);
        for key in keys {
            let mut names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            let wanted = match key["kty"].as_str().unwrap() {
                "EC" => vec!["alg", "crv", "kid", "kty", "use", "x", "y"],
                "RSA" => vec!["alg", "e", "kid", "kty", "n", "use"],
                _ => vec!["alg", "crv", "kid", "kty", "use", "x"],
            };
            assert_eq!(names, wanted);
            assert_eq!(key["use"], "sig");
        }
        assert_eq!(set.etag.len(), 24);
        assert_ne!(set.etag, JwkSet::of(&ring_of(tenant(1), &[Alg::ES256]).0).unwrap().etag);
    }

    #[test]
    fn an_ended_key_leaves_the_set() {
        let (mut ring, _) = ring_of(tenant(1), &[Alg::ES256]);
        ring.keys[0].end = Some(domain::keys::ring::KeyEnd::Revoked { at: crate::node::fakes::NOW, reason: String::new() });
        assert_eq!(&*JwkSet::of(&ring).unwrap().bytes, br#"{"keys":[]}"#);
    }
}
