//! What is the same for all JWTs that others sign: client assertions, DPoP proofs, request objects.

use serde_json::{Map, Value};

use crate::time::{Timestamp, Ttl};

/// Our clock and theirs differ by at most this much (FAPI 2.0 Security Profile, 5.3.2.1-13: between 10 and 60 seconds).
pub(crate) const SKEW: Ttl = Ttl::seconds(30);
/// Bytes of a `jti`.
const LONGEST_JTI: usize = 256;

/// A `NumericDate` (RFC 7519, 2). `None` for what is none, whatever its type.
pub(crate) fn date(value: &Value) -> Option<Timestamp> {
    // Of a fraction of a second nothing depends here.
    let seconds = value.as_f64().filter(|seconds| (0.0..=253_402_300_799.0).contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "it is within the years 1970 to 9999")]
    Some(Timestamp::from_seconds(seconds as i64))
}

/// Whether what begins a token's life is no later than now, as far as it is there.
///
/// # Errors
/// Says what is wrong.
pub(crate) fn has_begun(claims: &Map<String, Value>, now: Timestamp) -> Result<(), &'static str> {
    for name in ["nbf", "iat"] {
        match claims.get(name).map(date) {
            None => {}
            Some(Some(at)) if at <= now.plus(SKEW) => {}
            Some(Some(_)) => return Err("nbf or iat lies ahead"),
            Some(None) => return Err("nbf or iat is no date"),
        }
    }
    Ok(())
}

/// The `jti`, if it is one that can be remembered.
pub(crate) fn jti(claims: &Map<String, Value>) -> Option<&str> {
    claims.get("jti").and_then(Value::as_str).filter(|jti| (1..=LONGEST_JTI).contains(&jti.len()))
}
