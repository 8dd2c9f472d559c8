//! Pairwise subjects (OpenID Connect Core, 8): what the clients of one sector know a user by. Two sectors cannot tell that they know
//! the same user.
//!
//! Invariant: a pseudonym is never a user's id in another form; only who holds the secret it was made with can read it.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::text::BadText;

/// A user's name in one sector: `pws_` and 32 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pseudonym([u8; 24]);

impl Pseudonym {
    const PREFIX: &'static str = "pws_";

    pub const fn from_bytes(bytes: [u8; 24]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 24] {
        &self.0
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for Pseudonym {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let bytes = text.strip_prefix(Self::PREFIX).and_then(|digits| URL_SAFE_NO_PAD.decode(digits).ok());
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(BadText("a pairwise subject is pws_ and 32 characters of base64url"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_survives_its_text_and_nothing_else_is_one() {
        let pseudonym = Pseudonym::from_bytes([7; 24]);
        assert_eq!(pseudonym.to_string().parse(), Ok(pseudonym));
        for wrong in ["", "pws_", "usr_01m87m7jp7ehjsnqveex4j3rcf", &pseudonym.to_string()[..35], &format!("{pseudonym}A")] {
            assert!(wrong.parse::<Pseudonym>().is_err(), "{wrong}");
        }
    }
}
