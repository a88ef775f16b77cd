//! Runs one property of `tests/properties`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::command(data));
