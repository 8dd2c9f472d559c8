//! Chance that comes out the same in every run, and Zipf's law.
//!
//! Invariant: nothing secret is made of it.

/// SplitMix64.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// At least 0, below 1.
    pub(super) fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Below `count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((self.share() * count as f64) as usize).min(count.saturating_sub(1))
    }
}

/// Who is asked for, and how often.
#[derive(Debug, Clone)]
pub(super) enum Spread {
    /// Everybody as often as anybody else.
    Uniform(usize),
    /// The n-th in proportion to 1 / n^s: the sums of these up to each n.
    Zipf(std::sync::Arc<[f64]>),
}

impl Spread {
    pub(super) fn zipf(count: usize, s: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=count).map(|n| {
            sum += (n as f64).powf(-s);
            sum
        });
        Self::Zipf(sums.collect())
    }

    /// The place of whoever is asked for next, from 0.
    pub(super) fn pick(&self, chance: &mut Chance) -> usize {
        match self {
            Self::Uniform(count) => chance.below(*count),
            Self::Zipf(sums) => {
                let at = chance.share() * sums.last().copied().unwrap_or_default();
                sums.partition_point(|sum| *sum <= at).min(sums.len().saturating_sub(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_asks_for_the_first_the_most_and_for_each_in_its_proportion() {
        let (spread, mut chance) = (Spread::zipf(100, 1.1), Chance::new(1));
        let mut counts = [0_u32; 100];
        for _ in 0..100_000 {
            counts[spread.pick(&mut chance)] += 1;
        }
        let ratio = f64::from(counts[0]) / f64::from(counts[9]);
        assert!((11.0..14.5).contains(&ratio), "10^1.1 is 12.6, not {ratio}");
        assert!(counts.iter().all(|count| *count > 0));
    }

    #[test]
    fn uniform_asks_for_everybody_alike() {
        let (spread, mut chance) = (Spread::Uniform(10), Chance::new(2));
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[spread.pick(&mut chance)] += 1;
        }
        assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
    }
}
