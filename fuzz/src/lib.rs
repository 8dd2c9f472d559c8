//! What strangers send, and what must be true of whatever is made of it.
//!
//! A [`Target`] is one parser of untrusted input and a property that holds for every input: never only "it does not panic". Enter at
//! [`TARGETS`]. `fuzz/tests/corpus.rs` plays the corpus and mutations of it with every run of the tests; `cargo xtask fuzz` hands the
//! same functions to libFuzzer (`src/bin/libfuzzer.rs`), which looks for inputs that reach code that none has reached before.
//!
//! Invariant: a target is a pure function of its input: no clock, no chance, no state between two calls.

pub mod mutate;
mod targets;

use std::sync::LazyLock;

/// A parser of untrusted input, with what must be true of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Also the name of its folder below `corpus`.
    pub name: &'static str,
    /// Panics when what must be true is not.
    pub run: fn(&[u8]),
    /// Mutated inputs for each run of the tests: fewer where one takes long.
    pub rounds: u32,
    /// Words that mean something to the parser, to mutate with.
    pub words: &'static [&'static str],
}

pub use targets::TARGETS;

/// The target of this name.
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// How many of these inputs a target of tokens takes: those that come as far as its property.
pub fn taken(name: &str, inputs: &[Vec<u8>]) -> usize {
    inputs.iter().filter(|input| targets::is_taken(name, input)).count()
}

/// The target that `CLAVIGER_FUZZ_TARGET` names.
///
/// # Panics
/// When there is none of that name.
pub fn chosen() -> &'static Target {
    static CHOSEN: LazyLock<&Target> = LazyLock::new(|| {
        let name = std::env::var("CLAVIGER_FUZZ_TARGET").unwrap_or_default();
        named(&name).unwrap_or_else(|| {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            panic!("CLAVIGER_FUZZ_TARGET must be one of {}", names.join(", "))
        })
    });
    &CHOSEN
}

impl Target {
    /// Its words as a dictionary for libFuzzer: one a line, in quotation marks, with what is no plain text as `\xAB`.
    pub fn dictionary(&self) -> String {
        let mut lines = String::new();
        for word in self.words.iter().filter(|word| !word.is_empty()) {
            lines.push('"');
            for byte in word.bytes() {
                match byte {
                    b'"' | b'\\' => lines.extend(['\\', char::from(byte)]),
                    b' '..=b'~' => lines.push(char::from(byte)),
                    _ => lines.push_str(&format!("\\x{byte:02X}")),
                }
            }
            lines.push_str("\"\n");
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_one_that_libfuzzer_reads() {
        let target = Target { name: "a", run: |_| (), rounds: 0, words: &["a\"b\\", "", "\nß", " "] };
        assert_eq!(target.dictionary(), "\"a\\\"b\\\\\"\n\"\\x0A\\xC3\\x9F\"\n\" \"\n");
    }
}
