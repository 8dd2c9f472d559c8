//! A key-encryption key whose bytes this process has: from a file or from the environment.
//!
//! Invariant: its bytes are wiped on drop and are never shown; only [`LocalKek::to_file_text`] hands them out, as a `Secret`.

use app::ports::world::Entropy;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::secret::Secret;
use zeroize::Zeroizing;

use super::{Kek, KekFault, is_kek_id};
use crate::aead;

const FORMAT: &str = "claviger-kek-1";

/// A key-encryption key (AES-256) with the id that sealed rows name it by.
pub struct LocalKek {
    id: String,
    bytes: Zeroizing<[u8; 32]>,
}

/// The text is not a key-encryption key. Says nothing about what it is instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key-encryption key: expected lines of claviger-kek-1:<id>:<43 characters of base64url>, each id once")]
pub struct BadKek;

impl LocalKek {
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
        let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).map_err(|_| BadKek)?);
        let bytes: [u8; 32] = decoded.as_slice().try_into().map_err(|_| BadKek)?;
        if is_kek_id(id) { Ok(Self { id: id.to_owned(), bytes: Zeroizing::new(bytes) }) } else { Err(BadKek) }
    }

    /// The text of a key file, with a line end.
    pub fn to_file_text(&self) -> Secret<String> {
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.bytes));
        Secret::new(format!("{FORMAT}:{}:{}\n", self.id, *encoded))
    }

    /// Reads a file of keys, one a line; the first is the primary one. Empty lines and lines that begin with `#` are left out.
    ///
    /// # Errors
    /// [`BadKek`] when there is none, one is no key, or two have the same id.
    pub fn all_from_file_text(text: &str) -> Result<Vec<Self>, BadKek> {
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let keks = lines.map(Self::from_file_text).collect::<Result<Vec<_>, _>>()?;
        let is_twice = keks.iter().enumerate().any(|(at, kek)| keks[..at].iter().any(|other| other.id == kek.id));
        if keks.is_empty() || is_twice { Err(BadKek) } else { Ok(keks) }
    }
}

#[async_trait]
impl Kek for LocalKek {
    fn id(&self) -> &str {
        &self.id
    }

    fn provider(&self) -> &'static str {
        "local"
    }

    fn is_elsewhere(&self) -> bool {
        false
    }

    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, KekFault> {
        aead::seal(&self.bytes, context, key).map_err(|_| KekFault::Refused)
    }

    async fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekFault> {
        aead::open(&self.bytes, context, wrapped).map_err(|_| KekFault::Refused)
    }
}

impl std::fmt::Debug for LocalKek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalKek").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::fakes::OsEntropy;

    #[test]
    fn a_key_survives_its_file_and_does_not_show_itself() {
        let kek = LocalKek::generate(&OsEntropy);
        let text = kek.to_file_text();
        let read = LocalKek::from_file_text(text.expose()).unwrap();
        assert_eq!((read.id(), *read.bytes), (kek.id(), *kek.bytes));
        let encoded = text.expose().trim_end().rsplit(':').next().unwrap();
        assert!(!format!("{kek:?}").contains(encoded));
    }

    #[test]
    fn a_file_may_hold_several_keys_each_once() {
        let (one, two) = (LocalKek::generate(&OsEntropy), LocalKek::generate(&OsEntropy));
        let text = format!("# the newest first\n{}\n{}", one.to_file_text().expose(), two.to_file_text().expose());
        let ids: Vec<_> = LocalKek::all_from_file_text(&text).unwrap().iter().map(|kek| kek.id().to_owned()).collect();
        assert_eq!(ids, [one.id(), two.id()]);
        for bad in ["", "# none\n", &format!("{text}{}", one.to_file_text().expose()), &format!("{text}junk\n")] {
            assert_eq!(LocalKek::all_from_file_text(bad).unwrap_err(), BadKek);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let text = LocalKek::generate(&OsEntropy).to_file_text();
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
            assert_eq!(LocalKek::from_file_text(&bad).unwrap_err(), BadKek, "{bad}");
        }
    }
}
