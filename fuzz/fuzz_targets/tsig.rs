//! See `checks/tsig.rs`.
#![no_main]

#[path = "../checks/tsig.rs"]
mod tsig;

libfuzzer_sys::fuzz_target!(|input: &[u8]| tsig::check(input));
