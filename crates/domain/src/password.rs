//! What a password must be (NIST SP 800-63B-4, 3.1.1.2) and how hard its hash is (OWASP Password Storage).
//!
//! Invariant: no composition rules, no expiry, no truncation, no case folding; only length, and what is known to be guessed.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;
use zxcvbn::Score;

use crate::text::BadText;

/// A password as it was typed, in Unicode NFC, at most 1,024 bytes.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The longest password that is looked at, in bytes.
    pub const MAX_BYTES: usize = 1_024;

    /// Takes a password from outside.
    ///
    /// # Errors
    /// When it is empty or longer than [`Self::MAX_BYTES`].
    pub fn parse(text: &str) -> Result<Self, BadText> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(BadText("a password is 1 to 1024 bytes long"));
        }
        let mut normal = Zeroizing::new(String::with_capacity(text.len() * 3));
        normal.extend(text.nfc());
        Ok(Self(normal))
    }

    /// The bytes to hash.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[password]")
    }
}

/// The tenant's rules for new passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordRules {
    /// Fewest characters (code points after NFC): 15 to 64.
    pub min_length: u8,
}

impl Default for PasswordRules {
    fn default() -> Self {
        Self { min_length: 15 }
    }
}

/// Why a new password was refused, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordDenied {
    #[error("the password has {length} characters; this tenant asks for at least {least}")]
    TooShort { length: usize, least: usize },
    #[error("the password is easy to guess: {reason}")]
    Guessable { reason: String, suggestions: Vec<String> },
}

impl PasswordRules {
    /// The rules themselves make sense.
    ///
    /// # Errors
    /// When `min_length` is below 15 (a password alone, NIST 3.1.1.2) or above 64 (which must be accepted).
    pub fn validated(self) -> Result<Self, BadText> {
        if (15..=64).contains(&self.min_length) {
            Ok(self)
        } else {
            Err(BadText("password.min_length must be 15 to 64: a password that is the only factor needs 15 characters (NIST SP 800-63B-4)"))
        }
    }

    /// Looks at a new password. `context` are words an attacker would try first: the user's names, the tenant's.
    ///
    /// Takes up to some milliseconds of computing for long input: only the first 128 characters are judged.
    ///
    /// # Errors
    /// The fact that makes the password unfit.
    pub fn check(&self, password: &Password, context: &[&str]) -> Result<(), PasswordDenied> {
        let text = password.0.as_str();
        let length = text.chars().count();
        let least = usize::from(self.min_length);
        if length < least {
            return Err(PasswordDenied::TooShort { length, least });
        }
        let head: Zeroizing<String> = Zeroizing::new(text.chars().take(128).collect());
        let verdict = zxcvbn::zxcvbn(&head, context);
        if verdict.score() >= Score::Three {
            return Ok(());
        }
        let feedback = verdict.feedback();
        Err(PasswordDenied::Guessable {
            reason: feedback
                .and_then(zxcvbn::feedback::Feedback::warning)
                .map_or_else(|| "it is made of common words or patterns".to_owned(), |warning| warning.to_string()),
            suggestions: feedback.map(|f| f.suggestions().iter().map(ToString::to_string).collect()).unwrap_or_default(),
        })
    }
}

/// What becomes of a right password whose hash is weak: made by another system, or long ago, and easier to try out than any hash of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeakHashes {
    /// It is hashed anew, and that is all.
    #[default]
    Rehash,
    /// It has to be changed: whoever has got hold of the hashes may have found it out.
    MustChange,
}

/// How hard argon2id works for one hash: memory in KiB, passes, lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argon2Params {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
}

impl Default for Argon2Params {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

impl Argon2Params {
    /// OWASP's table of equally strong settings: least memory in KiB for a number of passes.
    const FLOOR: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];
    /// The most memory one hash may take, in KiB: 256 MiB.
    pub const MAX_MEMORY_KIB: u32 = 262_144;

    /// The settings are at least as strong as OWASP's floor and cannot exhaust the machine.
    ///
    /// # Errors
    /// Names the floor or the ceiling that was missed.
    pub fn validated(self) -> Result<Self, BadText> {
        if !self.meets_floor() {
            return Err(BadText(
                "argon2 is weaker than OWASP's floor: memory_kib/iterations at least 47104/1, 19456/2, 12288/3, 9216/4 or 7168/5",
            ));
        }
        if self.memory_kib > Self::MAX_MEMORY_KIB || self.iterations > 10 || !(1..=4).contains(&self.parallelism) {
            return Err(BadText("argon2 is bounded to memory_kib 262144, iterations 10, parallelism 1 to 4"));
        }
        Ok(self)
    }

    /// Whether whoever has the hash has as much to do as OWASP asks for.
    pub fn meets_floor(self) -> bool {
        Self::FLOOR.iter().any(|&(memory, passes)| self.memory_kib >= memory && self.iterations >= passes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), PasswordDenied> {
        PasswordRules::default().check(&Password::parse(text).expect("parses"), &["acme", "alice.example"])
    }

    #[test]
    fn s132_short_passwords_are_refused_and_long_ones_taken() {
        assert!(matches!(check("Tr0ub4dor&3abc"), Err(PasswordDenied::TooShort { length: 14, least: 15 })));
        assert!(check("correct zebra battery stapler").is_ok());
        assert!(check(&"vX9 qP2 mL7 ".repeat(6)[..64]).is_ok());
        assert!(Password::parse(&"x".repeat(1_025)).is_err());
    }

    #[test]
    fn s133_spaces_and_unicode_count_as_code_points_and_nfc_is_stable() {
        assert!(check("лошадь батарея скрепка").is_ok());
        let composed = Password::parse("é").expect("parses");
        let decomposed = Password::parse("e\u{301}").expect("parses");
        assert_eq!(composed.expose(), decomposed.expose());
    }

    #[test]
    fn s135_common_and_context_words_are_refused_with_a_reason() {
        for guessable in ["passwordpassword", "123456789012345", "qwertyuiopasdfgh", "aaaaaaaaaaaaaaaaaaaa", "acmealice.example"] {
            assert!(matches!(check(guessable), Err(PasswordDenied::Guessable { .. })), "{guessable}");
        }
    }

    #[test]
    fn s138_argon2_below_the_floor_is_refused() {
        let params = |memory_kib, iterations| Argon2Params { memory_kib, iterations, parallelism: 1 }.validated();
        for (memory, passes) in [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5), (65_536, 3)] {
            assert!(params(memory, passes).is_ok(), "{memory}/{passes}");
        }
        for (memory, passes) in [(47_103, 1), (19_455, 2), (7_167, 9), (0, 0), (1 << 20, 2), (19_456, 11)] {
            assert!(params(memory, passes).is_err(), "{memory}/{passes}");
        }
    }
}
