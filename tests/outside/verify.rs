//! `switchback verify`: each fault of the world has its line.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Lab, SERVICE, Setup, in_a_lab};
use crate::patience::wait_for;

const BOUND: Duration = Duration::from_secs(30);

/// What was found, and whether the command says that all is well.
fn verified(lab: &Lab, words: &[&str]) -> (Vec<Value>, bool) {
    let output = lab.switchback(&[&["verify", SERVICE, "--json"], words].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    let json: Value = serde_json::from_str(&said)
        .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    let findings = json["findings"].as_array().unwrap().clone();
    (findings, output.status.success())
}

/// The lines that are no pass, `fail server contoso.test. at …: lame: …`.
fn faults(findings: &[Value]) -> Vec<String> {
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    let bad = findings.iter().filter(|it| it["level"] != "pass");
    let lines = bad.map(|it| {
        assert!(!text(it, "remedy").is_empty(), "no remedy: {it}");
        let [level, check, at, saw] = ["level", "check", "at", "saw"].map(|key| text(it, key));
        format!("{level} {check} {at}: {saw}")
    });
    lines.collect()
}

#[track_caller]
fn has(findings: &[Value], start: &str, middle: &str) {
    let lines = faults(findings);
    let found = lines
        .iter()
        .any(|line| line.starts_with(start) && line.contains(middle));
    assert!(found, "no line {start} … {middle} in {lines:#?}");
}

#[test]
fn a_service_that_is_well_passes_through_a_resolver_and_from_the_root() {
    let test = "verify::a_service_that_is_well_passes_through_a_resolver_and_from_the_root";
    in_a_lab(test, Setup::default(), |lab| {
        for way in [&[][..], &["--from-root"], &["--resolver", "10.77.0.6"]] {
            let (findings, well) = verified(lab, way);
            assert_eq!(faults(&findings), Vec::<String>::new(), "{way:?}");
            assert!(well);
            // Parent, glue, two servers, two serials, answers and TTLs of each, two edges.
            let checks = |check: &str| findings.iter().filter(|it| it["check"] == check).count();
            assert_eq!(
                (checks("delegation"), checks("glue")),
                (1, 2),
                "{findings:#?}"
            );
            assert_eq!((checks("server"), checks("serial")), (2, 2));
            // SRV, the address, and _tcp between, of each server.
            assert_eq!((checks("answer"), checks("ttl")), (6, 4));
            assert_eq!(
                (checks("target"), checks("edge"), checks("certificate")),
                (2, 2, 2)
            );
            assert_eq!(checks("resolver"), 2);
        }
        // Without a daemon the servers are measured by each other, and nothing else changes.
        let elsewhere = fs::read_to_string(lab.config()).unwrap();
        let elsewhere = elsewhere.replace("control.sock", "nobody.sock");
        fs::write(lab.path("elsewhere.toml"), elsewhere).unwrap();
        let config = lab.path("elsewhere.toml").display().to_string();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_switchback"))
            .args(["verify", SERVICE, "--config", &config])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("no daemon runs here"), "{said}");
        assert!(said.contains("0 warnings, 0 failures"), "{said}");
    });
}

#[test]
fn a_lame_server_a_stale_one_and_a_dead_one_each_have_their_line() {
    let test = "verify::a_lame_server_a_stale_one_and_a_dead_one_each_have_their_line";
    let setup = Setup {
        delegation: "contoso NS ns1.contoso\ncontoso NS ns2.contoso\ncontoso NS ns3.contoso\n\
                     contoso NS ns4.contoso\nns1.contoso A 10.77.0.4\nns2.contoso A 10.77.0.5\n\
                     ns3.contoso A 10.77.0.7\nns4.contoso A 10.77.0.8\n",
        servers: &["ns1", "ns2", "ns3", "ns4"],
        ..Setup::default()
    };
    in_a_lab(test, setup, |lab| {
        lab.blackhole("knot");
        // From the root, for the resolver has its own way around what is dead.
        let (findings, well) = verified(lab, &["--from-root"]);
        assert!(!well);
        let at = |number: u8, last: u8| {
            format!("contoso.test. at ns{number}.contoso.test. 10.77.0.{last}:")
        };
        has(
            &findings,
            &format!("fail server {}", at(3, 7)),
            "lame: it answers REFUSED over UDP",
        );
        has(
            &findings,
            &format!("fail server {}", at(3, 7)),
            "lame: it answers REFUSED over TCP",
        );
        has(
            &findings,
            &format!("fail server {}", at(2, 5)),
            "no answer over UDP within 3000 ms",
        );
        has(
            &findings,
            &format!("fail server {}", at(2, 5)),
            "no answer over TCP within 4000 ms",
        );
        has(
            &findings,
            &format!("warn serial {}", at(4, 8)),
            "stale: serial 1, ",
        );
        has(
            &findings,
            &format!("fail answer {}", at(4, 8)),
            "SRV: 10 edge2.contoso.test., 20 edge1.contoso.test.: wrong order, the daemon \
             publishes 10 edge1.contoso.test., 20 edge2.contoso.test.",
        );
        // It has no address that follows the active pool, and the TTL is longer than ours.
        has(
            &findings,
            &format!("fail answer {}", at(4, 8)),
            "xmpp.contoso.test. A: it answers NXDOMAIN",
        );
        has(
            &findings,
            &format!("warn ttl {}", at(4, 8)),
            "TTL 5 s, longer",
        );
        // What is well is found well beside them.
        let own = findings
            .iter()
            .filter(|it| it["at"].as_str().unwrap().contains("ns1."));
        assert!(own.clone().count() > 3 && own.clone().all(|it| it["level"] == "pass"));
    });
}

#[test]
fn missing_glue_a_wrong_one_and_an_expired_certificate_each_have_their_line() {
    let test = "verify::missing_glue_a_wrong_one_and_an_expired_certificate_each_have_their_line";
    let setup = Setup {
        delegation: "contoso NS ns1.contoso\ncontoso NS ns2.contoso\ncontoso NS ns3.contoso\n\
                     ns1.contoso A 10.77.0.4\nns2.contoso A 10.77.0.99\n",
        certificates: [2021, 2021],
        more: "[[alert]]\nname = \"page\"\nrun = [\"./page\"]\non = [\"certificate\"]\n",
        ..Setup::default()
    };
    in_a_lab(test, setup, |lab| {
        let (findings, well) = verified(lab, &["--from-root"]);
        assert!(!well);
        let parent = "contoso.test. at a.root. 10.77.0.2:";
        has(
            &findings,
            &format!("fail glue {parent}"),
            "no address for ns3.contoso.test.",
        );
        has(
            &findings,
            &format!("fail glue {parent}"),
            "ns2.contoso.test. is at 10.77.0.99 by glue, and at 10.77.0.5 by its own zone",
        );
        // Nobody is at the wrong address, and the network says so.
        let nobody = "fail server contoso.test. at ns2.contoso.test. 10.77.0.99:";
        has(&findings, nobody, "over UDP");
        has(&findings, nobody, "over TCP");
        has(
            &findings,
            "warn delegation contoso.test.:",
            "the parent names ns1.contoso.test., ns2.contoso.test., ns3.contoso.test., the zone \
             itself ns1.contoso.test., ns2.contoso.test.",
        );
        has(
            &findings,
            "fail certificate edge1.contoso.test. 10.77.0.11:5269:",
            "xmpp-tls for contoso.test: the certificate is not valid now; it ends 2021-12-31",
        );
        // And the daemon tells of it by itself.
        wait_for("an alert for each edge", BOUND, || {
            let paged = fs::read_to_string(lab.path("paged")).ok()?;
            let edges = [
                "edge1.contoso.test. (10.77.0.11)",
                "edge2.contoso.test. (10.77.0.12)",
            ];
            let told = |edge| paged.contains(&format!("the certificate of {edge} has ended"));
            edges.into_iter().all(told).then_some(())
        });
        // The standby's fault is none of partners yet.
        has(
            &findings,
            "warn certificate edge2.contoso.test. 10.77.0.12:5269:",
            "2021-12-31",
        );
    });
}
