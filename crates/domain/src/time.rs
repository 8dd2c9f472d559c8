//! Moments and spans: microseconds since the Unix epoch, and whole seconds.
//!
//! Invariant: there is no `now()` here; a moment always comes from the caller's clock.

use std::fmt;
use std::str::FromStr;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC, in microseconds since the Unix epoch; shown and serialised as RFC 3339.
///
/// An integer on purpose: it is stored as one on every backend, so that comparing in SQL and in Rust is the same thing
/// (docs/src/adr/0002-integer-timestamps.md).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest moment Claviger deals with: the Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the epoch (the `NumericDate` of RFC 7519 without its fraction).
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment and `ttl` more; stops at the end of time instead of wrapping.
    pub const fn plus(self, ttl: Ttl) -> Self {
        Self(self.0.saturating_add(ttl.as_micros()))
    }

    /// This moment less `ttl`.
    pub const fn minus(self, ttl: Ttl) -> Self {
        Self(self.0.saturating_sub(ttl.as_micros()))
    }

    /// Whole seconds from now to this moment, rounded up; 0 when it has passed. For `Retry-After` and the like.
    pub fn seconds_after(self, now: Self) -> u32 {
        let micros = self.0.saturating_sub(now.0).max(0);
        u32::try_from(micros.div_euclid(1_000_000) + i64::from(micros % 1_000_000 != 0)).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).ok().and_then(|at| at.format(&Rfc3339).ok());
        match text {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an RFC 3339 moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a moment in RFC 3339 form, such as 2026-01-31T12:00:00Z")]
pub struct NotATimestamp;

/// The seconds of the years 0 to 9999 (RFC 3339, 1).
const WRITABLE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NotATimestamp)?;
        // With its offset, a moment can lie in a year that has no four digits: it could not be written again.
        if !WRITABLE.contains(&at.unix_timestamp()) {
            return Err(NotATimestamp);
        }
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).map(Self).map_err(|_| NotATimestamp)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A span of time in whole seconds; serialised as a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Debug, Default)]
#[serde(transparent)]
pub struct Ttl(u32);

impl Ttl {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    pub const fn seconds(seconds: u32) -> Self {
        Self(seconds)
    }
    pub const fn minutes(minutes: u32) -> Self {
        Self(minutes.saturating_mul(60))
    }
    pub const fn hours(hours: u32) -> Self {
        Self(hours.saturating_mul(3_600))
    }
    pub const fn days(days: u32) -> Self {
        Self(days.saturating_mul(86_400))
    }
    pub const fn as_seconds(self) -> u32 {
        self.0
    }
    pub const fn as_micros(self) -> i64 {
        self.0 as i64 * 1_000_000
    }
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    /// The sum; stops at the largest span instead of wrapping.
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
    pub const fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_secs(self.0 as u64)
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_survives_its_text() {
        let at = Timestamp::from_micros(1_795_000_000_123_456);
        assert_eq!(at.to_string().parse::<Timestamp>(), Ok(at));
    }

    #[test]
    fn seconds_after_rounds_up_and_never_goes_negative() {
        let now = Timestamp::from_micros(1_500_000);
        assert_eq!(Timestamp::from_micros(2_500_001).seconds_after(now), 2);
        assert_eq!(Timestamp::from_micros(2_500_000).seconds_after(now), 1);
        assert_eq!(Timestamp::EPOCH.seconds_after(now), 0);
    }

    #[test]
    fn time_stops_at_its_end_instead_of_wrapping() {
        assert_eq!(Timestamp::from_micros(i64::MAX).plus(Ttl::days(1)).as_micros(), i64::MAX);
    }
}
