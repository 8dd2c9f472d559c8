//! Two tenants: whatever one does, the other neither sees nor feels it.
//!
//! Invariant: every method of a tenant's transaction appears here, or in [`super::provider`].

use std::sync::Arc;

use app::ports::store::{Grounds, SealedDataKey, Store, StoreError};
use domain::client::Client;
use domain::guess::{GuessCounter, GuessScope};
use domain::text::LoginName;
use domain::time::Ttl;
use domain::token::family::{Binding, Generation, Revocation, RevocationCause};
use transparency::tree::Frontier;

use crate::sample::{self, NOW};

/// Tenant B tries every method on what belongs to tenant A.
pub async fn no_tenant_reaches_another(store: Arc<dyn Store>) {
    let a = sample::home(&*store).await.expect("stored");
    let b = sample::home(&*store).await.expect("stored");
    let name: LoginName = "ALICE".parse().expect("a name");
    let subject = [9; 32];
    let counter = GuessCounter { attempts: 5, blocked_until: None };
    let record = sample::audit_record(a.id());
    let mut later = sample::family(a.alice.id);
    later.absolute_expires_at = a.family.absolute_expires_at.plus(Ttl::days(5));
    later.revoked = Some(Revocation { at: NOW, cause: RevocationCause::AdminRequest });
    let mut tx = store.begin(a.id()).await.expect("begins");
    tx.family_insert(&later).await.expect("stored");
    tx.guess_counters_set(&[(GuessScope::Source, subject, counter)], NOW).await.expect("set");
    tx.source_remember(a.alice.id, &subject, NOW).await.expect("remembered");
    tx.audit_append(&record).await.expect("appended");
    let mut change = sample::ring_with(&a.ring, sample::kid());
    let growth = sample::growth(&mut Frontier::default(), 3);
    change.log = Some(growth.clone());
    tx.ring_replace(&change).await.expect("replaced");
    tx.commit().await.expect("commits");
    let sighting = sample::sighting(NOW);
    let mut tx = store.begin(b.id()).await.expect("begins");
    tx.ring_due(NOW).await.expect("written");
    tx.commit().await.expect("commits");
    let mut tx = store.begin_platform().await.expect("begins");
    let due: Vec<_> = tx.rings_claim(NOW, Ttl::ZERO, 10).await.expect("claimed").into_iter().map(|mark| mark.tenant_id).collect();
    assert_eq!(due, [b.id()]);
    tx.verifiers_merge(&[(a.id(), sighting.clone())], 9).await.expect("merged");
    tx.commit().await.expect("commits");

    let revocation = Revocation { at: NOW, cause: RevocationCause::AdminRequest };
    let mut tx = store.begin(b.id()).await.expect("begins");
    assert_eq!(tx.tenant_id(), b.id());
    assert_eq!(tx.tenant().await, Ok(Some(b.tenant.clone())));
    assert_eq!(tx.user_by_id(a.alice.id).await, Ok(None));
    assert_eq!(sample::user_by_login(&mut *tx, &name).await, Ok(Some(b.alice.clone())), "the same name in both");
    assert_eq!(tx.users_page(None, 10).await, Ok(vec![b.alice.clone()]));
    assert_eq!(tx.user_update(&a.alice).await, Err(StoreError::Conflict));
    assert_eq!(tx.user_delete(a.alice.id).await, Ok(false));
    assert!(sample::phc_of(&mut *tx, a.alice.id).await.is_none());
    assert_eq!(tx.password_hash_set(a.alice.id, &b.phc).await, Err(StoreError::Conflict));
    assert_eq!(tx.family_by_id(a.family.id).await, Ok(None));
    assert_eq!(tx.families_live(a.alice.id, NOW).await, Ok(vec![]));
    assert_eq!(tx.families_last_end().await, Ok(Some(b.family.absolute_expires_at)));
    assert_eq!(tx.families_moved(NOW.minus(Ttl::seconds(1)), NOW).await, Ok(1), "its own");
    tx.family_bind(a.family.id, Binding::Dpop(sample::thumbprint())).await.expect("answered");
    assert_eq!(tx.family_revoke(a.family.id, revocation).await, Ok(false));
    assert_eq!(tx.families_revoke(a.alice.id, revocation).await, Ok(0));
    let later = NOW.plus(Ttl::days(1));
    assert_eq!(tx.families_revoke_opened(later, revocation, 100).await, Ok(1), "its own");
    assert_eq!(tx.ring().await, Ok(Some(b.ring.clone())));
    assert_eq!(tx.data_key().await, Ok(Some(b.data_key.clone())));
    let names: Vec<_> = tx.sealed_secrets().await.expect("read").into_iter().map(|secret| secret.name).collect();
    assert_eq!(names.len(), 2);
    assert!(!names.contains(&a.ring.keys[0].kid.as_str().to_owned()));
    assert_eq!(tx.key_log_tip().await, Ok(None));
    assert_eq!(tx.key_log_entries(0..9).await, Ok(vec![]));
    assert_eq!(tx.key_log_hashes(0, 0..9).await, Ok(vec![]));
    let theirs = sample::data_key();
    assert_eq!(tx.data_key_insert(&theirs).await, Err(StoreError::Conflict), "B has one");
    drop(tx);
    let mut tx = store.begin(b.id()).await.expect("begins");
    let next = SealedDataKey { version: a.data_key.version + 1, ..a.data_key.clone() };
    assert_eq!(tx.data_key_replace(&next).await, Err(StoreError::Conflict), "A's is not B's to wrap");
    assert_eq!(tx.secret_replace(&sample::sealed(a.ring.keys[0].kid.as_str())).await, Err(StoreError::Conflict));
    assert_eq!(tx.first_format_secret("platform-admin").await, Ok(None));
    assert_eq!(sample::counter(&mut *tx, GuessScope::Source, subject).await, Ok(GuessCounter::default()));
    tx.guess_forgive(GuessScope::Source, &subject).await.expect("forgiven");
    tx.guess_counter_clear(GuessScope::Source, &subject).await.expect("cleared");
    assert_eq!(tx.source_seen(a.alice.id, &subject).await, Ok(None));
    assert_eq!(tx.source_is_any(a.alice.id).await, Ok(false));
    assert_eq!(tx.audit_page(None, 10).await, Ok(vec![]));
    assert_eq!(tx.verifiers().await, Ok(vec![]));
    assert_eq!(tx.audit_append(&record).await, Err(StoreError::Conflict), "a record of A is not B's to write");
    assert_eq!(tx.tenant_insert(&a.tenant).await, Err(StoreError::Conflict));
    assert_eq!(tx.tenant_update(&a.tenant).await, Err(StoreError::Conflict));
    assert_eq!(tx.tenant_locked().await, Ok(Some(b.tenant.clone())));
    assert_eq!(tx.tenant_erase(10).await, Ok(true), "nothing to erase of a tenant that lives");
    // The same user id in both tenants: a row of its own.
    let mut twin = sample::user("twin");
    twin.id = a.alice.id;
    tx.user_insert(&twin, Some(&b.phc)).await.expect("B may have it too");
    let mut replaced = sample::ring_with(&b.ring, sample::kid());
    replaced.log = Some(sample::growth(&mut Frontier::default(), 2));
    tx.ring_replace(&replaced).await.expect("replaced");
    tx.commit().await.expect("commits");
    let attempt = sample::attempt(a.family.id, Generation::FIRST, NOW);
    assert!(store.refresh(b.id(), attempt).await.expect("answered").is_none());

    sample::gone(&*store, b.id()).await.expect("gone");

    let mut tx = store.begin(a.id()).await.expect("begins");
    assert_eq!(tx.tenant().await, Ok(Some(a.tenant.clone())));
    assert_eq!(tx.user_by_id(a.alice.id).await, Ok(Some(a.alice.clone())));
    assert_eq!(sample::phc_of(&mut *tx, a.alice.id).await, Some(a.phc.expose().clone()));
    assert_eq!(tx.families_live(a.alice.id, NOW).await, Ok(vec![a.family.clone()]));
    assert_eq!(tx.families_last_end().await, Ok(Some(a.family.absolute_expires_at)));
    assert_eq!(tx.ring().await, Ok(Some(change.ring)));
    assert_eq!(tx.data_key().await, Ok(Some(a.data_key.clone())));
    assert_eq!(tx.sealed_secrets().await.expect("read").len(), 3);
    assert_eq!(sample::counter(&mut *tx, GuessScope::Source, subject).await, Ok(counter));
    assert!(tx.source_seen(a.alice.id, &subject).await.expect("read").is_some());
    assert_eq!(tx.source_is_any(a.alice.id).await, Ok(true));
    assert_eq!(tx.key_log_tip().await, Ok(Some(growth.tip)));
    assert_eq!(tx.key_log_entries(0..9).await, Ok(growth.entries));
    assert_eq!(tx.key_log_hashes(0, 0..9).await.map(|hashes| hashes.len()), Ok(3));
    assert_eq!(tx.audit_page(None, 10).await, Ok(vec![record]));
    assert_eq!(tx.verifiers().await, Ok(vec![sighting]));
}

/// Those who look at tokens share reads, and each gets its own tenant's, as it is at that moment.
pub async fn what_tokens_stand_on_is_read_together(store: Arc<dyn Store>) {
    let homes = [sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored")];
    let client = sample::client();
    for home in &homes {
        let mut tx = store.begin(home.id()).await.expect("begins");
        // The same id in both.
        let client = Client { created_at: NOW.plus(Ttl::seconds(u32::from(home.id() == homes[0].id()))), ..client.clone() };
        tx.client_insert(&client).await.expect("stored");
        tx.commit().await.expect("commits");
    }
    let ask = |number: usize| {
        let (store, home, client) = (Arc::clone(&store), &homes[number % 2], client.id.clone());
        // One in three asks for what is the other tenant's.
        let session = if number.is_multiple_of(3) { homes[(number + 1) % 2].family.id } else { home.family.id };
        let tenant = home.id();
        tokio::spawn(async move { (store.client(tenant, &client).await, store.grounds(tenant, Some(&client), Some(session)).await) })
    };
    let asked: Vec<_> = (0..96).map(ask).collect();
    for (number, asked) in asked.into_iter().enumerate() {
        let home = &homes[number % 2];
        let (found, grounds) = asked.await.expect("no panic");
        let found = found.expect("read").expect("there");
        assert_eq!(found.created_at, NOW.plus(Ttl::seconds(u32::from(number % 2 == 0))));
        let session = (!number.is_multiple_of(3)).then(|| (home.family.clone(), Some(home.alice.clone())));
        assert_eq!(grounds, Ok(Grounds { tenant: Some(home.tenant.clone()), client: Some(found), session }));
    }

    // What has changed is seen by whoever asks after it.
    let home = &homes[0];
    let revocation = Revocation { at: NOW, cause: RevocationCause::AdminRequest };
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.family_revoke(home.family.id, revocation).await, Ok(true));
    assert_eq!(tx.client_delete(&client.id).await, Ok(true));
    tx.commit().await.expect("commits");
    let grounds = store.grounds(home.id(), Some(&client.id), Some(home.family.id)).await.expect("read");
    assert_eq!((grounds.client, grounds.session.map(|(family, _)| family.revoked)), (None, Some(Some(revocation))));
    assert_eq!(store.client(home.id(), &client.id).await, Ok(None));
    let grounds = store.grounds(home.id(), None, None).await;
    assert_eq!(grounds, Ok(Grounds { tenant: Some(home.tenant.clone()), client: None, session: None }));
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.tenant_delete(NOW).await.expect("deleted");
    tx.commit().await.expect("commits");
    assert_eq!(store.grounds(home.id(), None, None).await.expect("read").tenant, None);
}
