//! See `checks/zone.rs`.
#![no_main]

#[path = "../checks/zone.rs"]
mod zone;

libfuzzer_sys::fuzz_target!(|input: &[u8]| zone::check(input));
