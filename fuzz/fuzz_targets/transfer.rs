//! See `checks/transfer.rs`.
#![no_main]

#[path = "../checks/transfer.rs"]
mod transfer;

libfuzzer_sys::fuzz_target!(|input: &[u8]| transfer::check(input));
