//! Key-encryption keys: what wraps data keys. Wherever one lives (a file, the environment, a program, Vault, an HSM), it
//! is a [`Kek`]; a node knows several ([`Keks`]), wraps with the primary one and unwraps with whichever a row names.
//!
//! Invariant: only data keys pass through a [`Kek`], 32 bytes each; what they seal never does.

mod command;
mod local;
mod pkcs11;
mod vault;

use std::sync::Arc;

use async_trait::async_trait;
pub use command::{CommandKek, KekCommand};
pub use local::{BadKek, LocalKek};
pub use pkcs11::{HsmKek, HsmKey};
pub use vault::{VaultKek, VaultKey};
use zeroize::Zeroizing;

/// Why a key-encryption key did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KekFault {
    /// It cannot be reached, or does not want to work now; worth another try.
    #[error("{0}")]
    Unavailable(String),
    /// It works, and what it was given was not wrapped by it in this context, or was changed since.
    #[error("it does not open what it was given")]
    Refused,
}

/// One key-encryption key.
#[async_trait]
pub trait Kek: Send + Sync {
    /// What rows name this key by, 1 to 40 of `a-z`, `0-9` and `-`. Not a secret, and never given to another key.
    fn id(&self) -> &str;
    /// Where it lives, for people: `local`, `command`, `vault`, `pkcs11`.
    fn provider(&self) -> &'static str;
    /// Whether somebody else does the work, who may be away or do it wrongly. A key in this process's own memory needs no [`check`].
    fn is_elsewhere(&self) -> bool {
        true
    }
    /// Wraps a data key so that it opens in the same `context` only.
    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, KekFault>;
    async fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekFault>;
}

/// Wraps and unwraps something that is no secret, to see whether a key works and heeds the context: a provider that ignores it
/// would open what was moved to another tenant.
///
/// # Errors
/// What the key says, or that it does not heed the context.
pub async fn check(kek: &dyn Kek) -> Result<(), KekFault> {
    let (context, key) = (b"claviger/check", [0x5a; 32]);
    let wrapped = kek.wrap(context, &key).await?;
    if kek.unwrap(context, &wrapped).await?.as_slice() != key {
        return Err(KekFault::Refused);
    }
    match kek.unwrap(b"claviger/check/other", &wrapped).await {
        Err(KekFault::Refused) => Ok(()),
        Err(fault) => Err(fault),
        Ok(_) => Err(KekFault::Unavailable("it ignores the context (associated data): it must not be used".to_owned())),
    }
}

/// Whether an id is one that a key-encryption key may have.
pub fn is_kek_id(id: &str) -> bool {
    (1..=40).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The key-encryption keys that a node knows. Cheap to clone.
#[derive(Clone)]
pub struct Keks {
    primary: Arc<dyn Kek>,
    all: Arc<[Arc<dyn Kek>]>,
}

/// The list of keys makes no sense; the text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadKeks(String);

impl Keks {
    /// `primary` is the id of the one that wraps; `None` takes the first.
    ///
    /// # Errors
    /// When there is no key, none with the primary's id, two of one id, or an id that is none.
    pub fn new(all: Vec<Arc<dyn Kek>>, primary: Option<&str>) -> Result<Self, BadKeks> {
        if let Some(bad) = all.iter().find(|kek| !is_kek_id(kek.id())) {
            return Err(BadKeks(format!("`{}` is no id for a key-encryption key: 1 to 40 of a-z, 0-9 and -", bad.id())));
        }
        if let Some((_, twice)) = all.iter().enumerate().find(|(at, kek)| all[..*at].iter().any(|other| other.id() == kek.id())) {
            return Err(BadKeks(format!("there are two key-encryption keys `{}`", twice.id())));
        }
        let wanted = all.iter().find(|kek| primary.is_none_or(|id| kek.id() == id)).cloned();
        match wanted {
            Some(primary) => Ok(Self { primary, all: all.into() }),
            None => Err(BadKeks(format!("there is no key-encryption key `{}` to be the primary one", primary.unwrap_or_default()))),
        }
    }

    /// The one that wraps what is new.
    pub fn primary(&self) -> &Arc<dyn Kek> {
        &self.primary
    }

    pub fn find(&self, id: &str) -> Option<&Arc<dyn Kek>> {
        self.all.iter().find(|kek| kek.id() == id)
    }

    /// All of them, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Kek>> {
        self.all.iter()
    }

    pub(crate) fn ids(&self) -> String {
        self.all.iter().map(|kek| kek.id()).collect::<Vec<_>>().join(", ")
    }
}

impl std::fmt::Debug for Keks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keks").field("primary", &self.primary.id()).field("all", &self.ids()).finish()
    }
}

/// Where a node's list of keys comes from. It is read at the start, when it is told to, and when a row names a key that is not
/// in the list.
#[async_trait]
pub trait KekSource: Send + Sync {
    /// # Errors
    /// In words for the operator.
    async fn read(&self) -> Result<Keks, String>;
}

/// A list that never changes.
#[async_trait]
impl KekSource for Keks {
    async fn read(&self) -> Result<Keks, String> {
        Ok(self.clone())
    }
}
