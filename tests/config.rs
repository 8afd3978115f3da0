//! Configurations with faults, and what is said of them: `tests/config/NAME.toml` against
//! `NAME.expect`. `UPDATE_EXPECT=1` rewrites what is expected.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "shared/examples.rs"]
mod examples;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use switchback::config;
use switchback::failover::Failback;
use switchback::probe::Kind;
use switchback::snapshot::CookieSecret;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join(directory))
        .expect("the directory is there")
        .map(|entry| entry.expect("the entry is read").path())
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
    let folder = examples::with_secrets();
    for path in files("examples") {
        let path = folder
            .path()
            .join("examples")
            .join(path.file_name().unwrap());
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

#[test]
fn a_group_gives_its_record_to_every_zone_of_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let customers = directory.path().join("customers");
    std::fs::create_dir(&customers).unwrap();
    for origin in ["a.test", "b.test"] {
        let text = "@ 60 SOA ns1 root 1 60 60 60 5\n@ 60 NS ns1\nns1 60 A 127.0.0.1\n";
        std::fs::write(customers.join(format!("{origin}.zone")), text).unwrap();
    }
    let text = "state_dir = \".\"\n[listen]\ndns = [\"127.0.0.1:0\"]\ncontrol = \"c\"\n\
        [[zone]]\ngroup = \"customers\"\ndirectory = \"customers/\"\n[probe]\nkind = \"tcp\"\n\
        [[pool]]\nname = \"one\"\nservers = [{ name = \"e1.x.\", addresses = [\"10.0.0.1\"] }]\n\
        [[pool]]\nname = \"two\"\nservers = [{ name = \"e2.x.\", addresses = [\"10.0.0.2\"] }]\n\
        [[service]]\nname = \"xmpp\"\npools = [\"one\", \"two\"]\n\
        records = [{ srv = \"_xmpp-server._tcp\", in = \"customers\", port = 5269 }]\n";
    let path = directory.path().join("switchback.toml");
    std::fs::write(&path, text).unwrap();
    let (config, warnings) = config::load(&path).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.zones.len(), 2);
    assert!(
        config
            .zones
            .iter()
            .all(|zone| zone.group.as_deref() == Some("customers"))
    );
    assert_eq!(config.records.values().next().unwrap().len(), 2);
}

/// Loads a plain server with this `[server]` and, beside it, a file `secrets` of this text.
fn with_server(server: &str, secrets: &str, mode: u32) -> Result<(config::Config, usize), String> {
    let directory = tempfile::tempdir().expect("it is writable");
    let at = |name: &str| directory.path().join(name);
    let zone = "@ 60 SOA ns1 root 1 60 60 60 5\n@ 60 NS ns1\nns1 60 A 127.0.0.1\n";
    std::fs::write(at("zone"), zone).expect("it is writable");
    std::fs::write(at("secrets"), secrets).expect("it is writable");
    std::fs::set_permissions(at("secrets"), PermissionsExt::from_mode(mode))
        .expect("it is writable");
    let text = format!(
        "state_dir = \".\"\n[listen]\ndns = [\"127.0.0.1:0\"]\ncontrol = \"c\"\n[server]\n{server}\n\
         [[zone]]\norigin = \"a.test.\"\nfile = \"zone\"\n"
    );
    std::fs::write(at("switchback.toml"), text).expect("it is writable");
    config::load(&at("switchback.toml"))
        .map(|(config, warnings)| (config, warnings.len()))
        .map_err(|problems| problems.to_string())
}

#[test]
fn cookie_secrets_come_from_a_file_that_others_cannot_read() {
    let key = "cookie_secret_file = \"secrets\"";
    let text = "# of this week\nE5e973e5a6b2a43f48e7dc849e37bfcf\n\n  \
                dd3bdf9344b678b185a6f5cb60fca715 # of last week\n";
    let (config, warnings) = with_server(key, text, 0o600).unwrap();
    let cookies = config.settings.cookies.as_ref().unwrap();
    let CookieSecret(active) = cookies.active;
    assert_eq!((active[0], active[15], warnings), (0xe5, 0xcf, 0));
    let CookieSecret(other) = cookies.others[0];
    assert_eq!(
        (other[0], cookies.others.len(), cookies.required),
        (0xdd, 1, false)
    );
    assert_eq!(with_server(key, text, 0o644).unwrap().1, 1);
    let told = with_server(key, "e5e973e5a6b2a43f48e7dc849e37bfcf\nshort\n", 0o600).unwrap_err();
    assert!(told.contains("line 2: this is no cookie secret"), "{told}");
    assert!(!told.contains("short"), "a secret is not repeated: {told}");
    let told = with_server(key, "# none\n", 0o600).unwrap_err();
    assert!(told.contains("0 cookie secrets"), "{told}");
}

#[test]
fn who_configures_no_secret_keeps_one_over_reloads() {
    let settings = || with_server("", "", 0o600).unwrap().0.settings;
    let first = settings();
    assert!(first.cookies.is_some());
    assert_eq!(first, settings());
    assert_eq!(
        (first.udp_payload, &first.id, &first.version),
        (1232, &None, &None)
    );
    let off = with_server("cookies = \"off\"", "", 0o600).unwrap().0;
    assert_eq!(off.settings.cookies, None);
}

#[test]
fn every_key_is_documented() {
    let sources = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/config")).unwrap();
    let texts = sources.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let spec = texts.collect::<String>();
    let docs = include_str!("../docs/configuration.md");
    let mut keys = 0;
    for call in ["fields.get(\"", "fields.need(\"", "list(&mut fields, \""] {
        for rest in spec.split(call).skip(1) {
            let key = rest.split('"').next().unwrap();
            keys += 1;
            let words = docs.split(|c: char| !c.is_alphanumeric() && c != '_');
            let named = words.into_iter().any(|word| word == key);
            assert!(named, "docs/configuration.md does not name the key {key}");
        }
    }
    assert!(keys > 50, "the keys are read in another way: {keys}");
}

/// A configuration with TLS in `folder`, and its certificate, which ends at the end of `year`.
fn with_tls(folder: &Path, year: i32) -> PathBuf {
    let mut params = rcgen::CertificateParams::new(["ns.contoso.test".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, 12, 31);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    let zone = root().join("tests/config/contoso.test.zone");
    std::fs::copy(zone, folder.join("contoso.test.zone")).unwrap();
    let config = folder.join("switchback.toml");
    let text = "state_dir = \"state\"\n[listen]\ndns = [\"127.0.0.1:0\"]\ntls = \
                [\"127.0.0.1:0\"]\ncontrol = \"control.sock\"\ncertificate = \
                \"cert.pem\"\nkey = \"key.pem\"\n[[zone]]\norigin = \
                \"contoso.test.\"\nfile = \"contoso.test.zone\"\n";
    std::fs::write(&config, text).unwrap();
    config
}

#[test]
fn a_certificate_must_fit_its_key_and_check_refuses_one_that_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let config = with_tls(folder.path(), 2020);
    let report = config::check(&config);
    assert_eq!(report.errors.len(), 1, "{report}");
    let expired = "switchback.toml:6:15: the certificate '";
    assert!(report.to_string().contains(expired), "{report}");
    assert!(report.to_string().contains("has expired"), "{report}");
    // A server starts with it: there is more to serve than TLS.
    let (_, warnings) = config::load(&config).unwrap();
    assert!(warnings[0].to_string().contains("has expired"));

    with_tls(folder.path(), 2100);
    assert_eq!(config::check(&config).errors, []);
    let other = tempfile::tempdir().unwrap();
    with_tls(other.path(), 2100);
    std::fs::copy(other.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
    let error = config::load(&config).unwrap_err().to_string();
    assert!(error.contains("switchback.toml:7:7: "), "{error}");
    assert!(error.contains("the key must be the one"), "{error}");
}

#[test]
fn what_is_no_regular_file_or_far_too_long_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = with_tls(folder.path(), 2100);
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let holes = folder.path().join("holes");
    std::fs::File::create(&holes)
        .and_then(|file| file.set_len(1 << 40))
        .unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    for (file, why) in [
        ("pipe", "it is a pipe"),
        ("/dev/zero", "it is a device"),
        (".", "it is a directory"),
        ("holes", "it is longer than "),
    ] {
        for key in ["contoso.test.zone", "cert.pem", "key.pem"] {
            let broken = text.replace(&format!("\"{key}\""), &format!("\"{file}\""));
            std::fs::write(&config, broken).unwrap();
            let error = config::load(&config).unwrap_err().to_string();
            assert!(error.contains(why), "{key}: {error}");
        }
        let error = config::load(&folder.path().join(file)).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    let zone = std::fs::read_to_string(folder.path().join("contoso.test.zone")).unwrap();
    std::fs::write(&config, text).unwrap();
    let including = format!("{zone}\n$INCLUDE pipe\n");
    std::fs::write(folder.path().join("contoso.test.zone"), including).unwrap();
    let error = config::load(&config).unwrap_err().to_string();
    assert!(error.contains("contoso.test.zone:"), "{error}");
    assert!(error.contains("'pipe': it is a pipe"), "{error}");
}
