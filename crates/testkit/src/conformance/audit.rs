//! The audit log, and what is left when a tenant is gone.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;

use app::ports::store::Store;

use crate::sample;

/// Pages go backwards, and the log survives its tenant while everything else goes.
pub async fn the_audit_log_survives_its_tenant(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let records = [(); 3].map(|()| sample::audit_record(home.id()));
    let mut tx = store.begin(home.id()).await.expect("begins");
    for record in &records {
        tx.audit_append(record).await.expect("appended");
    }
    tx.source_remember(home.alice.id, &[1; 32], sample::NOW).await.expect("remembered");
    tx.commit().await.expect("commits");
    sample::gone(&*store, home.id()).await.expect("gone");

    let mut tx = store.begin_read(home.id()).await.expect("begins");
    assert_eq!(tx.tenant().await, Ok(None));
    assert_eq!(tx.users_page(None, 10).await, Ok(vec![]));
    assert_eq!(tx.family_by_id(home.family.id).await, Ok(None));
    assert_eq!(tx.ring().await, Ok(None));
    assert!(tx.sealed_secrets().await.expect("read").is_empty());
    assert_eq!(tx.source_seen(home.alice.id, &[1; 32]).await, Ok(None));

    let first = tx.audit_page(None, 2).await.expect("read");
    assert_eq!(first, [records[2].clone(), records[1].clone()]);
    assert_eq!(tx.audit_page(Some(records[1].id), 2).await, Ok(vec![records[0].clone()]));
}

/// What was not committed did not happen.
pub async fn a_dropped_transaction_rolls_back(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.audit_append(&sample::audit_record(home.id())).await.expect("appended");
    assert_eq!(tx.user_delete(home.alice.id).await, Ok(true));
    drop(tx);

    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.audit_page(None, 10).await, Ok(vec![]));
    assert_eq!(tx.user_by_id(home.alice.id).await, Ok(Some(home.alice)));
    assert_eq!(tx.family_by_id(home.family.id).await, Ok(Some(home.family)));
}
