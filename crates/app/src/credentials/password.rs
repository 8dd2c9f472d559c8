//! Making and checking password hashes. New ones are argon2id; argon2, bcrypt, scrypt and pbkdf2 are understood and
//! upgraded at the next login.
//!
//! Invariant: a user who does not exist costs the same computing as one who does ([`decoy`]).

use std::collections::BTreeSet;

use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, Version};
use domain::password::{Argon2Params, Password};
use domain::secret::Secret;
use domain::text::BadText;
use password_hash::PasswordVerifier;
use password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use subtle::ConstantTimeEq;

use crate::credentials::hash_pool::HashMemory;

/// The bytes of an argon2 hash: all 256 bits of its usual size.
const OUTPUT_BYTES: usize = 32;

fn argon2(memory: &mut HashMemory, argon2: &Argon2<'_>, password: &Password, salt: &[u8], out: &mut [u8]) -> Option<()> {
    let blocks = memory.blocks(argon2.params().block_count());
    argon2.hash_password_into_with_memory(password.expose(), salt, out, blocks).ok()
}

/// Hashes a password to a PHC string. Takes tens of milliseconds and `memory_kib` of memory: only on the pool.
/// `None` when the parameters are absurd, which a validated policy excludes.
pub fn hash(memory: &mut HashMemory, password: &Password, params: Argon2Params, salt: &[u8; 16]) -> Option<Secret<String>> {
    let params = Params::new(params.memory_kib, params.iterations, params.parallelism, None).ok()?;
    let mut out = [0; OUTPUT_BYTES];
    argon2(memory, &Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone()), password, salt, &mut out)?;
    let phc = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).ok()?,
        salt: Some(Salt::new(salt).ok()?),
        hash: Some(Output::new(&out).ok()?),
    };
    Some(Secret::new(phc.to_string()))
}

fn is_argon2_of(memory: &mut HashMemory, password: &Password, stored: &PasswordHash) -> Option<bool> {
    let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
    let version = stored.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let (salt, wanted) = (stored.salt.as_ref()?, stored.hash.as_ref()?);
    let mut out = vec![0; wanted.len()];
    argon2(memory, &Argon2::new(algorithm, version, Params::try_from(stored).ok()?), password, salt, &mut out)?;
    Some(out.ct_eq(wanted.as_bytes()).into())
}

/// What looking at a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Right, and stored as it should be.
    Right,
    /// Right, but stored in another or a weaker way than the policy asks for.
    RightButOutdated,
    /// Right, and stored in a way that OWASP Password Storage finds too weak.
    RightButWeak,
    Wrong,
}

/// Checks a password against a stored hash. Takes as long as that hash: only on the pool.
pub fn check(memory: &mut HashMemory, password: &Password, phc: &Secret<String>, wanted: Argon2Params) -> Checked {
    let text = phc.expose().as_str();
    if is_bcrypt(text) {
        // bcrypt looks at 72 bytes only: a longer password never matches by its beginning (Okta 2024).
        let right = password.expose().len() <= 72 && bcrypt::verify(password.expose(), text).unwrap_or(false);
        let is_strong = || text.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() >= STRONG_BCRYPT);
        return match right {
            false => Checked::Wrong,
            true if is_strong() => Checked::RightButOutdated,
            true => Checked::RightButWeak,
        };
    }
    let Ok(parsed) = PasswordHash::new(text) else { return Checked::Wrong };
    let right = match parsed.algorithm.as_str() {
        "argon2id" | "argon2i" | "argon2d" => is_argon2_of(memory, password, &parsed).unwrap_or(false),
        "scrypt" => scrypt::Scrypt::default().verify_password(password.expose(), &parsed).is_ok(),
        "pbkdf2-sha256" | "pbkdf2-sha512" => pbkdf2::Pbkdf2::default().verify_password(password.expose(), &parsed).is_ok(),
        _ => false,
    };
    match right {
        false => Checked::Wrong,
        true if is_as_wanted(&parsed, wanted) => Checked::Right,
        true if is_strong(&parsed) => Checked::RightButOutdated,
        true => Checked::RightButWeak,
    }
}

/// The least cost of bcrypt that is strong enough (OWASP Password Storage).
const STRONG_BCRYPT: u32 = 10;

/// Least numbers of scrypt that are strong enough, each as the logarithm of N, and p; with r = 8 (OWASP Password Storage).
const STRONG_SCRYPT: [(u8, u32); 5] = [(17, 1), (16, 2), (15, 3), (14, 5), (13, 10)];

/// Least rounds of PBKDF2 by its hash (OWASP Password Storage).
const STRONG_PBKDF2: [(&str, u32); 2] = [("pbkdf2-sha256", 600_000), ("pbkdf2-sha512", 210_000)];

/// Whether whoever has the hash has as much to do as OWASP Password Storage asks for.
fn is_strong(parsed: &PasswordHash) -> bool {
    match parsed.algorithm.as_str() {
        "argon2id" => Params::try_from(parsed).is_ok_and(|params| {
            Argon2Params { memory_kib: params.m_cost(), iterations: params.t_cost(), parallelism: params.p_cost() }.meets_floor()
        }),
        "scrypt" => scrypt::Params::try_from(parsed)
            .is_ok_and(|params| params.r() >= 8 && STRONG_SCRYPT.iter().any(|&(log_n, p)| params.log_n() >= log_n && params.p() >= p)),
        name => STRONG_PBKDF2
            .iter()
            .any(|&(known, least)| known == name && pbkdf2::Params::try_from(parsed).is_ok_and(|params| params.rounds() >= least)),
    }
}

fn is_as_wanted(parsed: &PasswordHash, wanted: Argon2Params) -> bool {
    let number = |name: &str| parsed.params.get_decimal(name);
    parsed.algorithm.as_str() == "argon2id"
        && number("m") == Some(wanted.memory_kib)
        && number("t") == Some(wanted.iterations)
        && number("p") == Some(wanted.parallelism)
}

fn is_bcrypt(text: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) && text.len() == 60
}

/// Takes a ready hash from outside, if it is one that [`check`] understands and that cannot exhaust the machine.
///
/// # Errors
/// Says which forms are understood.
pub fn import(text: &str) -> Result<Secret<String>, BadText> {
    let refused = BadText(
        "password_hash must be a PHC string of argon2, scrypt or pbkdf2-sha256/512, or a bcrypt hash ($2a$, $2b$, $2y$), of bounded cost",
    );
    if text.len() > 512 {
        return Err(refused);
    }
    if is_bcrypt(text) {
        let is_bounded = text.parse::<bcrypt::HashParts>().is_ok_and(|parts| (4..=14).contains(&parts.get_cost()));
        return if is_bounded { Ok(Secret::new(text.to_owned())) } else { Err(refused) };
    }
    let parsed = PasswordHash::new(text).map_err(|_| refused.clone())?;
    // What stands in it twice may be read as either.
    let mut names = BTreeSet::new();
    if !parsed.params.iter().all(|(name, _)| names.insert(name.to_string())) {
        return Err(refused);
    }
    // Judged by what the algorithm itself reads in it, so that what is taken can also be checked.
    let bounded = match parsed.algorithm.as_str() {
        "argon2id" | "argon2i" | "argon2d" => {
            let is_known = parsed.version.is_none_or(|version| Version::try_from(version).is_ok());
            let is_long_enough = parsed.salt.as_ref().is_some_and(|salt| salt.len() >= argon2::MIN_SALT_LEN);
            is_known
                && is_long_enough
                && Params::try_from(&parsed)
                    .is_ok_and(|params| params.m_cost() <= Argon2Params::MAX_MEMORY_KIB && params.t_cost() <= 10 && params.p_cost() <= 4)
        }
        "scrypt" => scrypt::Params::try_from(&parsed).is_ok_and(|params| params.log_n() <= 17 && params.r() <= 16 && params.p() <= 4),
        "pbkdf2-sha256" | "pbkdf2-sha512" => pbkdf2::Params::try_from(&parsed).is_ok_and(|params| params.rounds() <= 2_000_000),
        _ => false,
    };
    if bounded && parsed.salt.is_some() && parsed.hash.is_some() { Ok(Secret::new(text.to_owned())) } else { Err(refused) }
}

/// Spends what checking a password of this policy costs, for a user who does not exist.
pub fn decoy(memory: &mut HashMemory, password: &Password, params: Argon2Params) {
    std::hint::black_box(hash(memory, password, params, &[0x5a; 16]));
}

#[cfg(test)]
mod tests {
    use password_hash::PasswordHasher;

    use super::*;

    const PARAMS: Argon2Params = Argon2Params { memory_kib: 7_168, iterations: 5, parallelism: 1 };

    fn password(text: &str) -> Password {
        Password::parse(text).expect("parses")
    }

    fn hash(password: &Password, params: Argon2Params, salt: &[u8; 16]) -> Option<Secret<String>> {
        super::hash(&mut HashMemory::default(), password, params, salt)
    }

    fn check(password: &Password, phc: &Secret<String>, wanted: Argon2Params) -> Checked {
        super::check(&mut HashMemory::default(), password, phc, wanted)
    }

    #[test]
    fn hashes_are_those_of_the_argon2_crate_whatever_the_memory_held_before() {
        let mut memory = HashMemory::default();
        for (kib, text) in [(64, "a first one"), (8, "a smaller one"), (256, "a larger one"), (8, "the smaller one again")] {
            let params = Argon2Params { memory_kib: kib, iterations: 2, parallelism: 1 };
            let phc = super::hash(&mut memory, &password(text), params, &[9; 16]).expect("hashes");
            let theirs = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(kib, 2, 1, None).expect("in range"));
            let expected: PasswordHash = theirs.hash_password_with_salt(text.as_bytes(), &[9; 16]).expect("hashes");
            assert_eq!(phc.expose().as_str(), expected.to_string());
            assert_eq!(super::check(&mut memory, &password(text), &phc, params), Checked::Right);
        }
    }

    #[test]
    fn the_other_argon2s_are_checked_by_their_own_rules() {
        for algorithm in [Algorithm::Argon2d, Algorithm::Argon2i, Algorithm::Argon2id] {
            for version in [Version::V0x10, Version::V0x13] {
                let theirs = Argon2::new(algorithm, version, Params::new(64, 3, 2, Some(24)).expect("in range"));
                let phc: PasswordHash = theirs.hash_password_with_salt(b"an old password", &[4; 16]).expect("hashes");
                let phc = import(&phc.to_string()).expect("understood");
                assert_eq!(check(&password("an old password"), &phc, PARAMS), Checked::RightButWeak, "{algorithm} {version:?}");
                assert_eq!(check(&password("an old passwort"), &phc, PARAMS), Checked::Wrong, "{algorithm} {version:?}");
            }
        }
    }

    #[test]
    fn s134_a_change_in_any_byte_fails_and_case_matters() {
        let long = "x".repeat(600);
        let phc = hash(&password(&long), PARAMS, &[1; 16]).expect("hashes");
        assert_eq!(check(&password(&long), &phc, PARAMS), Checked::Right);
        for place in [0, 72, 73, 512, 599] {
            let mut other = long.clone();
            other.replace_range(place..=place, "y");
            assert_eq!(check(&password(&other), &phc, PARAMS), Checked::Wrong, "byte {place}");
        }
        assert_eq!(check(&password(&long.to_uppercase()), &phc, PARAMS), Checked::Wrong);
    }

    #[test]
    fn s138_a_weaker_hash_is_right_but_outdated() {
        let phc = hash(&password("correct horse"), PARAMS, &[1; 16]).expect("hashes");
        assert_eq!(check(&password("correct horse"), &phc, Argon2Params::default()), Checked::RightButOutdated);
    }

    #[test]
    fn hashes_of_other_systems_are_understood() {
        let secret = password("correct horse battery");
        let bcrypt = bcrypt::hash(secret.expose(), 4).expect("hashes");
        let scrypt: PasswordHash = scrypt::Scrypt::default().hash_password_with_salt(secret.expose(), &[3; 16]).expect("hashes");
        let pbkdf2: PasswordHash = pbkdf2::Pbkdf2::default().hash_password_with_salt(secret.expose(), &[3; 16]).expect("hashes");
        for text in [bcrypt, scrypt.to_string(), pbkdf2.to_string()] {
            let phc = import(&text).expect("understood");
            let wanted = if text.starts_with("$2b$04$") { Checked::RightButWeak } else { Checked::RightButOutdated };
            assert_eq!(check(&secret, &phc, PARAMS), wanted, "{text}");
            assert_eq!(check(&password("something else"), &phc, PARAMS), Checked::Wrong, "{text}");
        }
    }

    #[test]
    fn a_hash_is_weak_below_what_owasp_asks_for() {
        let strong = |text: &str| is_strong(&PasswordHash::new(text).expect("a hash"));
        const REST: &str = "c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
        for (params, is_strong) in [
            ("argon2id$v=19$m=19456,t=2,p=1", true),
            ("argon2id$v=19$m=19455,t=2,p=1", false),
            ("argon2i$v=19$m=65536,t=3,p=1", false),
            ("scrypt$ln=17,r=8,p=1", true),
            ("scrypt$ln=16,r=8,p=2", true),
            ("scrypt$ln=16,r=8,p=1", false),
            ("scrypt$ln=17,r=4,p=1", false),
            ("pbkdf2-sha256$i=600000", true),
            ("pbkdf2-sha256$i=599999", false),
            ("pbkdf2-sha512$i=210000", true),
            ("pbkdf2-sha512$i=209999", false),
        ] {
            assert_eq!(strong(&format!("${params}${REST}")), is_strong, "{params}");
        }
    }

    #[test]
    fn r47_bcrypt_never_matches_a_password_by_its_beginning() {
        let phc = import(&bcrypt::hash([b'x'; 72], 4).expect("hashes")).expect("understood");
        assert_eq!(check(&password(&"x".repeat(72)), &phc, PARAMS), Checked::RightButWeak);
        assert_eq!(check(&password(&"x".repeat(73)), &phc, PARAMS), Checked::Wrong);
    }

    #[test]
    fn hashes_that_would_exhaust_the_machine_are_refused() {
        for text in [
            "",
            "hunter2",
            "$md5$abc",
            "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
            "$2b$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "$argon2id$v=19$p=14,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$ERERERERERERERERERERERERERERERERERERERERERE",
        ] {
            assert!(import(text).is_err(), "{text}");
        }
    }
}
