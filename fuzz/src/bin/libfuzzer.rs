//! Hands libFuzzer's inputs to the target that `CLAVIGER_FUZZ_TARGET` names. `cargo xtask fuzz` builds and runs it.
//!
//! Before libFuzzer reads its options, the words of the target are written to the file that `CLAVIGER_FUZZ_DICTIONARY` names, so that
//! `-dict` may name it, too.
//!
//! Invariant: nothing is judged here; a target panics, and libFuzzer keeps the input.
#![no_main]

libfuzzer_sys::fuzz_target!(init: write_dictionary(), |data: &[u8]| (fuzz::chosen().run)(data));

fn write_dictionary() {
    let words = fuzz::chosen().dictionary();
    if let Some(file) = std::env::var_os("CLAVIGER_FUZZ_DICTIONARY")
        && let Err(error) = std::fs::write(&file, words)
    {
        panic!("{}: {error}", file.display());
    }
}
