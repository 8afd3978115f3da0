//! An operator's orders, as a shell gives them: what is done, what is refused, what is left behind.

use std::process::Output;

use serde_json::Value;

use crate::house::{House, eventually};

/// Both values of the TTL are short: nobody waits long for caches.
const SHORT: &str = "ttl = { min = \"1s\", max = \"2s\" }\n";

/// Gives an order; returns its exit code and all that it said.
pub(crate) fn order(house: &House, words: &[&str]) -> (Option<i32>, String) {
    let output = house.switchback(words);
    let code = output.status.code();
    let said = [output.stdout, output.stderr].concat();
    (code, String::from_utf8(said).unwrap())
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn served() -> House {
    let mut house = House::build("");
    house.serve_well();
    house
}

#[test]
fn a_failover_and_the_way_back_are_shown_step_by_step() {
    let house = served();
    let (code, said) = order(
        &house,
        &[
            "failover",
            "xmpp-federation",
            "--reason",
            "new disks",
            "--now",
        ],
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("op-0 from edgepool1 to edgepool2, 1 steps"),
        "{said}"
    );
    assert!(said.contains("done     publish"), "{said}");
    assert!(
        said.ends_with("xmpp-federation: edgepool2 is active\n"),
        "{said}"
    );
    assert_eq!(house.served().order, ["edge2", "edge1"]);
    let because = house.log();
    assert!(because.contains("ordered it: new disks"), "{because}");

    let output = house.switchback(&["failback", "xmpp-federation", "--json", "--now"]);
    assert_eq!(output.status.code(), Some(0));
    let outcome = json(&output);
    assert_eq!(outcome["arrived"], true);
    assert_eq!(outcome["moving"][0]["operation"], 1);
    assert_eq!(outcome["services"][0]["active"], "edgepool1");
    assert_eq!(house.served().order, ["edge1", "edge2"]);
}

#[test]
fn what_is_refused_says_why_ends_with_3_and_changes_nothing() {
    let mut house = served();
    house.close(1);
    eventually("the second pool is down", || {
        (house.status()["pools"][1]["health"] == "down").then_some(())
    });
    let why = ["--reason", "a test"];
    for (words, because) in [
        (&["failover", "nothing"][..], "there is no service nothing"),
        (
            &["failover", "xmpp-federation"],
            "no other pool of xmpp-federation could take over",
        ),
        (
            &["failover", "xmpp-federation", "--to", "edgepool1"],
            "pool edgepool1 is the active pool of xmpp-federation already",
        ),
        (
            &["failover", "xmpp-federation", "--to", "edgepool2"],
            "pool edgepool2 is down: xmpp-federation would leave it again for edgepool1",
        ),
        (
            &["failover", "xmpp-federation", "--to", "edgepool9"],
            "service xmpp-federation has no pool edgepool9",
        ),
        (
            &["drain", "edgepool1"],
            "draining edgepool1 leaves no pool that could serve xmpp-federation",
        ),
        (
            &["drain", "edge1.contoso.test"],
            "without edge1.contoso.test., pool edgepool1 has fewer servers than it needs",
        ),
        (
            &["drain", "edge9.contoso.test"],
            "edge9.contoso.test is neither a pool nor a server",
        ),
        (&["undrain", "edgepool1"], "edgepool1 is not drained"),
        (
            &["readmit", "xmpp-federation", "edgepool2"],
            "pool edgepool2 is not kept out of service xmpp-federation",
        ),
        (&["thaw", "xmpp-federation"], "no such override"),
    ] {
        let (code, said) = order(&house, &[words, &why].concat());
        assert_eq!(code, Some(3), "{words:?}: {said}");
        assert!(said.contains(because), "{words:?}: {said}");
    }
    let (code, said) = order(&house, &["drain", "edgepool1"]);
    assert_eq!(code, Some(2), "a reason is needed: {said}");
    assert_eq!(house.served().order, ["edge1", "edge2"]);
    assert_eq!(
        order(&house, &["overrides"]),
        (Some(0), "no overrides are in force\n".into())
    );
}

#[test]
fn an_override_that_ends_before_caches_are_empty_warns_of_it() {
    let house = served();
    let drain = ["drain", "edgepool1", "--reason", "a test", "--no-wait"];
    let (code, said) = order(&house, &[&drain[..], &["--for", "5s"]].concat());
    assert_eq!(code, Some(0), "{said}");
    let warned = "s, before xmpp-federation moves, which waits ";
    assert!(said.contains(warned), "{said}");
    let (_, said) = order(&house, &[&drain[..], &["--for", "2h"]].concat());
    assert!(!said.contains(warned), "{said}");
    let pin = ["pin", "xmpp-federation", "edgepool2", "--reason", "a test"];
    let (_, said) = order(&house, &[&pin[..], &["--no-wait", "--for", "5s"]].concat());
    assert!(said.contains(warned), "{said}");
}

#[test]
fn a_drain_moves_the_services_away_and_outlives_a_restart() {
    let mut house = served();
    let (code, said) = order(
        &house,
        &[
            "drain",
            "edgepool1",
            "--reason",
            "new disks",
            "--for",
            "2h",
            "--author",
            "alice",
            "--now",
        ],
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("drain pool edgepool1 by alice (as "),
        "{said}"
    );
    assert!(
        said.contains("xmpp-federation: edgepool2 is active"),
        "{said}"
    );
    assert_eq!(house.served().order, ["edge2", "edge1"]);

    house.kill();
    house.serve();
    let (_, said) = order(&house, &["overrides"]);
    assert!(
        said.starts_with("drain pool edgepool1  by alice (as "),
        "{said}"
    );
    assert!(said.contains("ends in 1h59m"), "{said}");
    let list = json(&house.switchback(&["overrides", "--json"]));
    assert_eq!(list["overrides"][0]["what"], "drain-pool");
    assert_eq!(list["overrides"][0]["reason"], "new disks");

    let (code, said) = order(
        &house,
        &[
            "failover",
            "xmpp-federation",
            "--to",
            "edgepool1",
            "--reason",
            "no",
        ],
    );
    assert_eq!(code, Some(3));
    assert!(said.contains("switchback undrain edgepool1"), "{said}");
    let (code, said) = order(&house, &["undrain", "edgepool1", "--reason", "done"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("taken back: drain pool edgepool1 by alice"),
        "{said}"
    );
    let log = house.log();
    assert!(log.contains("override taken back by "), "{log}");
    assert!(log.contains("(done): drain pool edgepool1"), "{log}");
}

#[test]
fn a_server_is_drained_by_its_name_and_a_second_word_replaces_the_first() {
    let house = served();
    let drain = |reason| ["drain", "EDGE2.contoso.test", "--reason", reason, "--force"];
    assert_eq!(order(&house, &drain("one")).0, Some(0));
    let (code, said) = order(&house, &drain("two"));
    assert_eq!(code, Some(0));
    assert!(
        said.contains("warning: it replaces: drain server edge2"),
        "{said}"
    );
    assert_eq!(
        order(&house, &["undrain", "edge2.contoso.test."]).0,
        Some(0)
    );
    house.serves(["edge1", "edge2"]);
}

#[test]
fn a_pin_holds_a_service_and_a_freeze_holds_it_still() {
    let mut house = served();
    let why = ["--reason", "a test"];
    let pin = |pool| {
        order(
            &house,
            &[&["pin", "xmpp-federation", pool, "--now"][..], &why].concat(),
        )
    };
    assert_eq!(pin("edgepool9").0, Some(3));
    assert_eq!(pin("edgepool2").0, Some(0));
    assert_eq!(house.served().order, ["edge2", "edge1"]);
    let to = ["failover", "xmpp-federation", "--to", "edgepool1"];
    let (code, said) = order(&house, &[&to[..], &why].concat());
    assert_eq!(code, Some(3));
    assert!(said.contains("switchback unpin xmpp-federation"), "{said}");
    assert_eq!(order(&house, &["unpin", "xmpp-federation"]).0, Some(0));

    let freeze = ["freeze", "xmpp-federation", "--for", "1h"];
    assert_eq!(order(&house, &[&freeze[..], &why].concat()).0, Some(0));
    house.close(1);
    eventually("it is down", || {
        (house.status()["pools"][1]["health"] == "down").then_some(())
    });
    assert_eq!(
        house.served().order,
        ["edge2", "edge1"],
        "frozen, though dead"
    );
    let (code, said) = order(&house, &[&to[..], &why].concat());
    assert_eq!(code, Some(3));
    assert!(said.contains("an operator froze the service"), "{said}");
    let (code, said) = order(&house, &["thaw", "xmpp-federation"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("xmpp-federation: edgepool1 is active"),
        "{said}"
    );
}

#[test]
fn a_runbook_that_halts_ends_with_1_and_its_pool_can_be_readmitted() {
    let mut house = House::build("");
    let step = "[[service.step]]\nname = \"route\"\nrun = [\"/bin/false\"]\n\
                [[service.step]]\npublish = true\n";
    house.write("switchback.toml", &house.config(step));
    house.serve_well();
    let words = ["failover", "xmpp-federation", "--reason", "a test", "--now"];
    let (code, said) = order(&house, &words);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED   route"), "{said}");
    assert!(said.contains("edgepool1 is active still"), "{said}");
    let (code, said) = order(&house, &words);
    assert_eq!(code, Some(3));
    assert!(said.contains("kept out by a halted runbook"), "{said}");
    let (code, said) = order(&house, &["readmit", "xmpp-federation", "edgepool2"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(house.switchback(&["status"]).status.code(), Some(0));
    assert!(house.log().contains("edgepool2 is a target again, by "));
}

#[test]
fn an_operation_is_followed_across_a_restart_of_the_daemon() {
    let mut house = crate::gated();
    house.serve_well();
    let words = ["failover", "xmpp-federation", "--reason", "a test", "--now"];
    let follower = house.shell(&words);
    eventually("the hook runs", || house.path("ran").exists().then_some(()));
    let (code, said) = order(&house, &words);
    assert_eq!(code, Some(3));
    assert!(said.contains("op-0 to edgepool2 is under way"), "{said}");
    house.kill();
    house.write("gate", "");
    house.serve();
    let output = follower.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("attempt 2"), "{said}");
    assert!(said.ends_with("edgepool2 is active\n"), "{said}");
}

#[test]
fn a_planned_move_lowers_the_ttl_waits_for_caches_and_restores_it() {
    let mut house = House::build("");
    house.write("switchback.toml", &house.config(SHORT));
    house.serve();
    eventually("the TTL is long", || {
        (house.served().ttl == 2 && house.status()["pools"][1]["health"] == "up").then_some(())
    });
    let words = ["failover", "xmpp-federation", "--reason", "a test"];
    let follower = house.shell(&words);
    eventually("the TTL is short, and nothing has moved", || {
        let served = house.served();
        (served.ttl == 1 && served.order == ["edge1", "edge2"]).then_some(())
    });
    let output = follower.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("when the old answer has left the caches"),
        "{said}"
    );
    assert!(said.ends_with("edgepool2 is active\n"), "{said}");
    assert_eq!(house.served().order, ["edge2", "edge1"]);
    eventually("the TTL is long again", || {
        (house.served().ttl == 2).then_some(())
    });
}

#[test]
fn a_move_that_waits_for_a_word_is_an_alarm_and_begins_when_it_is_approved() {
    let mut house = House::build("");
    house.write("switchback.toml", &house.config("mode = \"approve\"\n"));
    house.serve_well();
    house.close(0);
    eventually("it asks", || {
        (house.status()["services"][0]["proposal"]["id"] == 0).then_some(())
    });
    let (code, said) = order(&house, &["status"]);
    assert_eq!(code, Some(1), "it needs a human");
    assert!(said.contains("switchback approve op-0"), "{said}");
    assert!(house.log().contains("WAITS FOR APPROVAL"));
    assert_eq!(house.served().order, ["edge1", "edge2"]);
    let (code, said) = order(&house, &["approve", "op-9"]);
    assert_eq!(code, Some(3));
    assert!(said.contains("op-9 does not wait for a word"), "{said}");
    let (code, said) = order(&house, &["approve", "op-0", "--reason", "partners know"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("op-0 from edgepool1 to edgepool2"), "{said}");
    assert_eq!(house.served().order, ["edge2", "edge1"]);
    assert!(house.log().contains("op-0 to edgepool2 approved by "));
    let (code, said) = order(&house, &["reject", "xmpp-federation"]);
    assert_eq!(code, Some(3));
    assert!(
        said.contains("no move of service xmpp-federation waits"),
        "{said}"
    );
}
