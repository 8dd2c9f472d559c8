//! Envelope encryption, the inner half: a data key, open, and the secrets that it seals.
//!
//! Invariant: owner, kind, name and version are authenticated with every seal, and who opens says which of them it wants; what
//! was moved to another owner or name, or is of another version, does not open.

use app::ports::custody::{KeyOwner, SealedSecret};
use app::ports::keys::KeyFault;
use domain::client::ClientId;
use domain::ids::{ClientSecretId, DataKeyId};
use domain::keys::ring::Kid;
use zeroize::Zeroizing;

use crate::aead;

/// What a secret is: everything that is bound into its ciphertext besides its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretName {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) version: u32,
}

impl SecretName {
    /// The private half of a signing key. A kid is used once, so there is one version.
    pub(crate) fn signing_key(kid: &Kid) -> Self {
        Self { kind: "signing-key", name: kid.as_str().to_owned(), version: 1 }
    }

    /// A version of the tenant's token secret. Several live side by side, each under a name of its own.
    pub(crate) fn token_secret(version: u16) -> Self {
        Self { kind: "token-secret", name: format!("refresh-token/{version}"), version: version.into() }
    }

    /// The key that the tenant's key log is signed with.
    pub(crate) fn log_key() -> Self {
        Self { kind: "log-key", name: "key-log".to_owned(), version: 1 }
    }

    /// A secret that a client signs with. It lies in the client's row, and goes with it.
    pub(crate) fn client_secret(client: &ClientId, secret: ClientSecretId) -> Self {
        Self { kind: "client-secret", name: format!("{client}/{secret}"), version: 1 }
    }

    /// What a secret of the first format is called today. Its kind could be told by its name.
    pub(crate) fn of_first_format(name: &str) -> Option<Self> {
        match name.strip_prefix("refresh-token/") {
            Some(version) => version.parse().ok().map(Self::token_secret),
            None => name.parse().ok().map(|kid| Self::signing_key(&kid)),
        }
    }
}

/// The associated data of everything that is sealed or wrapped: four fields, each with its length before it, so that no two
/// different things have the same.
pub(crate) fn associated_data(owner: KeyOwner, kind: &str, name: &str, version: u32) -> Vec<u8> {
    let mut data = Vec::new();
    for field in [b"claviger/2".as_slice(), owner.as_bytes(), kind.as_bytes(), name.as_bytes(), &version.to_be_bytes()] {
        data.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        data.extend_from_slice(field);
    }
    data
}

/// A data key, open.
pub(crate) struct DataKey {
    owner: KeyOwner,
    id: DataKeyId,
    /// Of the first schema, whose secrets know no kind and no version.
    is_first_format: bool,
    bytes: Zeroizing<[u8; 32]>,
}

impl DataKey {
    pub(crate) const fn new(owner: KeyOwner, id: DataKeyId, is_first_format: bool, bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { owner, id, is_first_format, bytes }
    }

    /// The same key once more, wiped for itself.
    pub(crate) fn again(&self) -> Self {
        Self { owner: self.owner, id: self.id, is_first_format: self.is_first_format, bytes: self.bytes.clone() }
    }

    /// Opens what is stored somewhere else than among the secrets.
    ///
    /// # Errors
    /// Like [`Self::open`].
    pub(crate) fn open_sealed(&self, wanted: &SecretName, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
        let SecretName { kind, name, version } = wanted.clone();
        self.open(wanted, &SealedSecret { kind: kind.to_owned(), name, version, sealed: sealed.to_vec() })
    }

    pub(crate) const fn id(&self) -> DataKeyId {
        self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Seals a secret, always in today's format.
    pub(crate) fn seal(&self, secret: &SecretName, plain: &[u8]) -> Result<SealedSecret, KeyFault> {
        let SecretName { kind, name, version } = secret.clone();
        let context = associated_data(self.owner, kind, &name, version);
        let sealed = aead::seal(&self.bytes, &context, plain).map_err(|_| KeyFault::Unavailable("sealing failed".to_owned()))?;
        Ok(SealedSecret { kind: kind.to_owned(), name, version, sealed })
    }

    /// Opens the secret that `wanted` names.
    ///
    /// # Errors
    /// [`KeyFault::Sealed`] when the row is another secret, another version, or was changed.
    pub(crate) fn open(&self, wanted: &SecretName, row: &SealedSecret) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
        let SecretName { kind, name, version } = wanted;
        let context = if self.is_first_format {
            format!("claviger/secret/1|{}|{name}", self.owner).into_bytes()
        } else {
            associated_data(self.owner, kind, name, *version)
        };
        let is_wanted =
            row.name == *name && if self.is_first_format { row.version == 0 } else { row.kind == *kind && row.version == *version };
        let opened = if is_wanted { aead::open(&self.bytes, &context, &row.sealed) } else { Err(aead::NotOpened) };
        opened.map_err(|_| {
            KeyFault::Sealed(format!(
                "the {kind} {name}, version {version}, of {} does not open with its owner's data key: the row was changed, moved or replaced by an older one",
                self.owner
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::node::fakes::tenant;

    fn key(owner: u8) -> DataKey {
        DataKey::new(tenant(owner), DataKeyId::new(crate::node::fakes::NOW, [1; 10]), false, Zeroizing::new([9; 32]))
    }

    fn name(kind: u8, name: String, version: u32) -> SecretName {
        SecretName { kind: ["signing-key", "token-secret", "totp"][usize::from(kind % 3)], name, version }
    }

    proptest! {
        #[test]
        fn a_secret_opens_as_what_it_was_sealed_and_as_nothing_else(
            plain in proptest::collection::vec(any::<u8>(), 0..100),
            (owner, kind, text, version) in (0_u8..4, 0_u8..3, "[a-c/]{0,3}", 0_u32..4),
            (other_owner, other_kind, other_text, other_version) in (0_u8..4, 0_u8..3, "[a-c/]{0,3}", 0_u32..4),
            bit in any::<prop::sample::Index>(),
        ) {
            let sealed_as = name(kind, text.clone(), version);
            let row = key(owner).seal(&sealed_as, &plain).unwrap();
            prop_assert_eq!(&**key(owner).open(&sealed_as, &row).unwrap(), &plain[..]);

            let wanted = name(other_kind, other_text, other_version);
            let is_same = owner == other_owner && wanted == sealed_as;
            prop_assert_eq!(key(other_owner).open(&wanted, &row).is_ok(), is_same);
            // The row may claim to be what is wanted: the ciphertext knows better.
            let claiming = SealedSecret { kind: wanted.kind.to_owned(), name: wanted.name.clone(), version: wanted.version, ..row.clone() };
            prop_assert_eq!(key(other_owner).open(&wanted, &claiming).is_ok(), is_same);

            let mut changed = row;
            let bit = bit.index(changed.sealed.len() * 8);
            changed.sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(matches!(key(owner).open(&sealed_as, &changed), Err(KeyFault::Sealed(_))));
        }

        #[test]
        fn different_things_have_different_associated_data(
            a in (0_u8..3, "[a-b]{0,3}", "[a-b]{0,3}", 0_u32..3), b in (0_u8..3, "[a-b]{0,3}", "[a-b]{0,3}", 0_u32..3),
        ) {
            let data = |(owner, kind, name, version): &(u8, String, String, u32)| associated_data(tenant(*owner), kind, name, *version);
            prop_assert_eq!(data(&a) == data(&b), a == b);
        }
    }

    #[test]
    fn a_newer_format_does_not_open_as_the_first() {
        let old = DataKey::new(tenant(1), key(1).id(), true, Zeroizing::new([9; 32]));
        let name = SecretName::token_secret(1);
        let row = key(1).seal(&name, b"hush").unwrap();
        assert!(old.open(&name, &row).is_err());
        assert!(old.open(&name, &SealedSecret { kind: String::new(), version: 0, ..row }).is_err());
    }

    #[test]
    fn names_of_the_first_format_are_understood() {
        let kid: Kid = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs".parse().unwrap();
        assert_eq!(SecretName::of_first_format(kid.as_str()), Some(SecretName::signing_key(&kid)));
        assert_eq!(SecretName::of_first_format("refresh-token/7"), Some(SecretName::token_secret(7)));
        assert_eq!(SecretName::of_first_format("refresh-token/x"), None);
        assert_eq!(SecretName::of_first_format("other"), None);
    }
}
