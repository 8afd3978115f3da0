//! The log: levels that change while the daemon runs, and lines for programs and for the journal.

use std::os::unix::fs::MetadataExt;
use std::process::Output;

use switchback::time::Wall;

use crate::house::{House, eventually};

fn said(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

fn levels(house: &House) -> String {
    said(&house.switchback(&["log"]))
}

#[test]
fn a_module_tells_more_for_a_while_and_then_no_more() {
    let mut house = House::build("");
    house.serve();
    assert!(!house.log().contains("good after"));
    let told = house.switchback(&["log", "probe=debug,failover=off", "--for", "1s"]);
    assert!(told.status.success(), "{}", said(&told));
    assert!(said(&told).contains("\nuntil "), "{}", said(&told));
    eventually("each look has a line", || {
        house
            .log()
            .contains("edge1.contoso.test. (127.0.2.1): good after")
            .then_some(())
    });
    eventually("the levels of the start are in force again", || {
        let levels = levels(&house);
        (levels.contains("probe        info") && !levels.contains("until")).then_some(())
    });
    let log = house.log();
    assert!(log.contains("INFO log levels as at the start (its time is over)"));
    let tail = log.rsplit("its time is over").next().unwrap();
    assert!(!tail.contains("good after"), "{tail}");
}

#[test]
fn a_later_word_outlives_the_end_of_an_earlier_one_and_a_wrong_one_changes_nothing() {
    let mut house = House::build("");
    house.serve();
    house.switchback(&["log", "warn", "--for", "1s"]);
    assert!(house.log().contains("INFO log levels until "));
    house.switchback(&["log", "hook=trace"]);
    let refused = house.switchback(&["log", "hok=trace"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("\"hok\" is no module: known are health,"));
    // Longer than the first word was to last: the looks go on meanwhile.
    let looked = |house: &House| house.status()["now"].as_u64().unwrap();
    let begun = looked(&house);
    eventually("a second has passed", || {
        (looked(&house) > begun + 1200).then_some(())
    });
    let levels = levels(&house);
    assert!(
        levels.contains("hook         trace") && levels.contains("health       info"),
        "{levels}"
    );
    house.switchback(&["log", "reset"]);
    assert!(self::levels(&house).contains("hook         info"));
}

#[test]
fn a_program_reads_one_object_for_each_line() {
    let mut house = House::build("");
    house.serve_with(&["--log-format", "json"], &[]);
    house.close(0);
    house.serves(["edge2", "edge1"]);
    let log = eventually("the move stands in the log", || {
        let log = house.log();
        log.contains("\"module\":\"failover\"").then_some(log)
    });
    for line in log.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(
            Wall::parse(object["at"].as_str().unwrap()).is_some(),
            "{line}"
        );
        assert!(["error", "warn", "info"].contains(&object["level"].as_str().unwrap()));
        assert!(object["message"].is_string());
    }
    assert!(log.contains("\"module\":\"health\""));
}

#[test]
fn in_the_journal_a_line_has_its_priority_and_no_time() {
    let mut house = House::build("");
    house.write("log", "");
    let log = std::fs::metadata(house.path("log")).unwrap();
    let stream = format!("{}:{}", log.dev(), log.ino());
    house.serve_with(&[], &[("JOURNAL_STREAM", &stream)]);
    house.close(0);
    house.serves(["edge2", "edge1"]);
    let log = house.log();
    assert!(log.contains("<6>ready: answering at "), "{log}");
    assert!(log.contains("<4>edgepool1: edge1.contoso.test."), "{log}");
    for line in log.lines() {
        assert!(
            line.starts_with('<') && line.as_bytes()[2] == b'>',
            "{line}"
        );
    }
    // Another stream than the one that is named: no journal.
    house.kill();
    house.write("log", "");
    house.serve_with(&[], &[("JOURNAL_STREAM", "1:1")]);
    let log = house.log();
    assert!(
        log.lines()
            .all(|line| Wall::parse(line.split(' ').next().unwrap()).is_some()),
        "{log}"
    );
}
