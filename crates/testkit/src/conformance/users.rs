//! Users and their hashes.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;

use app::ports::store::{Store, StoreError};
use domain::secret::Secret;
use domain::time::Ttl;
use domain::user::UserStatus;

use crate::sample::{self, NOW};

/// Users are read as they were written, found by any spelling, listed in pages, and gone with all they own.
pub async fn a_user_comes_and_goes(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let mut bob = sample::user("Bob");
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.user_insert(&bob, None).await.expect("stored");
    for spelling in ["bob", "BOB", "bob@example.com", "BOB@EXAMPLE.COM"] {
        let name = spelling.parse().expect("a name");
        assert_eq!(sample::user_by_login(&mut *tx, &name).await, Ok(Some(bob.clone())), "{spelling}");
    }
    assert_eq!(tx.users_page(None, 1).await, Ok(vec![home.alice.clone()]));
    assert_eq!(tx.users_page(Some(home.alice.id), 5).await, Ok(vec![bob.clone()]));

    assert!(sample::phc_of(&mut *tx, bob.id).await.is_none());
    tx.password_hash_set(bob.id, &Secret::new("$x$".to_owned())).await.expect("set");
    (bob.status, bob.updated_at) = (UserStatus::Disabled { at: NOW }, NOW.plus(Ttl::seconds(1)));
    tx.user_update(&bob).await.expect("updated");
    assert_eq!(tx.user_by_id(bob.id).await, Ok(Some(bob.clone())));
    let phc = sample::phc_of(&mut *tx, bob.id).await;
    assert_eq!(phc.as_deref(), Some("$x$"), "an update leaves the hash");

    tx.source_remember(home.alice.id, &[1; 32], NOW).await.expect("remembered");
    assert_eq!(tx.user_delete(home.alice.id).await, Ok(true));
    assert_eq!(tx.user_delete(home.alice.id).await, Ok(false));
    assert_eq!(tx.user_by_id(home.alice.id).await, Ok(None));
    assert_eq!(tx.family_by_id(home.family.id).await, Ok(None));
    assert_eq!(tx.source_seen(home.alice.id, &[1; 32]).await, Ok(None));
    tx.commit().await.expect("commits");
}

/// A name is taken once in a tenant, in whatever spelling.
pub async fn a_name_is_taken_once(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.user_insert(&sample::user("ALICE"), None).await, Err(StoreError::Conflict));
    drop(tx);
    let mut bob = sample::user("bob");
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.user_insert(&bob, None).await.expect("stored");
    bob.names = sample::user("Alice").names;
    assert_eq!(tx.user_update(&bob).await, Err(StoreError::Conflict));
}

/// A transaction for reading refuses to write.
pub async fn a_reader_does_not_write(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    assert!(matches!(tx.user_delete(home.alice.id).await, Err(StoreError::Unavailable(_))));
    drop(tx);
    // The connection went back to its pool: it must write again for those who may.
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.user_delete(home.alice.id).await, Ok(true));
    tx.commit().await.expect("commits");
}
