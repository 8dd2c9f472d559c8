//! The private side of a ring, open: signs access tokens, and makes and checks what is derived from the token secrets.
//!
//! Invariant: keys are parsed once, at unsealing; only keys that may sign now or later are here, and no method shows one.

use std::collections::HashMap;

use app::ports::keys::{KeyFault, TokenSigner};
use app::ports::store::SealedSecret;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::answer::SignedAnswer;
use domain::client::ClientId;
use domain::ids::{ClientSecretId, FamilyId, TenantId};
use domain::keys::ring::{Alg, KeyRing, Kid, RingKey};
use domain::openid::{Beside, ID_TOKEN_TYPE, IdClaims};
use domain::secret::Secret;
use domain::time::Timestamp;
use domain::token::claims::{ACCESS_TOKEN_TYPE, AccessClaims};
use domain::token::family::Generation;
use domain::token::refresh_token;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::aead;
use crate::seal::{DataKey, SecretName};

/// One signing key, parsed, with its JWS headers ready.
struct KeySigner {
    access_header: String,
    id_header: String,
    /// In the order of [`SignedAnswer::ALL`].
    answer_headers: [String; SignedAnswer::ALL.len()],
    key: PrivateKey,
}

enum PrivateKey {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl KeySigner {
    fn parse(kid: &Kid, alg: Alg, private: &[u8]) -> Result<Self, KeyFault> {
        let unreadable = |_| KeyFault::Sealed(format!("the private half of key {kid} is no {alg} key"));
        let key = match alg {
            Alg::ES256 => PrivateKey::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).map_err(unreadable)?),
            Alg::ES384 => PrivateKey::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, private).map_err(unreadable)?),
            Alg::EdDSA => PrivateKey::Ed(Ed25519KeyPair::from_pkcs8(private).map_err(unreadable)?),
            Alg::RS256 => PrivateKey::Rsa(RsaKeyPair::from_der(private).map_err(unreadable)?, &RSA_PKCS1_SHA256),
            Alg::PS256 => PrivateKey::Rsa(RsaKeyPair::from_der(private).map_err(unreadable)?, &RSA_PSS_SHA256),
        };
        // None of the three values needs escaping.
        let header = |typ| URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"{typ}","alg":"{alg}","kid":"{kid}"}}"#));
        let answer_headers = SignedAnswer::ALL.map(|answer| header(answer.typ()));
        Ok(Self { access_header: header(ACCESS_TOKEN_TYPE), id_header: header(ID_TOKEN_TYPE), answer_headers, key })
    }

    /// JWS compact serialisation (RFC 7515, 7.1).
    fn sign(&self, header: &str, claims: &impl Serialize) -> Result<String, KeyFault> {
        let failed = || KeyFault::Unavailable("a token could not be signed".to_owned());
        let claims = serde_json::to_vec(claims).map_err(|_| failed())?;
        let mut token = String::with_capacity(header.len() + claims.len() * 4 / 3 + 360);
        token.push_str(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&claims, &mut token);
        let signature = self.key.sign(token.as_bytes()).ok_or_else(failed)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

impl PrivateKey {
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let rng = SystemRandom::new();
        match self {
            Self::Rsa(key, padding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*padding, &rng, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ec(key) => Some(key.sign(&rng, message).ok()?.as_ref().to_vec()),
            Self::Ed(key) => Some(key.try_sign(message).ok()?.as_ref().to_vec()),
        }
    }
}

/// A token of these very bytes, signed by a key that was just made.
#[cfg(test)]
pub(crate) fn sign_raw(kid: &Kid, alg: Alg, private: &[u8], header: &str, payload: &str) -> Result<String, KeyFault> {
    let payload: serde_json::Value = serde_json::from_str(payload).map_err(|_| KeyFault::NoSigner)?;
    KeySigner::parse(kid, alg, private)?.sign(&URL_SAFE_NO_PAD.encode(header), &payload)
}

/// A tenant's private side at one generation of its ring.
pub(crate) struct TenantSigner {
    tenant: TenantId,
    ring: KeyRing,
    signers: HashMap<Kid, KeySigner>,
    /// Newest, for minting.
    newest: (u16, hmac::Key),
    /// Blinded subjects are derived from the oldest version, so that a rotation forgets no counter; they change, once, when it
    /// is destroyed.
    oldest: hmac::Key,
    /// All versions, for reading.
    secrets: Vec<(u16, hmac::Key)>,
    /// What lies in rows of clients is opened with it when it is wanted.
    data_key: DataKey,
}

impl TenantSigner {
    /// Opens a ring. `Ok(None)` when a secret is missing, as when ring and secrets were not read at the same moment.
    ///
    /// # Errors
    /// [`KeyFault::Sealed`] when something does not open.
    pub(crate) fn open(tenant: TenantId, ring: &KeyRing, data_key: &DataKey, sealed: &[SealedSecret]) -> Result<Option<Self>, KeyFault> {
        let find = |name: &SecretName| sealed.iter().find(|secret| secret.name == name.name);
        let mut signers = HashMap::new();
        for key in ring.keys.iter().filter(|key| key.is_live()) {
            let name = SecretName::signing_key(&key.kid);
            let Some(secret) = find(&name) else { return Ok(None) };
            signers.insert(key.kid.clone(), KeySigner::parse(&key.kid, key.alg, &data_key.open(&name, secret)?)?);
        }
        let mut secrets = Vec::new();
        for version in ring.token_secrets.iter().map(|secret| secret.version) {
            let name = SecretName::token_secret(version);
            let Some(secret) = find(&name) else { return Ok(None) };
            secrets.push((version, hmac::Key::new(hmac::HMAC_SHA256, &data_key.open(&name, secret)?)));
        }
        let (Some((_, oldest)), Some(newest)) = (secrets.first().cloned(), secrets.last().cloned()) else {
            return Err(KeyFault::Sealed(format!("the ring of {tenant} has no token secret")));
        };
        Ok(Some(Self { tenant, ring: ring.clone(), signers, newest, oldest, secrets, data_key: data_key.again() }))
    }

    /// Who signs what a client or an API is to have signed by this algorithm.
    fn id_signer(&self, alg: Alg, now: Timestamp) -> Result<(&RingKey, &KeySigner), KeyFault> {
        let key = self.ring.signer_of(alg, now).ok_or_else(|| KeyFault::NoAlgorithm(vec![alg]))?;
        Ok((key, self.signers.get(&key.kid).ok_or(KeyFault::NoSigner)?))
    }

    fn refresh_message(&self, body: &[u8]) -> Vec<u8> {
        self.message("claviger/refresh/1", &[body])
    }

    fn csrf_message(&self, family: FamilyId) -> Vec<u8> {
        self.message("claviger/csrf/1", &[family.as_bytes()])
    }

    /// A key for things of one use.
    fn concealing(&self, domain: &str) -> [u8; 32] {
        let width = (domain.len() as u64).to_be_bytes();
        mac(&self.oldest, &self.message("claviger/conceal/1", &[&width, domain.as_bytes()]))
    }

    /// No label is the beginning of another, and the tenant has a fixed width: two uses never share a message.
    fn message(&self, label: &str, parts: &[&[u8]]) -> Vec<u8> {
        let mut message = Vec::with_capacity(label.len() + 16 + parts.iter().map(|part| part.len()).sum::<usize>());
        message.extend_from_slice(label.as_bytes());
        message.extend_from_slice(self.tenant.as_bytes());
        for part in parts {
            message.extend_from_slice(part);
        }
        message
    }
}

/// An HMAC-SHA-256 as an array.
pub(crate) fn mac(key: &hmac::Key, message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(key, message).as_ref());
    out
}

impl TokenSigner for TenantSigner {
    fn generation(&self) -> u64 {
        self.ring.generation
    }

    fn sign(&self, claims: &mut AccessClaims, algs: &[Alg], now: Timestamp) -> Result<String, KeyFault> {
        let none = || if !self.ring.keys.iter().any(RingKey::is_live) { KeyFault::NoSigner } else { KeyFault::NoAlgorithm(algs.to_vec()) };
        let key = self.ring.signer_among(algs, now).ok_or_else(none)?;
        let signer = self.signers.get(&key.kid).ok_or(KeyFault::NoSigner)?;
        claims.cap_life(key.token_ttl_cap_seconds);
        signer.sign(&signer.access_header, claims)
    }

    fn has(&self, algs: &[Alg], now: Timestamp) -> bool {
        self.ring.signer_among(algs, now).is_some()
    }

    fn sign_id(&self, claims: &mut IdClaims, alg: Alg, beside: Beside<'_>, now: Timestamp) -> Result<String, KeyFault> {
        let (key, signer) = self.id_signer(alg, now)?;
        claims.cap_life(key.token_ttl_cap_seconds);
        claims.bind(key.alg, beside);
        signer.sign(&signer.id_header, claims)
    }

    fn sign_answer(&self, answer: SignedAnswer, mut claims: Map<String, Value>, alg: Alg, now: Timestamp) -> Result<String, KeyFault> {
        let (key, signer) = self.id_signer(alg, now)?;
        if let Some(exp) = claims.get_mut("exp") {
            let latest = now.plus(key.token_ttl_cap_seconds).as_seconds();
            *exp = Value::from(exp.as_i64().unwrap_or(latest).min(latest));
        }
        signer.sign(&signer.answer_headers[answer as usize], &claims)
    }

    fn mint_refresh(&self, family: FamilyId, generation: Generation) -> String {
        let (version, key) = &self.newest;
        let body = refresh_token::body(*version, family, generation);
        refresh_token::format(&body, &mac(key, &self.refresh_message(&body)))
    }

    fn open_refresh(&self, token: &str) -> Option<(FamilyId, Generation)> {
        let token = refresh_token::parse(token)?;
        let (_, key) = self.secrets.iter().find(|(version, _)| *version == token.key_version)?;
        let body = refresh_token::body(token.key_version, token.family_id, token.generation);
        hmac::verify(key, &self.refresh_message(&body), &token.mac).ok()?;
        Some((token.family_id, token.generation))
    }

    fn csrf_token(&self, family: FamilyId) -> String {
        URL_SAFE_NO_PAD.encode(mac(&self.newest.1, &self.csrf_message(family)))
    }

    fn is_csrf_token(&self, family: FamilyId, token: &str) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(token) else { return false };
        let message = self.csrf_message(family);
        self.secrets.iter().any(|(_, key)| hmac::verify(key, &message, &given).is_ok())
    }

    fn blind(&self, domain: &str, text: &[u8]) -> [u8; 32] {
        let width = (domain.len() as u64).to_be_bytes();
        mac(&self.oldest, &self.message("claviger/blind/1", &[&width, domain.as_bytes(), text]))
    }

    fn conceal(&self, domain: &str, plain: &[u8]) -> Result<Vec<u8>, KeyFault> {
        aead::seal(&self.concealing(domain), domain.as_bytes(), plain).map_err(|_| KeyFault::Sealed("sealing failed".to_owned()))
    }

    fn reveal(&self, domain: &str, sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
        aead::open(&self.concealing(domain), domain.as_bytes(), sealed).ok().map(|plain| Secret::new(plain.to_vec()))
    }

    fn seal_client_secret(&self, client: &ClientId, secret: ClientSecretId, plain: &[u8]) -> Result<Vec<u8>, KeyFault> {
        Ok(self.data_key.seal(&SecretName::client_secret(client, secret), plain)?.sealed)
    }

    fn open_client_secret(&self, client: &ClientId, secret: ClientSecretId, sealed: &[u8]) -> Result<Secret<Vec<u8>>, KeyFault> {
        let plain = self.data_key.open_sealed(&SecretName::client_secret(client, secret), sealed)?;
        Ok(Secret::new(plain.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use app::ports::keys::TokenVerifier;
    use domain::keys::ring::{KeyEnd, SupersededKey};
    use domain::time::Ttl;

    use super::*;
    use crate::node::fakes::{ISSUER, NOW, claims, ring_of, tenant};
    use crate::verifier::RingVerifier;

    #[derive(serde::Deserialize)]
    struct Said {
        sub: String,
    }

    #[test]
    fn every_algorithm_signs_what_others_and_we_can_verify() {
        for alg in Alg::ALL {
            let (ring, signer) = ring_of(tenant(1), &[alg]);
            let mut claims = claims();
            let token = signer.sign(&mut claims, &Alg::ALL, NOW).unwrap();
            let verifier = RingVerifier::new(&ring, Ttl::seconds(30)).unwrap();
            assert_eq!(verifier.verify(&token, ISSUER, NOW), Ok(claims.clone()), "{alg}");

            // A stranger's way: the JWK Set, and the library as it comes.
            let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&crate::jwks::JwkSet::of(&ring).unwrap().bytes).unwrap();
            let header = jsonwebtoken::decode_header(&token).unwrap();
            assert_eq!(header.typ.as_deref(), Some("at+jwt"));
            let jwk = set.find(header.kid.as_deref().unwrap()).unwrap();
            let mut validation = jsonwebtoken::Validation::new(alg.name().parse().unwrap());
            validation.set_audience(&[ISSUER]);
            validation.set_issuer(&[ISSUER]);
            validation.validate_exp = false;
            let said = jsonwebtoken::decode::<Said>(&token, &jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap(), &validation).unwrap();
            assert_eq!(said.claims.sub, String::from(claims.sub.clone()));
        }
    }

    #[test]
    fn a_key_never_signs_for_longer_than_its_cap() {
        let (ring, signer) = ring_of(tenant(1), &[Alg::ES256]);
        let mut claims = claims();
        claims.exp = claims.iat + 1_000_000;
        signer.sign(&mut claims, &Alg::ALL, NOW).unwrap();
        assert_eq!(claims.exp - claims.iat, i64::from(ring.keys[0].token_ttl_cap_seconds.as_seconds()));
    }

    #[test]
    fn by_a_clock_that_is_behind_the_rings_the_key_signs_that_will_be_first() {
        let (ring, signer) = ring_of(tenant(1), &[Alg::ES256]);
        let token = signer.sign(&mut claims(), &Alg::ALL, NOW.minus(Ttl::days(1))).unwrap();
        assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid, Some(ring.keys[0].kid.to_string()));
    }

    #[test]
    fn without_a_living_key_nothing_is_signed() {
        let (_, mut signer) = ring_of(tenant(1), &[Alg::ES256]);
        for key in &mut signer.ring.keys {
            key.end = Some(KeyEnd::Revoked { at: NOW, reason: "for a test".to_owned() });
        }
        assert_eq!(signer.sign(&mut claims(), &Alg::ALL, NOW), Err(KeyFault::NoSigner));
    }

    #[test]
    fn s066_what_clients_ask_for_is_signed_by_the_algorithm_they_asked_for_or_not_at_all() {
        let (_, mut signer) = ring_of(tenant(1), &[Alg::ES256, Alg::RS256]);
        let staged = signer.ring.keys.iter_mut().find(|key| key.alg == Alg::RS256).unwrap();
        staged.sign_from = NOW.plus(Ttl::hours(1));
        let told = || Map::from_iter([("sub".to_owned(), Value::from("usr"))]);
        for (alg, named) in [(Alg::RS256, jsonwebtoken::Algorithm::RS256), (Alg::ES256, jsonwebtoken::Algorithm::ES256)] {
            assert!(signer.has(&[alg], NOW));
            for answer in SignedAnswer::ALL {
                let header = jsonwebtoken::decode_header(signer.sign_answer(answer, told(), alg, NOW).unwrap()).unwrap();
                assert_eq!((header.alg, header.typ.as_deref()), (named, Some(answer.typ())));
            }
        }
        assert!(!signer.has(&[Alg::ES384], NOW));
        let refused = signer.sign_answer(SignedAnswer::Userinfo, told(), Alg::ES384, NOW);
        assert_eq!(refused, Err(KeyFault::NoAlgorithm(vec![Alg::ES384])));
    }

    #[test]
    fn a_key_that_has_stopped_signs_nothing_more_also_when_it_is_the_last_of_its_algorithm() {
        let (_, mut signer) = ring_of(tenant(1), &[Alg::ES256, Alg::RS256]);
        let dropped = signer.ring.keys.iter_mut().find(|key| key.alg == Alg::RS256).unwrap();
        let stops = NOW.plus(Ttl::minutes(1));
        dropped.superseded = Some(SupersededKey { sign_until: stops, published_until: stops.plus(Ttl::hours(2)) });
        let signed = |at| signer.sign_answer(SignedAnswer::Userinfo, Map::new(), Alg::RS256, at);
        assert!(signer.has(&[Alg::RS256], NOW) && signed(NOW).is_ok());
        assert!(!signer.has(&[Alg::RS256], stops));
        assert_eq!(signed(stops), Err(KeyFault::NoAlgorithm(vec![Alg::RS256])));
    }

    #[test]
    fn an_answer_is_good_for_no_longer_than_its_key_may_sign() {
        let (ring, signer) = ring_of(tenant(1), &[Alg::ES256]);
        let cap = NOW.plus(ring.keys[0].token_ttl_cap_seconds).as_seconds();
        for (asked, given) in [(cap + 1, cap), (cap - 1, cap - 1)] {
            let claims = Map::from_iter([("exp".to_owned(), Value::from(asked))]);
            let token = signer.sign_answer(SignedAnswer::Authorization, claims, Alg::ES256, NOW).unwrap();
            let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap()["exp"], given);
        }
    }

    #[test]
    fn access_tokens_of_a_client_with_a_profile_are_signed_by_an_algorithm_of_it_whatever_others_get() {
        let (_, mut signer) = ring_of(tenant(1), &[Alg::RS256, Alg::ES384, Alg::PS256, Alg::ES256]);
        signer.ring.numbers.access_token_alg = Alg::RS256;
        let may = [Alg::ES256, Alg::PS256, Alg::EdDSA];
        let alg = |signer: &TenantSigner, algs: &[Alg]| {
            signer.sign(&mut claims(), algs, NOW).map(|token| jsonwebtoken::decode_header(token).unwrap().alg)
        };
        assert_eq!(alg(&signer, &Alg::ALL), Ok(jsonwebtoken::Algorithm::RS256));
        assert_eq!(alg(&signer, &may), Ok(jsonwebtoken::Algorithm::ES256));
        // One that is published only is better than one that is forbidden.
        signer.ring.keys.retain(|key| key.alg != Alg::ES256);
        let staged = signer.ring.keys.iter_mut().find(|key| key.alg == Alg::PS256).unwrap();
        staged.sign_from = NOW.plus(Ttl::hours(1));
        assert_eq!(alg(&signer, &may), Ok(jsonwebtoken::Algorithm::PS256));
        signer.ring.keys.retain(|key| key.alg != Alg::PS256);
        assert_eq!(alg(&signer, &may), Err(KeyFault::NoAlgorithm(may.to_vec())));
        signer.ring.numbers.access_token_alg = Alg::ES384;
        assert_eq!(alg(&signer, &Alg::ALL), Ok(jsonwebtoken::Algorithm::ES384));
        assert_eq!(alg(&signer, &may), Err(KeyFault::NoAlgorithm(may.to_vec())), "s054");
    }

    #[test]
    fn a_refresh_token_with_any_bit_flipped_is_nobodys() {
        let (_, signer) = ring_of(tenant(1), &[Alg::ES256]);
        let family = FamilyId::new(NOW, [3; 10]);
        let token = signer.mint_refresh(family, Generation::from_u32(5));
        assert_eq!(signer.open_refresh(&token), Some((family, Generation::from_u32(5))));
        assert_eq!(signer.mint_refresh(family, Generation::from_u32(5)), token, "derived, so the same again");
        let bytes = URL_SAFE_NO_PAD.decode(&token[4..]).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(signer.open_refresh(&format!("rt1_{}", URL_SAFE_NO_PAD.encode(changed))), None, "bit {bit}");
        }
    }

    #[test]
    fn tenants_share_nothing() {
        let (_, mine) = ring_of(tenant(1), &[Alg::ES256]);
        let (_, theirs) = ring_of(tenant(2), &[Alg::ES256]);
        let family = FamilyId::new(NOW, [3; 10]);
        assert_eq!(theirs.open_refresh(&mine.mint_refresh(family, Generation::FIRST)), None);
        assert_ne!(mine.csrf_token(family), theirs.csrf_token(family));
        assert_ne!(mine.blind("source", b"a"), theirs.blind("source", b"a"));
    }

    #[test]
    fn uses_of_one_secret_are_told_apart() {
        let (_, signer) = ring_of(tenant(1), &[Alg::ES256]);
        assert_ne!(signer.blind("ab", b"c"), signer.blind("a", b"bc"));
        assert_eq!(signer.blind("a", b"bc"), signer.blind("a", b"bc"));
    }

    #[test]
    fn a_rotated_secret_reads_old_tokens_and_keeps_what_must_stay() {
        use crate::node::fakes::{OsEntropy, sealed_ring};
        use domain::keys::ring::TokenSecretVersion;
        let (mut ring, data_key, mut sealed) = sealed_ring(tenant(1), &[Alg::EdDSA]);
        let before = TenantSigner::open(tenant(1), &ring, &data_key, &sealed).unwrap().unwrap();
        let family = FamilyId::new(NOW, [3; 10]);
        let old = before.mint_refresh(family, Generation::FIRST);
        ring.token_secrets.push(TokenSecretVersion { version: 2, created_at: NOW, verifies_until: None });
        assert!(TenantSigner::open(tenant(1), &ring, &data_key, &sealed).unwrap().is_none(), "its secret is missing");
        let mut secret = [0; 32];
        app::ports::world::Entropy::fill(&OsEntropy, &mut secret);
        sealed.push(data_key.seal(&SecretName::token_secret(2), &secret).unwrap());
        let after = TenantSigner::open(tenant(1), &ring, &data_key, &sealed).unwrap().unwrap();
        let new = after.mint_refresh(family, Generation::FIRST);
        assert_ne!(new, old);
        assert_eq!(after.open_refresh(&old), Some((family, Generation::FIRST)));
        assert_eq!(after.open_refresh(&new), Some((family, Generation::FIRST)));
        assert_eq!(before.open_refresh(&new), None);
        assert_ne!(after.csrf_token(family), before.csrf_token(family));
        assert!(after.is_csrf_token(family, &before.csrf_token(family)), "as good as its session");
        assert!(after.is_csrf_token(family, &after.csrf_token(family)));
        assert!(!after.is_csrf_token(FamilyId::new(NOW, [4; 10]), &after.csrf_token(family)));
        assert!(!before.is_csrf_token(family, &after.csrf_token(family)) && !after.is_csrf_token(family, ""));
        assert_eq!(after.blind("source", b"a"), before.blind("source", b"a"));

        ring.token_secrets.remove(0);
        let last = TenantSigner::open(tenant(1), &ring, &data_key, &sealed).unwrap().unwrap();
        assert_eq!(last.open_refresh(&old), None, "destroyed");
        assert_eq!(last.open_refresh(&new), Some((family, Generation::FIRST)));
        assert!(!last.is_csrf_token(family, &before.csrf_token(family)));
    }
}
