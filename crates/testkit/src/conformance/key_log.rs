//! The public log of a tenant's keys.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;

use app::ports::store::{Store, StoreError};
use futures_util::future::join_all;
use transparency::tree::{Frontier, Node};

use crate::sample;

/// Entries and hashes are where they belong, and a growth that does not begin where the log ends is refused with its ring.
pub async fn a_log_grows_at_its_end_and_with_its_ring(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let mut frontier = Frontier::default();
    let (mut ring, mut entries, mut hashes) = (home.ring.clone(), Vec::new(), Vec::new());
    // Over the edge of a tile, and over it again.
    for count in [1, 254, 3, 300] {
        let mut change = sample::ring_with(&ring, sample::kid());
        let growth = sample::growth(&mut frontier, count);
        assert_eq!(growth.begins_at(), entries.len() as u64);
        entries.extend(growth.entries.clone());
        hashes.extend(growth.hashes.clone());
        change.log = Some(growth.clone());
        let mut tx = store.begin(home.id()).await.expect("begins");
        tx.ring_replace(&change).await.expect("replaced");
        tx.commit().await.expect("commits");
        ring = change.ring;
        let mut tx = store.begin_read(home.id()).await.expect("begins");
        assert_eq!(tx.key_log_tip().await, Ok(Some(growth.tip)));
    }
    let stored = |level| hashes.iter().filter(move |(node, _)| node.level == level).map(|(_, hash)| *hash).collect::<Vec<_>>();
    assert_eq!((stored(0).len(), stored(8).len()), (558, 2));

    let mut late = sample::ring_with(&ring, sample::kid());
    late.log = Some(sample::growth(&mut Frontier::default(), 1));
    let mut ahead = sample::ring_with(&ring, sample::kid());
    frontier.push([0; 32]);
    ahead.log = Some(sample::growth(&mut frontier, 1));
    for wrong in [late, ahead] {
        let mut tx = store.begin(home.id()).await.expect("begins");
        assert_eq!(tx.ring_replace(&wrong).await, Err(StoreError::Conflict));
    }
    let mut silent = sample::ring_with(&ring, sample::kid());
    silent.log = None;
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.ring_replace(&silent).await.expect("a change of which there is nothing to tell");
    tx.commit().await.expect("commits");

    let mut tx = store.begin_read(home.id()).await.expect("begins");
    assert_eq!(tx.ring().await, Ok(Some(silent.ring)));
    assert_eq!(tx.key_log_entries(0..1_000).await, Ok(entries.clone()));
    assert_eq!(tx.key_log_entries(255..257).await, Ok(entries[255..257].to_vec()));
    assert_eq!(tx.key_log_entries(558..600).await, Ok(vec![]));
    assert_eq!(tx.key_log_hashes(0, 0..1_000).await, Ok(stored(0)));
    assert_eq!(tx.key_log_hashes(0, 256..512).await, Ok(stored(0)[256..512].to_vec()));
    assert_eq!(tx.key_log_hashes(8, 0..9).await, Ok(stored(8)));
    assert_eq!(tx.key_log_hashes(16, 0..9).await, Ok(vec![]));
    assert!(hashes.iter().any(|(node, _)| *node == Node { level: 8, index: 1 }));
    drop(tx);

    sample::gone(&*store, home.id()).await.expect("gone");
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    assert_eq!(tx.key_log_tip().await, Ok(None));
    assert_eq!(tx.key_log_entries(0..1_000).await, Ok(vec![]));
    assert_eq!(tx.key_log_hashes(0, 0..1_000).await, Ok(vec![]));
}

/// Eight nodes change one ring at once, twice: the log grows by one entry each time, and tells what the ring says.
pub async fn of_many_ring_changes_exactly_one_is_logged(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let (mut ring, mut frontier) = (home.ring.clone(), Frontier::default());
    for round in 1..=2 {
        let changes = (0..8).map(|_| {
            let store = Arc::clone(&store);
            let (tenant, mut change) = (home.id(), sample::ring_with(&ring, sample::kid()));
            let mut after = frontier.clone();
            change.log = Some(sample::growth(&mut after, 1));
            tokio::spawn(async move {
                let mut tx = store.begin(tenant).await?;
                tx.ring_replace(&change).await?;
                tx.commit().await?;
                Ok::<_, StoreError>((change, after))
            })
        });
        let mut written = Vec::new();
        for outcome in join_all(changes).await {
            match outcome.expect("no panic") {
                Ok(won) => written.push(won),
                Err(error) => assert_eq!(error, StoreError::Conflict),
            }
        }
        assert_eq!(written.len(), 1);
        let (change, after) = written.pop().expect("one");
        let growth = change.log.expect("it was told");
        let mut tx = store.begin_read(home.id()).await.expect("begins");
        assert_eq!(tx.ring().await, Ok(Some(change.ring.clone())));
        assert_eq!(tx.key_log_tip().await, Ok(Some(growth.tip)));
        let entries = tx.key_log_entries(0..9).await.expect("read");
        assert_eq!((entries.len(), entries.last()), (round, growth.entries.first()));
        assert_eq!(tx.key_log_hashes(0, 0..9).await.expect("read").len(), round);
        (ring, frontier) = (change.ring, after);
    }
}
