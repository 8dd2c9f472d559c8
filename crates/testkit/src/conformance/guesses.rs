//! Guess counters and known sources.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;

use app::ports::store::Store;
use domain::guess::{GuessCounter, GuessScope};
use domain::time::Ttl;

use crate::sample::{self, NOW};

/// A counter is what was set last, until it is cleared; a source is known since it was seen last.
pub async fn guesses_are_counted_and_forgotten(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let subject = [3; 32];
    let counter = GuessCounter { attempts: 11, blocked_until: Some(NOW.plus(Ttl::minutes(1))) };
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(sample::counter(&mut *tx, GuessScope::Source, subject).await, Ok(GuessCounter::default()));
    tx.guess_counters_set(&[(GuessScope::Source, subject, counter)], NOW).await.expect("set");
    tx.guess_counters_set(&[(GuessScope::AccountFromElsewhere, subject, GuessCounter { attempts: 1, ..counter })], NOW).await.expect("set");
    assert_eq!(sample::counter(&mut *tx, GuessScope::Source, subject).await, Ok(counter));
    tx.guess_counter_clear(GuessScope::Source, &subject).await.expect("cleared");
    assert_eq!(sample::counter(&mut *tx, GuessScope::Source, subject).await, Ok(GuessCounter::default()));
    assert_eq!(sample::counter(&mut *tx, GuessScope::AccountFromElsewhere, subject).await.expect("read").attempts, 1);
    let asked = [(GuessScope::Source, [5; 32]), (GuessScope::AccountFromElsewhere, subject), (GuessScope::Source, subject)];
    let attempts: Vec<_> = tx.guess_counters(&asked).await.expect("read").iter().map(|counter| counter.attempts).collect();
    assert_eq!(attempts, [0, 1, 0], "in the order asked for");
    for left in [0, 0] {
        tx.guess_forgive(GuessScope::AccountFromElsewhere, &subject).await.expect("forgiven");
        assert_eq!(sample::counter(&mut *tx, GuessScope::AccountFromElsewhere, subject).await.expect("read").attempts, left);
    }

    let later = NOW.plus(Ttl::seconds(1));
    tx.source_remember(home.alice.id, &subject, NOW).await.expect("remembered");
    assert_eq!(tx.source_seen(home.alice.id, &subject).await, Ok(Some(NOW)));
    tx.source_remember(home.alice.id, &subject, later).await.expect("remembered");
    assert_eq!(tx.source_seen(home.alice.id, &subject).await, Ok(Some(later)));
    assert_eq!(tx.source_seen(home.alice.id, &[4; 32]).await, Ok(None));
}
