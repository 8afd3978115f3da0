//! Metrics: every one that is written about is really told, by a daemon that has something to tell.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use switchback::metrics::CATALOGUE;

use crate::house::{House, eventually};
use crate::programs::free_port;

fn root(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// One request to `/metrics`; the head and the body of the response.
fn scrape_as(house: &House, request: &str) -> (String, String) {
    let at = metrics_of(house);
    let mut stream = TcpStream::connect(at).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn scrape(house: &House) -> String {
    let get = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let (head, body) = scrape_as(house, get);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body
}

/// Where the daemon says that metrics are.
fn metrics_of(house: &House) -> SocketAddr {
    eventually("the log names the place", || {
        let log = house.log();
        let (before, _) = log.rsplit_once(" (metrics)")?;
        before.rsplit(' ').next()?.parse().ok()
    })
}

/// The value of a series, named as on the page.
fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(series))?;
    line.trim().parse().ok()
}

/// The names that stand in a text: of metrics, for they all begin like this.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics = words.filter(|word| {
        let is_process = word.starts_with("process_") && *word != "process_";
        (word.starts_with("switchback_") || is_process) && !word.ends_with('_')
    });
    metrics.map(base).collect()
}

/// A histogram's name without what its series add.
fn base(name: &str) -> String {
    let parts = ["_bucket", "_sum", "_count"];
    let base = parts.iter().find_map(|part| name.strip_suffix(part));
    let is_histogram = |base: &&str| CATALOGUE.iter().any(|family| family.name == *base);
    base.filter(is_histogram).unwrap_or(name).to_owned()
}

fn on_page(page: &str) -> BTreeSet<String> {
    let series = page.lines().filter(|line| !line.starts_with('#'));
    let names = series.filter_map(|line| line.split(['{', ' ']).next());
    names.map(base).collect()
}

/// Runs a tool with something on its standard input: whether it is content, and what it says.
/// `None`: there is no such tool here.
fn tool(program: &str, arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("left out: {program} is not here; `.ci/tools` installs it");
        return None;
    };
    child.stdin.take()?.write_all(input.as_bytes()).ok()?;
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Some((output.status.success(), said))
}

/// A secondary that acknowledges whatever it is told (RFC 1996 section 3.12).
fn secondary() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut message = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut message) {
            message[2] |= 0x80;
            let _ = socket.send_to(&message[..length], from);
        }
    });
    at
}

/// Another server that has a zone for ours to fetch.
fn primary() -> (House, SocketAddr) {
    let mut primary = House::build("");
    let config = r#"
state_dir = "state"
[listen]
dns     = ["127.0.0.1:0"]
control = "control.sock"
[[zone]]
origin   = "moved.test."
file     = "contoso.test.zone"
transfer = ["127.0.0.1"]
"#;
    primary.write("switchback.toml", config);
    primary.serve();
    let at = primary.dns();
    (primary, at)
}

/// A daemon with one of everything: a runbook, a certificate, a secondary, a primary, an alert.
fn rich(primary: SocketAddr) -> House {
    let (port, notified) = (free_port(), secondary());
    let steps = format!(
        r#"
[[service.step]]
name = "route"
run  = ["/bin/true"]
[[service.step]]
publish = true
[[pool]]
name    = "ourselves"
servers = [{{ name = "own.contoso.test.", addresses = ["127.0.0.1"] }}]
[[pool.probe]]
kind    = "tls"
port    = {port}
domain  = "ns.contoso.test"
ca_file = "own.pem"
[[pool]]
name    = "nobody"
servers = [{{ name = "nobody.contoso.test.", addresses = ["127.0.2.3"] }}]
[[service]]
name    = "own"
pools   = ["ourselves", "nobody"]
records = [{{ srv = "_domain-s._tcp.contoso.test.", port = {port} }}]
[[zone]]
origin  = "moved.test."
primary = [{{ address = "{primary}" }}]
[[alert]]
name = "team"
run  = ["/bin/true"]
on   = ["failover"]
"#
    );
    let house = House::build("");
    let own = rcgen::generate_simple_self_signed(["ns.contoso.test".to_owned()]).unwrap();
    house.write("own.pem", &own.cert.pem());
    house.write("own.key", &own.signing_key.serialize_pem());
    let listen = format!(
        "metrics = [\"127.0.0.1:0\"]\ntls = [\"127.0.0.1:{port}\"]\ncertificate = \"own.pem\"\n\
         key = \"own.key\"\ncontrol ="
    );
    let config = house.config(&steps).replacen("control =", &listen, 1);
    let file = "file   = \"contoso.test.zone\"";
    let config = config.replacen(
        file,
        &format!("{file}\nnotify = [\"{notified}\"]\ntransfer = [\"127.0.0.1\"]"),
        1,
    );
    house.write("switchback.toml", &config);
    house
}

#[test]
fn every_metric_of_rules_dashboard_and_reference_is_told_after_a_failover() {
    let (_primary, at) = primary();
    let mut house = rich(at);
    house.serve();
    house.serves(["edge1", "edge2"]);
    let before = scrape(&house);
    house.close(0);
    house.serves(["edge2", "edge1"]);
    let moved = "switchback_service_moves_total{service=\"xmpp-federation\",to=\"edgepool2\"}";
    assert_eq!(value(&before, moved), Some(0.0));
    let wanted: BTreeSet<String> = CATALOGUE.iter().map(|it| it.name.to_owned()).collect();
    let page = eventually("everything is told", || {
        let page = scrape(&house);
        let is_whole = on_page(&page).is_superset(&wanted);
        let has_ended = "result=\"completed\"} 1\n";
        (is_whole && page.contains(has_ended)).then_some(page)
    });
    assert_eq!(on_page(&page), wanted, "the catalogue is all that is told");
    for (series, expected) in [
        (moved, 1.0),
        (
            "switchback_service_active{service=\"xmpp-federation\",pool=\"edgepool2\"}",
            1.0,
        ),
        (
            "switchback_service_active{service=\"xmpp-federation\",pool=\"edgepool1\"}",
            0.0,
        ),
        (
            "switchback_pool_health{pool=\"edgepool1\",state=\"down\"}",
            1.0,
        ),
        (
            "switchback_service_on_preferred{service=\"xmpp-federation\"}",
            0.0,
        ),
        (
            "switchback_steps_total{service=\"xmpp-federation\",step=\"route\",result=\"done\"}",
            1.0,
        ),
        ("switchback_zone_good{zone=\"moved.test.\"}", 1.0),
        ("switchback_store_up", 1.0),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series}");
    }
    for file in [
        "packaging/prometheus/alerts.yml",
        "packaging/grafana/switchback.json",
        "docs/metrics.md",
    ] {
        let named = names_in(&fs::read_to_string(root(file)).unwrap());
        assert!(named.len() > 10, "{file} names some");
        let unknown: Vec<_> = named.difference(&wanted).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
    if let Some((content, said)) = tool("promtool", &["check", "metrics"], &page) {
        assert!(content && said.trim().is_empty(), "{said}");
    }
}

#[test]
fn queries_are_counted_by_transport_type_and_rcode() {
    let mut house = House::build("");
    let config = house.config("");
    let listen = "metrics = [\"127.0.0.1:0\"]\ncontrol =";
    house.write("switchback.toml", &config.replacen("control =", listen, 1));
    house.serve();
    let count = |page: &str, series: &str| value(page, series).unwrap();
    let srv = "switchback_dns_queries_total{transport=\"udp\",type=\"SRV\"}";
    let other = "switchback_dns_queries_total{transport=\"udp\",type=\"other\"}";
    let none = "switchback_dns_queries_total{transport=\"udp\",type=\"none\"}";
    let missing = "switchback_dns_responses_total{transport=\"udp\",rcode=\"NXDOMAIN\"}";
    let bad_version = "switchback_dns_responses_total{transport=\"udp\",rcode=\"BADVERS\"}";
    let took = "switchback_dns_answer_duration_seconds_count{transport=\"udp\"}";
    let before = scrape(&house);
    house.served();
    // Type 4711 of a name that is not there; the header alone; EDNS version 9.
    let mut message = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(b"\x04gone\x07contoso\x04test\x00");
    message.extend_from_slice(&[0x12, 0x67, 0, 1]);
    house.exchange(&message).unwrap();
    house.exchange(&message[..12].iter().map(|_| 0).collect::<Vec<u8>>());
    message[11] = 1;
    message.extend_from_slice(&[0, 0, 41, 4, 208, 0, 9, 0, 0, 0, 0]);
    house.exchange(&message).unwrap();
    let after = eventually("all are counted", || {
        let page = scrape(&house);
        (count(&page, took) - count(&before, took) >= 4.0).then_some(page)
    });
    for (series, more) in [
        (srv, 1.0),
        (other, 2.0),
        (none, 1.0),
        (missing, 1.0),
        (bad_version, 1.0),
    ] {
        assert_eq!(
            count(&after, series) - count(&before, series),
            more,
            "{series}"
        );
    }
}

#[test]
fn scrapers_get_the_format_that_they_ask_for_and_others_an_error() {
    let mut house = House::build("");
    let config = house.config("");
    let listen = "metrics = [\"127.0.0.1:0\"]\ncontrol =";
    house.write("switchback.toml", &config.replacen("control =", listen, 1));
    house.serve();
    let said = |line: &str, more: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
        scrape_as(&house, &request)
    };
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let (head, body) = said("GET /metrics", accept);
    assert!(
        head.contains("application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(body.ends_with("# EOF\n"), "{body}");
    let (head, body) = said("HEAD /metrics", "");
    assert!(head.contains("200 OK") && body.is_empty(), "{head}");
    assert!(
        said("POST /metrics", "Content-Length: 0\r\n")
            .0
            .contains(" 405 ")
    );
    assert!(said("GET /", "").0.contains(" 404 "));
    // Who says nothing keeps nobody out.
    let silent: Vec<TcpStream> = (0..8)
        .map(|_| TcpStream::connect(metrics_of(&house)).unwrap())
        .collect();
    scrape(&house);
    drop(silent);
}

#[test]
fn prometheus_takes_the_rules_and_what_the_dashboard_asks() {
    let folder = root("packaging/prometheus");
    let path = |file: &str| folder.join(file).display().to_string();
    for arguments in [
        ["check", "rules", &path("alerts.yml")],
        ["test", "rules", &path("alerts.test.yml")],
    ] {
        if let Some((content, said)) = tool("promtool", &arguments, "") {
            assert!(content, "{said}");
        }
    }
    let dashboard = fs::read_to_string(root("packaging/grafana/switchback.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let mut asked = 0;
    for target in targets.flatten() {
        let question = target["expr"].as_str().unwrap();
        let question = question
            .replace("$__rate_interval", "5m")
            .replace("$__range", "1h");
        rules += &format!("  - record: asked:{asked}\n    expr: '{question}'\n");
        asked += 1;
    }
    assert!(asked > 40, "the dashboard asks {asked} questions");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dashboard.yml");
    fs::write(&file, rules.replace("asked:", "asked:n")).unwrap();
    let file = file.display().to_string();
    if let Some((content, said)) = tool("promtool", &["check", "rules", &file], "") {
        assert!(content, "{said}");
    }
}

#[test]
fn the_reference_lists_every_metric_with_its_labels() {
    let mut table = "| metric | kind | labels | says |\n| --- | --- | --- | --- |\n".to_owned();
    for family in CATALOGUE {
        let labels: Vec<String> = family.labels.iter().map(|it| format!("`{it}`")).collect();
        table += &format!(
            "| `{}` | {} | {} | {} |\n",
            family.name,
            family.kind.word(),
            labels.join(", "),
            family.help
        );
    }
    let path = root("docs/metrics.md");
    let page = fs::read_to_string(&path).unwrap();
    let begin = page.find("<!-- begin").unwrap();
    let begin = begin + page[begin..].find('\n').unwrap() + 1;
    let end = page.find("<!-- end").unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let page = [&page[..begin], &table, &page[end..]].concat();
        fs::write(&path, page).unwrap();
        return;
    }
    assert_eq!(&page[begin..end], table, "UPDATE_EXPECT=1 rewrites it");
}
