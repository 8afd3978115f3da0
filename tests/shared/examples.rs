//! The shipped examples as an operator has them: with secrets, which no example can bring along.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::process::Command;

use tempfile::TempDir;

/// A folder with copies of `examples` and `zones`, and the secrets that the examples name.
pub(crate) fn with_secrets() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .args(["-a", "examples", "zones"])
        .arg(folder.path())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(copied.unwrap().success(), "the examples are copied");
    let secrets = folder.path().join("examples/secrets");
    fs::create_dir(&secrets).unwrap();
    for name in ["ops", "lb", "lb-token"] {
        fs::write(
            secrets.join(name),
            format!("{name}-{}\n", "0123456789".repeat(4)),
        )
        .unwrap();
    }
    folder
}
