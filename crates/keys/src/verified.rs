//! Access tokens whose signature was found good lately. Whoever asks about the same token again, as resource servers that introspect do, does
//! not make the node check it again.
//!
//! Invariant: an entry holds for the very bytes of the token and for the very [`crate::verifier::RingVerifier`] that checked them: another
//! ring, and the same one after any change, begins with none. Only what never changes is remembered; issuer, audience and times are judged anew.

use std::sync::atomic::{AtomicU64, Ordering};

use app::warm::WarmMap;
use aws_lc_rs::digest::{self, SHA256, SHA256_OUTPUT_LEN};
use domain::time::Timestamp;
use domain::token::claims::AccessClaims;

/// The most tokens that are remembered on a node; at some hundred bytes each.
const MOST: usize = 4_096;
/// Tokens longer than this are checked each time: memory is bounded in bytes, too.
const LONGEST: usize = 2_048;

/// Shared by all verifiers of a node.
#[derive(Debug)]
pub(crate) struct Verified(WarmMap<[u8; SHA256_OUTPUT_LEN], AccessClaims>);

impl Default for Verified {
    fn default() -> Self {
        Self(WarmMap::new(MOST))
    }
}

/// Who asks: each verifier is another one.
#[derive(Debug)]
pub(crate) struct VerifierId([u8; 8]);

impl VerifierId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes())
    }
}

impl Verified {
    /// The claims of `token`, remembered or as `check` finds them.
    pub(crate) fn claims(
        &self,
        of: &VerifierId,
        token: &str,
        now: Timestamp,
        check: impl FnOnce() -> Option<AccessClaims>,
    ) -> Option<AccessClaims> {
        if token.len() > LONGEST {
            return check();
        }
        let mut name = digest::Context::new(&SHA256);
        name.update(&of.0);
        name.update(token.as_bytes());
        let mut key = [0; SHA256_OUTPUT_LEN];
        key.copy_from_slice(name.finish().as_ref());
        if let Some(known) = self.0.find(&key) {
            known.touch(now);
            return Some(known.value.clone());
        }
        let claims = check()?;
        self.0.put(key, now, claims.clone());
        Some(claims)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::node::fakes::{NOW, claims};

    #[test]
    fn a_token_is_checked_once_by_each_verifier_and_a_bad_one_each_time() {
        let verified = Verified::default();
        let checks = Cell::new(0);
        let (one, other) = (VerifierId::next(), VerifierId::next());
        let ask = |of: &VerifierId, token: &str, is_good: bool| {
            verified.claims(of, token, NOW, || {
                checks.set(checks.get() + 1);
                is_good.then(claims)
            })
        };
        for _ in 0..3 {
            assert_eq!(ask(&one, "a.b.c", true), Some(claims()));
        }
        assert_eq!(checks.get(), 1);
        assert_eq!(ask(&other, "a.b.c", false), None, "what one has found good says nothing to another");
        assert_eq!((ask(&one, "a.b.d", false), ask(&one, "a.b.d", false)), (None, None));
        assert_eq!(checks.get(), 4, "what is bad is not remembered");
        let long = "a".repeat(LONGEST + 1);
        assert!(ask(&one, &long, true).is_some() && ask(&one, &long, true).is_some());
        assert_eq!(checks.get(), 6);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let verified = Verified::default();
        let of = VerifierId::next();
        for number in 0..3 * MOST {
            verified.claims(&of, &format!("a.b.{number}"), NOW, || Some(claims()));
        }
        assert!(verified.0.len() <= MOST + MOST / 16);
    }
}
