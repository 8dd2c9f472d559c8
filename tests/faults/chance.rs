//! Chance that can be had again: all of it comes from one seed, which is printed.

use std::hash::{BuildHasher, Hasher, RandomState};

use app::ports::world::Entropy;
use testkit::entropy::SeededEntropy;

#[derive(Debug)]
pub(crate) struct Chance(SeededEntropy);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub(crate) fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Less than `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// An index of a slice of this length; `None` when it is empty.
    pub(crate) fn index(&self, length: usize) -> Option<usize> {
        (length > 0).then(|| usize::try_from(self.below(length as u64)).expect("it fits"))
    }
}

/// The seed of `CLAVIGER_FAULTS_SEED`, or a new one.
pub(crate) fn seed() -> u64 {
    number_from("CLAVIGER_FAULTS_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 16)
}

/// Whether there is time: `cargo xtask faults --long`.
pub(crate) fn is_long() -> bool {
    number_from("CLAVIGER_FAULTS_LONG").is_some_and(|number| number > 0)
}

/// A number that the environment sets.
pub(crate) fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")))
}
