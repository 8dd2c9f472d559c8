//! Key rings.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;

use app::ports::store::{Store, StoreError};

use crate::sample;

/// A ring is replaced by its successor only, and destroyed secrets are gone.
pub async fn a_ring_is_replaced_by_its_successor(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let kid = sample::kid();
    let mut change = sample::ring_with(&home.ring, kid.clone());
    change.destroyed = vec![home.ring.keys[0].kid.to_string()];
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.ring_replace(&change).await.expect("replaced");
    assert_eq!(tx.ring().await, Ok(Some(change.ring.clone())));
    assert_eq!(tx.ring_replace(&change).await, Err(StoreError::Conflict), "the generation has moved on");
    let mut names: Vec<_> = tx.sealed_secrets().await.expect("read").into_iter().map(|secret| secret.name).collect();
    names.sort();
    assert_eq!(names, [kid.as_str(), "refresh-token/1"]);
    assert_eq!(tx.data_key().await, Ok(Some(home.data_key)));
    tx.commit().await.expect("commits");
}

/// Not by its tenant, not by another, not when the ring has forgotten it, and not when its tenant is gone.
pub async fn a_kid_is_never_used_again(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let other = sample::home(&*store).await.expect("stored");
    let kid = home.ring.keys[0].kid.clone();

    let mut forgotten = sample::ring_with(&home.ring, sample::kid());
    forgotten.ring.keys.remove(0);
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.ring_replace(&forgotten).await.expect("replaced");
    tx.commit().await.expect("commits");
    let mut again = sample::ring_with(&forgotten.ring, kid.clone());
    again.new_secrets.clear();
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.ring_replace(&again).await, Err(StoreError::Conflict));
    drop(tx);

    let theirs = sample::ring_with(&other.ring, kid.clone());
    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.ring_replace(&theirs).await, Err(StoreError::Conflict));
    drop(tx);

    sample::gone(&*store, home.id()).await.expect("gone");
    let tenant = sample::tenant();
    let mut tx = store.begin(tenant.id).await.expect("begins");
    tx.tenant_insert(&tenant).await.expect("stored");
    let mut ring = sample::ring();
    ring.keys[0].kid = kid;
    assert_eq!(tx.ring_insert(&sample::data_key(), &sample::change(ring, vec![])).await, Err(StoreError::Conflict));
    drop(tx);
    let mut tx = store.begin_read(other.id()).await.expect("begins");
    assert_eq!(tx.ring().await, Ok(Some(other.ring)), "nothing of a refused change is left");
}
