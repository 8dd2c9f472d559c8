//! What strangers send, and what must be true of whatever is made of it.
//!
//! A [`Target`] is one parser of untrusted input and a property that holds for every input: never only "it does not panic". Enter at
//! [`TARGETS`]. `fuzz/tests/corpus.rs` plays the corpus and mutations of it with every run of the tests; `fuzz/libfuzzer` hands the same
//! functions to libFuzzer, for whoever has a nightly compiler and time.
//!
//! Invariant: a target is a pure function of its input: no clock, no chance, no state between two calls.

pub mod mutate;
mod targets;

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

/// For libFuzzer: runs the target that `CLAVIGER_FUZZ_TARGET` names.
///
/// # Panics
/// When there is none of that name, and when what must be true is not.
pub fn chosen(data: &[u8]) {
    static CHOSEN: std::sync::LazyLock<&Target> = std::sync::LazyLock::new(|| {
        let name = std::env::var("CLAVIGER_FUZZ_TARGET").unwrap_or_default();
        named(&name).unwrap_or_else(|| {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            panic!("CLAVIGER_FUZZ_TARGET must be one of {}", names.join(", "))
        })
    });
    (CHOSEN.run)(data);
}
