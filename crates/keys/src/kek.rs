//! The key-encryption key: the one secret that comes from outside the database.
//!
//! Invariant: its bytes are wiped on drop and are never shown; only [`Kek::to_file_text`] hands them out, as a `Secret`.

use app::ports::world::Entropy;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::secret::Secret;
use zeroize::Zeroizing;

const FORMAT: &str = "claviger-kek-1";

/// A key-encryption key (AES-256) with the id that sealed rows name it by.
pub struct Kek {
    id: String,
    bytes: Zeroizing<[u8; 32]>,
}

/// The text is not a key-encryption key. Says nothing about what it is instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key-encryption key: expected one line, claviger-kek-1:<id>:<43 characters of base64url>")]
pub struct BadKek;

/// Sealing failed, or what was sealed does not open with this key and this context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotOpened;

impl Kek {
    /// A new key with a random id.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut id = [0; 6];
        entropy.fill(&mut id);
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        Self { id: id.iter().map(|byte| format!("{byte:02x}")).collect(), bytes }
    }

    /// Reads the text of a key file; a line end after it is allowed.
    ///
    /// # Errors
    /// [`BadKek`] for anything but one line in the format. The id is 1 to 40 of `a-z`, `0-9` and `-`.
    pub fn from_file_text(text: &str) -> Result<Self, BadKek> {
        let mut parts = text.trim_end_matches(['\r', '\n']).splitn(3, ':');
        let (Some(FORMAT), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(BadKek);
        };
        let id_is_good = (1..=40).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).map_err(|_| BadKek)?);
        let bytes: [u8; 32] = decoded.as_slice().try_into().map_err(|_| BadKek)?;
        if id_is_good { Ok(Self { id: id.to_owned(), bytes: Zeroizing::new(bytes) }) } else { Err(BadKek) }
    }

    /// The text of a key file, with a line end.
    pub fn to_file_text(&self) -> Secret<String> {
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.bytes));
        Secret::new(format!("{FORMAT}:{}:{}\n", self.id, *encoded))
    }

    /// What sealed rows name this key by. Not a secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, NotOpened> {
        seal(&self.bytes, aad, plain)
    }

    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        open(&self.bytes, aad, sealed)
    }
}

impl std::fmt::Debug for Kek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kek").field("id", &self.id).finish_non_exhaustive()
    }
}

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
    use crate::node::fakes::OsEntropy;

    #[test]
    fn a_key_survives_its_file_and_does_not_show_itself() {
        let kek = Kek::generate(&OsEntropy);
        let text = kek.to_file_text();
        let read = Kek::from_file_text(text.expose()).unwrap();
        assert_eq!((read.id(), *read.bytes), (kek.id(), *kek.bytes));
        let encoded = text.expose().trim_end().rsplit(':').next().unwrap();
        assert!(!format!("{kek:?}").contains(encoded));
    }

    #[test]
    fn other_texts_are_refused() {
        let text = Kek::generate(&OsEntropy).to_file_text();
        let good = text.expose().trim_end();
        for bad in [
            String::new(),
            good[1..].to_owned(),
            good[..good.len() - 1].to_owned(),
            format!("{good}A"),
            format!(" {good}"),
            format!("{good}\n{good}"),
            good.replace("kek-1", "kek-2"),
            "claviger-kek-1::AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        ] {
            assert_eq!(Kek::from_file_text(&bad).unwrap_err(), BadKek, "{bad}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let kek = Kek::generate(&OsEntropy);
        let sealed = kek.seal(b"context", b"secret").unwrap();
        assert_eq!(&**kek.open(b"context", &sealed).unwrap(), b"secret");
        assert!(kek.open(b"contexT", &sealed).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(kek.open(b"context", &changed).is_err(), "bit {bit}");
        }
        for cut in 0..sealed.len() {
            assert!(kek.open(b"context", &sealed[..cut]).is_err(), "cut at {cut}");
        }
    }
}
