//! Data keys, sealed secrets and key-encryption keys.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;

use app::ports::store::{Destroyed, KekUse, OwnedDataKey, Retirement, SealedDataKey, Store, StoreError};
use domain::ids::TenantId;

use crate::sample::{self, NOW};

fn next_of(key: &SealedDataKey, kek_id: &str) -> SealedDataKey {
    SealedDataKey { id: key.id, version: key.version + 1, kek_id: kek_id.to_owned(), ..sample::data_key() }
}

/// The installation's as well as a tenant's.
pub async fn an_owner_has_one_data_key_and_its_versions_follow_each_other(store: Arc<dyn Store>) {
    for owner in [TenantId::INSTALLATION, sample::tenant().id] {
        let first = sample::data_key();
        let mut tx = store.begin(owner).await.expect("begins");
        assert_eq!(tx.data_key().await, Ok(None));
        tx.data_key_insert(&first).await.expect("stored");
        tx.commit().await.expect("commits");
        let mut tx = store.begin(owner).await.expect("begins");
        assert_eq!(tx.data_key_insert(&sample::data_key()).await, Err(StoreError::Conflict));
        drop(tx);

        let second = next_of(&first, "kek-2");
        let mut tx = store.begin(owner).await.expect("begins");
        let skipping = SealedDataKey { version: 3, ..second.clone() };
        assert_eq!(tx.data_key_replace(&skipping).await, Err(StoreError::Conflict));
        assert_eq!(
            tx.data_key_replace(&SealedDataKey { version: 2, ..sample::data_key() }).await,
            Err(StoreError::Conflict),
            "another key"
        );
        tx.data_key_replace(&second).await.expect("replaced");
        assert_eq!(tx.data_key_replace(&second).await, Err(StoreError::Conflict), "the version has moved on");
        assert_eq!(tx.data_key().await, Ok(Some(second)));
        tx.commit().await.expect("commits");
    }
}

/// By name; kind and version go with it.
pub async fn a_secret_is_replaced_by_its_successor(store: Arc<dyn Store>) {
    let mut tx = store.begin(TenantId::INSTALLATION).await.expect("begins");
    let (old, other, mut new) = (sample::sealed("one"), sample::sealed("two"), sample::sealed("one"));
    (new.kind, new.version) = ("renewed".to_owned(), 2);
    tx.secret_insert(&old).await.expect("stored");
    tx.secret_insert(&other).await.expect("stored");
    tx.secret_replace(&new).await.expect("replaced");
    assert_eq!(tx.secret_replace(&sample::sealed("three")).await, Err(StoreError::Conflict));
    let mut all = tx.sealed_secrets().await.expect("read");
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(all, [new, other]);
    assert_eq!(tx.first_format_secret("platform-admin").await, Ok(None));
    assert_eq!(tx.first_format_secret_remove("platform-admin").await, Ok(false));
}

/// In the order of owners; a wrap of an older version than the stored one changes nothing.
pub async fn data_keys_are_paged_and_wrapped_anew(store: Arc<dyn Store>) {
    let homes = [
        sample::home(&*store).await.expect("stored"),
        sample::home(&*store).await.expect("stored"),
        sample::home(&*store).await.expect("stored"),
    ];
    let mut keys: Vec<_> = homes.iter().map(|home| OwnedDataKey { owner: home.id(), data_key: home.data_key.clone() }).collect();
    keys.sort_by_key(|key| key.owner);
    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(tx.data_keys_page(None, None, 2).await, Ok(keys[..2].to_vec()));
    assert_eq!(tx.data_keys_page(None, Some(keys[1].owner), 2).await, Ok(keys[2..].to_vec()));
    assert_eq!(tx.data_keys_page(Some("kek-1"), None, 10).await, Ok(vec![]));
    assert_eq!(tx.data_keys_page(Some("kek-2"), None, 10).await, Ok(keys.clone()));

    let next = OwnedDataKey { owner: keys[0].owner, data_key: next_of(&keys[0].data_key, "kek-2") };
    assert_eq!(tx.data_key_rewrap(&next).await, Ok(true));
    assert_eq!(tx.data_key_rewrap(&next).await, Ok(false));
    assert_eq!(tx.data_key_rewrap(&OwnedDataKey { owner: sample::tenant().id, ..next.clone() }).await, Ok(false));
    tx.commit().await.expect("commits");
    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(tx.data_keys_page(Some("kek-2"), None, 10).await, Ok(keys[1..].to_vec()));
    assert_eq!(tx.data_keys_page(Some("kek-1"), None, 10).await, Ok(vec![next]));
    let uses = |kek_id: &str, data_keys| KekUse { kek_id: kek_id.to_owned(), data_keys, first_format: 0, retired_at: None };
    assert_eq!(tx.kek_uses().await, Ok(vec![uses("kek-1", 2), uses("kek-2", 1)]));
}

/// Also not for an owner that comes later.
pub async fn a_kek_is_retired_when_nothing_needs_it_and_wraps_nothing_afterwards(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(tx.kek_retire("kek-0", NOW).await, Ok(Retirement::Unknown));
    assert_eq!(tx.kek_retire("kek-1", NOW).await, Ok(Retirement::InUse(1)));
    let next = OwnedDataKey { owner: home.id(), data_key: next_of(&home.data_key, "kek-2") };
    assert_eq!(tx.data_key_rewrap(&next).await, Ok(true));
    tx.commit().await.expect("commits");
    for _ in 0..2 {
        let mut tx = store.begin_platform().await.expect("begins");
        assert_eq!(tx.kek_retire("kek-1", NOW).await, Ok(Retirement::Retired), "twice is as good");
        tx.commit().await.expect("commits");
    }
    let mut tx = store.begin(sample::tenant().id).await.expect("begins");
    let refused = tx.data_key_insert(&sample::data_key()).await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("kek-1 was retired")), "{refused:?}");
    drop(tx);
    let mut tx = store.begin_platform().await.expect("begins");
    let back = OwnedDataKey { owner: home.id(), data_key: next_of(&next.data_key, "kek-1") };
    assert!(tx.data_key_rewrap(&back).await.is_err());
    drop(tx);
    let mut tx = store.begin_platform().await.expect("begins");
    let uses = tx.kek_uses().await.expect("read");
    assert_eq!(uses.iter().map(|kek| (kek.data_keys, kek.retired_at)).collect::<Vec<_>>(), [(0, Some(NOW)), (1, None)]);
}

/// Ten times, because who is first is chance.
pub async fn retiring_and_using_a_kek_at_once_never_both_succeed(store: Arc<dyn Store>) {
    for round in 0..10 {
        let kek_id = format!("kek-of-round-{round}");
        // Seen once, so that it can be retired.
        let seen = SealedDataKey { kek_id: kek_id.clone(), ..sample::data_key() };
        let owner = sample::tenant().id;
        let mut tx = store.begin(owner).await.expect("begins");
        tx.data_key_insert(&seen).await.expect("stored");
        tx.commit().await.expect("commits");
        let mut tx = store.begin_platform().await.expect("begins");
        let away = OwnedDataKey { owner, data_key: next_of(&seen, "kek-away") };
        assert_eq!(tx.data_key_rewrap(&away).await, Ok(true));
        tx.commit().await.expect("commits");

        let using = {
            let (store, kek_id) = (Arc::clone(&store), kek_id.clone());
            tokio::spawn(async move {
                let mut tx = store.begin(sample::tenant().id).await?;
                tx.data_key_insert(&SealedDataKey { kek_id, ..sample::data_key() }).await?;
                tx.commit().await
            })
        };
        let retiring = {
            let (store, kek_id) = (Arc::clone(&store), kek_id.clone());
            tokio::spawn(async move {
                let mut tx = store.begin_platform().await?;
                let retirement = tx.kek_retire(&kek_id, NOW).await?;
                tx.commit().await?;
                Ok::<_, StoreError>(retirement)
            })
        };
        let (used, retired) = (using.await.expect("no panic"), retiring.await.expect("no panic"));
        let mut tx = store.begin_platform().await.expect("begins");
        let now = tx.kek_uses().await.expect("read").into_iter().find(|kek| kek.kek_id == kek_id).expect("known");
        assert_eq!(now.data_keys, u64::from(used.is_ok()), "round {round}: {used:?}");
        assert_eq!(now.retired_at.is_some(), retired == Ok(Retirement::Retired), "round {round}: {retired:?}");
        assert!(now.data_keys == 0 || now.retired_at.is_none(), "round {round}: {used:?} and {retired:?}");
    }
}

/// The certificate outlives its tenant.
pub async fn a_deletion_counts_what_it_destroys_and_keeps_its_certificate(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let mut tx = store.begin(home.id()).await.expect("begins");
    let destroyed = tx.tenant_delete(NOW).await.expect("deleted");
    let expected = Destroyed { data_key: Some(home.data_key.id), secrets: 2, users: 1, sessions: 1 };
    assert_eq!(destroyed, expected);
    assert_eq!(tx.data_key().await, Ok(None));
    tx.deletion_certify("a.b.c", NOW).await.expect("stored");
    tx.commit().await.expect("commits");
    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(tx.deletion_certificate(home.id()).await, Ok(Some("a.b.c".to_owned())));
    assert_eq!(tx.deletion_certificate(other.id()).await, Ok(None));
    assert_eq!(tx.data_keys_page(None, None, 9).await.expect("read").len(), 1);
}
