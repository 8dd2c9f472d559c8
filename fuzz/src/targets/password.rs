//! Password hashes from elsewhere.

use app::credentials::hash_pool::HashMemory;
use app::credentials::password::{Checked, check, import};
use domain::password::{Argon2Params, Password};
use domain::secret::Secret;

pub(super) const WORDS: &[&str] = &[
    "$argon2id$",
    "$argon2i$",
    "$argon2d$",
    "$scrypt$",
    "$pbkdf2-sha256$",
    "$2b$04$",
    "$2a$+4$",
    "v=19$",
    "m=64",
    "m=4294967295",
    "t=1",
    "p=1",
    "p=0",
    "ln=4",
    "i=1000",
    "l=32",
    ",",
    "$",
    "=",
];

/// The largest cost that is worth the time of a test.
fn is_cheap(text: &str) -> bool {
    let number = |name: &str, otherwise: u64| {
        let after = |before: char| text.find(&format!("{before}{name}=")).map(|at| at + name.len() + 2);
        let digits = after('$').or_else(|| after(',')).map(|at| text[at..].split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
        digits.map_or(otherwise, |digits| digits.parse().unwrap_or(u64::MAX))
    };
    match text.split('$').nth(1) {
        Some("argon2id" | "argon2i" | "argon2d") => number("m", u64::MAX) <= 256 && number("t", u64::MAX) <= 3,
        Some("scrypt") => number("ln", u64::MAX) <= 6 && number("r", u64::MAX) <= 16,
        Some("pbkdf2-sha256" | "pbkdf2-sha512") => number("i", u64::MAX) <= 2_000,
        Some("2a" | "2b" | "2y") => text.starts_with("$2a$04") || text.starts_with("$2b$04") || text.starts_with("$2y$04"),
        _ => false,
    }
}

/// What is taken has a bounded cost and is kept as it was; no other password than the right one opens it.
pub(super) fn hash(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let wanted = Argon2Params { memory_kib: 7_168, iterations: 5, parallelism: 1 };
    let Ok(other) = Password::parse("a password that nobody has hashed") else { return };
    let Ok(kept) = import(&text) else {
        // What was never taken is checked like anything that is stored: wrong, and no more. Its cost is not bounded, so only small ones.
        if is_cheap(&text) {
            assert_eq!(check(&mut HashMemory::default(), &other, &Secret::new(text.into_owned()), wanted), Checked::Wrong);
        }
        return;
    };
    assert_eq!(*kept.expose(), text);
    assert!(text.len() <= 512);
    for (name, most) in [("m", u64::from(Argon2Params::MAX_MEMORY_KIB)), ("t", 10), ("p", 4), ("ln", 17), ("r", 16), ("i", 2_000_000)] {
        for assignment in text.split(['$', ',']).filter_map(|part| part.strip_prefix(&format!("{name}="))) {
            assert!(assignment.parse::<u64>().is_ok_and(|value| value <= most), "{text}: {name} is more than {most}");
        }
    }
    if is_cheap(&text) {
        assert_eq!(check(&mut HashMemory::default(), &other, &kept, wanted), Checked::Wrong, "{text}");
    }
}
