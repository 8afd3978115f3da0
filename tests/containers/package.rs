//! The Debian package, where nothing of it was before: in a root that debootstrap made, and in a
//! container. `package.sh` is what happens in both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::MutexGuard;
use std::time::Duration;

use crate::engine::{Engine, Network, finish, kept, run, why_not};
use crate::programs::installed;
use crate::{alone, base_images, say};

const IMAGE: &str = "debian:bookworm-slim";
/// The program may have to be built.
const BUILD: Duration = Duration::from_secs(900);
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn the_package_installs_serves_and_leaves_nothing() {
    let test = "the_package_installs_serves_and_leaves_nothing";
    let Some((_alone, package)) = package_for(test, &["dpkg-shlibdeps", "lintian"]) else {
        return;
    };
    lint(&package);
    in_a_clean_root(&package);
    in_a_container(&package);
}

/// The package, and what it takes to try it: base images, and that nobody else does. `None` if that
/// is not to be had here, which is said.
pub(crate) fn package_for(
    test: &str,
    tools: &[&str],
) -> Option<(MutexGuard<'static, ()>, PathBuf)> {
    let left_out = |reason: String| say(&format!("left out: {test}, because {reason}"));
    if let Some(reason) = why_not(tools).or_else(no_cargo_deb) {
        left_out(reason);
        return None;
    }
    let alone = alone();
    base_images(&Engine::start(Network::Machine))
        .map_err(left_out)
        .ok()?;
    Some((alone, build()))
}

/// Why no package can be built here, if so.
fn no_cargo_deb() -> Option<String> {
    let missing = "not installed: cargo-deb; `cargo install --locked cargo-deb`";
    cargo_deb().is_none().then(|| missing.to_owned())
}

/// Where cargo-deb is: `.ci/run` builds it into `target/ci-tools`.
fn cargo_deb() -> Option<PathBuf> {
    let own = top().join("target/ci-tools/bin/cargo-deb");
    installed("cargo-deb").or_else(|| own.is_file().then_some(own))
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Of the program as the tests have it: the release takes minutes more, and is packed the same way.
fn build() -> PathBuf {
    let mut command = Command::new(top().join("packaging/debian/build"));
    let said = finish(command.arg("dev").current_dir(top()), BUILD);
    let package = PathBuf::from(said.trim());
    assert!(package.is_file(), "no package at {said:?}");
    package
}

fn lint(package: &Path) {
    let mut command = Command::new("lintian");
    command.args(["--fail-on", "error,warning", "--allow-root"]);
    let found = run(command.arg(package), PATIENCE);
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(found.status.success() && said.trim().is_empty(), "{said}");
}

fn in_a_clean_root(package: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("a folder");
    let mut command = Command::new("tar");
    command
        .arg("-C")
        .arg(&root)
        .arg("-xf")
        .arg(kept().join("debian.tar"));
    finish(&mut command, PATIENCE);
    fs::copy(package, root.join("tmp/switchback.deb")).expect("copied");
    fs::write(root.join("tmp/package.sh"), SCRIPT).expect("written");
    // Namespaces of its own: port 53 is free, and whatever was started ends with them.
    let mut command = Command::new("unshare");
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-ec",
    ]);
    command.arg(format!(
        "ip link set lo up; mount -t proc proc {root}/proc; \
         exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot {root} \
         sh /tmp/package.sh /tmp/switchback.deb",
        root = root.display()
    ));
    let said = finish(&mut command, PATIENCE);
    assert!(said.contains("no errors"), "{said}");
}

fn in_a_container(package: &Path) {
    let engine = Engine::start(Network::Own);
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(package, folder.path().join("switchback.deb")).expect("copied");
    fs::write(folder.path().join("package.sh"), SCRIPT).expect("written");
    let volume = format!("{}:/given:ro", folder.path().display());
    let mut command = engine.command("docker");
    command.args([
        "run",
        "--rm",
        "--network",
        "none",
        "--init",
        "--volume",
        &volume,
        IMAGE,
    ]);
    command.args(["sh", "/given/package.sh", "/given/switchback.deb"]);
    let said = finish(&mut command, PATIENCE);
    assert!(said.contains("no errors"), "{said}");
}

const SCRIPT: &str = include_str!("package.sh");
