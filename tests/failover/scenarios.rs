//! The scenarios of `tests/failover/scenarios`: the format that `switchback simulate` replays.

use std::fs;
use std::path::PathBuf;

use switchback::scenario::{self, Settings};

fn scenarios() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/failover/scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    files.iter().map(read).collect()
}

#[test]
fn every_scenario_comes_as_it_is_expected() {
    let mut wrong = Vec::new();
    for (name, text) in scenarios() {
        let scenario = match scenario::parse(&text) {
            Ok(scenario) => scenario,
            Err(faults) => {
                wrong.extend(faults.0.iter().map(|fault| format!("{name}:{fault}")));
                continue;
            }
        };
        let replay = scenario::replay(&scenario, &Settings::default()).unwrap();
        let unmet = replay.unmet.iter();
        wrong.extend(unmet.map(|unmet| format!("{name}:{}: {}", unmet.line, unmet.message)));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_scenario_is_written_as_it_was_read() {
    for (name, text) in scenarios() {
        let mut read = scenario::parse(&text).unwrap();
        let written = scenario::write(&read);
        let mut again = scenario::parse(&written).unwrap();
        // Only the lines of the text are others.
        let lines = read.lines.iter_mut().chain(&mut again.lines);
        lines.for_each(|line| line.line = 0);
        assert_eq!(read, again, "{name}:\n{written}");
    }
}

/// An expectation that does not hold is told with its line, and so is each fault of a text.
#[test]
fn what_is_wrong_has_a_place() {
    let text = "pool p1\n  server edge1.test. 10.0.0.1\nservice fed\n  pools p1\n5s expect fed \
                moves 1\n6s end\n";
    let replay = scenario::replay(&scenario::parse(text).unwrap(), &Settings::default()).unwrap();
    let unmet: Vec<(usize, &str)> = replay
        .unmet
        .iter()
        .map(|unmet| (unmet.line, unmet.message.as_str()))
        .collect();
    assert_eq!(unmet, [(5, "fed moved never, expected once")]);
    let faults = |text: &str| -> Vec<String> {
        let faults = scenario::parse(text).unwrap_err();
        faults.0.iter().map(ToString::to_string).collect()
    };
    let text = "pool p1 warm\n  server edge1.test.\nservice fed\n  pools p1 p2\n5s see p3 good\n\
                4s see edge1.test. god\n";
    assert_eq!(
        faults(text),
        [
            "1:9: 'warm' is more than this line can say, remove it",
            "2:22: here an address is missing, add it",
            "1:1: pool 'p1' has 0 servers, of which 1 have to be healthy, add a 'server'",
            "3:1: service 'fed' has a pool 'p2' that stands nowhere, add it above",
            "5:8: 'p3' is neither a pool nor a server of this scenario",
            "6:8: 'edge1.test.' is neither a pool nor a server of this scenario",
        ]
    );
    assert_eq!(
        faults(""),
        [
            "1:1: no service stands above this line, nothing can be decided, add 'service NAME' with its 'pools'"
        ]
    );
}

/// A look that goes deep stands in for one that does not.
#[test]
fn a_server_is_looked_at_once_at_a_time() {
    let text = "pool p1\n  server edge1.test. 10.0.0.1\n  probe interval 1s deep 5s fall 4\n\
                service fed\n  pools p1\n10s see p1 hung\n13s see p1 good\n99s end\n";
    let mut scenario = scenario::parse(text).unwrap();
    let replay = scenario::replay(&scenario, &Settings::default()).unwrap();
    assert_eq!(replay.looks, 100);
    let down = |replay: &scenario::Replay| {
        let told = replay.told.iter().map(|(_, event)| event.to_string());
        told.filter(|event| event.contains("is down: hung")).count()
    };
    assert_eq!(down(&replay), 0, "three looks, not four");
    let pool = scenario.policy.pools.values_mut().next().unwrap();
    pool.detection[0].fall = 3;
    let replay = scenario::replay(&scenario, &Settings::default()).unwrap();
    assert_eq!(down(&replay), 1);
}

/// The same night with other settings.
#[test]
fn a_night_of_short_faults_costs_less_failovers_with_a_higher_threshold() {
    let mut text = "pool p1\n  server edge1.test. 10.0.1.1\npool p2\n  server edge2.test. \
                    10.0.2.1\nservice fed\n  pools p1 p2\n  failback after 1m\n  cap 10\n"
        .to_owned();
    for minute in [10, 20, 30, 40] {
        text += &format!("{minute}m see p1 hung\n{minute}m3s see p1 good\n");
    }
    text += "59m expect fed moves 8\n1h end\n";
    let scenario = scenario::parse(&text).unwrap();
    let replay = scenario::replay(&scenario, &Settings::default()).unwrap();
    assert_eq!(replay.unmet, []);
    let settings = Settings {
        fall: Some(4),
        ..Settings::default()
    };
    let patient = scenario::replay(&scenario, &settings).unwrap();
    assert_eq!(patient.moves, []);
    let fed = "fed".into();
    assert!(
        replay.misdirected[&fed] < patient.misdirected[&fed],
        "it has its price"
    );
}
