//! Many at once: refreshes of one token, nodes that rotate one ring, guesses at one account.
//!
//! Invariant: the attempts run on tasks of their own, so that they meet in the database.

use std::sync::Arc;

use app::ports::store::{Store, StoreError};
use app::tokens::judgement::{RefreshAttempt, RefreshRefused, Verdict};
use domain::client::ClientId;
use domain::guess::GuessScope;
use domain::tenant::TenantStatus;
use domain::time::Ttl;
use domain::token::family::{Generation, Head, RefreshFamily, Refused, Superseded};
use futures_util::future::join_all;

use crate::sample::{self, NOW};

/// 64 requests with one token: one rotation, and the same successor for all.
pub async fn of_many_refreshes_exactly_one_rotates(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let attempts = (0..64).map(|_| {
        let store = Arc::clone(&store);
        let (tenant, attempt) = (home.id(), sample::attempt(home.family.id, Generation::FIRST, sample::NOW));
        tokio::spawn(async move { store.refresh(tenant, attempt).await })
    });
    let mut rotated = 0;
    let mut replayed = 0;
    for judged in join_all(attempts).await {
        let judgement = judged.expect("no panic").expect("answered").expect("the family exists");
        assert_eq!(judgement.facts.family.head.current, Generation::from_u32(2));
        assert_eq!(judgement.facts.ring_generation, 1);
        match judgement.verdict {
            Verdict::Rotated => rotated += 1,
            Verdict::Replayed => replayed += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((rotated, replayed), (1, 63));
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    let family = tx.family_by_id(home.family.id).await.expect("read").expect("there");
    assert_eq!((family.head.current, family.head.replays), (Generation::from_u32(2), 63));
}

/// Many families of several tenants at once, each presented twice: every one rotates once, for its own user and tenant.
pub async fn parallel_refreshes_do_not_mix(store: Arc<dyn Store>) {
    let mut asked = Vec::new();
    for _ in 0..3 {
        let home = sample::home(&*store).await.expect("stored");
        let mut tx = store.begin(home.id()).await.expect("begins");
        for _ in 0..10 {
            let family = sample::family(home.alice.id);
            tx.family_insert(&family).await.expect("stored");
            asked.extend([(home.id(), home.alice.id, family.id); 2]);
        }
        tx.commit().await.expect("commits");
    }
    let strangers = [(asked[0].0, asked[0].1, asked[59].2), (asked[59].0, asked[59].1, asked[0].2)];
    let attempts = asked.iter().chain(&strangers).map(|&(tenant, user, family)| {
        let store = Arc::clone(&store);
        let attempt = sample::attempt(family, Generation::FIRST, sample::NOW);
        tokio::spawn(async move { (tenant, user, family, store.refresh(tenant, attempt).await) })
    });
    let mut verdicts = std::collections::HashMap::new();
    let mut unknown = 0;
    for judged in join_all(attempts).await {
        let (tenant, user, family, judgement) = judged.expect("no panic");
        let Some(judgement) = judgement.expect("answered") else {
            unknown += 1;
            continue;
        };
        let facts = judgement.facts;
        assert_eq!((facts.tenant.id, facts.user.map(|user| user.id), facts.family.id), (tenant, Some(user), family));
        verdicts.entry(family).or_insert_with(Vec::new).push(judgement.verdict);
    }
    assert_eq!(unknown, 2, "another tenant's family is none");
    assert_eq!(verdicts.len(), 30);
    for (family, mut verdicts) in verdicts {
        verdicts.sort_by_key(|verdict| *verdict != Verdict::Rotated);
        assert_eq!(verdicts, [Verdict::Rotated, Verdict::Replayed], "{family}");
    }
}

/// Honest tokens, retries, stolen ones and strangers of several tenants, all at once: each gets what it deserves, only the
/// thieves' families end, and every record is in the log of its own tenant.
pub async fn a_mixed_batch_is_judged_one_by_one(store: Arc<dyn Store>) {
    let late = NOW.plus(Ttl::minutes(10));
    let mut asked = Vec::new();
    let mut homes = Vec::new();
    for is_active in [true, true, true, false] {
        let mut home = sample::home(&*store).await.expect("stored");
        let mut tx = store.begin(home.id()).await.expect("begins");
        let family = |head: Head| RefreshFamily { head, ..sample::family(home.alice.id) };
        let rotated = |generation: u32, at| {
            let superseded = [Some(Superseded { generation: Generation::from_u32(generation - 1), at }), None, None, None];
            Head { current: Generation::from_u32(generation), rotated_at: at, replays: 0, superseded }
        };
        let honest = [(); 4].map(|()| family(Head::first(NOW)));
        let retried = [(); 2].map(|()| family(rotated(2, late)));
        let stolen = [(); 2].map(|()| family(rotated(9, NOW)));
        for family in honest.iter().chain(&retried).chain(&stolen) {
            tx.family_insert(family).await.expect("stored");
        }
        if !is_active {
            home.tenant.status = TenantStatus::Suspended { at: NOW };
            tx.tenant_update(&home.tenant).await.expect("suspended");
        }
        tx.commit().await.expect("commits");
        let attempt = |family: &RefreshFamily, generation| sample::attempt(family.id, Generation::from_u32(generation), late);
        let of_another_client =
            RefreshAttempt { client_id: ClientId::try_from("other-app".to_owned()).expect("a client"), ..attempt(&home.family, 1) };
        let mut expect = |attempt, verdict| asked.push((home.id(), attempt, is_active, verdict));
        for family in &honest {
            expect(attempt(family, 1), Some(Verdict::Rotated));
        }
        for family in &retried {
            expect(attempt(family, 1), Some(Verdict::Replayed));
        }
        for family in &stolen {
            expect(attempt(family, 3), Some(Verdict::Reused));
        }
        expect(of_another_client, Some(Verdict::Refused(RefreshRefused::Family(Refused::OtherClient))));
        expect(attempt(&sample::family(home.alice.id), 1), None);
        homes.push((home, is_active, stolen));
    }
    let attempts = asked.into_iter().map(|(tenant, attempt, is_active, verdict)| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let judgement = store.refresh(tenant, attempt).await.expect("answered");
            let suspended = Verdict::Refused(RefreshRefused::TenantSuspended);
            let expected = if is_active { verdict } else { verdict.map(|_| suspended) };
            assert_eq!(judgement.as_ref().map(|judgement| judgement.verdict), expected);
            let Some(judgement) = judgement else { return };
            let mut tx = store.begin_read(tenant).await.expect("begins");
            assert_eq!(tx.family_by_id(judgement.facts.family.id).await, Ok(Some(judgement.facts.family)), "what was judged is stored");
        })
    });
    for outcome in join_all(attempts).await {
        outcome.expect("as expected");
    }
    for (home, is_active, stolen) in homes {
        let mut tx = store.begin_read(home.id()).await.expect("begins");
        let mut names: Vec<_> = tx.audit_page(None, 10).await.expect("read").iter().map(|record| record.event.name()).collect();
        names.sort();
        let expected: &[&str] = if is_active { &["refresh_refused", "refresh_token_reused", "refresh_token_reused"] } else { &[] };
        assert_eq!(names, expected);
        let live = tx.families_live(home.alice.id, late).await.expect("read");
        assert_eq!(live.len(), if is_active { 7 } else { 9 });
        assert_eq!(live.iter().any(|family| stolen.iter().any(|stolen| stolen.id == family.id)), !is_active);
    }
}

/// Eight nodes with a new key each: one of them is written.
pub async fn of_many_ring_changes_exactly_one_is_written(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let changes = (0..8).map(|_| {
        let store = Arc::clone(&store);
        let (tenant, change) = (home.id(), sample::ring_with(&home.ring, sample::kid()));
        tokio::spawn(async move {
            let mut tx = store.begin(tenant).await?;
            tx.ring_replace(&change).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(change.ring)
        })
    });
    let mut written = Vec::new();
    for outcome in join_all(changes).await {
        match outcome.expect("no panic") {
            Ok(ring) => written.push(ring),
            Err(error) => assert_eq!(error, StoreError::Conflict),
        }
    }
    assert_eq!(written.len(), 1);
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    assert_eq!(tx.ring().await, Ok(written.pop()));
    assert_eq!(tx.sealed_secrets().await.expect("read").len(), 3);
}

/// Parallel guesses are all counted.
pub async fn no_parallel_guess_goes_uncounted(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let guesses = (0..9).map(|_| {
        let (store, tenant) = (Arc::clone(&store), home.id());
        tokio::spawn(async move {
            let mut tx = store.begin(tenant).await?;
            let counter = sample::counter(&mut *tx, GuessScope::Source, [7; 32]).await?;
            let counter = counter.attempt(GuessScope::Source, sample::NOW).expect("nobody waits yet");
            tx.guess_counters_set(&[(GuessScope::Source, [7; 32], counter)], sample::NOW).await?;
            tx.commit().await
        })
    });
    for outcome in join_all(guesses).await {
        outcome.expect("no panic").expect("counted");
    }
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(sample::counter(&mut *tx, GuessScope::Source, [7; 32]).await.expect("read").attempts, 9);
}
