//! Envelope encryption, the outer half: data keys are made, wrapped and unwrapped with the key-encryption keys that this node
//! knows.
//!
//! Invariant: owner, data key id and version are authenticated with every wrap. No transaction is open while a key-encryption
//! key is asked: it may be on the other side of a network.

use std::sync::Arc;
use std::time::{Duration, Instant};

use app::ports::custody::{KeyOwner, OwnedDataKey, SealedDataKey};
use app::ports::keys::KeyFault;
use app::ports::world::Entropy;
use arc_swap::ArcSwap;
use domain::ids::DataKeyId;
use domain::time::Timestamp;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::kek::{Kek, KekFault, KekSource, Keks};
use crate::seal::{DataKey, associated_data};

/// How long a list of keys that lacked one is taken as it is, before it is read again for the next one that it lacks.
const REREAD_PAUSE: Duration = Duration::from_secs(5);

/// A node's way to open data keys.
pub struct Custody {
    keks: ArcSwap<Keks>,
    source: Arc<dyn KekSource>,
    /// When the list was last read because it lacked a key.
    reread_at: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Custody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Custody").field("keks", &self.keks.load()).finish_non_exhaustive()
    }
}

impl Custody {
    /// Reads the list of keys for the first time.
    ///
    /// # Errors
    /// What the source says.
    pub async fn open(source: Arc<dyn KekSource>) -> Result<Self, String> {
        let keks = ArcSwap::from_pointee(source.read().await?);
        Ok(Self { keks, source, reread_at: Mutex::new(None) })
    }

    /// The keys as they are known now.
    pub fn keks(&self) -> Arc<Keks> {
        self.keks.load_full()
    }

    /// Reads the list of keys again. On an error the old one stays.
    ///
    /// # Errors
    /// What the source says.
    pub async fn reread(&self) -> Result<(), String> {
        let keks = self.source.read().await?;
        tracing::info!(?keks, "the list of key-encryption keys was read again");
        self.keks.store(Arc::new(keks));
        Ok(())
    }

    /// The key of this id; reads the list again when it is not there.
    async fn find(&self, id: &str) -> Result<Arc<dyn Kek>, KeyFault> {
        if let Some(kek) = self.keks().find(id) {
            return Ok(Arc::clone(kek));
        }
        let mut reread_at = self.reread_at.lock().await;
        if self.keks().find(id).is_none() && reread_at.is_none_or(|at| at.elapsed() > REREAD_PAUSE) {
            *reread_at = Some(Instant::now());
            if let Err(error) = self.reread().await {
                tracing::error!(%error, "the list of key-encryption keys could not be read again");
            }
        }
        let keks = self.keks();
        keks.find(id).cloned().ok_or_else(|| {
            KeyFault::Sealed(format!("check the key-encryption keys: the data was sealed with {id}, this node knows {}", keks.ids()))
        })
    }

    /// A new data key, and how it is to be stored.
    pub(crate) async fn generate(
        &self,
        owner: KeyOwner,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<(DataKey, SealedDataKey), KeyFault> {
        let mut chance = [0; 10];
        entropy.fill(&mut chance);
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        let data_key = DataKey::new(owner, DataKeyId::new(now, chance), false, bytes);
        let sealed = self.wrap(owner, &data_key, 1).await?;
        Ok((data_key, sealed))
    }

    /// Wraps an open data key with the primary key, as this version.
    pub(crate) async fn wrap(&self, owner: KeyOwner, data_key: &DataKey, version: u32) -> Result<SealedDataKey, KeyFault> {
        let keks = self.keks();
        let kek = keks.primary();
        let sealed =
            kek.wrap(&context(owner, data_key.id(), version), data_key.bytes()).await.map_err(|fault| unavailable(&**kek, &fault))?;
        Ok(SealedDataKey { id: data_key.id(), version, kek_id: kek.id().to_owned(), sealed })
    }

    /// Unwraps a data key with the key-encryption key that it names.
    ///
    /// # Errors
    /// [`KeyFault::Sealed`], telling the operator which key-encryption key is wanted and which are there; `Unavailable` when
    /// it cannot be reached.
    pub(crate) async fn unwrap(&self, owner: KeyOwner, sealed: &SealedDataKey) -> Result<DataKey, KeyFault> {
        let is_first_format = sealed.version == 0;
        let context =
            if is_first_format { format!("claviger/data-key/1|{owner}").into_bytes() } else { context(owner, sealed.id, sealed.version) };
        let what = format!("data key {}, version {}, of {owner}", sealed.id, sealed.version);
        let bytes = self.unwrap_bytes(&sealed.kek_id, &context, &sealed.sealed, &what).await?;
        Ok(DataKey::new(owner, sealed.id, is_first_format, bytes))
    }

    pub(crate) async fn unwrap_bytes(
        &self,
        kek_id: &str,
        context: &[u8],
        sealed: &[u8],
        what: &str,
    ) -> Result<Zeroizing<[u8; 32]>, KeyFault> {
        let kek = self.find(kek_id).await?;
        let refused = || {
            KeyFault::Sealed(format!(
                "check the key-encryption key: the {what} was sealed with {kek_id}, and this node's key of that id does not open it; \
                 either the key is another one, or the row was changed, moved or replaced by an older one"
            ))
        };
        let plain = kek.unwrap(context, sealed).await.map_err(|fault| match fault {
            KekFault::Refused => refused(),
            KekFault::Unavailable(_) => unavailable(&*kek, &fault),
        })?;
        Ok(Zeroizing::new(plain.as_slice().try_into().map_err(|_| refused())?))
    }

    /// The same data key under the primary key, in the next version.
    pub(crate) async fn rewrap(&self, key: &OwnedDataKey) -> Result<OwnedDataKey, KeyFault> {
        let open = self.unwrap(key.owner, &key.data_key).await?;
        let data_key = self.wrap(key.owner, &open, key.data_key.version + 1).await?;
        Ok(OwnedDataKey { owner: key.owner, data_key })
    }
}

fn context(owner: KeyOwner, id: DataKeyId, version: u32) -> Vec<u8> {
    associated_data(owner, "data-key", &id.to_string(), version)
}

fn unavailable(kek: &dyn Kek, fault: &KekFault) -> KeyFault {
    KeyFault::Unavailable(format!("the key-encryption key {} ({}) does not work: {fault}", kek.id(), kek.provider()))
}

#[cfg(test)]
mod tests {
    use domain::client::ClientId;
    use domain::ids::ClientSecretId;
    use proptest::prelude::*;

    use super::*;
    use crate::kek::LocalKek;
    use crate::node::fakes::{NOW, OsEntropy, custody, tenant};
    use crate::seal::SecretName;

    fn run<F: Future>(test: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_data_key_opens_for_its_owner_id_and_version_only(other in 0_u8..3, id in 0_u8..2, version in 0_u32..4, bit in any::<prop::sample::Index>()) {
            run(async {
                let custody = custody().await;
                let (key, sealed) = custody.generate(tenant(1), NOW, &OsEntropy).await.unwrap();
                let opened = custody.unwrap(tenant(1), &sealed).await.unwrap();
                prop_assert_eq!(opened.bytes(), key.bytes());
                let id = if id == 0 { sealed.id } else { DataKeyId::new(NOW, [77; 10]) };
                let moved = SealedDataKey { id, version, ..sealed.clone() };
                let is_same = other == 1 && id == sealed.id && version == 1;
                prop_assert_eq!(custody.unwrap(tenant(other), &moved).await.is_ok(), is_same);
                let mut changed = sealed;
                let bit = bit.index(changed.sealed.len() * 8);
                changed.sealed[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(matches!(custody.unwrap(tenant(1), &changed).await, Err(KeyFault::Sealed(_))));
                Ok(())
            })?;
        }
    }

    #[test]
    fn an_older_wrap_of_the_same_key_does_not_open_in_the_place_of_the_newer() {
        run(async {
            let custody = custody().await;
            let (_, first) = custody.generate(tenant(1), NOW, &OsEntropy).await.unwrap();
            let second = custody.rewrap(&OwnedDataKey { owner: tenant(1), data_key: first.clone() }).await.unwrap().data_key;
            assert_eq!(second.version, 2);
            assert!(custody.unwrap(tenant(1), &second).await.is_ok());
            let rolled_back = SealedDataKey { sealed: first.sealed, ..second };
            assert!(matches!(custody.unwrap(tenant(1), &rolled_back).await, Err(KeyFault::Sealed(_))));
        });
    }

    #[test]
    fn a_clients_secret_is_that_clients_alone_and_outlives_every_wrap_of_the_data_key() {
        run(async {
            let custody = custody().await;
            let (key, first) = custody.generate(tenant(1), NOW, &OsEntropy).await.unwrap();
            let named = |client: &str, n: u8| {
                SecretName::client_secret(&ClientId::try_from(client.to_owned()).unwrap(), ClientSecretId::new(NOW, [n; 10]))
            };
            let sealed = key.seal(&named("cli_a", 1), b"hush").unwrap().sealed;
            let rewrapped = custody.rewrap(&OwnedDataKey { owner: tenant(1), data_key: first }).await.unwrap().data_key;
            let after = custody.unwrap(tenant(1), &rewrapped).await.unwrap();
            for key in [&after, &after.again()] {
                assert_eq!(&**key.open_sealed(&named("cli_a", 1), &sealed).unwrap(), b"hush");
                for moved in [named("cli_b", 1), named("cli_a", 2)] {
                    assert!(matches!(key.open_sealed(&moved, &sealed), Err(KeyFault::Sealed(_))));
                }
            }
            let (stranger, _) = custody.generate(tenant(2), NOW, &OsEntropy).await.unwrap();
            assert!(stranger.open_sealed(&named("cli_a", 1), &sealed).is_err());
        });
    }

    #[test]
    fn a_wrong_key_encryption_key_is_named() {
        run(async {
            let (kek, other) = (LocalKek::generate(&OsEntropy), LocalKek::generate(&OsEntropy));
            let (id, other_id) = (kek.id().to_owned(), other.id().to_owned());
            let same_id = LocalKek::from_file_text(&other.to_file_text().expose().replace(&other_id, &id)).unwrap();
            let of = async |kek: LocalKek| Custody::open(Arc::new(Keks::new(vec![Arc::new(kek)], None).unwrap())).await.unwrap();
            let (_, sealed) = of(kek).await.generate(tenant(1), NOW, &OsEntropy).await.unwrap();
            let Err(KeyFault::Sealed(why)) = of(other).await.unwrap(tenant(1), &sealed).await.map(|_| ()) else { panic!("opened") };
            assert!(why.contains(&id) && why.contains(&other_id) && why.contains("check the key-encryption key"), "{why}");
            let Err(KeyFault::Sealed(why)) = of(same_id).await.unwrap(tenant(1), &sealed).await.map(|_| ()) else { panic!("opened") };
            assert!(why.contains(&id), "{why}");
        });
    }

    /// A list that grows between one reading and the next.
    struct Growing(std::sync::Mutex<Vec<Keks>>);

    #[async_trait::async_trait]
    impl KekSource for Growing {
        async fn read(&self) -> Result<Keks, String> {
            self.0.lock().unwrap().pop().ok_or_else(|| "gone".to_owned())
        }
    }

    #[test]
    fn a_key_that_is_not_in_the_list_makes_it_be_read_again_once() {
        run(async {
            let (old, new): (Arc<dyn Kek>, Arc<dyn Kek>) =
                (Arc::new(LocalKek::generate(&OsEntropy)), Arc::new(LocalKek::generate(&OsEntropy)));
            let both = Keks::new(vec![Arc::clone(&old), Arc::clone(&new)], Some(new.id())).unwrap();
            let elsewhere = Custody::open(Arc::new(both.clone())).await.unwrap();
            let (_, sealed) = elsewhere.generate(tenant(1), NOW, &OsEntropy).await.unwrap();
            let lists = vec![both, Keks::new(vec![old], None).unwrap()];
            let here = Custody::open(Arc::new(Growing(lists.into()))).await.unwrap();
            assert!(here.unwrap(tenant(1), &sealed).await.is_ok(), "the list was read again");
            let stranger = SealedDataKey { kek_id: "stranger".to_owned(), ..sealed.clone() };
            assert!(matches!(here.unwrap(tenant(1), &stranger).await, Err(KeyFault::Sealed(_))));
            assert!(here.unwrap(tenant(1), &sealed).await.is_ok(), "a list that cannot be read leaves the old one");
        });
    }
}
