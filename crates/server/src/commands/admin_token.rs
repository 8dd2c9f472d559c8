//! `claviger admin token`: a bearer token for whoever can read both the database and the key-encryption key.
//!
//! Invariant: this is the root of trust; there is no password to begin with anywhere.

use std::sync::Arc;

use app::access::PlatformToken;
use app::ports::world::{Clock, Entropy};
use domain::time::Ttl;
use storage::SqlStore;

use super::{Failed, say};
use crate::custody;
use crate::settings::Settings;
use crate::wire::{self, SystemClock, SystemEntropy};

pub(super) async fn run(settings: &Settings, ttl: Ttl) -> Result<(), Failed> {
    let store = SqlStore::new(wire::open_ready(settings).await?);
    let custody = Arc::new(custody::open_or_new(settings, &store).await?);
    let directory = wire::visit(settings, custody, Arc::new(store.clone()));
    let mut entropy = [0; 10];
    SystemEntropy.fill(&mut entropy);
    let token = PlatformToken::issue(directory.as_ref(), entropy, ttl, SystemClock.now()).await;
    directory.shutdown().await;
    store.database().close().await?;
    say(token.map_err(|fault| format!("the installation's secret does not open ({fault}); `claviger doctor` says more"))?)
}

/// Reads `30s`, `10m` or `2h`; a bare number is seconds. At most a day.
pub(super) fn parse_ttl(text: &str) -> Result<Ttl, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u32 = number.parse().map_err(|_| "must be like 30s, 10m or 2h".to_owned())?;
    let ttl = match unit {
        "" | "s" => Ttl::seconds(number),
        "m" => Ttl::minutes(number),
        "h" => Ttl::hours(number),
        _ => return Err("must be like 30s, 10m or 2h".to_owned()),
    };
    if ttl.is_zero() || ttl > PlatformToken::LONGEST { Err("must be 1s to 24h".to_owned()) } else { Ok(ttl) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit_and_bounds() {
        assert_eq!(parse_ttl("90"), Ok(Ttl::seconds(90)));
        assert_eq!(parse_ttl("10m"), Ok(Ttl::minutes(10)));
        assert_eq!(parse_ttl("24h"), Ok(Ttl::hours(24)));
        for bad in ["", "m", "0s", "25h", "1d", "-1s", "4294967295h", "10 m", "1ü"] {
            assert!(parse_ttl(bad).is_err(), "{bad}");
        }
    }
}
