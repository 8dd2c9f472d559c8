//! Hands libFuzzer's inputs to the target that `CLAVIGER_FUZZ_TARGET` names.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::chosen(data));
