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
    assert_eq!(tx.guess_counter(GuessScope::Source, &subject).await, Ok(GuessCounter::default()));
    tx.guess_counter_set(GuessScope::Source, &subject, counter, NOW).await.expect("set");
    tx.guess_counter_set(GuessScope::AccountFromElsewhere, &subject, GuessCounter { attempts: 1, ..counter }, NOW).await.expect("set");
    assert_eq!(tx.guess_counter(GuessScope::Source, &subject).await, Ok(counter));
    tx.guess_counter_clear(GuessScope::Source, &subject).await.expect("cleared");
    assert_eq!(tx.guess_counter(GuessScope::Source, &subject).await, Ok(GuessCounter::default()));
    assert_eq!(tx.guess_counter(GuessScope::AccountFromElsewhere, &subject).await.expect("read").attempts, 1);

    let later = NOW.plus(Ttl::seconds(1));
    tx.source_remember(home.alice.id, &subject, NOW).await.expect("remembered");
    assert_eq!(tx.source_is_known(home.alice.id, &subject, later).await, Ok(false));
    tx.source_remember(home.alice.id, &subject, later).await.expect("remembered");
    assert_eq!(tx.source_is_known(home.alice.id, &subject, later).await, Ok(true));
    assert_eq!(tx.source_is_known(home.alice.id, &[4; 32], NOW).await, Ok(false));
}
