//! What is kept of what happens, as an operator asks for it the next morning.

use std::fs;

use serde_json::Value;

use crate::house::House;

fn page(house: &House, words: &[&str]) -> String {
    let output = house.switchback(words);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {said}");
    said
}

fn entries(house: &House, words: &[&str]) -> Vec<Value> {
    let page: Value = serde_json::from_str(&page(house, words)).unwrap();
    page["entries"].as_array().unwrap().clone()
}

/// Both pools up, the first one down, moved.
fn moved() -> House {
    let mut house = House::build("");
    house.serve_well();
    house.close(0);
    house.serves(["edge2", "edge1"]);
    house
}

#[test]
fn the_history_tells_what_happened_and_who_ordered_what_and_outlives_a_kill() {
    let mut house = moved();
    let drain = [
        "drain",
        "edgepool1",
        "--reason",
        "new disks",
        "--author",
        "ann",
    ];
    page(&house, &drain);
    let story = page(&house, &["history"]);
    for words in [
        "switchback 0.1.0 started",
        "edgepool1        edge1.contoso.test. (127.0.2.1) was up, is down: refused",
        "xmpp-federation  op-0 begins, from edgepool1 to edgepool2: edgepool1 is down",
        "xmpp-federation  published edgepool2 > edgepool1 (TTL 5 s): edgepool1 is down",
        "xmpp-federation  op-0 to edgepool2 completed",
        "order: drain pool edgepool1 by ann",
    ] {
        assert!(story.contains(words), "{words}\n{story}");
    }
    assert!(!story.contains("looks that saw"), "{story}");
    let all = page(&house, &["history", "--all"]);
    assert!(all.contains("refused, after"), "{all}");
    let order = ["undrain", "edgepool1"];
    page(&house, &order);
    page(&house, &["history"]);
    house.kill();
    house.serve();
    let story = page(&house, &["history", "xmpp-federation"]);
    assert_eq!(story.matches("started").count(), 2, "{story}");
    assert!(
        story.contains("order: undrain pool edgepool1, by"),
        "{story}"
    );
    let last = entries(&house, &["history", "--json", "--limit", "1"]);
    assert_eq!(last.len(), 1);
    let none = entries(
        &house,
        &["history", "--json", "--since", "2020-01-01T00:00:00Z"],
    );
    assert!(none.len() > 5);
    let refused = house.switchback(&["history", "nothing"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn an_operation_is_shown_with_what_its_hooks_printed() {
    let mut house = House::build(
        "[[service.step]]\nname = \"say\"\nrun = [\"/bin/sh\", \"-c\", \"echo hello; exit 3\"]\n\
         [[service.step]]\npublish = true\n",
    );
    house.serve();
    let order = [
        "failover",
        "xmpp-federation",
        "--now",
        "--reason",
        "a test",
        "--author",
        "ann",
    ];
    let output = house.switchback(&order);
    assert_eq!(output.status.code(), Some(1));
    let shown = page(&house, &["show", "op-0"]);
    for words in [
        "op-0  xmpp-federation: from edgepool1 to edgepool2  HALTED: say failed: exit code 3",
        "ordered it: a test",
        "FAILED   say",
        "attempt 1: exit code 3 after",
        "| hello",
        "waiting  publish",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    let json: Value = serde_json::from_str(&page(&house, &["show", "0", "--json"])).unwrap();
    assert_eq!(json["operation"]["to"], "edgepool2");
    let refused = house.switchback(&["show", "op-7"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_night_is_exported_and_replayed_with_the_same_and_with_other_settings() {
    let mut house = moved();
    // Whoever asks gets what was handed over before, and so it is written.
    page(&house, &["history"]);
    house.kill();
    house.serve();
    house.serves(["edge2", "edge1"]);
    let night = page(&house, &["history", "export", "--since", "1h"]);
    let file = house.path("night.scenario");
    fs::write(&file, &night).unwrap();
    let simulate = |words: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_switchback"))
            .arg("simulate")
            .arg(&file)
            .args(words)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = simulate(&[]);
    assert_eq!(code, Some(0), "{said}\n{night}");
    assert!(
        said.contains("xmpp-federation: edgepool1 -> edgepool2: edgepool1 is down"),
        "{said}"
    );
    assert!(said.contains("1 failover and no failback"), "{said}");
    let (code, said) = simulate(&["--fall", "100", "--json"]);
    let outcome: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(outcome[0]["moves"].as_array().unwrap().len(), 1, "{said}");
    assert_eq!(
        code,
        Some(1),
        "with other settings the night was another: {said}"
    );
    let (_, said) = simulate(&["--failover-after", "1h"]);
    assert!(
        said.contains("with --failover-after 1h, xmpp-federation would have had"),
        "{said}"
    );
}
