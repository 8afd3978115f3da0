//! See `checks/scenario.rs`.
#![no_main]

#[path = "../checks/scenario.rs"]
mod scenario;

libfuzzer_sys::fuzz_target!(|input: &[u8]| scenario::check(input));
