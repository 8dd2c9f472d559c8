//! Authenticated encryption as everything here uses it.
//!
//! Invariant: every nonce is random and new; a key seals far fewer than 2^32 things in its life.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

/// Sealing failed, or what was sealed does not open with this key and this context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotOpened;

/// AES-256-GCM under a random nonce: nonce, ciphertext and tag in one.
pub(crate) fn seal(key: &[u8; 32], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, NotOpened> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| NotOpened)?;
    // In place, with room for the tag: the plain bytes are overwritten and never left behind in a grown buffer.
    let mut body = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
    body.extend_from_slice(plain);
    let nonce = key.seal_in_place_append_tag(Aad::from(aad), &mut body).map_err(|_| NotOpened)?;
    let mut sealed = Vec::with_capacity(NONCE_LEN + body.len());
    sealed.extend_from_slice(nonce.as_ref());
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

/// Opens what [`seal`] made with the same key and context.
pub(crate) fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| NotOpened)?;
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(NotOpened)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOpened)?;
    let mut body = Zeroizing::new(body.to_vec());
    let length = key.open_in_place(nonce, Aad::from(aad), &mut body).map_err(|_| NotOpened)?.len();
    body.truncate(length);
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let key = [7; 32];
        let sealed = seal(&key, b"context", b"secret").unwrap();
        assert_eq!(&**open(&key, b"context", &sealed).unwrap(), b"secret");
        assert!(open(&key, b"contexT", &sealed).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, b"context", &changed).is_err(), "bit {bit}");
        }
        for cut in 0..sealed.len() {
            assert!(open(&key, b"context", &sealed[..cut]).is_err(), "cut at {cut}");
        }
    }
}
