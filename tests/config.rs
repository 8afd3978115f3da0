//! Configurations with faults, and what is said of them: `tests/config/NAME.toml` against
//! `NAME.expect`. `UPDATE_EXPECT=1` rewrites what is expected.

use std::path::{Path, PathBuf};
use std::time::Duration;

use switchback::config;
use switchback::failover::Failback;
use switchback::probe::Kind;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join(directory))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{directory} holds no configuration");
    files
}

#[test]
fn every_fault_is_told_at_once_and_at_its_place() {
    for path in files("tests/config") {
        let report = config::check(&path);
        let here = format!("{}/", root().join("tests/config").display());
        let found = format!("{report}\n").replace(&here, "");
        let expected = path.with_extension("expect");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&expected, &found).unwrap();
        }
        let expected = std::fs::read_to_string(expected).unwrap();
        assert_eq!(found, expected, "{}", path.display());
    }
}

#[test]
fn every_shipped_example_loads() {
    for path in files("examples") {
        if let Err(problems) = config::load(&path) {
            panic!("{problems}");
        }
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let (config, _) = config::load(&root().join("examples/minimal.toml")).unwrap();
    let service = config.policy.services.values().next().unwrap();
    assert_eq!(service.failback, Failback::After(Duration::from_secs(600)));
    assert_eq!(service.failover_after, Duration::ZERO);
    assert_eq!(
        (service.ttl.min.as_secs(), service.ttl.max.as_secs()),
        (5, 60)
    );
    for (name, pool) in &config.policy.pools {
        let probes = &config.probes[name];
        assert_eq!(probes.len(), pool.detection.len());
        assert_eq!(
            (probes[0].kind, probes[0].port, probes[0].hold),
            (Kind::XmppTls, 5269, true)
        );
        assert_eq!(pool.detection[0].stale_after, Duration::from_secs(7));
        assert_eq!(pool.detection[0].tls_stale_after, Duration::from_secs(12));
    }
}

#[test]
fn hooks_wait_ten_seconds_and_a_list_of_domains_is_a_probe_each() {
    let (config, _) = config::load(&root().join("examples/document-order.toml")).unwrap();
    for probes in config.probes.values() {
        let held: Vec<bool> = probes.iter().map(|probe| probe.hold).collect();
        assert_eq!(
            held,
            [true, false],
            "one idle stream for a server, and no more"
        );
    }
    let service = config.policy.services.values().next().unwrap();
    assert!(service.runbook.has_hooks());
    assert_eq!(service.failover_after, Duration::from_secs(10));
}
