//! The numbers of a rotation, and why some of them are refused.

use serde::{Deserialize, Serialize};

use crate::keys::ring::Alg;
use crate::time::Ttl;

/// What every node of the deployment can be relied on for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeTiming {
    /// A node knows of a changed ring after at most this long, even when every notice was lost.
    pub sweep_interval: Ttl,
    /// Clocks of nodes and verifiers differ by at most this much.
    pub clock_skew: Ttl,
}

impl Default for NodeTiming {
    fn default() -> Self {
        Self { sweep_interval: Ttl::seconds(30), clock_skew: Ttl::seconds(30) }
    }
}

/// A rotation policy as somebody writes it: numbers that nobody has looked at yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RotationNumbers {
    /// Algorithms that the ring keeps a signing key for.
    pub algs: Vec<Alg>,
    /// The one that access tokens are signed with.
    pub access_token_alg: Alg,
    /// A key is followed by a new one after this long; `null` = only by hand.
    pub rotate_every_seconds: Option<Ttl>,
    /// How long a key is published before it signs.
    pub lead_seconds: Ttl,
    /// How long a key stays published after it signed last.
    pub overlap_seconds: Ttl,
    /// How long a verifier may keep a JWKS.
    pub jwks_max_age_seconds: Ttl,
    /// The longest life of a token that these keys may sign.
    pub token_ttl_cap_seconds: Ttl,
}

impl Default for RotationNumbers {
    /// No RSA key unless the tenant asks for one: making one takes a thousand times as long (ADR 0010).
    fn default() -> Self {
        Self {
            algs: vec![Alg::ES256],
            access_token_alg: Alg::ES256,
            rotate_every_seconds: Some(Ttl::days(90)),
            lead_seconds: Ttl::hours(24),
            overlap_seconds: Ttl::hours(2),
            jwks_max_age_seconds: Ttl::minutes(5),
            token_ttl_cap_seconds: Ttl::hours(1),
        }
    }
}

/// A rotation policy that is safe on this deployment. The only way to one is [`RotationPolicy::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationPolicy {
    numbers: RotationNumbers,
    timing: NodeTiming,
}

/// Why a policy is unsafe, with the number that would be safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsafePolicy {
    #[error(
        "lead_seconds is {lead}, but a verifier may not have seen a new key for {least} s: jwks_max_age + the nodes' sweep interval + clock skew; use at least {least}"
    )]
    LeadTooShort { lead: u32, least: u32 },
    #[error(
        "overlap_seconds is {overlap}, but tokens outlive their key by up to {least} s: token_ttl_cap + twice the clock skew; use at least {least}"
    )]
    OverlapTooShort { overlap: u32, least: u32 },
    #[error(
        "rotate_every_seconds is {every}, but one rotation takes {least} s (lead + overlap) from beginning to end; use at least {least}"
    )]
    RotatesTooOften { every: u32, least: u32 },
    #[error("algs must name each algorithm once and hold access_token_alg")]
    Algorithms,
    #[error("{name} must be {least} to {most} seconds")]
    OutOfBounds { name: &'static str, least: u32, most: u32 },
}

impl RotationPolicy {
    /// Checks the numbers against each other and against what the nodes can be relied on for.
    ///
    /// # Errors
    /// The first number that is unsafe, with the least that would be safe.
    pub fn new(numbers: RotationNumbers, timing: NodeTiming) -> Result<Self, UnsafePolicy> {
        let bounded = |name, value: Ttl, least: Ttl, most: Ttl| {
            if value < least || value > most {
                return Err(UnsafePolicy::OutOfBounds { name, least: least.as_seconds(), most: most.as_seconds() });
            }
            Ok(())
        };
        bounded("jwks_max_age_seconds", numbers.jwks_max_age_seconds, Ttl::seconds(1), Ttl::days(1))?;
        bounded("token_ttl_cap_seconds", numbers.token_ttl_cap_seconds, Ttl::minutes(1), Ttl::days(1))?;
        bounded("lead_seconds", numbers.lead_seconds, Ttl::seconds(1), Ttl::days(90))?;
        bounded("overlap_seconds", numbers.overlap_seconds, Ttl::seconds(1), Ttl::days(90))?;

        let mut seen = Vec::new();
        for alg in &numbers.algs {
            if seen.contains(alg) {
                return Err(UnsafePolicy::Algorithms);
            }
            seen.push(*alg);
        }
        if !seen.contains(&numbers.access_token_alg) {
            return Err(UnsafePolicy::Algorithms);
        }

        let least_lead = numbers.jwks_max_age_seconds.plus(timing.sweep_interval).plus(timing.clock_skew);
        if numbers.lead_seconds < least_lead {
            return Err(UnsafePolicy::LeadTooShort { lead: numbers.lead_seconds.as_seconds(), least: least_lead.as_seconds() });
        }
        let least_overlap = numbers.token_ttl_cap_seconds.plus(timing.clock_skew).plus(timing.clock_skew);
        if numbers.overlap_seconds < least_overlap {
            return Err(UnsafePolicy::OverlapTooShort { overlap: numbers.overlap_seconds.as_seconds(), least: least_overlap.as_seconds() });
        }
        if let Some(every) = numbers.rotate_every_seconds {
            let least = numbers.lead_seconds.plus(numbers.overlap_seconds);
            if every < least {
                return Err(UnsafePolicy::RotatesTooOften { every: every.as_seconds(), least: least.as_seconds() });
            }
            bounded("rotate_every_seconds", every, Ttl::seconds(1), Ttl::days(3_650))?;
        }
        Ok(Self { numbers, timing })
    }

    /// The policy of a ring that was stored under other node settings: numbers that have become unsafe are raised to the
    /// least safe ones, because a ring must go on working when an operator lengthens the sweep interval.
    pub fn raised(mut numbers: RotationNumbers, timing: NodeTiming) -> Self {
        let skew = timing.clock_skew;
        numbers.lead_seconds = numbers.lead_seconds.max(numbers.jwks_max_age_seconds.plus(timing.sweep_interval).plus(skew));
        numbers.overlap_seconds = numbers.overlap_seconds.max(numbers.token_ttl_cap_seconds.plus(skew).plus(skew));
        let least = numbers.lead_seconds.plus(numbers.overlap_seconds);
        numbers.rotate_every_seconds = numbers.rotate_every_seconds.map(|every| every.max(least));
        Self { numbers, timing }
    }

    pub const fn timing(&self) -> NodeTiming {
        self.timing
    }

    /// How long a key must have been published before every verifier can know it.
    pub const fn least_lead(&self) -> Ttl {
        self.numbers.jwks_max_age_seconds.plus(self.timing.sweep_interval).plus(self.timing.clock_skew)
    }

    pub const fn numbers(&self) -> &RotationNumbers {
        &self.numbers
    }
    pub fn algs(&self) -> &[Alg] {
        &self.numbers.algs
    }
    pub const fn access_token_alg(&self) -> Alg {
        self.numbers.access_token_alg
    }
    pub const fn rotate_every(&self) -> Option<Ttl> {
        self.numbers.rotate_every_seconds
    }
    pub const fn lead(&self) -> Ttl {
        self.numbers.lead_seconds
    }
    pub const fn overlap(&self) -> Ttl {
        self.numbers.overlap_seconds
    }
    pub const fn jwks_max_age(&self) -> Ttl {
        self.numbers.jwks_max_age_seconds
    }
    pub const fn token_ttl_cap(&self) -> Ttl {
        self.numbers.token_ttl_cap_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut RotationNumbers)) -> Result<RotationPolicy, UnsafePolicy> {
        let mut numbers = RotationNumbers::default();
        change(&mut numbers);
        RotationPolicy::new(numbers, NodeTiming::default())
    }

    #[test]
    fn the_default_is_safe() {
        assert!(with(|_| ()).is_ok());
    }

    #[test]
    fn unsafe_numbers_are_refused_with_the_least_safe_one() {
        assert_eq!(with(|n| n.lead_seconds = Ttl::seconds(359)), Err(UnsafePolicy::LeadTooShort { lead: 359, least: 360 }));
        assert!(with(|n| n.lead_seconds = Ttl::seconds(360)).is_ok());
        assert_eq!(with(|n| n.overlap_seconds = Ttl::seconds(3_659)), Err(UnsafePolicy::OverlapTooShort { overlap: 3_659, least: 3_660 }));
        assert!(matches!(with(|n| n.rotate_every_seconds = Some(Ttl::hours(25))), Err(UnsafePolicy::RotatesTooOften { .. })));
        assert_eq!(with(|n| n.algs = vec![Alg::RS256]), Err(UnsafePolicy::Algorithms));
        assert_eq!(with(|n| n.algs = vec![Alg::ES256, Alg::ES256]), Err(UnsafePolicy::Algorithms));
        assert!(matches!(with(|n| n.jwks_max_age_seconds = Ttl::ZERO), Err(UnsafePolicy::OutOfBounds { .. })));
        assert!(matches!(with(|n| n.lead_seconds = Ttl::seconds(u32::MAX)), Err(UnsafePolicy::OutOfBounds { .. })));
    }
}
