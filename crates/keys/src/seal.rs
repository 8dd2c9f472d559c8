//! Envelope encryption: a tenant's secrets are sealed with the tenant's data key, the data key with the key-encryption key.
//!
//! Invariant: tenant and name are authenticated with every seal, so a row that was moved to another tenant or another name
//! does not open.

use app::ports::keys::KeyFault;
use app::ports::store::{SealedDataKey, SealedSecret};
use app::ports::world::Entropy;
use domain::ids::TenantId;
use zeroize::Zeroizing;

use crate::kek::{self, Kek};

/// A tenant's data key, open.
pub(crate) struct DataKey {
    tenant: TenantId,
    bytes: Zeroizing<[u8; 32]>,
}

impl DataKey {
    /// A new data key, and how it is to be stored.
    pub(crate) fn generate(tenant: TenantId, kek: &Kek, entropy: &dyn Entropy) -> Result<(Self, SealedDataKey), KeyFault> {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        let sealed = seal_with_kek(kek, &data_key_context(tenant), &bytes)?;
        Ok((Self { tenant, bytes }, sealed))
    }

    pub(crate) fn open(tenant: TenantId, kek: &Kek, sealed: &SealedDataKey) -> Result<Self, KeyFault> {
        let bytes = open_with_kek(kek, &data_key_context(tenant), sealed)?;
        Ok(Self { tenant, bytes })
    }

    pub(crate) fn seal(&self, name: &str, plain: &[u8]) -> Result<SealedSecret, KeyFault> {
        let sealed = kek::seal(&self.bytes, &self.context(name), plain).map_err(|_| KeyFault::Unavailable("sealing failed".to_owned()))?;
        Ok(SealedSecret { name: name.to_owned(), sealed })
    }

    pub(crate) fn open_secret(&self, secret: &SealedSecret) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
        kek::open(&self.bytes, &self.context(&secret.name), &secret.sealed).map_err(|_| {
            KeyFault::Sealed(format!(
                "secret {} of {} does not open with the tenant's data key: the row was changed",
                secret.name, self.tenant
            ))
        })
    }

    fn context(&self, name: &str) -> Vec<u8> {
        format!("claviger/secret/1|{}|{name}", self.tenant).into_bytes()
    }
}

fn data_key_context(tenant: TenantId) -> Vec<u8> {
    format!("claviger/data-key/1|{tenant}").into_bytes()
}

/// Seals 32 bytes with the key-encryption key.
pub(crate) fn seal_with_kek(kek: &Kek, context: &[u8], plain: &[u8; 32]) -> Result<SealedDataKey, KeyFault> {
    let sealed = kek.seal(context, plain).map_err(|_| KeyFault::Unavailable("sealing failed".to_owned()))?;
    Ok(SealedDataKey { kek_id: kek.id().to_owned(), sealed })
}

/// Opens 32 bytes with the key-encryption key.
///
/// # Errors
/// [`KeyFault::Sealed`], telling the operator which key-encryption key is wanted and which is configured.
pub(crate) fn open_with_kek(kek: &Kek, context: &[u8], sealed: &SealedDataKey) -> Result<Zeroizing<[u8; 32]>, KeyFault> {
    if sealed.kek_id != kek.id() {
        return Err(KeyFault::Sealed(format!(
            "check the key-encryption key: the data was sealed with {}, the configured one is {}",
            sealed.kek_id,
            kek.id()
        )));
    }
    let wrong = || {
        KeyFault::Sealed(format!(
            "check the key-encryption key: the data was sealed with {}, and the configured key of that id does not open it; either the key file or the row was changed",
            sealed.kek_id
        ))
    };
    let plain = kek.open(context, &sealed.sealed).map_err(|_| wrong())?;
    let bytes: [u8; 32] = plain.as_slice().try_into().map_err(|_| wrong())?;
    Ok(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::fakes::{OsEntropy, tenant};

    #[test]
    fn a_secret_opens_for_its_tenant_and_name_only() {
        let kek = Kek::generate(&OsEntropy);
        let (mine, sealed_mine) = DataKey::generate(tenant(1), &kek, &OsEntropy).unwrap();
        let secret = mine.seal("refresh-token/1", b"hush").unwrap();
        let mine = DataKey::open(tenant(1), &kek, &sealed_mine).unwrap();
        assert_eq!(&**mine.open_secret(&secret).unwrap(), b"hush");

        let renamed = SealedSecret { name: "refresh-token/2".to_owned(), ..secret.clone() };
        assert!(matches!(mine.open_secret(&renamed), Err(KeyFault::Sealed(_))));
        let (theirs, _) = DataKey::generate(tenant(2), &kek, &OsEntropy).unwrap();
        assert!(matches!(theirs.open_secret(&secret), Err(KeyFault::Sealed(_))));
        // The same data key under another tenant's name is as useless.
        let moved = DataKey { tenant: tenant(2), bytes: mine.bytes.clone() };
        assert!(matches!(moved.open_secret(&secret), Err(KeyFault::Sealed(_))));
    }

    #[test]
    fn a_data_key_does_not_open_for_another_tenant() {
        let kek = Kek::generate(&OsEntropy);
        let (_, sealed) = DataKey::generate(tenant(1), &kek, &OsEntropy).unwrap();
        assert!(matches!(DataKey::open(tenant(2), &kek, &sealed), Err(KeyFault::Sealed(_))));
    }

    #[test]
    fn a_wrong_key_encryption_key_is_named() {
        let (kek, other) = (Kek::generate(&OsEntropy), Kek::generate(&OsEntropy));
        let (_, sealed) = DataKey::generate(tenant(1), &kek, &OsEntropy).unwrap();
        let Err(KeyFault::Sealed(why)) = DataKey::open(tenant(1), &other, &sealed) else { panic!("opened") };
        assert!(why.contains(kek.id()) && why.contains(other.id()) && why.contains("check the key-encryption key"), "{why}");
        let same_id = Kek::from_file_text(&other.to_file_text().expose().replace(other.id(), kek.id())).unwrap();
        assert!(matches!(DataKey::open(tenant(1), &same_id, &sealed), Err(KeyFault::Sealed(_))));
    }
}
