//! Makes key pairs, and names them: a kid is the RFC 7638 thumbprint of the public half.
//!
//! Invariant: randomness for keys comes from the crypto libraries' own generators, because they take no other.

use app::ports::keys::KeyFault;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::keys::ring::{Alg, Kid, PublicJwk};
use domain::keys::thumbprint::Thumbprint;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use zeroize::Zeroizing;

const RSA_BITS: usize = 2048;

/// A new key pair. `private` is PKCS#8 for the elliptic curves and PKCS#1 for RSA, in DER.
pub(crate) struct GeneratedKey {
    pub(crate) kid: Kid,
    pub(crate) public: PublicJwk,
    pub(crate) private: Zeroizing<Vec<u8>>,
}

impl GeneratedKey {
    fn new(public: PublicJwk, private: Zeroizing<Vec<u8>>) -> Self {
        Self { kid: Thumbprint::of(&public).into(), public, private }
    }
}

/// Makes a key pair. RSA takes tens to hundreds of milliseconds of CPU: in a blocking context only.
pub(crate) fn generate(alg: Alg) -> Result<GeneratedKey, KeyFault> {
    match alg {
        Alg::ES256 => ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
        Alg::ES384 => ec("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
        Alg::EdDSA => ed25519(),
        Alg::RS256 | Alg::PS256 => rsa_2048(),
    }
}

fn ec(crv: &str, alg: &'static EcdsaSigningAlgorithm) -> Result<GeneratedKey, KeyFault> {
    let document = EcdsaKeyPair::generate_pkcs8(alg, &SystemRandom::new()).map_err(failed)?;
    let private = Zeroizing::new(document.as_ref().to_vec());
    let pair = EcdsaKeyPair::from_pkcs8(alg, &private).map_err(failed)?;
    // Uncompressed point (SEC 1, 2.3.3): 4, then x and y, each as wide as the field.
    let point = pair.public_key().as_ref().strip_prefix(&[4]).ok_or_else(|| failed("not an uncompressed point"))?;
    let (x, y) = point.split_at(point.len() / 2);
    Ok(GeneratedKey::new(PublicJwk::EC { crv: crv.to_owned(), x: URL_SAFE_NO_PAD.encode(x), y: URL_SAFE_NO_PAD.encode(y) }, private))
}

fn ed25519() -> Result<GeneratedKey, KeyFault> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
    let private = Zeroizing::new(document.as_ref().to_vec());
    let pair = Ed25519KeyPair::from_pkcs8(&private).map_err(failed)?;
    Ok(GeneratedKey::new(PublicJwk::OKP { crv: "Ed25519".to_owned(), x: URL_SAFE_NO_PAD.encode(pair.public_key()) }, private))
}

fn rsa_2048() -> Result<GeneratedKey, KeyFault> {
    let key = rsa::PrivateKey::new(&mut getrandom::SysRng, RSA_BITS).map_err(failed)?;
    let public = PublicJwk::RSA { n: URL_SAFE_NO_PAD.encode(key.n_bytes()), e: URL_SAFE_NO_PAD.encode(key.e_bytes()) };
    let document = key.to_pkcs1_der().map_err(failed)?;
    Ok(GeneratedKey::new(public, Zeroizing::new(document.as_bytes().to_vec())))
}

fn failed(error: impl std::fmt::Display) -> KeyFault {
    KeyFault::Unavailable(format!("no key could be made: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_their_full_width() {
        let width = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap().len();
        // Enough keys that a coordinate which begins with a zero byte is likely to be among them.
        for _ in 0..300 {
            let PublicJwk::EC { x, y, .. } = generate(Alg::ES256).unwrap().public else { panic!("not EC") };
            assert_eq!((width(&x), width(&y)), (32, 32));
        }
        let PublicJwk::EC { x, y, .. } = generate(Alg::ES384).unwrap().public else { panic!("not EC") };
        assert_eq!((width(&x), width(&y)), (48, 48));
        let PublicJwk::OKP { x, .. } = generate(Alg::EdDSA).unwrap().public else { panic!("not OKP") };
        assert_eq!(width(&x), 32);
        let PublicJwk::RSA { n, e } = generate(Alg::RS256).unwrap().public else { panic!("not RSA") };
        assert_eq!((width(&n), e.as_str()), (256, "AQAB"));
    }
}
