//! Many at once: refreshes of one token, nodes that rotate one ring, guesses at one account.
//!
//! Invariant: the attempts run on tasks of their own, so that they meet in the database.

use std::sync::Arc;

use app::ports::store::{Store, StoreError};
use app::tokens::judgement::Verdict;
use domain::guess::GuessScope;
use domain::token::family::Generation;
use futures_util::future::join_all;

use crate::sample;

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
            let counter = tx.guess_counter(GuessScope::Source, &[7; 32]).await?;
            let counter = counter.attempt(GuessScope::Source, sample::NOW).expect("nobody waits yet");
            tx.guess_counter_set(GuessScope::Source, &[7; 32], counter, sample::NOW).await?;
            tx.commit().await
        })
    });
    for outcome in join_all(guesses).await {
        outcome.expect("no panic").expect("counted");
    }
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.guess_counter(GuessScope::Source, &[7; 32]).await.expect("read").attempts, 9);
}
