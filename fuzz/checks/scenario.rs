//! What must hold of any text that is read as a scenario.

use std::time::Duration;

use switchback::scenario::{self, Happening, Scenario, Settings};

/// Panics if the scenario in `input`, or what is said against it, is not as it must be.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let lines = text.lines().count().max(1);
    let mut read = match scenario::parse(text) {
        Ok(scenario) => scenario,
        Err(faults) => {
            assert!(!faults.0.is_empty(), "refused for a reason");
            for fault in &faults.0 {
                assert!((1..=lines).contains(&fault.line), "{fault}");
                assert!(fault.column > 0 && !fault.message.is_empty(), "{fault}");
            }
            return;
        }
    };
    if is_short(&read) {
        let replay = scenario::replay(&read, &Settings::default()).unwrap();
        let again = scenario::replay(&read, &Settings::default()).unwrap();
        assert_eq!(replay, again, "the same again");
    }
    let written = scenario::write(&read);
    let mut again = scenario::parse(&written).unwrap_or_else(|faults| {
        panic!("what is written cannot be read: {faults}\n{written}");
    });
    let numbers = read.lines.iter_mut().chain(&mut again.lines);
    numbers.for_each(|line| line.line = 0);
    assert_eq!(
        read, again,
        "written otherwise than it was read:\n{written}"
    );
}

/// Whether it is replayed in a moment.
fn is_short(scenario: &Scenario) -> bool {
    let often = Duration::from_millis(100);
    let paces = scenario.paces.values().flatten();
    let endpoints: usize = scenario
        .policy
        .pools
        .values()
        .map(|pool| pool.endpoints().count())
        .sum();
    scenario.end() <= Duration::from_secs(300)
        && endpoints <= 8
        && scenario.lines.len() <= 100
        && paces.clone().count() <= 8
        && paces.into_iter().all(|pace| pace.interval >= often)
        && !scenario.lines.iter().any(|line| {
            matches!(&line.what, Happening::See { looks: Some(looks), .. } if looks.count > 1000)
        })
}
