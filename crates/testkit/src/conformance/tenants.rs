//! The tenant's own row: changing it, and the two steps of its end.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;
use std::time::Duration;

use app::ports::store::{Store, StoreError};
use domain::guess::{GuessCounter, GuessScope};
use domain::time::Ttl;
use domain::token::family::Generation;
use futures_util::future::join_all;

use crate::sample::{self, NOW};

/// A deleted tenant is gone for everybody at once, its rows go in portions whatever happens in between, and its slug is free
/// when they are gone.
pub async fn a_deleted_tenant_is_gone_at_once_and_erased_in_portions(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let other = sample::home(&*store).await.expect("stored");
    let mut tx = store.begin(home.id()).await.expect("begins");
    for n in 0..3 {
        tx.family_insert(&sample::family(home.alice.id)).await.expect("stored");
        tx.user_insert(&sample::user(&format!("user{n}")), None).await.expect("stored");
        tx.source_remember(home.alice.id, &[n; 32], NOW).await.expect("remembered");
        tx.guess_counters_set(&[(GuessScope::Source, [n; 32], GuessCounter { attempts: 1, blocked_until: None })], NOW).await.expect("set");
    }
    tx.audit_append(&sample::audit_record(home.id())).await.expect("appended");
    tx.commit().await.expect("commits");

    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.tenant_delete(NOW).await.expect("deleted");
    drop(tx);
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.tenant_locked().await, Ok(Some(home.tenant.clone())), "what was not committed did not happen");
    assert_eq!(tx.tenant_erase(100).await, Ok(true), "a living tenant is not erased");
    tx.tenant_delete(NOW).await.expect("deleted");
    tx.commit().await.expect("commits");

    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!((tx.tenant().await, tx.tenant_locked().await), (Ok(None), Ok(None)));
    assert_eq!(tx.ring().await, Ok(None));
    assert!(tx.sealed_secrets().await.expect("read").is_empty(), "no key outlives the deletion");
    assert_eq!(tx.tenant_update(&home.tenant).await, Err(StoreError::Conflict));
    assert_eq!(tx.tenant_delete(NOW).await, Err(StoreError::Conflict), "once");
    drop(tx);
    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(tx.tenant_by_slug(&home.tenant.slug).await, Ok(None));
    assert_eq!(tx.tenant_by_id(home.id()).await, Ok(None));
    assert_eq!(tx.tenants_page(None, 10).await, Ok(vec![other.tenant.clone()]));
    assert_eq!(tx.ring_generations(&[home.id()]).await, Ok(vec![]));
    assert_eq!(tx.tenants_deleted(10).await, Ok(vec![home.id()]));
    drop(tx);
    let attempt = sample::attempt(home.family.id, Generation::FIRST, NOW);
    assert!(store.refresh(home.id(), attempt).await.expect("answered").is_none());
    let mut heir = sample::tenant();
    heir.slug = home.tenant.slug.clone();
    let mut tx = store.begin(heir.id).await.expect("begins");
    assert_eq!(tx.tenant_insert(&heir).await, Err(StoreError::Conflict), "the slug is not free yet");
    drop(tx);

    // 4 families, 3 sources, 3 counters and 4 users: seven portions of two, and one for the tenant itself.
    let mut portions = 0;
    loop {
        let mut tx = store.begin(home.id()).await.expect("begins");
        tx.tenant_erase(2).await.expect("erased");
        // The process dies here; the next one goes on from what was committed.
        drop(tx);
        let mut tx = store.begin(home.id()).await.expect("begins");
        let is_done = tx.tenant_erase(2).await.expect("erased");
        tx.commit().await.expect("commits");
        portions += 1;
        if is_done {
            break;
        }
    }
    assert_eq!(portions, 8);
    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(tx.tenants_deleted(10).await, Ok(vec![]));
    drop(tx);
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.users_page(None, 10).await, Ok(vec![]));
    assert_eq!(tx.family_by_id(home.family.id).await, Ok(None));
    assert_eq!(tx.source_seen(home.alice.id, &[1; 32]).await, Ok(None));
    assert_eq!(sample::counter(&mut *tx, GuessScope::Source, [1; 32]).await, Ok(GuessCounter::default()));
    assert_eq!(tx.audit_page(None, 10).await.expect("read").len(), 1, "the log remains");
    drop(tx);
    let mut tx = store.begin(heir.id).await.expect("begins");
    assert_eq!(tx.tenant_insert(&heir).await, Ok(()));
    drop(tx);
    let mut tx = store.begin_read(other.id()).await.expect("begins");
    assert_eq!(tx.family_by_id(other.family.id).await, Ok(Some(other.family)), "another tenant feels nothing");
}

/// New tenants are stored together with all that they begin with, or not at all.
pub async fn new_tenants_are_stored_whole_or_not_at_all(store: Arc<dyn Store>) {
    let (a, b) = (sample::new_tenant(), sample::new_tenant());
    store.tenants_insert(&[a.clone(), b.clone()]).await.expect("stored");
    for new in [&a, &b] {
        let mut tx = store.begin_read(new.tenant.id).await.expect("begins");
        assert_eq!(tx.tenant().await, Ok(Some(new.tenant.clone())));
        assert_eq!(tx.ring().await, Ok(Some(new.ring.ring.clone())));
        assert_eq!(tx.data_key().await, Ok(Some(new.data_key.clone())));
        assert_eq!(tx.sealed_secrets().await.expect("read").len(), new.ring.new_secrets.len());
        assert_eq!(tx.users_page(None, 10).await, Ok(vec![new.users[0].0.clone()]));
        let phc = sample::phc_of(&mut *tx, new.users[0].0.id).await;
        assert_eq!(phc, new.users[0].1.as_ref().map(|phc| phc.expose().clone()));
        assert_eq!(tx.audit_page(None, 10).await, Ok(new.audit.clone()));
    }
    // One in the batch is taken, by its slug, its users' names or a kid: nothing of the others is there.
    let fresh = sample::new_tenant();
    let mut of_slug = sample::new_tenant();
    of_slug.tenant.slug = a.tenant.slug.clone();
    let mut of_user = sample::new_tenant();
    of_user.users.push((sample::user("alice"), None));
    let mut of_kid = sample::new_tenant();
    of_kid.ring.ring.keys[0].kid = a.ring.ring.keys[0].kid.clone();
    for taken in [of_slug, of_user, of_kid] {
        assert_eq!(store.tenants_insert(&[fresh.clone(), taken]).await, Err(StoreError::Conflict));
        let mut tx = store.begin_read(fresh.tenant.id).await.expect("begins");
        assert_eq!((tx.tenant().await, tx.ring().await), (Ok(None), Ok(None)));
        assert_eq!(tx.users_page(None, 10).await, Ok(vec![]));
    }
    store.tenants_insert(&[fresh]).await.expect("it was not its fault");
}

/// Sixteen changes of one tenant at once, each of what the one before left: none undoes another.
pub async fn parallel_changes_of_a_tenant_are_all_kept(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let changes = (0..16).map(|_| {
        let (store, id) = (Arc::clone(&store), home.id());
        tokio::spawn(async move {
            let mut tx = store.begin(id).await?;
            let mut tenant = tx.tenant_locked().await?.expect("there");
            let ttl = tenant.policy.access_ttl_seconds.as_micros() / 1_000_000 + 1;
            tenant.policy.access_ttl_seconds = Ttl::seconds(u32::try_from(ttl).expect("a small number"));
            tx.tenant_update(&tenant).await?;
            tx.commit().await
        })
    });
    for outcome in join_all(changes).await {
        outcome.expect("no panic").expect("changed");
    }
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    let ttl = tx.tenant().await.expect("read").expect("there").policy.access_ttl_seconds;
    assert_eq!(ttl.as_micros(), home.tenant.policy.access_ttl_seconds.as_micros() + 16_000_000);
}

/// Sixteen changes of one user at once, each of another claim: none undoes another.
pub async fn parallel_changes_of_a_user_are_all_kept(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let changes = (0..16_i64).map(|n| {
        let (store, tenant, id) = (Arc::clone(&store), home.id(), home.alice.id);
        tokio::spawn(async move {
            let mut tx = store.begin(tenant).await?;
            let mut user = tx.user_by_id(id).await?.expect("there");
            user.updated_at = user.updated_at.plus(Ttl::seconds(1 << n));
            tx.user_update(&user).await?;
            tx.commit().await
        })
    });
    for outcome in join_all(changes).await {
        outcome.expect("no panic").expect("changed");
    }
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    let user = tx.user_by_id(home.alice.id).await.expect("read").expect("there");
    assert_eq!(user.updated_at, NOW.plus(Ttl::seconds((1 << 16) - 1)), "each second was added once");
}

/// Whoever has seen the tenant in a transaction that writes holds up its deletion, so that nothing is written after it.
pub async fn nothing_is_written_for_a_deleted_tenant(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert!(tx.tenant().await.expect("read").is_some());
    let mut end = {
        let (store, tenant) = (Arc::clone(&store), home.id());
        tokio::spawn(async move { sample::gone(&*store, tenant).await })
    };
    // A store that does not hold it up has ample time to show it; one that does is not put to the test by the clock.
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut end).await.is_err(), "the deletion waits");
    tx.user_insert(&sample::user("bob"), None).await.expect("stored");
    tx.commit().await.expect("commits");
    end.await.expect("no panic").expect("gone");
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.users_page(None, 10).await, Ok(vec![]), "bob came before the end, and went with it");
    assert_eq!(tx.tenant().await, Ok(None), "whoever comes later is told");
}
