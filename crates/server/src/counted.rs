//! Counts what became of the mails that were handed over, for the metrics.
//!
//! Invariant: changes nothing about a mail, and remembers nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use app::ports::mail::{MailFault, Mailer, Outgoing};
use async_trait::async_trait;

/// A mailer, and how its mails went since the start.
pub(crate) struct CountedMails {
    mailer: Arc<dyn Mailer>,
    taken: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl CountedMails {
    pub(crate) fn new(mailer: Arc<dyn Mailer>) -> Self {
        Self { mailer, taken: AtomicU64::new(0), refused: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    /// Attempts since the start, by what came of them.
    pub(crate) fn outcomes(&self) -> Vec<(&'static str, u64)> {
        let outcomes = [("taken", &self.taken), ("refused", &self.refused), ("failed", &self.failed)];
        outcomes.into_iter().map(|(name, count)| (name, count.load(Ordering::Relaxed))).collect()
    }
}

#[async_trait]
impl Mailer for CountedMails {
    fn is_on(&self) -> bool {
        self.mailer.is_on()
    }

    async fn send(&self, mail: &Outgoing) -> Result<(), MailFault> {
        let sent = self.mailer.send(mail).await;
        let count = match &sent {
            Ok(()) => &self.taken,
            Err(MailFault::Refused(_)) => &self.refused,
            Err(MailFault::Failed(_)) => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        sent
    }
}
