//! Bringing data keys under the primary key-encryption key, and what the first schema sealed into today's format.
//!
//! It runs beside running nodes, in batches; each write is a compare-and-swap on the version of the wrapped key. Killed at any
//! point it leaves every data key wrapped by the old key or by the new one, and the next run does what is left; two runners
//! share the work.
//!
//! Invariant: secrets stay as they are when their data key is wrapped anew; only those of the first format are sealed again.

use app::ports::custody::{KeyOwner, OwnedDataKey, SealedDataKey};
use app::ports::keys::KeyFault;
use app::ports::store::{Store, StoreError};
use domain::ids::TenantId;
use futures_util::future::join_all;

use crate::custody::Custody;
use crate::seal::SecretName;

/// Data keys that are wrapped between two commits.
const BATCH: u32 = 100;
/// Of these, how many are on their way to a key-encryption key at once: it may be on the other side of a network.
const AT_ONCE: usize = 8;
/// How often one owner of the first format is tried while others change its secrets.
const ATTEMPTS: u32 = 5;

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rewrapped {
    /// Under the primary key now, by this run.
    pub done: u64,
    /// Another runner was faster, or the tenant is gone.
    pub by_others: u64,
    /// Could not be opened; each was logged with its owner.
    pub failed: u64,
}

/// Wraps every data key with the primary key-encryption key; `said` hears of it after each batch. Running it again is harmless.
///
/// # Errors
/// `Unavailable` when the database or a key-encryption key is away; what was done by then stays done. A data key that does not
/// open is no error: it is counted, and harms nobody but its owner.
pub async fn rewrap_all(store: &dyn Store, custody: &Custody, said: &mut (dyn FnMut(Rewrapped) + Send)) -> Result<Rewrapped, KeyFault> {
    let mut total = Rewrapped::default();
    let mut after: Option<KeyOwner> = None;
    loop {
        let primary = custody.keks().primary().id().to_owned();
        let mut tx = store.begin_platform().await.map_err(KeyFault::from)?;
        let batch = tx.data_keys_page(Some(&primary), after, BATCH).await.map_err(KeyFault::from)?;
        drop(tx);
        let Some(last) = batch.last() else { return Ok(total) };
        after = Some(last.owner);

        let mut next = Vec::with_capacity(batch.len());
        for some in batch.chunks(AT_ONCE) {
            for (key, outcome) in some.iter().zip(join_all(some.iter().map(|key| renewed(store, custody, &primary, key))).await) {
                match outcome {
                    Ok(Some(wrapped)) => next.push(wrapped),
                    Ok(None) => total.done += 1,
                    Err(KeyFault::NoRing) => total.by_others += 1,
                    Err(fault @ KeyFault::Unavailable(_)) => return Err(fault),
                    Err(fault) => {
                        total.failed += 1;
                        tracing::error!(owner = %key.owner, %fault, "a data key could not be wrapped anew");
                    }
                }
            }
        }
        if !next.is_empty() {
            total = commit(store, &next, total).await?;
        }
        said(total);
    }
}

/// The key wrapped by the primary one, to be written; `None` when it is stored so already.
async fn renewed(store: &dyn Store, custody: &Custody, primary: &str, key: &OwnedDataKey) -> Result<Option<OwnedDataKey>, KeyFault> {
    let mut key = key.clone();
    if key.data_key.version == 0 {
        key.data_key = take_over(store, custody, key.owner).await?;
    }
    if key.data_key.kek_id == primary { Ok(None) } else { custody.rewrap(&key).await.map(Some) }
}

async fn commit(store: &dyn Store, next: &[OwnedDataKey], before: Rewrapped) -> Result<Rewrapped, KeyFault> {
    let mut total = before;
    let mut tx = store.begin_platform().await.map_err(KeyFault::from)?;
    for key in next {
        match tx.data_key_rewrap(key).await.map_err(KeyFault::from)? {
            true => total.done += 1,
            false => total.by_others += 1,
        }
    }
    tx.commit().await.map_err(KeyFault::from)?;
    Ok(total)
}

/// Seals all secrets of one owner in today's format, with its data key, and wraps that key as version 1, in one transaction.
/// Answers the data key as it is stored then, whoever did it.
///
/// # Errors
/// `NoRing` when the owner has no data key (any more); `Sealed` when something does not open: then nothing is changed.
pub(crate) async fn take_over(store: &dyn Store, custody: &Custody, owner: TenantId) -> Result<SealedDataKey, KeyFault> {
    for _ in 0..ATTEMPTS {
        let mut tx = store.begin_read(owner).await.map_err(KeyFault::from)?;
        // In this order: where a transaction does not see one single moment, somebody may take over between the two, and secrets of
        // today do not open with a data key of the first format.
        let secrets = tx.sealed_secrets().await.map_err(KeyFault::from)?;
        let stored = tx.data_key().await.map_err(KeyFault::from)?.ok_or(KeyFault::NoRing)?;
        drop(tx);
        if stored.version > 0 {
            return Ok(stored);
        }
        let data_key = custody.unwrap(owner, &stored).await?;
        let mut sealed = Vec::with_capacity(secrets.len());
        for secret in &secrets {
            let unknown = || KeyFault::Sealed(format!("{owner} has a secret {} that the first format did not know", secret.name));
            let name = SecretName::of_first_format(&secret.name).ok_or_else(unknown)?;
            sealed.push(data_key.seal(&name, &data_key.open(&name, secret)?)?);
        }
        let next = custody.wrap(owner, &data_key, 1).await?;
        let mut tx = store.begin(owner).await.map_err(KeyFault::from)?;
        let written = async {
            tx.data_key_replace(&next).await?;
            if tx.sealed_secrets().await? != secrets {
                return Err(StoreError::Conflict);
            }
            for secret in &sealed {
                tx.secret_replace(secret).await?;
            }
            tx.commit().await
        }
        .await;
        match written {
            Ok(()) => {
                tracing::info!(%owner, "the secrets of the first format were sealed anew");
                return Ok(next);
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(KeyFault::from(error)),
        }
    }
    Err(KeyFault::from(StoreError::Conflict))
}
