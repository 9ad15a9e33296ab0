//! See `fuzz::journal_mutated`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::journal_mutated::run(data));
