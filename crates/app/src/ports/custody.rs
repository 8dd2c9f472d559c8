//! How sealed secrets and the keys above them are stored.
//!
//! A key-encryption key (KEK), which is not in the database, wraps data keys; a data key seals the secrets of one owner: a
//! tenant, or the installation itself ([`TenantId::INSTALLATION`]).
//!
//! Invariant: a data key is never written under a KEK that was retired, whatever other nodes do at the same time.

use async_trait::async_trait;
use domain::ids::{DataKeyId, TenantId};
use domain::time::Timestamp;

use crate::ports::store::Stored;

/// Whose a data key is.
pub type KeyOwner = TenantId;

/// A secret as it lies in the database: sealed with its owner's data key, with owner, kind, name and version authenticated.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// What it is for, such as `signing-key`.
    pub kind: String,
    /// Which one it is, unique among the owner's: a kid for a signing key, `refresh-token/{version}` for a token secret,
    /// `key-log` for the key that the key log is signed with.
    pub name: String,
    /// From 1; counts up when the secret behind a name is replaced. 0 = sealed in the first format, without kind and version.
    pub version: u32,
    /// Nonce, ciphertext and tag.
    pub sealed: Vec<u8>,
}

/// A data key, wrapped by a key-encryption key, with owner, id and version authenticated.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedDataKey {
    pub id: DataKeyId,
    /// From 1; counts up each time it is wrapped anew. 0 = wrapped in the first format, without id and version.
    pub version: u32,
    pub kek_id: String,
    /// In the form of the KEK's own provider.
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedSecret").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SealedDataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("SealedDataKey");
        shown.field("id", &self.id).field("version", &self.version).field("kek_id", &self.kek_id).finish_non_exhaustive()
    }
}

/// What one owner has sealed.
#[async_trait]
pub trait SecretStore: Send {
    async fn data_key(&mut self) -> Stored<Option<SealedDataKey>>;
    /// Stores the owner's data key. `Conflict` when there is one.
    async fn data_key_insert(&mut self, data_key: &SealedDataKey) -> Stored<()>;
    /// Puts it in the place of the same key in the version before. `Conflict` when the row is another one by now.
    async fn data_key_replace(&mut self, data_key: &SealedDataKey) -> Stored<()>;
    async fn sealed_secrets(&mut self) -> Stored<Vec<SealedSecret>>;
    /// `Conflict` when there is one of that name.
    async fn secret_insert(&mut self, secret: &SealedSecret) -> Stored<()>;
    /// Puts it in the place of the secret of the same name. `Conflict` when there is none.
    async fn secret_replace(&mut self, secret: &SealedSecret) -> Stored<()>;
    /// A secret of the installation that the first format kept, until it is taken over; `None` for any other owner.
    async fn first_format_secret(&mut self, name: &str) -> Stored<Option<FirstFormatSecret>>;
    /// Takes it away; answers whether it was there.
    async fn first_format_secret_remove(&mut self, name: &str) -> Stored<bool>;
}

/// A data key and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedDataKey {
    pub owner: KeyOwner,
    pub data_key: SealedDataKey,
}

/// What lies under one key-encryption key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KekUse {
    pub kek_id: String,
    /// Data keys that it wraps, the installation's among them.
    pub data_keys: u64,
    /// How many of them are in the first format.
    pub first_format: u64,
    /// When it was retired: nothing can be wrapped by it since.
    pub retired_at: Option<Timestamp>,
}

/// What came of retiring a key-encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retirement {
    /// From now on the database takes nothing that is wrapped by it.
    Retired,
    /// So many data keys still need it; nothing was changed.
    InUse(u64),
    /// This database has never seen it.
    Unknown,
}

/// A secret of the installation as the first format kept it: sealed by the key-encryption key itself.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstFormatSecret {
    pub kek_id: String,
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for FirstFormatSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstFormatSecret").field("kek_id", &self.kek_id).finish_non_exhaustive()
    }
}

/// Custody across all owners.
#[async_trait]
pub trait CustodyStore: Send {
    /// Data keys in the order of their owners, after `after`; with `unless_under`, only those which that KEK does not wrap in
    /// today's format.
    async fn data_keys_page(&mut self, unless_under: Option<&str>, after: Option<KeyOwner>, limit: u32) -> Stored<Vec<OwnedDataKey>>;
    /// Like [`SecretStore::data_key_replace`], for any owner; answers whether it was written.
    async fn data_key_rewrap(&mut self, next: &OwnedDataKey) -> Stored<bool>;
    /// Every key-encryption key that this database has seen.
    async fn kek_uses(&mut self) -> Stored<Vec<KekUse>>;
    /// Retires a key-encryption key, unless something is wrapped by it. `Conflict` when somebody uses it at this moment.
    async fn kek_retire(&mut self, kek_id: &str, now: Timestamp) -> Stored<Retirement>;
    /// The certificate of a tenant's deletion.
    async fn deletion_certificate(&mut self, tenant: TenantId) -> Stored<Option<String>>;
}

/// What goes with a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destroyed {
    /// The data key that made its secrets readable; gone.
    pub data_key: Option<DataKeyId>,
    /// Sealed secrets; gone.
    pub secrets: u64,
    /// Users and sessions that are to be erased.
    pub users: u64,
    pub sessions: u64,
}
