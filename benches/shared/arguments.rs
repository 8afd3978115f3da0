//! What the command line of a benchmark says.

/// The number after `name`.
pub(crate) fn number(name: &str) -> Option<u64> {
    let mut words = std::env::args().skip_while(|word| word != name);
    words.nth(1)?.parse().ok()
}

/// Whether it stands there.
#[allow(
    dead_code,
    reason = "not every benchmark that includes this file has such"
)]
pub(crate) fn has(name: &str) -> bool {
    std::env::args().any(|word| word == name)
}

/// Only `cargo bench` says `--bench`; `cargo test --all-targets` gets a short round.
pub(crate) fn is_bench() -> bool {
    std::env::args().any(|word| word == "--bench")
}
