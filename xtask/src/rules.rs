//! The rules of the workspace as pure functions: facts in, breaches out.
//!
//! Invariant: nothing here reads a file or runs a program; [`crate::tidy`] does.

use std::fmt;

/// A rule that does not hold somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    /// The crate, or the file and line.
    pub(crate) place: String,
    /// What was found there, and the rule.
    pub(crate) rule: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rule)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Dev,
    Build,
}

/// One line of a manifest: `from` depends on `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrow<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) kind: Kind,
}

/// What each crate of the workspace may depend on: in its product, and beyond that in its tests.
const ALLOWED: [(&str, &[&str], &[&str]); 15] = [
    ("domain", &[], &[]),
    ("transparency", &[], &[]),
    ("app", &["domain", "transparency"], &[]),
    ("storage", &["app", "domain", "transparency", "migrations"], &["testkit"]),
    ("keys", &["app", "domain", "transparency"], &["testkit"]),
    ("outbound", &["app", "domain", "pages"], &[]),
    ("pages", &["domain"], &[]),
    ("api", &["app", "domain", "pages"], &["testkit"]),
    ("testkit", &["app", "domain", "transparency"], &[]),
    ("server", &["api", "app", "domain", "transparency", "keys", "outbound", "storage", "migrations"], &["testkit"]),
    ("tests", &[], &["server", "api", "pages", "testkit", "domain", "transparency", "app"]),
    ("bench", &["server", "testkit", "app", "domain"], &[]),
    ("fuzz", &["api", "app", "domain", "keys", "testkit", "transparency"], &[]),
    ("migrations", &[], &[]),
    ("xtask", &[], &[]),
];

/// Judges an arrow between two crates of the workspace.
pub(crate) fn arrow(arrow: Arrow<'_>) -> Option<Breach> {
    let breach = |rule: String| Some(Breach { place: format!("crate {}", arrow.from), rule });
    let Some((_, normal, dev)) = ALLOWED.iter().find(|(from, ..)| *from == arrow.from) else {
        return breach("is not in the list of crates and arrows (xtask/src/rules.rs, docs/src/architecture.md)".into());
    };
    let may = normal.contains(&arrow.to) || (arrow.kind == Kind::Dev && dev.contains(&arrow.to));
    if may {
        return None;
    }
    let list = |crates: &[&str]| {
        if crates.is_empty() { "no crate of ours".to_owned() } else { crates.join(", ") }
    };
    let in_tests = if dev.is_empty() { String::new() } else { format!(", in tests also on {}", list(dev)) };
    breach(format!("depends on {} ({}), but may depend on {}{in_tests}", arrow.to, section(arrow.kind), list(normal)))
}

/// A third-party crate that only some of ours may name.
struct Reserved {
    is_meant: fn(&str) -> bool,
    may: fn(&str) -> bool,
    rule: &'static str,
}

const RESERVED: [Reserved; 3] = [
    Reserved {
        is_meant: |name| name == "actix" || name.starts_with("actix-"),
        may: |from| !matches!(from, "domain" | "app" | "storage"),
        rule: "domain, app and storage know nothing of actix",
    },
    Reserved {
        is_meant: |name| name == "actix",
        may: |from| matches!(from, "keys" | "server"),
        rule: "actors stay in keys (server only starts the system)",
    },
    Reserved {
        is_meant: |name| name.starts_with("sea-orm"),
        may: |from| matches!(from, "storage" | "migrations"),
        rule: "sea-orm stays in storage and migrations",
    },
];

/// Judges the dependency of one of our crates on a third-party one.
pub(crate) fn third_party(arrow: Arrow<'_>) -> Vec<Breach> {
    RESERVED
        .iter()
        .filter(|reserved| (reserved.is_meant)(arrow.to) && !(reserved.may)(arrow.from))
        .map(|reserved| Breach {
            place: format!("crate {}", arrow.from),
            rule: format!("depends on {} ({}), but {}", arrow.to, section(arrow.kind), reserved.rule),
        })
        .collect()
}

const fn section(kind: Kind) -> &'static str {
    match kind {
        Kind::Normal => "dependencies",
        Kind::Dev => "dev-dependencies",
        Kind::Build => "build-dependencies",
    }
}

/// Judges what `cargo tree --edges normal --prefix none` printed for the whole workspace.
pub(crate) fn tree(printed: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for line in printed.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            continue;
        };
        let rule = match name {
            "ring" => "there is one crypto backend, aws-lc-rs; find who brings it with `cargo tree -e normal -i ring`",
            "rsa" if version.starts_with("v0.9.") => {
                "rsa 0.9 has a timing advisory (RUSTSEC-2023-0071); find who brings it with `cargo tree -e normal -i rsa@0.9`"
            }
            _ => continue,
        };
        let breach = Breach { place: format!("normal dependency tree has {name} {version}"), rule: rule.into() };
        if !breaches.contains(&breach) {
            breaches.push(breach);
        }
    }
    breaches
}

/// Judges the text of a member's manifest: every dependency says `workspace = true`.
pub(crate) fn manifest(place: &str, text: &str) -> Vec<Breach> {
    const RULE: &str = "take the version from [workspace.dependencies]: `name.workspace = true`";
    let mut breaches = Vec::new();
    let mut section = Section::Other;
    // Inside an array that goes on over several lines.
    let mut depth = 0_usize;
    for line in text.lines() {
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        if depth == 0 && line.starts_with('[') {
            section.close(place, RULE, &mut breaches);
            section = Section::named(line.trim_matches(['[', ']']));
            continue;
        }
        if depth == 0 {
            let (key, value) = line.split_once('=').map_or((line, ""), |(key, value)| (key.trim(), value.trim()));
            match &mut section {
                Section::Dependencies => {
                    let inherits = (key.ends_with(".workspace") && value == "true") || has_workspace_true(value);
                    // `name.features = [...]` stands beside `name.workspace = true`.
                    let is_detail = key.contains('.') && !key.ends_with(".version") && !key.ends_with(".path") && !key.ends_with(".git");
                    if !inherits && (!is_detail || key.ends_with(".workspace")) {
                        breaches.push(Breach { place: format!("{place}, dependency {key}"), rule: RULE.into() });
                    }
                }
                Section::One { inherits, .. } => *inherits |= key == "workspace" && value == "true",
                Section::Other => {}
            }
        }
        let opened = line.matches(['[', '{']).count();
        let closed = line.matches([']', '}']).count();
        depth = (depth + opened).saturating_sub(closed);
    }
    section.close(place, RULE, &mut breaches);
    breaches
}

/// Which part of a manifest a line belongs to.
enum Section {
    /// `[dependencies]`, `[target.'…'.dev-dependencies]` and the like.
    Dependencies,
    /// `[dependencies.name]`.
    One {
        name: String,
        inherits: bool,
    },
    Other,
}

impl Section {
    fn named(header: &str) -> Self {
        const WORDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
        if WORDS.iter().any(|word| header == *word || (header.starts_with("target.") && header.ends_with(&format!(".{word}")))) {
            return Self::Dependencies;
        }
        match header.rsplit_once('.') {
            Some((parent, name)) if matches!(Self::named(parent), Self::Dependencies) => Self::One { name: name.into(), inherits: false },
            _ => Self::Other,
        }
    }

    fn close(&self, place: &str, rule: &str, breaches: &mut Vec<Breach>) {
        if let Self::One { name, inherits: false } = self {
            breaches.push(Breach { place: format!("{place}, dependency {name}"), rule: rule.into() });
        }
    }
}

fn has_workspace_true(inline_table: &str) -> bool {
    let squeezed: String = inline_table.chars().filter(|letter| !letter.is_whitespace()).collect();
    squeezed.contains("{workspace=true") || squeezed.contains(",workspace=true")
}

fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '#') => return &line[..at],
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
    }
    line
}

/// Judges the first line of a source file.
pub(crate) fn header(place: &str, text: &str) -> Option<Breach> {
    let has_header = text.trim_start_matches('\u{feff}').starts_with("//!");
    (!has_header).then(|| Breach { place: place.into(), rule: "a file begins with a `//!` header that says what it owns".into() })
}

/// Which part of a source file is test code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TestCode {
    Whole,
    /// From `#[cfg(test)]` before a `mod … {` on.
    Module,
}

/// Judges the waiting in tests: a `sleep(` needs a comment on its line that says why.
pub(crate) fn sleeps(place: &str, text: &str, part: TestCode) -> Vec<Breach> {
    // In two halves, so that this file does not break its own rule.
    let call = ["sleep", "("].concat();
    let lines: Vec<&str> = text.lines().collect();
    let begin = match part {
        TestCode::Whole => 0,
        TestCode::Module => {
            let is_module = |at: usize| {
                lines[at].trim() == "#[cfg(test)]"
                    && lines.get(at + 1).is_some_and(|next| next.trim_start().starts_with("mod ") && next.trim_end().ends_with('{'))
            };
            (0..lines.len()).find(|at| is_module(*at)).unwrap_or(lines.len())
        }
    };
    let mut breaches = Vec::new();
    for (at, line) in lines.iter().enumerate().skip(begin) {
        let Some(found) = line.find(&call) else { continue };
        let is_comment = line.trim_start().starts_with("//");
        let says_why = line[found..].split_once("//").is_some_and(|(_, why)| !why.trim().is_empty());
        if !is_comment && !says_why {
            breaches.push(Breach {
                place: format!("{place}:{}", at + 1),
                rule: "a test does not sleep; where it must, a comment on the line says why".into(),
            });
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn normal<'a>(from: &'a str, to: &'a str) -> Arrow<'a> {
        Arrow { from, to, kind: Kind::Normal }
    }
    const fn dev<'a>(from: &'a str, to: &'a str) -> Arrow<'a> {
        Arrow { from, to, kind: Kind::Dev }
    }

    #[test]
    fn arrows_point_inwards_only() {
        for right in [
            normal("app", "domain"),
            normal("storage", "migrations"),
            normal("server", "keys"),
            normal("testkit", "app"),
            normal("bench", "testkit"),
        ] {
            assert_eq!(arrow(right), None, "{right:?}");
        }
        for wrong in [
            normal("domain", "app"),
            normal("api", "storage"),
            normal("storage", "keys"),
            normal("keys", "api"),
            normal("app", "migrations"),
            normal("migrations", "domain"),
            normal("xtask", "domain"),
            normal("server", "bench"),
            normal("stranger", "domain"),
        ] {
            let breach = arrow(wrong).expect("refused").to_string();
            assert!(breach.starts_with(&format!("crate {}: ", wrong.from)), "{breach}");
        }
    }

    #[test]
    fn the_testkit_is_for_tests_only() {
        for adapter in ["storage", "keys", "api", "server", "tests"] {
            assert_eq!(arrow(dev(adapter, "testkit")), None);
            assert!(arrow(normal(adapter, "testkit")).is_some(), "{adapter}");
            assert!(arrow(Arrow { from: adapter, to: "testkit", kind: Kind::Build }).is_some(), "{adapter}");
        }
        for inner in ["domain", "app", "migrations", "xtask"] {
            assert!(arrow(dev(inner, "testkit")).is_some(), "{inner}");
        }
        assert_eq!(arrow(dev("tests", "server")), None);
        assert!(arrow(normal("tests", "server")).is_some());
    }

    #[test]
    fn some_third_party_crates_have_a_home() {
        for right in [
            normal("keys", "actix"),
            normal("server", "actix"),
            normal("server", "actix-web"),
            normal("api", "actix-web"),
            normal("storage", "sea-orm"),
            normal("migrations", "sea-orm-migration"),
            normal("domain", "serde"),
        ] {
            assert!(third_party(right).is_empty(), "{right:?}");
        }
        for wrong in [
            normal("app", "actix-web"),
            dev("storage", "actix-rt"),
            normal("api", "actix"),
            normal("server", "sea-orm"),
            dev("api", "sea-orm"),
        ] {
            assert_eq!(third_party(wrong).len(), 1, "{wrong:?}");
        }
        assert_eq!(third_party(normal("domain", "actix")).len(), 2);
    }

    #[test]
    fn ring_and_the_old_rsa_are_seen_in_the_tree() {
        let good = "app v0.1.0 (/somewhere)\nrsa v0.10.0\n\nrustls v0.23.1 (*)\nstring v0.1.0\n";
        assert!(tree(good).is_empty());
        let bad = format!("{good}ring v0.17.8\nring v0.17.8 (*)\nrsa v0.9.6\n");
        let breaches = tree(&bad);
        assert_eq!(breaches.len(), 2, "{breaches:?}");
        assert!(breaches[0].to_string().contains("ring v0.17.8"));
        assert!(breaches[1].to_string().contains("RUSTSEC-2023-0071"));
    }

    #[test]
    fn a_manifest_takes_every_version_from_the_workspace() {
        let good = r#"
            [package]
            version = "0.1.0" # not a dependency
            [dependencies]
            domain.workspace = true
            serde = { workspace = true, features = ["rc"] }
            tokio = { features = [
                "sync",
            ], workspace = true }
            time.workspace = true
            time.features = ["std"]
            [dev-dependencies.proptest]
            workspace = true
            [target.'cfg(unix)'.dependencies]
            libc.workspace = true # 0.2
            [features]
            default = []
        "#;
        // An inline table is one line in TOML 1.0, but its arrays may break: the line that opens it is judged.
        let good =
            good.replace("tokio = { features = [", "tokio = { workspace = true, features = [").replace("], workspace = true }", "] }");
        assert_eq!(manifest("m", &good), []);

        for bad in [
            "[dependencies]\nserde = \"1\"",
            "[dependencies]\nserde = { version = \"1\" }",
            "[dev-dependencies]\nserde.version = \"1\"",
            "[build-dependencies]\ncc = { path = \"../cc\" }",
            "[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"",
            "[dependencies.serde]\nversion = \"1\"\n[lints]\nworkspace = true",
            "[dependencies]\nserde = { default-features = false } # workspace = true",
        ] {
            let breaches = manifest("crates/x/Cargo.toml", bad);
            assert_eq!(breaches.len(), 1, "{bad}: {breaches:?}");
            assert!(breaches[0].place.starts_with("crates/x/Cargo.toml, dependency "), "{bad}");
        }
    }

    #[test]
    fn a_file_begins_with_a_header() {
        assert_eq!(header("a.rs", "//! Owns a.\n"), None);
        for bad in ["", "use a;\n//! late\n", "// no doc\n", "/// of an item\nfn a() {}"] {
            assert!(header("a.rs", bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn a_test_sleeps_only_with_a_reason() {
        let wait = ["sleep", "(SECOND)"].concat();
        let with_reason = format!("fn a() {{\n    {wait}.await; // the kernel gives no other sign\n}}");
        let without = format!("fn a() {{\n    {wait}.await;\n    {wait}; //\n    // {wait} in a comment\n}}");
        assert!(sleeps("t.rs", &with_reason, TestCode::Whole).is_empty());
        let places: Vec<_> = sleeps("t.rs", &without, TestCode::Whole).into_iter().map(|breach| breach.place).collect();
        assert_eq!(places, ["t.rs:2", "t.rs:3"]);

        let product = format!("{without}\n#[cfg(test)]\nmod tests;\n");
        assert!(sleeps("s.rs", &product, TestCode::Module).is_empty(), "product code may wait");
        let tested = format!("fn b() {{ {wait}; }}\n#[cfg(test)]\nmod tests {{\n{without}\n}}");
        assert_eq!(sleeps("s.rs", &tested, TestCode::Module).len(), 2);
    }
}
