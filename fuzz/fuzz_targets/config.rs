//! See `checks/config.rs`.
#![no_main]

use std::path::Path;

#[path = "../checks/config.rs"]
mod config;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/config");
    config::check(input, &folder);
});
