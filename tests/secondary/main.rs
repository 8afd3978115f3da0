//! Zones that are kept elsewhere: switchback as a secondary of NSD, Knot and named.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the lint knows test functions, not what they call; what is left out is said"
)]

mod dns;
mod downstream;
mod hostile;
mod patience;
mod primary;
#[path = "../shared/programs.rs"]
mod programs;
mod switchback;

use std::net::TcpListener;
use std::path::Path;

use ::switchback::zone::rdata::rtype;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use dns::ask;
use downstream::Downstream;
use hostile::{Hostile, Record, Script};
use patience::wait_for;
use primary::{Primary, Program, SECRET, Setup};
use programs::free_port;
use switchback::Switchback;

/// Nobody asks on its own within a test.
const SLOW: &str = "3600 3600 86400";
/// Expires after three seconds without an answer.
const QUICK: &str = "2 1 3";

fn setup(program: Program, secondary: u16) -> Setup {
    Setup {
        program,
        secondary,
        signed: false,
        tls: None,
    }
}

/// Runs `body` with each program that is installed.
fn with_each(test: &str, body: impl Fn(Program)) {
    for program in Program::ALL {
        if program.is_there(test) {
            body(program);
        }
    }
}

#[test]
fn a_zone_comes_whole_and_then_by_its_changes() {
    with_each("a_zone_comes_whole_and_then_by_its_changes", |program| {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let records = "a A 192.0.2.1\n*.w TXT two\nunknown TYPE65280 \\# 2 0102\n";
        let primary = Primary::start(setup(program, port), folder.path(), "2 1 3600", records);
        let from = format!("[\"127.0.0.1:{}\"]", primary.port);
        let switchback = Switchback::start(folder.path(), port, &from, "");
        switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
        switchback.answers("x.w.contoso.test.", RecordType::TXT, &["two"]);
        let first = switchback.serial().unwrap();
        assert_eq!(
            switchback.zone().unwrap()["transferred"]["primary_serial"],
            1
        );
        for last in 2..5 {
            primary.change(
                "2 1 3600",
                &format!("a A 192.0.2.{last}\nb A 192.0.2.{last}\n"),
            );
            let address = format!("192.0.2.{last}");
            switchback.answers("a.contoso.test.", RecordType::A, &[&address]);
            switchback.answers("b.contoso.test.", RecordType::A, &[&address]);
        }
        switchback.says("x.w.contoso.test.", ResponseCode::NXDomain);
        let zone = switchback.zone().unwrap();
        assert_eq!(zone["transferred"]["primary_serial"], primary.serial());
        // Ours counts on its own, from the time of day.
        assert!(switchback.serial().unwrap() > first && first > 1_000_000_000);
    });
}

#[test]
fn a_zone_without_its_primary_expires_and_comes_back() {
    let test = "a_zone_without_its_primary_expires_and_comes_back";
    if !Program::Nsd.is_there(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut primary = Primary::start(
        setup(Program::Nsd, port),
        folder.path(),
        QUICK,
        "a A 192.0.2.1\n",
    );
    let from = format!("[\"127.0.0.1:1\", \"127.0.0.1:{}\"]", primary.port);
    let mut switchback = Switchback::start(folder.path(), port, &from, "");
    // The first primary is not there; the second one is asked in the same round.
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
    primary.stop();
    switchback.says("a.contoso.test.", ResponseCode::ServFail);
    let status = switchback.control(&["status"]);
    assert!(
        status.contains("has expired") && status.contains("EXPIRED"),
        "{status}"
    );
    // A restart does not make it good, and neither does it lose the version.
    switchback.kill();
    switchback.run();
    switchback.says("a.contoso.test.", ResponseCode::ServFail);
    primary.run();
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
    let log = switchback.log();
    assert_eq!(
        log.matches("taken from").count(),
        1,
        "the same version is not fetched twice: {log}"
    );
}

#[test]
fn a_restart_serves_what_was_there_and_asks_at_once() {
    let test = "a_restart_serves_what_was_there_and_asks_at_once";
    if !Program::Knot.is_there(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut primary = Primary::start(
        setup(Program::Knot, port),
        folder.path(),
        SLOW,
        "a A 192.0.2.1\n",
    );
    let from = format!("[\"127.0.0.1:{}\"]", primary.port);
    let mut switchback = Switchback::start(folder.path(), port, &from, "");
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
    let before = switchback.serial().unwrap();
    switchback.kill();
    primary.stop();
    switchback.run();
    // Nobody is there to ask, and it answers; its serial has not gone back.
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
    assert!(switchback.serial().unwrap() >= before);
    switchback.kill();
    primary.run();
    primary.change(SLOW, "a A 192.0.2.2\n");
    switchback.run();
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.2"]);
}

#[test]
fn a_zone_that_is_transferred_no_more_leaves_nothing_on_the_disk() {
    let test = "a_zone_that_is_transferred_no_more_leaves_nothing_on_the_disk";
    if !Program::Knot.is_there(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let primary = Primary::start(
        setup(Program::Knot, port),
        folder.path(),
        SLOW,
        "a A 192.0.2.1\n",
    );
    let from = format!("[\"127.0.0.1:{}\"]", primary.port);
    let switchback = Switchback::start(folder.path(), port, &from, "");
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
    let image = folder.path().join("state/zones/contoso.test.image");
    assert!(image.exists());
    let other = "@ 60 SOA ns h 1 1h 15m 1w 60\n@ 60 NS ns\nns 60 A 127.0.0.1\n";
    std::fs::write(folder.path().join("other.zone"), other).unwrap();
    let config = std::fs::read_to_string(folder.path().join("switchback.toml")).unwrap();
    let (head, _) = config.split_once("[[zone]]").unwrap();
    let without = format!("{head}[[zone]]\norigin = \"other.test.\"\nfile = \"other.zone\"\n");
    std::fs::write(folder.path().join("switchback.toml"), without).unwrap();
    switchback.control(&["reload"]);
    assert!(!image.exists(), "{}", switchback.log());
    assert!(switchback.log().contains("contoso.test.image: removed"));
    // It comes again where it is wanted again.
    std::fs::write(folder.path().join("switchback.toml"), config).unwrap();
    switchback.control(&["reload"]);
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
    assert!(image.exists());
}

#[test]
fn notify_brings_a_change_at_once() {
    with_each("notify_brings_a_change_at_once", |program| {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let primary = Primary::start(setup(program, port), folder.path(), SLOW, "a A 192.0.2.1\n");
        let from = format!("[\"127.0.0.1:{}\"]", primary.port);
        let switchback = Switchback::start(folder.path(), port, &from, "");
        switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
        for last in 2..6 {
            primary.change(SLOW, &format!("a A 192.0.2.{last}\n"));
            switchback.answers(
                "a.contoso.test.",
                RecordType::A,
                &[&format!("192.0.2.{last}")],
            );
        }
    });
}

/// Writes a certificate for `name` that is its own issuer.
fn certify(folder: &Path, name: &str) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

#[test]
fn over_tls_the_primary_must_have_the_name_that_is_configured() {
    let test = "over_tls_the_primary_must_have_the_name_that_is_configured";
    if !Program::Named.is_there(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path(), "ns1.contoso.test");
    let (port, tls) = (free_port(), free_port());
    let with_tls = Setup {
        tls: Some(tls),
        ..setup(Program::Named, port)
    };
    let primary = Primary::start(with_tls, folder.path(), SLOW, "a A 192.0.2.1\n");
    let from = |name: &str| {
        format!("[{{ address = \"127.0.0.1:{tls}\", tls = \"{name}\", ca_file = \"server.pem\" }}]")
    };
    let switchback = Switchback::start(folder.path(), port, &from("ns2.contoso.test"), "");
    wait_for("the other name to be refused", || {
        let zone = switchback.zone()?;
        let why = zone["transferred"]["troubles"][0]["why"].as_str()?;
        (why.starts_with("TLS:") && why.contains("ns2.contoso.test")).then_some(())
    });
    switchback.says("a.contoso.test.", ResponseCode::ServFail);
    switchback.configure(&from("ns1.contoso.test"), "");
    switchback.control(&["reload"]);
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
    primary.change(SLOW, "a A 192.0.2.2\n");
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.2"]);
}

#[test]
fn a_key_signs_what_is_asked_and_what_is_said() {
    with_each("a_key_signs_what_is_asked_and_what_is_said", |program| {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let signed = Setup {
            signed: true,
            ..setup(program, port)
        };
        let primary = Primary::start(signed, folder.path(), SLOW, "a A 192.0.2.1\n");
        let key = |secret: &str| {
            format!(
                "[[key]]\nname = \"transfer\"\nalgorithm = \"hmac-sha256\"\nsecret = \"{secret}\"\n"
            )
        };
        let with_key = format!(
            "[{{ address = \"127.0.0.1:{}\", key = \"transfer\" }}]",
            primary.port
        );
        let other = key("b3RoZXIgc2VjcmV0IG9mIHRoaXJ0eSB0d28gb2N0ZXQ=");
        let switchback = Switchback::start(folder.path(), port, &with_key, &other);
        wait_for("the other secret to be refused", || {
            let zone = switchback.zone()?;
            let why = zone["transferred"]["troubles"][0]["why"].as_str()?;
            why.contains("BADSIG").then_some(())
        });
        switchback.configure(&with_key, &key(SECRET));
        switchback.control(&["reload"]);
        switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
        for last in 2..4 {
            primary.change(SLOW, &format!("a A 192.0.2.{last}\n"));
            let address = format!("192.0.2.{last}");
            switchback.answers("a.contoso.test.", RecordType::A, &[&address]);
        }
    });
}

#[test]
fn a_secondary_behind_us_follows_the_primary_before_us() {
    let test = "a_secondary_behind_us_follows_the_primary_before_us";
    if !Program::Nsd.is_there(test) || !Program::Knot.is_there(test) {
        return;
    }
    let (first, second, edges) = edges();
    let folder = tempfile::tempdir().unwrap();
    let (port, behind) = (free_port(), free_port());
    let primary = Primary::start(
        setup(Program::Nsd, port),
        folder.path(),
        SLOW,
        "a A 192.0.2.1\n",
    );
    let more = format!(
        "transfer = [\"127.0.0.1\"]\nnotify = [\"127.0.0.1:{behind}\"]\n{}",
        service(edges)
    );
    let from = format!("[\"127.0.0.1:{}\"]", primary.port);
    let switchback = Switchback::start(folder.path(), port, &from, &more);
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
    let downstream = Downstream::start(folder.path(), behind, port);
    let follows = |name: &str, rtype: RecordType, data: &str| {
        wait_for(&format!("{name} to be {data} behind us"), || {
            let answer = ask(downstream.port, name, rtype)?;
            (answer.data.first()? == data).then_some(())
        });
    };
    let srv = |edge: &str| format!("10 50 {edges} {edge}.contoso.test.");
    let owner = "_xmpp-server._tcp.contoso.test.";
    follows("a.contoso.test.", RecordType::A, "192.0.2.1");
    follows(owner, RecordType::SRV, &srv("edge1"));
    // A change of the primary, then one of ours, then one of the primary again.
    primary.change(SLOW, "a A 192.0.2.2\n");
    follows("a.contoso.test.", RecordType::A, "192.0.2.2");
    drop(first);
    follows(owner, RecordType::SRV, &srv("edge2"));
    primary.change(SLOW, "a A 192.0.2.3\n");
    follows("a.contoso.test.", RecordType::A, "192.0.2.3");
    follows(owner, RecordType::SRV, &srv("edge2"));
    drop(second);
}

fn a(last: u8) -> Record {
    ("a.contoso.test.", rtype::A, vec![192, 0, 2, last])
}

/// A zone with a name server and `records`.
fn script(serial: u32, records: Vec<Record>) -> Script {
    let server = b"\x02ns\x07contoso\x04test\0".to_vec();
    let mut all = vec![("contoso.test.", rtype::NS, server)];
    all.extend(records);
    Script {
        serial,
        records: all,
        ..Script::default()
    }
}

/// What no secondary may take, and what it says of it.
fn bad_scripts() -> Vec<(Script, &'static str)> {
    let with = |record| script(2, vec![a(2), record]);
    let whole = || script(2, vec![a(2)]);
    vec![
        (
            with(("a.elsewhere.test.", rtype::A, vec![192, 0, 2, 2])),
            "'a.elsewhere.test. A': it lies outside",
        ),
        (
            with(("a.contoso.test.", rtype::CNAME, vec![0])),
            "beside a CNAME",
        ),
        (
            with(("b.contoso.test.", rtype::A, vec![1, 2, 3])),
            "'b.contoso.test. A': its data",
        ),
        (with(("b.contoso.test.", rtype::TSIG, vec![])), "meta type"),
        (
            Script {
                cut: true,
                ..whole()
            },
            "closed the connection",
        ),
        (
            Script {
                refuse: Some(5),
                ..whole()
            },
            "REFUSED",
        ),
        (
            Script {
                records: vec![a(2)],
                ..whole()
            },
            "'contoso.test. NS': it is missing",
        ),
        (script(0, vec![a(2)]), "serial 0, older than our 1"),
    ]
}

#[test]
fn a_bad_transfer_changes_nothing_and_says_why() {
    let primary = Hostile::start(script(1, vec![a(1)]));
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let from = format!("[\"127.0.0.1:{}\"]", primary.port);
    let switchback = Switchback::start(folder.path(), port, &from, "");
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
    for (script, what) in bad_scripts() {
        primary.say(script);
        wait_for(&format!("status to say {what}"), || {
            let zone = switchback.zone()?;
            let why = zone["transferred"]["troubles"][0]["why"].as_str()?;
            why.contains(what).then_some(())
        });
        switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.1"]);
    }
    primary.say(script(3, vec![a(9)]));
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.9"]);
    let log = switchback.log();
    assert!(
        log.contains("zone contoso.test.: primary 127.0.0.1:"),
        "{log}"
    );
}

/// A service over two pools that are listened for at `edges`.
fn service(edges: u16) -> String {
    format!(
        "[probe]\nkind = \"tcp\"\nport = {edges}\ninterval = \"100ms\"\ntimeout = \"500ms\"\n\
         [[pool]]\nname = \"one\"\nservers = [{{ name = \"edge1.contoso.test.\", addresses = \
         [\"127.0.0.2\"] }}]\n[[pool]]\nname = \"two\"\nservers = [{{ name = \
         \"edge2.contoso.test.\", addresses = [\"127.0.0.3\"] }}]\n[[service]]\nname = \
         \"xmpp\"\npools = [\"one\", \"two\"]\nfailback = \"manual\"\nrecords = [{{ srv = \
         \"_xmpp-server._tcp.contoso.test.\", port = {edges} }}, {{ address = \
         \"xmpp.contoso.test.\" }}]\n"
    )
}

#[test]
fn services_are_laid_over_what_the_primary_sends_and_fail_over() {
    let test = "services_are_laid_over_what_the_primary_sends_and_fail_over";
    if !Program::Knot.is_there(test) {
        return;
    }
    let (first, second, edges) = edges();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let theirs = "_xmpp-server._tcp SRV 1 2 3 elsewhere.test.\nxmpp CNAME a\nedge1 A \
                  203.0.113.9\nedge1 TXT mine\na A 192.0.2.1\n";
    let primary = Primary::start(setup(Program::Knot, port), folder.path(), SLOW, theirs);
    let from = format!("[\"127.0.0.1:{}\"]", primary.port);
    let mut switchback = Switchback::start(folder.path(), port, &from, &service(edges));
    let srv = "_xmpp-server._tcp.contoso.test.";
    let order = |names: [&str; 2]| {
        let record =
            |priority: u16, name: &str| format!("{priority} 50 {edges} {name}.contoso.test.");
        [record(10, names[0]), record(20, names[1])]
    };
    let serves = |switchback: &Switchback, names: [&str; 2], address: &str| {
        let records = order(names);
        switchback.answers(srv, RecordType::SRV, &[&records[0], &records[1]]);
        switchback.answers("xmpp.contoso.test.", RecordType::A, &[address]);
    };
    serves(&switchback, ["edge1", "edge2"], "127.0.0.2");
    switchback.answers("edge1.contoso.test.", RecordType::A, &["127.0.0.2"]);
    switchback.answers("edge1.contoso.test.", RecordType::TXT, &["mine"]);
    let replaced = switchback.zone().unwrap()["transferred"]["replaced"].to_string();
    for what in [
        "_xmpp-server._tcp.contoso.test. SRV",
        "xmpp.contoso.test. CNAME",
        "edge1.contoso.test. A",
    ] {
        assert!(replaced.contains(what), "{what}: {replaced}");
    }
    drop(first);
    serves(&switchback, ["edge2", "edge1"], "127.0.0.3");
    // A change of the primary leaves the order alone, and what it takes away does not matter.
    primary.change(SLOW, "a A 192.0.2.2\n");
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.2"]);
    serves(&switchback, ["edge2", "edge1"], "127.0.0.3");
    switchback.kill();
    switchback.run();
    serves(&switchback, ["edge2", "edge1"], "127.0.0.3");
    switchback.answers("a.contoso.test.", RecordType::A, &["192.0.2.2"]);
    // A reload without the services gives the names back; one without the zone refuses.
    primary.change(SLOW, theirs);
    serves(&switchback, ["edge2", "edge1"], "127.0.0.3");
    wait_for("the change", || {
        (switchback.zone()?["transferred"]["primary_serial"] == 3).then_some(())
    });
    switchback.configure(&from, "");
    let said = switchback.control(&["reload"]);
    assert!(
        said.contains("reloaded") || said.contains("generation"),
        "{said}"
    );
    switchback.answers("edge1.contoso.test.", RecordType::A, &["203.0.113.9"]);
    switchback.answers(srv, RecordType::SRV, &["1 2 3 elsewhere.test."]);
    drop(second);
}

/// A port at which both edges listen.
fn edges() -> (TcpListener, TcpListener, u16) {
    wait_for("a port that both edges can have", || {
        let first = TcpListener::bind("127.0.0.2:0").ok()?;
        let port = first.local_addr().ok()?.port();
        let second = TcpListener::bind(("127.0.0.3", port)).ok()?;
        Some((first, second, port))
    })
}
