//! Checks access tokens against the published keys of one ring.
//!
//! Invariant: the algorithm comes from the stored key, never from the token; no key in or linked from a token is looked at.

use std::collections::HashMap;
use std::sync::{Arc, Once};

use app::ports::keys::{KeyFault, TokenRefused, TokenVerifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::keys::ring::{Alg, KeyRing, PublicJwk};
use domain::openid::{ID_TOKEN_TYPE, IdClaims};
use domain::time::{Timestamp, Ttl};
use domain::token::claims::{ACCESS_TOKEN_TYPE, AccessClaims};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::verified::{Verified, VerifierId};

/// The longest token that is looked at, in bytes.
pub(crate) const LONGEST: usize = 8 * 1024;

/// Header members that would bring a key along, or ask for something that is not understood here (RFC 7515, 4.1).
pub(crate) const REFUSED_HEADERS: [&str; 9] = ["crit", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "b64", "zip"];

/// The published keys of a ring, parsed once.
pub(crate) struct RingVerifier {
    keys: HashMap<String, (Algorithm, DecodingKey)>,
    leeway: Ttl,
    id: VerifierId,
    /// `None`: every token is checked each time.
    verified: Option<Arc<Verified>>,
}

impl RingVerifier {
    /// # Errors
    /// [`KeyFault::Sealed`] when a public key of the ring cannot be read.
    pub(crate) fn new(ring: &KeyRing, leeway: Ttl) -> Result<Self, KeyFault> {
        install_provider();
        let keys = ring.published().into_iter().map(|key| {
            let parsed =
                decoding_key(&key.public).map_err(|_| KeyFault::Sealed(format!("the public half of key {} cannot be read", key.kid)))?;
            Ok((key.kid.to_string(), (algorithm(key.alg), parsed)))
        });
        Ok(Self { keys: keys.collect::<Result<_, KeyFault>>()?, leeway, id: VerifierId::next(), verified: None })
    }

    /// The same one, which remembers what it has found good.
    pub(crate) fn remembering(self, verified: &Arc<Verified>) -> Self {
        Self { verified: Some(Arc::clone(verified)), ..self }
    }

    fn check(&self, token: &str, issuer: &str, now: Timestamp) -> Option<AccessClaims> {
        let open = || {
            self.open(token, is_access_token_type, |validation| {
                validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
                validation.set_issuer(&[issuer]);
                // Whom it may be for says the method that asks.
                validation.validate_aud = false;
            })
        };
        let claims: AccessClaims = match &self.verified {
            Some(verified) => verified.claims(&self.id, token, now, open),
            None => open(),
        }?;
        let at = Timestamp::from_seconds;
        let is_alive = now < at(claims.exp).plus(self.leeway);
        let has_begun = at(claims.nbf.max(claims.iat)) <= now.plus(self.leeway);
        (claims.iss == issuer && is_alive && has_begun).then_some(claims)
    }

    /// The claims of a token that one of the keys has signed, if its header is one of this type. Times are left to the caller.
    fn open<T: DeserializeOwned>(&self, token: &str, is_type: fn(&str) -> bool, demand: impl FnOnce(&mut Validation)) -> Option<T> {
        if token.len() > LONGEST {
            return None;
        }
        let (header, _) = token.split_once('.')?;
        let header: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        if REFUSED_HEADERS.iter().any(|name| header.contains_key(*name)) || !is_type(text("typ")?) {
            return None;
        }
        let (alg, key) = self.keys.get(text("kid")?)?;
        if text("alg")?.parse::<Algorithm>().ok()? != *alg {
            return None;
        }

        let mut validation = Validation::new(*alg);
        demand(&mut validation);
        // The library asks the system's clock; the times are checked by the caller's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Some(jsonwebtoken::decode::<T>(token, key, &validation).ok()?.claims)
    }
}

impl TokenVerifier for RingVerifier {
    fn verify(&self, token: &str, issuer: &str, now: Timestamp) -> Result<AccessClaims, TokenRefused> {
        self.check(token, issuer, now).filter(|claims| claims.aud.contains(issuer)).ok_or(TokenRefused)
    }

    fn verify_for_whomever(&self, token: &str, issuer: &str, now: Timestamp) -> Result<AccessClaims, TokenRefused> {
        self.check(token, issuer, now).ok_or(TokenRefused)
    }

    fn verify_id(&self, token: &str, issuer: &str) -> Result<IdClaims, TokenRefused> {
        let claims: Option<IdClaims> = self.open(
            token,
            |typ| typ.eq_ignore_ascii_case(ID_TOKEN_TYPE),
            |validation| {
                validation.set_required_spec_claims(&["exp", "iss", "aud"]);
                validation.set_issuer(&[issuer]);
                // It is for its client; here it only names a user.
                validation.validate_aud = false;
            },
        );
        claims.filter(|claims| claims.iss == issuer).ok_or(TokenRefused)
    }
}

/// `at+jwt`, in any case, with or without `application/` (RFC 9068, 4; RFC 7515, 4.1.9).
fn is_access_token_type(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ) == ACCESS_TOKEN_TYPE
}

pub(crate) fn decoding_key(public: &PublicJwk) -> jsonwebtoken::errors::Result<DecodingKey> {
    match public {
        PublicJwk::EC { x, y, .. } => DecodingKey::from_ec_components(x, y),
        PublicJwk::RSA { n, e } => DecodingKey::from_rsa_components(n, e),
        PublicJwk::OKP { x, .. } => DecodingKey::from_ed_components(x),
    }
}

pub(crate) const fn algorithm(alg: Alg) -> Algorithm {
    match alg {
        Alg::ES256 => Algorithm::ES256,
        Alg::ES384 => Algorithm::ES384,
        Alg::RS256 => Algorithm::RS256,
        Alg::PS256 => Algorithm::PS256,
        Alg::EdDSA => Algorithm::EdDSA,
    }
}

/// Says which backend jsonwebtoken uses: it panics when a dependency has switched a second one on and nobody said.
pub(crate) fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody else may have said it before: they said the same, there is one backend in this program.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    });
}

#[cfg(test)]
mod tests {
    use app::ports::keys::TokenSigner;
    use aws_lc_rs::hmac;

    use super::*;
    use crate::node::fakes::{ISSUER, NOW, claims, ring_of, tenant};
    use crate::signer::TenantSigner;

    const SKEW: Ttl = Ttl::seconds(30);

    fn setup(alg: Alg) -> (KeyRing, TenantSigner, RingVerifier) {
        let (ring, signer) = ring_of(tenant(1), &[alg]);
        let verifier = RingVerifier::new(&ring, SKEW).unwrap();
        (ring, signer, verifier)
    }

    fn encode(header: &Value, payload: &str, signature: &[u8]) -> String {
        format!("{}.{payload}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token with this header, really signed by the ring's Ed25519 key: only the header can be at fault.
    fn signed_with_header(change: impl FnOnce(&mut Map<String, Value>)) -> Result<AccessClaims, TokenRefused> {
        use crate::keygen::generate;
        use domain::keys::ring::RingKey;
        let key = generate(Alg::EdDSA).unwrap();
        let (mut ring, _, _) = setup(Alg::EdDSA);
        ring.keys = vec![RingKey { kid: key.kid.clone(), public: key.public, ..ring.keys[0].clone() }];
        let mut header = Map::new();
        header.insert("typ".into(), "at+jwt".into());
        header.insert("alg".into(), "EdDSA".into());
        header.insert("kid".into(), key.kid.as_str().into());
        change(&mut header);
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(Value::Object(header).to_string()),
            URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims()).unwrap())
        );
        let pair = aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(&key.private).unwrap();
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())));
        RingVerifier::new(&ring, SKEW).unwrap().verify(&token, ISSUER, NOW)
    }

    #[test]
    fn alg_none_and_the_public_key_as_a_secret_are_refused() {
        for alg in Alg::ALL {
            let (ring, signer, verifier) = setup(alg);
            let token = signer.sign(&mut claims(), &Alg::ALL, NOW).unwrap();
            let payload = token.split('.').nth(1).unwrap();
            let kid = ring.keys[0].kid.as_str();
            let jwks = crate::jwks::JwkSet::of(&ring).unwrap().bytes;
            let public: Vec<Vec<u8>> = match &ring.keys[0].public {
                PublicJwk::EC { x, y, .. } => {
                    vec![[vec![4], URL_SAFE_NO_PAD.decode(x).unwrap(), URL_SAFE_NO_PAD.decode(y).unwrap()].concat()]
                }
                PublicJwk::RSA { n, .. } => vec![URL_SAFE_NO_PAD.decode(n).unwrap()],
                PublicJwk::OKP { x, .. } => vec![URL_SAFE_NO_PAD.decode(x).unwrap()],
            };
            for none in ["none", "None", "NONE", ""] {
                let header = serde_json::json!({"typ": "at+jwt", "alg": none, "kid": kid});
                assert_eq!(verifier.verify(&encode(&header, payload, b""), ISSUER, NOW), Err(TokenRefused));
            }
            for secret in public.into_iter().chain([jwks.to_vec()]) {
                let header = serde_json::json!({"typ": "at+jwt", "alg": "HS256", "kid": kid});
                let message = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header.to_string()));
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
                assert_eq!(verifier.verify(&encode(&header, payload, tag.as_ref()), ISSUER, NOW), Err(TokenRefused));
            }
        }
    }

    #[test]
    fn rs256_and_ps256_are_not_taken_for_each_other() {
        let (mut ring, signer, _) = setup(Alg::RS256);
        let token = signer.sign(&mut claims(), &Alg::ALL, NOW).unwrap();
        ring.keys[0].alg = Alg::PS256;
        assert_eq!(RingVerifier::new(&ring, SKEW).unwrap().verify(&token, ISSUER, NOW), Err(TokenRefused));
    }

    #[test]
    fn another_tenants_token_is_refused() {
        let (ring, signer, _) = setup(Alg::ES256);
        let (other_ring, other_signer) = ring_of(tenant(2), &[Alg::ES256]);
        let token = other_signer.sign(&mut claims(), &Alg::ALL, NOW).unwrap();
        assert_eq!(RingVerifier::new(&ring, SKEW).unwrap().verify(&token, ISSUER, NOW), Err(TokenRefused), "unknown kid");
        // Their key under our kid: the signature gives it away.
        let mut forged = other_ring;
        forged.keys[0].kid = ring.keys[0].kid.clone();
        let token = signer.sign(&mut claims(), &Alg::ALL, NOW).unwrap();
        assert_eq!(RingVerifier::new(&forged, SKEW).unwrap().verify(&token, ISSUER, NOW), Err(TokenRefused));
    }

    #[test]
    fn what_was_found_good_is_judged_anew_and_not_by_another_ring() {
        let verified = Arc::default();
        let (mut ring, signer, verifier) = setup(Alg::ES256);
        let verifier = verifier.remembering(&verified);
        let mut claims = claims();
        let token = signer.sign(&mut claims, &Alg::ALL, NOW).unwrap();
        for _ in 0..2 {
            assert_eq!(verifier.verify(&token, ISSUER, NOW), Ok(claims.clone()));
        }
        assert_eq!(verifier.verify(&token, "https://id.example/t/other", NOW), Err(TokenRefused), "issuer and audience");
        assert_eq!(verifier.verify(&token, ISSUER, Timestamp::from_seconds(claims.exp).plus(SKEW)), Err(TokenRefused), "its end");
        ring.keys[0].end = Some(domain::keys::ring::KeyEnd::Revoked { at: NOW, reason: "lost".to_owned() });
        let after = RingVerifier::new(&ring, SKEW).unwrap().remembering(&verified);
        assert_eq!(after.verify(&token, ISSUER, NOW), Err(TokenRefused), "its key was revoked");
    }

    #[test]
    fn a_revoked_keys_token_is_refused() {
        let (mut ring, signer, verifier) = setup(Alg::ES256);
        let token = signer.sign(&mut claims(), &Alg::ALL, NOW).unwrap();
        assert!(verifier.verify(&token, ISSUER, NOW).is_ok());
        ring.keys[0].end = Some(domain::keys::ring::KeyEnd::Revoked { at: NOW, reason: "lost".to_owned() });
        assert_eq!(RingVerifier::new(&ring, SKEW).unwrap().verify(&token, ISSUER, NOW), Err(TokenRefused));
    }

    #[test]
    fn times_are_judged_by_the_given_moment_with_its_leeway() {
        let (_, signer, verifier) = setup(Alg::EdDSA);
        let mut claims = claims();
        let token = signer.sign(&mut claims, &Alg::ALL, NOW).unwrap();
        let end = Timestamp::from_seconds(claims.exp);
        let one = Ttl::seconds(1);
        assert!(verifier.verify(&token, ISSUER, end.plus(SKEW).minus(one)).is_ok());
        assert_eq!(verifier.verify(&token, ISSUER, end.plus(SKEW)), Err(TokenRefused));
        assert!(verifier.verify(&token, ISSUER, NOW.minus(SKEW)).is_ok());
        assert_eq!(verifier.verify(&token, ISSUER, NOW.minus(SKEW).minus(one)), Err(TokenRefused));
    }

    #[test]
    fn issuer_and_audience_must_fit() {
        let (_, signer, verifier) = setup(Alg::EdDSA);
        let token = signer.sign(&mut claims(), &Alg::ALL, NOW).unwrap();
        assert_eq!(verifier.verify(&token, "https://id.example/t/other", NOW), Err(TokenRefused));
        assert_eq!(verifier.verify(&token, &ISSUER.to_uppercase(), NOW), Err(TokenRefused));
        let mut elsewhere = claims();
        elsewhere.aud = domain::token::claims::Audience::One("https://api.example".to_owned());
        let token = signer.sign(&mut elsewhere, &Alg::ALL, NOW).unwrap();
        assert_eq!(verifier.verify(&token, ISSUER, NOW), Err(TokenRefused));
        assert_eq!(verifier.verify_for_whomever(&token, ISSUER, NOW), Ok(elsewhere));
        assert_eq!(verifier.verify_for_whomever(&token, "https://id.example/t/other", NOW), Err(TokenRefused));
    }

    #[test]
    fn headers_are_strict() {
        assert!(signed_with_header(|_| ()).is_ok());
        for typ in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            assert!(signed_with_header(|header| drop(header.insert("typ".into(), typ.into()))).is_ok(), "{typ}");
        }
        for typ in ["JWT", "", "id+jwt", "application/", "at+jwt "] {
            assert_eq!(signed_with_header(|header| drop(header.insert("typ".into(), typ.into()))), Err(TokenRefused), "{typ}");
        }
        for gone in ["typ", "alg", "kid"] {
            assert_eq!(signed_with_header(|header| drop(header.remove(gone))), Err(TokenRefused), "{gone}");
        }
        for name in REFUSED_HEADERS {
            for value in [Value::Null, serde_json::json!([]), serde_json::json!(["exp"]), "https://evil.example".into()] {
                assert_eq!(signed_with_header(|header| drop(header.insert(name.into(), value))), Err(TokenRefused), "{name}");
            }
        }
    }

    #[test]
    fn cut_changed_and_endless_tokens_are_refused() {
        let (_, signer, verifier) = setup(Alg::ES256);
        let token = signer.sign(&mut claims(), &Alg::ALL, NOW).unwrap();
        for cut in 0..token.len() {
            assert_eq!(verifier.verify(&token[..cut], ISSUER, NOW), Err(TokenRefused), "cut at {cut}");
        }
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(verifier.verify(&changed, ISSUER, NOW), Err(TokenRefused), "changed at {at}");
        }
        assert_eq!(verifier.verify(&format!("{token}."), ISSUER, NOW), Err(TokenRefused));
        assert_eq!(verifier.verify(&"a".repeat(LONGEST + 1), ISSUER, NOW), Err(TokenRefused));
    }

    #[test]
    fn claims_that_are_missing_or_no_numbers_are_refused() {
        let key = crate::keygen::generate(Alg::EdDSA).unwrap();
        let (mut ring, _, _) = setup(Alg::EdDSA);
        ring.keys[0].kid = key.kid.clone();
        ring.keys[0].public = key.public;
        let verifier = RingVerifier::new(&ring, SKEW).unwrap();
        let pair = aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(&key.private).unwrap();
        let header = URL_SAFE_NO_PAD.encode(serde_json::json!({"typ": "at+jwt", "alg": "EdDSA", "kid": key.kid}).to_string());
        let verify = |payload: &Value| {
            let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload.to_string()));
            verifier.verify(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()))), ISSUER, NOW)
        };
        let good = serde_json::to_value(claims()).unwrap();
        assert!(verify(&good).is_ok());
        for name in ["exp", "nbf", "iat", "iss", "aud", "sub", "jti"] {
            for bad in [None, Some(Value::Null), Some(serde_json::json!({})), Some("4102444800".into())] {
                let mut payload = good.clone();
                match bad.clone() {
                    None => drop(payload.as_object_mut().unwrap().remove(name)),
                    Some(value) => payload[name] = value,
                }
                assert_eq!(verify(&payload), Err(TokenRefused), "{name} = {bad:?}");
            }
        }
    }
}
