//! Encrypts signed tokens to keys of clients (RFC 7516, 7.1; RFC 7518, 4.3, 4.6, 5.2, 5.3). Nothing is decrypted here: nobody sends us any.
//!
//! Invariant: each token has a content key, an initialization vector and, on a curve, a key pair of its own, which nobody uses again.

use app::ports::keys::KeyFault;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::cipher::{AES_128, AES_256, AES_CBC_IV_LEN, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::key_wrap::{self, AesKek, KeyWrap};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::client::jwks::EncryptionKey;
use domain::encryption::{ContentEncryption, Encryption, KeyManagement};
use domain::keys::ring::PublicJwk;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

type ContentKey = Zeroizing<Vec<u8>>;

/// The token in a JWE, compactly: header, wrapped key, initialization vector, ciphertext and tag.
pub(crate) fn encrypt(token: &str, key: &EncryptionKey, how: Encryption) -> Result<String, KeyFault> {
    let Encryption { alg, enc } = how;
    let none = |_| KeyFault::NoEncryptionKey(alg);
    // What is inside is a JWT itself (RFC 7519, 5.2).
    let header = [("alg", json!(alg.name())), ("enc", json!(enc.name())), ("cty", json!("JWT"))];
    let mut header: Map<String, Value> = header.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if let Some(kid) = &key.kid {
        header.insert("kid".to_owned(), json!(kid));
    }
    let (content_key, wrapped) = match (alg, &key.public) {
        (KeyManagement::RsaOaep256, PublicJwk::RSA { n, e }) => {
            let content_key = random(enc.key_len()).map_err(none)?;
            let wrapped = oaep(n, e, &content_key).map_err(none)?;
            (content_key, wrapped)
        }
        (KeyManagement::EcdhEs | KeyManagement::EcdhEsA128Kw | KeyManagement::EcdhEsA256Kw, PublicJwk::EC { crv, x, y }) => {
            let (name, length) = match alg {
                KeyManagement::EcdhEsA128Kw => (alg.name(), 16),
                KeyManagement::EcdhEsA256Kw => (alg.name(), 32),
                // What is agreed on is the content key itself (RFC 7518, 4.6.2).
                _ => (enc.name(), enc.key_len()),
            };
            let (epk, agreed) = agreed(crv, [x, y], |secret| concat_kdf(secret, name, [b"", b""], length)).map_err(none)?;
            header.insert("epk".to_owned(), epk);
            if alg == KeyManagement::EcdhEs {
                (agreed, Vec::new())
            } else {
                let content_key = random(enc.key_len()).map_err(none)?;
                let wrapped = wrapped(&agreed, &content_key).map_err(none)?;
                (content_key, wrapped)
            }
        }
        _ => return Err(KeyFault::NoEncryptionKey(alg)),
    };
    let header = URL_SAFE_NO_PAD.encode(Value::Object(header).to_string());
    let iv = random(iv_len(enc)).map_err(none)?;
    let (ciphertext, tag) = sealed(enc, &content_key, &iv, header.as_bytes(), token.as_bytes()).map_err(none)?;
    let [wrapped, iv, ciphertext, tag] = [&wrapped, &*iv, &ciphertext, &tag].map(|part| URL_SAFE_NO_PAD.encode(part));
    Ok(format!("{header}.{wrapped}.{iv}.{ciphertext}.{tag}"))
}

fn random(length: usize) -> Result<ContentKey, Unspecified> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    rand::fill(&mut bytes)?;
    Ok(bytes)
}

fn decoded(text: &str) -> Result<Vec<u8>, Unspecified> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Unspecified)
}

/// RSAES-OAEP with SHA-256 and MGF1 with SHA-256 (RFC 7518, 4.3).
fn oaep(n: &str, e: &str, content_key: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let public: PublicEncryptingKey = PublicKeyComponents { n: decoded(n)?, e: decoded(e)? }.try_into().map_err(|_| Unspecified)?;
    let public = OaepPublicEncryptingKey::new(public)?;
    let mut wrapped = vec![0; public.ciphertext_size()];
    let length = public.encrypt(&OAEP_SHA256_MGF1SHA256, content_key, &mut wrapped, None)?.len();
    wrapped.truncate(length);
    Ok(wrapped)
}

/// Agrees with the owner of a point on a key, by a new key pair; answers its public half for the header (RFC 7518, 4.6.1.1) and what `derive`
/// makes of the secret. A point that is not on the curve is refused.
fn agreed(crv: &str, point: [&String; 2], derive: impl FnOnce(&[u8]) -> ContentKey) -> Result<(Value, ContentKey), Unspecified> {
    let curve = match crv {
        "P-256" => &ECDH_P256,
        "P-384" => &ECDH_P384,
        _ => return Err(Unspecified),
    };
    let mine = PrivateKey::generate(curve)?;
    let public = mine.compute_public_key()?;
    let (x, y) = halves(public.as_ref())?;
    let epk = json!({ "kty": "EC", "crv": crv, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) });
    let [x, y] = point;
    let theirs = UnparsedPublicKey::new(curve, [vec![4], decoded(x)?, decoded(y)?].concat());
    let agreed = agreement::agree(&mine, theirs, Unspecified, |secret| Ok(derive(secret)))?;
    Ok((epk, agreed))
}

/// The coordinates of an uncompressed point (SEC 1, 2.3.3).
fn halves(point: &[u8]) -> Result<(&[u8], &[u8]), Unspecified> {
    let both = point.strip_prefix(&[4]).ok_or(Unspecified)?;
    both.split_at_checked(both.len() / 2).ok_or(Unspecified)
}

/// The Concat KDF (NIST SP 800-56A, 5.8.1) as RFC 7518, 4.6.2 has it: `length` bytes for the algorithm of this name and for these two parties.
fn concat_kdf(secret: &[u8], algorithm: &str, parties: [&[u8]; 2], length: usize) -> ContentKey {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    let mut info = Vec::new();
    for part in [algorithm.as_bytes(), parties[0], parties[1]] {
        info.extend_from_slice(&number(part.len()));
        info.extend_from_slice(part);
    }
    info.extend_from_slice(&number(length * 8));
    let mut key = Zeroizing::new(Vec::with_capacity(length + 32));
    for round in 1.. {
        let mut hash = digest::Context::new(&SHA256);
        hash.update(&number(round));
        hash.update(secret);
        hash.update(&info);
        key.extend_from_slice(hash.finish().as_ref());
        if key.len() >= length {
            break;
        }
    }
    key.truncate(length);
    key
}

/// AES key wrap (RFC 3394).
fn wrapped(kek: &[u8], content_key: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let cipher = if kek.len() == 16 { &key_wrap::AES_128 } else { &key_wrap::AES_256 };
    let mut wrapped = vec![0; content_key.len() + 8];
    let length = AesKek::new(cipher, kek)?.wrap(content_key, &mut wrapped)?.len();
    wrapped.truncate(length);
    Ok(wrapped)
}

const fn iv_len(enc: ContentEncryption) -> usize {
    match enc {
        ContentEncryption::A128CbcHs256 | ContentEncryption::A256CbcHs512 => AES_CBC_IV_LEN,
        ContentEncryption::A128Gcm | ContentEncryption::A256Gcm => NONCE_LEN,
    }
}

/// Ciphertext and tag (RFC 7516, 5.1).
fn sealed(enc: ContentEncryption, key: &[u8], iv: &[u8], aad: &[u8], plain: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Unspecified> {
    match enc {
        ContentEncryption::A128CbcHs256 => cbc_hmac(hmac::HMAC_SHA256, key, iv, aad, plain),
        ContentEncryption::A256CbcHs512 => cbc_hmac(hmac::HMAC_SHA512, key, iv, aad, plain),
        ContentEncryption::A128Gcm | ContentEncryption::A256Gcm => {
            let cipher = if enc == ContentEncryption::A128Gcm { &AES_128_GCM } else { &AES_256_GCM };
            let key = LessSafeKey::new(UnboundKey::new(cipher, key)?);
            let mut body = plain.to_vec();
            let tag = key.seal_in_place_separate_tag(Nonce::try_assume_unique_for_key(iv)?, Aad::from(aad), &mut body)?;
            Ok((body, tag.as_ref().to_vec()))
        }
    }
}

/// AES-CBC, then an HMAC of half its length (RFC 7518, 5.2.2.1): the first half of the key is that of the HMAC.
fn cbc_hmac(mac: hmac::Algorithm, key: &[u8], iv: &[u8], aad: &[u8], plain: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Unspecified> {
    let (mac_key, cipher_key) = key.split_at_checked(key.len() / 2).ok_or(Unspecified)?;
    let cipher = if cipher_key.len() == 16 { &AES_128 } else { &AES_256 };
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(cipher, cipher_key)?)?;
    let mut body = plain.to_vec();
    let vector: [u8; AES_CBC_IV_LEN] = iv.try_into().map_err(|_| Unspecified)?;
    cipher.less_safe_encrypt(&mut body, EncryptionContext::Iv128(FixedLength::from(vector)))?;
    let bits = u64::try_from(aad.len()).map_err(|_| Unspecified)?.saturating_mul(8).to_be_bytes();
    let tag = hmac::sign(&hmac::Key::new(mac, mac_key), &[aad, iv, &body, &bits].concat());
    Ok((body, tag.as_ref()[..mac_key.len()].to_vec()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aws_lc_rs::cipher::{DecryptionContext, PaddedBlockDecryptingKey};
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
    use aws_lc_rs::signature::KeyPair;
    use domain::client::jwks;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    const KERCKHOFFS: &[u8] =
        b"A cipher system must not be required to be secret, and it must be able to fall into the hands of the enemy without inconvenience";

    #[test]
    fn content_is_encrypted_as_in_the_examples_of_the_standards() {
        // RFC 7518, B.1 and B.3. The tag is over the ciphertext, too.
        let (iv, aad) = (hex("1af38c2dc2b96ffdd86694092341bc04"), b"The second principle of Auguste Kerckhoffs");
        for (enc, tag) in [
            (ContentEncryption::A128CbcHs256, "652c3fa36b0a7c5b3219fab3a30bc1c4"),
            (ContentEncryption::A256CbcHs512, "4dd3b4c088a7f45c216839645b2012bf2e6269a8c56a816dbc1b267761955bc5"),
        ] {
            let key: Vec<u8> = (0..).take(enc.key_len()).collect();
            let (ciphertext, own) = sealed(enc, &key, &iv, aad, KERCKHOFFS).unwrap();
            assert_eq!((ciphertext.len(), own), (144, hex(tag)), "{enc:?}");
        }
        // RFC 7516, A.1.
        let key = [
            177, 161, 244, 128, 84, 143, 225, 115, 63, 180, 3, 255, 107, 154, 212, 246, 138, 7, 110, 91, 112, 46, 34, 105, 47, 130, 203,
            46, 122, 234, 64, 252,
        ];
        let iv = [227, 197, 117, 252, 2, 219, 233, 68, 180, 225, 77, 219];
        let aad = b"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ";
        let plain = b"The true sign of intelligence is not knowledge but imagination.";
        let (ciphertext, tag) = sealed(ContentEncryption::A256Gcm, &key, &iv, aad, plain).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(ciphertext),
            "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A"
        );
        assert_eq!(URL_SAFE_NO_PAD.encode(tag), "XFBoMYUZodetZdvTiFvSkQ");
    }

    #[test]
    fn a_key_is_derived_as_in_the_example_of_the_standard() {
        // RFC 7518, C: Alice's ephemeral key, Bob's public one.
        let alice = decoded("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo").unwrap();
        let alice = PrivateKey::from_private_key(&ECDH_P256, &alice).unwrap();
        let [x, y] = ["weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ", "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"]
            .map(|text| decoded(text).unwrap());
        let bob = UnparsedPublicKey::new(&ECDH_P256, [vec![4], x, y].concat());
        let derived =
            agreement::agree(&alice, bob, Unspecified, |secret| Ok(concat_kdf(secret, "A128GCM", [b"Alice", b"Bob"], 16))).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(&derived), "VqqN6vgjbSBcIijNcacQGg");
        // A longer key takes a second round, and is another one, for its length is part of what is hashed.
        let long = concat_kdf(b"secret", "A256CBC-HS512", [b"", b""], 64);
        assert_eq!(long.len(), 64);
        assert_ne!(long[..32], long[32..]);
        assert_ne!(long[..32], concat_kdf(b"secret", "A256CBC-HS512", [b"", b""], 32)[..]);
    }

    /// Reads what [`sealed`] made; with nothing but the crate's own decryption.
    fn opened(enc: ContentEncryption, key: &[u8], iv: &[u8], aad: &[u8], ciphertext: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
        let mut body = ciphertext.to_vec();
        match enc {
            ContentEncryption::A128Gcm | ContentEncryption::A256Gcm => {
                let cipher = if enc == ContentEncryption::A128Gcm { &AES_128_GCM } else { &AES_256_GCM };
                body.extend_from_slice(tag);
                let key = LessSafeKey::new(UnboundKey::new(cipher, key).ok()?);
                Some(key.open_in_place(Nonce::try_assume_unique_for_key(iv).ok()?, Aad::from(aad), &mut body).ok()?.to_vec())
            }
            ContentEncryption::A128CbcHs256 | ContentEncryption::A256CbcHs512 => {
                let (mac_key, cipher_key) = key.split_at(key.len() / 2);
                let (mac, cipher) =
                    if enc == ContentEncryption::A128CbcHs256 { (hmac::HMAC_SHA256, &AES_128) } else { (hmac::HMAC_SHA512, &AES_256) };
                let bits = (aad.len() as u64 * 8).to_be_bytes();
                let wanted = hmac::sign(&hmac::Key::new(mac, mac_key), &[aad, iv, ciphertext, &bits].concat());
                if wanted.as_ref()[..mac_key.len()] != *tag {
                    return None;
                }
                let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(cipher, cipher_key).ok()?).ok()?;
                let vector: [u8; AES_CBC_IV_LEN] = iv.try_into().ok()?;
                Some(cipher.decrypt(&mut body, DecryptionContext::Iv128(FixedLength::from(vector))).ok()?.to_vec())
            }
        }
    }

    fn key_of(jwk: Value) -> EncryptionKey {
        jwks::read_encryption(&json!({ "keys": [jwk] })).unwrap().remove(0)
    }

    #[test]
    fn whatever_is_registered_the_owner_of_the_key_reads_it_and_no_two_tokens_share_a_key_or_a_vector() {
        let token = "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl";
        let rsa = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let document: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
        let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let components = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let rsa_jwk = json!({
            "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(&components.n), "e": URL_SAFE_NO_PAD.encode(&components.e), "use": "enc", "kid": "r",
        });
        let oaep = OaepPrivateDecryptingKey::new(rsa).unwrap();
        for enc in ContentEncryption::ALL {
            for (alg, curve) in [
                (KeyManagement::RsaOaep256, None),
                (KeyManagement::EcdhEs, Some(("P-256", &ECDH_P256))),
                (KeyManagement::EcdhEs, Some(("P-384", &ECDH_P384))),
                (KeyManagement::EcdhEsA128Kw, Some(("P-256", &ECDH_P256))),
                (KeyManagement::EcdhEsA256Kw, Some(("P-384", &ECDH_P384))),
            ] {
                let how = Encryption { alg, enc };
                let own = curve.map(|(_, curve)| PrivateKey::generate(curve).unwrap());
                let jwk = match (&own, curve) {
                    (Some(own), Some((crv, _))) => {
                        let public = own.compute_public_key().unwrap();
                        let (x, y) = halves(public.as_ref()).unwrap();
                        json!({ "kty": "EC", "crv": crv, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y), "use": "enc", "kid": "e" })
                    }
                    _ => rsa_jwk.clone(),
                };
                let key = key_of(jwk.clone());
                let both = [(); 2].map(|()| encrypt(token, &key, how).unwrap());
                for jwe in &both {
                    let parts: Vec<&str> = jwe.split('.').collect();
                    let [header, wrapped, iv, ciphertext, tag] = parts[..] else { panic!("{jwe}") };
                    let said: Value = serde_json::from_slice(&decoded(header).unwrap()).unwrap();
                    assert_eq!((&said["alg"], &said["enc"]), (&json!(alg.name()), &json!(enc.name())));
                    assert_eq!((&said["cty"], &said["kid"]), (&json!("JWT"), &jwk["kid"]));
                    let [wrapped, iv, ciphertext, tag] = [wrapped, iv, ciphertext, tag].map(|part| decoded(part).unwrap());
                    let content_key = match (&own, curve) {
                        (Some(own), Some((_, curve))) => {
                            let [x, y] = ["x", "y"].map(|name| decoded(said["epk"][name].as_str().unwrap()).unwrap());
                            let epk = UnparsedPublicKey::new(curve, [vec![4], x, y].concat());
                            let (name, length) = match alg {
                                KeyManagement::EcdhEs => (enc.name(), enc.key_len()),
                                KeyManagement::EcdhEsA128Kw => (alg.name(), 16),
                                _ => (alg.name(), 32),
                            };
                            let agreed = agreement::agree(own, epk, (), |z| Ok(concat_kdf(z, name, [b"", b""], length))).unwrap();
                            if alg == KeyManagement::EcdhEs {
                                assert!(wrapped.is_empty());
                                agreed.to_vec()
                            } else {
                                let cipher = if length == 16 { &key_wrap::AES_128 } else { &key_wrap::AES_256 };
                                let mut out = vec![0; wrapped.len()];
                                AesKek::new(cipher, &agreed).unwrap().unwrap(&wrapped, &mut out).unwrap().to_vec()
                            }
                        }
                        _ => {
                            let mut out = vec![0; oaep.min_output_size()];
                            oaep.decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped, &mut out, None).unwrap().to_vec()
                        }
                    };
                    assert_eq!(content_key.len(), enc.key_len());
                    let read = |aad: &[u8], tag: &[u8]| opened(enc, &content_key, &iv, aad, &ciphertext, tag);
                    assert_eq!(read(header.as_bytes(), &tag).as_deref(), Some(token.as_bytes()), "{how:?}");
                    assert_eq!(read(b"another header", &tag), None, "the header is under the tag");
                }
                let parts: BTreeSet<&str> = both.iter().flat_map(|jwe| jwe.split('.').skip(2)).collect();
                assert_eq!(parts.len(), 6, "{how:?}: vector, ciphertext and tag of each are its own");
            }
        }
    }

    #[test]
    fn a_point_that_is_on_no_curve_and_a_key_of_another_kind_are_refused() {
        let wide = URL_SAFE_NO_PAD.encode([0xff; 32]);
        let point = key_of(json!({ "kty": "EC", "crv": "P-256", "x": wide, "y": wide, "use": "enc" }));
        let enc = ContentEncryption::A128Gcm;
        for alg in KeyManagement::ALL {
            assert_eq!(encrypt("", &point, Encryption { alg, enc }), Err(KeyFault::NoEncryptionKey(alg)));
        }
        let rsa = key_of(json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 256]), "e": "AQAB", "use": "enc" }));
        let refused = encrypt("", &rsa, Encryption { alg: KeyManagement::EcdhEs, enc });
        assert_eq!(refused, Err(KeyFault::NoEncryptionKey(KeyManagement::EcdhEs)));
    }
}
