//! What a failover is to those who follow: an edge is killed, and every secondary gives the new
//! order under our serial. And what we say of a secondary that does not follow.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use switchback::admin::status::TaskState;

use crate::patience::wait_for;
use crate::primary::{BOUND, ORIGIN, Primary, dig};
use crate::programs::free_port;
use crate::{all_have_the_same, everybody_with, has_dig};

const SRV: &str = "_xmpp-server._tcp.contoso.test.";

/// An XMPP edge, a process of its own.
struct Edge(Child);

impl Edge {
    fn start(address: &str, port: u16) -> Edge {
        let mut child = Command::new(env!("CARGO_BIN_EXE_switchback"))
            .args(["demo-edge", "--domain", "contoso.test"])
            .arg(format!("{address}:{port}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert_eq!(line, "listening\n");
        Edge(child)
    }
}

impl Drop for Edge {
    /// SIGKILL.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two pools of one edge each, and the service in front of them.
fn services(port: u16) -> String {
    format!(
        r#"
[probe]
kind     = "xmpp"
domain   = "contoso.test"
port     = {port}
interval = "200ms"
timeout  = "1s"
[[pool]]
name    = "edgepool1"
servers = [{{ name = "edge1.contoso.test.", addresses = ["127.0.2.1"] }}]
[[pool]]
name    = "edgepool2"
servers = [{{ name = "edge2.contoso.test.", addresses = ["127.0.2.2"] }}]
[[service]]
name     = "xmpp-federation"
pools    = ["edgepool1", "edgepool2"]
records  = [{{ srv = "{SRV}", port = {port} }}]
failback = {{ after = "1s" }}
"#
    )
}

/// The first labels of the SRV targets of a server, by priority.
fn order(port: u16) -> Option<String> {
    let answer = dig(
        port,
        None,
        &["+norec", "+short", "+tries=1", "+time=1", SRV, "SRV"],
    );
    let mut targets: Vec<(u16, &str)> = answer
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let target = words.get(3)?.split('.').next()?;
            Some((words[0].parse().ok()?, target))
        })
        .collect();
    targets.sort_unstable();
    let targets: Vec<&str> = targets.into_iter().map(|(_, target)| target).collect();
    (!targets.is_empty()).then(|| targets.join(" "))
}

fn comes_to(port: u16, wanted: &str) {
    let what = format!("the order {wanted} at port {port}");
    wait_for(&what, BOUND, || order(port).filter(|order| order == wanted));
}

#[test]
fn a_killed_edge_reaches_every_secondary() {
    if !has_dig() {
        return;
    }
    let port = free_port();
    let edge1 = Edge::start("127.0.2.1", port);
    let _edge2 = Edge::start("127.0.2.2", port);
    let (primary, secondaries) = everybody_with(&services(port));
    let orders = ["edge1 edge2", "edge2 edge1", "edge1 edge2"];
    let mut serials = Vec::new();
    let mut edges = vec![edge1];
    for (round, wanted) in orders.iter().enumerate() {
        match round {
            0 => {}
            // The active edge dies; then it is back, and so is the service.
            1 => edges.clear(),
            _ => edges.push(Edge::start("127.0.2.1", port)),
        }
        comes_to(primary.port, wanted);
        for secondary in &secondaries {
            comes_to(secondary.port, wanted);
        }
        // The TTL settles later, under another serial: then all have all of it.
        all_have_the_same(&primary, &secondaries);
        serials.push(primary.serial().unwrap());
    }
    assert!(
        serials.is_sorted() && serials[0] < serials[1],
        "{serials:?}"
    );
    assert!(serials[1] < serials[2], "{serials:?}");
}

#[test]
fn what_cannot_be_taken_back_waits_until_the_secondaries_serve_the_new_order() {
    if !has_dig() {
        return;
    }
    let port = free_port();
    let edge1 = Edge::start("127.0.2.1", port);
    let _edge2 = Edge::start("127.0.2.2", port);
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut");
    let steps = format!(
        "[[service.step]]\npublish = true\n\
         [[service.step]]\nwait = \"secondaries\"\n\
         [[service.step]]\nfence = [\"touch\", \"{}\"]\n",
        cut.display()
    );
    let (primary, mut secondaries) = everybody_with(&(services(port) + &steps));
    let Some(silent) = secondaries.pop() else {
        return;
    };
    let serial = primary.serial().unwrap();
    // One that is still at its first transfer, and fails there, takes its time before it tries again.
    for secondary in secondaries.iter().chain([&silent]) {
        secondary.comes_to(serial);
    }
    let (peer, at) = (silent.peer, silent.port);
    drop(silent);
    drop(edge1);
    comes_to(primary.port, "edge2 edge1");
    for secondary in &secondaries {
        comes_to(secondary.port, "edge2 edge1");
    }
    let waits = || {
        let operation = primary.status().services[0].operation.clone()?;
        let step = operation.steps.get(1)?.clone();
        (step.state == TaskState::Running).then_some(())
    };
    wait_for("the operation to wait for the last one", BOUND, waits);
    assert!(!cut.exists(), "one secondary has not the new order");
    let again = peer.start(&peer.program().unwrap(), at, primary.port);
    wait_for("the fence", BOUND, || cut.exists().then_some(()));
    for secondary in secondaries.iter().chain([&again]) {
        assert_eq!(order(secondary.port).as_deref(), Some("edge2 edge1"));
    }
}

#[test]
fn a_secondary_that_does_not_follow_is_an_alarm_until_it_does() {
    if !has_dig() {
        return;
    }
    let (mut primary, mut secondaries) = everybody_with("[secondaries]\nalarm_after = \"1s\"\n");
    let Some(silent) = secondaries.pop() else {
        return;
    };
    all_have_the_same(&primary, &secondaries);
    silent.comes_to(primary.serial().unwrap());
    let (peer, port) = (silent.peer, silent.port);
    drop(silent);
    primary.change();
    let alarm = |primary: &Primary| {
        let alarms = primary.status().alarms;
        let about = format!("secondary 127.0.0.1:{port} ");
        alarms.into_iter().find(|alarm| alarm.starts_with(&about))
    };
    let text = wait_for("an alarm", BOUND, || alarm(&primary));
    assert!(text.contains("does not acknowledge NOTIFY"), "{text}");
    assert!(text.contains(ORIGIN), "{text}");
    // Those that follow are none.
    all_have_the_same(&primary, &secondaries);
    let others = || primary.status().alarms.len() == 1;
    wait_for("one alarm only", BOUND, || others().then_some(()));
    let again = peer.start(&peer.program().unwrap(), port, primary.port);
    again.comes_to(primary.serial().unwrap());
    wait_for("the end of the alarm", BOUND, || {
        primary.status().alarms.is_empty().then_some(())
    });
    drop(again);
}
