//! The `switchback` command: everything lives in the library.

fn main() {}
