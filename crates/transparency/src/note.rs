//! The signed head of a log: a checkpoint, signed as a note with Ed25519.
//!
//! Source: C2SP tlog-checkpoint and signed-note.
//!
//! Invariant: nothing of a note is believed before its signature was verified with a key that came from elsewhere.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::tree::Hash;

/// The signature type of plain Ed25519.
const ED25519_TYPE: u8 = 1;
/// The most signature lines that are looked at; the specification asks for sixteen at least.
const MOST_SIGNATURES: usize = 32;

/// A name that a note is signed under: neither empty nor with spaces, plus signs or control characters.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// Who signs notes: a name and an Ed25519 public key. Its text is what Go's `note.NewVerifier` reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vkey {
    name: String,
    public: [u8; 32],
}

impl Vkey {
    /// `None` when the name cannot be a key's name, or the key is not 32 bytes.
    pub fn new(name: &str, public: &[u8]) -> Option<Self> {
        is_name(name).then_some(())?;
        Some(Self { name: name.to_owned(), public: public.try_into().ok()? })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same key under another name. `None` when that cannot be a key's name.
    pub fn named(&self, name: &str) -> Option<Self> {
        Self::new(name, &self.public)
    }

    /// Whether it is the same key, under whatever name.
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.public == other.public
    }

    /// The first four bytes of SHA-256(name || 0x0A || signature type || public key).
    fn id(&self) -> [u8; 4] {
        let mut text = self.name.clone().into_bytes();
        text.extend([b'\n', ED25519_TYPE]);
        text.extend(self.public);
        let mut id = [0; 4];
        id.copy_from_slice(&digest(&SHA256, &text).as_ref()[..4]);
        id
    }
}

impl fmt::Display for Vkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519_TYPE], &self.public[..]].concat();
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id()), STANDARD.encode(key))
    }
}

/// The text is not a verifier key of Ed25519.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a verifier key: expected name+8 hexadecimal digits+base64 of an Ed25519 key")]
pub struct NotAVkey;

impl FromStr for Vkey {
    type Err = NotAVkey;

    fn from_str(text: &str) -> Result<Self, NotAVkey> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return Err(NotAVkey) };
        let key = STANDARD.decode(key).map_err(|_| NotAVkey)?;
        let vkey = Self::new(name, key.strip_prefix(&[ED25519_TYPE]).ok_or(NotAVkey)?).ok_or(NotAVkey)?;
        // The id in the middle follows from the rest.
        if vkey.to_string() == text { Ok(vkey) } else { Err(NotAVkey) }
    }
}

/// The head of a log: whose it is, how many entries it has, and the root over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

impl Head {
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads the text of a checkpoint. Extension lines are allowed and mean nothing here.
    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let head = Self { origin: origin.to_owned(), size: size.parse().ok()?, root: STANDARD.decode(root).ok()?.try_into().ok()? };
        (!origin.is_empty() && head.size.to_string() == size && lines.all(|line| !line.is_empty())).then_some(head)
    }

    /// The head as a note that is signed under the name of its origin. `None` when that can be no key's name.
    pub fn sign(&self, key: &Ed25519KeyPair) -> Option<String> {
        let vkey = Vkey::new(&self.origin, key.public_key().as_ref())?;
        let text = self.text();
        let signature = [&vkey.id(), key.sign(text.as_bytes()).as_ref()].concat();
        Some(format!("{text}\n— {} {}\n", vkey.name, STANDARD.encode(signature)))
    }
}

/// Why a note is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteRefused {
    #[error("it is no signed checkpoint: {0}")]
    Malformed(&'static str),
    #[error("it is not signed with the key that was expected")]
    UnknownKey,
    #[error("its signature is wrong")]
    BadSignature,
}

/// The head that a checkpoint says, once its signature by `vkey` was verified. Signatures of others are ignored.
///
/// # Errors
/// Whenever it is not to be believed.
pub fn open(note: &str, vkey: &Vkey) -> Result<Head, NoteRefused> {
    use NoteRefused::{BadSignature, Malformed, UnknownKey};
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return Err(Malformed("control characters"));
    }
    let (text, signatures) = note.rsplit_once("\n\n").ok_or(Malformed("no signatures"))?;
    let text = format!("{text}\n");
    let lines = signatures.strip_suffix('\n').ok_or(Malformed("it ends in the middle of a line"))?;
    let mut is_signed = false;
    for (at, line) in lines.split('\n').enumerate() {
        if at == MOST_SIGNATURES {
            return Err(Malformed("too many signatures"));
        }
        let (name, signature) = line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or(Malformed("no signature line"))?;
        let signature = STANDARD.decode(signature).map_err(|_| Malformed("a signature that is no base64"))?;
        let (id, signature) = signature.split_first_chunk::<4>().ok_or(Malformed("a signature without key id"))?;
        if !is_name(name) {
            return Err(Malformed("a signature without name"));
        }
        if name == vkey.name && *id == vkey.id() {
            UnparsedPublicKey::new(&ED25519, vkey.public).verify(text.as_bytes(), signature).map_err(|_| BadSignature)?;
            is_signed = true;
        }
    }
    if !is_signed {
        return Err(UnknownKey);
    }
    Head::from_text(&text).ok_or(Malformed("the text is none of a checkpoint"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Go's golang.org/x/mod/sumdb/note, which the specification grew from.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn head() -> Head {
        Head { origin: "id.example/t/acme/.well-known/key-log".to_owned(), size: 7, root: [9; 32] }
    }

    #[test]
    fn a_note_that_others_signed_verifies() {
        let vkey: Vkey = PETER.parse().unwrap();
        assert_eq!(vkey.to_string(), PETER);
        // Verified; but what it says is no checkpoint.
        assert_eq!(open(NOTE, &vkey), Err(NoteRefused::Malformed("the text is none of a checkpoint")));
        assert_eq!(open(&NOTE.replace("don't", "do"), &vkey), Err(NoteRefused::BadSignature));
    }

    #[test]
    fn a_checkpoint_says_what_was_signed_and_is_refused_with_any_byte_changed() {
        let key = pair(1);
        let vkey = Vkey::new(&head().origin, key.public_key().as_ref()).unwrap();
        let note = head().sign(&key).unwrap();
        assert!(
            note.starts_with("id.example/t/acme/.well-known/key-log\n7\nCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n\n— id.example/t/")
        );
        assert_eq!(open(&note, &vkey), Ok(head()));
        assert_eq!(open(&note, &vkey.to_string().parse().unwrap()), Ok(head()));
        for at in 0..note.len() {
            let mut changed = note.clone().into_bytes();
            changed[at] ^= 1;
            if let Ok(changed) = String::from_utf8(changed) {
                assert!(open(&changed, &vkey).is_err(), "byte {at}: {changed}");
            }
        }
        for end in 0..note.len() {
            assert!(note.get(..end).is_none_or(|cut| open(cut, &vkey).is_err()), "cut at {end}");
        }
        let stranger = Vkey::new(&head().origin, pair(2).public_key().as_ref()).unwrap();
        assert_eq!(open(&note, &stranger), Err(NoteRefused::UnknownKey));
    }

    #[test]
    fn signatures_of_others_are_ignored_and_one_wrong_one_of_ours_spoils_the_note() {
        let vkey = Vkey::new(&head().origin, pair(1).public_key().as_ref()).unwrap();
        let (mine, others) = (head().sign(&pair(1)).unwrap(), head().sign(&pair(2)).unwrap());
        let line = |note: &str| note.rsplit_once("\n\n").unwrap().1.to_owned();
        assert_eq!(open(&format!("{mine}{}", line(&others)), &vkey), Ok(head()));
        assert_eq!(open(&format!("{others}{}", line(&mine)), &vkey), Ok(head()));
        let wrong = line(&Head { size: 8, ..head() }.sign(&pair(1)).unwrap());
        assert_eq!(open(&format!("{mine}{wrong}"), &vkey), Err(NoteRefused::BadSignature));
        assert_eq!(open(&format!("{mine}{}", line(&others).repeat(40)), &vkey), Err(NoteRefused::Malformed("too many signatures")));
    }

    #[test]
    fn a_head_is_read_strictly() {
        let root = STANDARD.encode([1; 32]);
        assert!(Head::from_text(&format!("o\n0\n{root}\n")).is_some());
        assert!(Head::from_text(&format!("o\n12\n{root}\nextension\n")).is_some());
        for bad in [
            format!("o\n0\n{root}"),
            format!("\n0\n{root}\n"),
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("o\n1\n{}\n", &root[4..]),
            format!("o\n1\n{root}\n\n"),
            "o\n1\n".to_owned(),
        ] {
            assert_eq!(Head::from_text(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_vkey_is_read_strictly() {
        for bad in
            ["", "a", "a+b+c", &PETER.replace("c74f20a3", "c74f20a4"), &PETER.replace("PeterNeumann", ""), &PETER[..60], "a b+0+AA=="]
        {
            assert_eq!(bad.parse::<Vkey>(), Err(NotAVkey), "{bad}");
        }
        assert_eq!(Vkey::new("a b", &[0; 32]), None);
        assert_eq!(Vkey::new("a", &[0; 31]), None);
    }
}
