//! Which module may know which, and what a pure module may not touch. [`HOUSE`] is the architecture;
//! change it on purpose or not at all.

use std::collections::BTreeSet;

use super::assert_none;
use super::source::{Source, sources, words};

/// What a module may do to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Values in, values out: see [`IMPURE`] for what it may not name.
    Pure,
    /// It may wait, read, write, or ask what time it is.
    Io,
}
use Kind::{Io, Pure};

/// From the ground up: a module imports only from rows above its own, and of those only the ones
/// it names. `EVERYTHING` stands for all rows above. [`GROUND`] is free to all.
const HOUSE: &[(&str, Kind, &[&str])] = &[
    ("time", Pure, &[]),
    ("ids", Pure, &[]),
    ("zone", Pure, &[]),
    ("health", Pure, &[]),
    ("runbook", Pure, &[]),
    ("failover", Pure, &["health", "runbook"]),
    ("chronicle", Pure, &["failover", "health", "runbook"]),
    (
        "scenario",
        Pure,
        &["chronicle", "failover", "health", "runbook"],
    ),
    ("alert", Pure, &["failover", "health", "runbook"]),
    ("tsig", Pure, &["zone"]),
    ("secondary", Pure, &["zone", "tsig"]),
    ("history", Pure, &["zone"]),
    ("limit", Pure, &[]),
    (
        "snapshot",
        Pure,
        &["zone", "failover", "tsig", "history", "limit"],
    ),
    ("answer", Pure, &["snapshot", "zone"]),
    ("transfer", Pure, &["answer", "snapshot", "history", "zone"]),
    ("inquiry", Pure, &["zone"]),
    ("verify", Pure, &["inquiry", "zone", "failover", "health"]),
    ("clock", Io, &[]),
    ("files", Io, &[]),
    ("certificate", Io, &["files"]),
    ("store", Io, &["failover", "runbook", "secondary", "zone"]),
    ("visit", Io, &["secondary", "tsig", "zone", "clock"]),
    ("programs", Io, &[]),
    ("sandbox", Io, &["files", "programs"]),
    ("probe", Io, &["health", "runbook", "programs", "clock"]),
    ("http", Io, &["clock"]),
    (
        "hook",
        Io,
        &["failover", "runbook", "http", "programs", "clock"],
    ),
    (
        "courier",
        Io,
        &["alert", "runbook", "http", "hook", "programs", "clock"],
    ),
    (
        "config",
        Io,
        &[
            "sandbox",
            "store",
            "zone",
            "tsig",
            "secondary",
            "limit",
            "snapshot",
            "http",
            "probe",
            "failover",
            "runbook",
            "health",
            "clock",
            "files",
            "certificate",
            "http",
            "alert",
            "courier",
        ],
    ),
    ("lookup", Io, &["inquiry", "zone", "clock"]),
    (
        "survey",
        Io,
        &[
            "verify", "inquiry", "lookup", "config", "probe", "snapshot", "failover", "health",
            "zone", "clock",
        ],
    ),
    ("supervisor", Io, &["clock"]),
    (
        "server",
        Io,
        &[
            "answer",
            "transfer",
            "snapshot",
            "history",
            "limit",
            "tsig",
            "zone",
            "clock",
            "certificate",
            "supervisor",
        ],
    ),
    ("dnstap", Io, &["server", "zone", "clock"]),
    ("notify", Io, &["snapshot", "tsig", "zone", "clock"]),
    ("telemetry", Io, LOGGED),
    (
        "admin",
        Io,
        &[
            "chronicle",
            "failover",
            "health",
            "runbook",
            "sandbox",
            "store",
            "verify",
        ],
    ),
    (
        "metrics",
        Io,
        &[
            "dnstap", "admin", "server", "limit", "failover", "health", "runbook", "clock",
        ],
    ),
    ("daemon", Io, EVERYTHING),
    ("cli", Io, EVERYTHING),
    ("main", Io, EVERYTHING),
];

/// The words that every module may use.
const GROUND: &[&str] = &["time", "ids"];
/// What decides, and when: for what logs it.
const LOGGED: &[&str] = &[
    "zone",
    "secondary",
    "health",
    "runbook",
    "failover",
    "limit",
    "snapshot",
    "answer",
    "clock",
];
const EVERYTHING: &[&str] = &["*"];

/// Names that do not occur in a pure module.
const IMPURE: &[&str] = &[
    "tokio",
    "tracing",
    "arc_swap",
    "socket2",
    "nix",
    "redb",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "fs",
    "thread",
    "process",
    "Mutex",
    "RwLock",
    "Condvar",
    "Instant",
    "SystemTime",
    "rand",
];

#[test]
fn arrows_never_point_up() {
    for (row, (module, _, may_import)) in HOUSE.iter().enumerate() {
        for import in may_import.iter().filter(|import| **import != "*") {
            let stands = HOUSE.iter().position(|(name, ..)| name == import);
            assert!(
                stands.is_some_and(|at| at < row),
                "HOUSE: {module} may import {import}, which does not stand above it"
            );
        }
    }
}

#[test]
fn every_module_stands_in_the_table_and_says_what_it_is() {
    let mut wrong = Vec::new();
    let present: BTreeSet<String> = sources("src").iter().map(|file| file.module()).collect();
    let listed: BTreeSet<String> = HOUSE.iter().map(|row| row.0.to_owned()).collect();
    for module in present
        .symmetric_difference(&listed)
        .filter(|name| *name != "lib")
    {
        wrong.push(format!("{module}: in `src` or in HOUSE, but not in both"));
    }
    for file in sources("src")
        .iter()
        .filter(|file| file.is_root_of_module())
    {
        let doc = match kind_of(&file.module()) {
            Some(Pure) => "//! **Pure.**",
            Some(Io) => "//! **IO.**",
            None => continue,
        };
        if file.module() != "main" && !file.text.starts_with(doc) {
            wrong.push(format!(
                "{}: the module's doc begins `{doc}`",
                file.path.display()
            ));
        }
    }
    assert_none(&wrong);
}

#[test]
fn modules_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        let module = file.module();
        let Some((_, _, may_import)) = HOUSE.iter().find(|row| row.0 == module) else {
            continue;
        };
        for (line, import) in file.imports() {
            let known = HOUSE.iter().any(|row| row.0 == import);
            let allowed = import == module
                || GROUND.contains(&import.as_str())
                || may_import.contains(&import.as_str())
                || (may_import == &EVERYTHING && stands_above(&import, &module));
            if known && !allowed {
                wrong.push(format!(
                    "{}:{line}: {module} may not import {import}",
                    file.shown()
                ));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn pure_modules_touch_nothing() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        if kind_of(&file.module()) != Some(Pure) {
            continue;
        }
        for (number, line) in file.code.lines().enumerate() {
            for name in words(line).filter(|word| IMPURE.contains(word)) {
                wrong.push(format!(
                    "{}:{}: pure, yet names `{name}`",
                    file.shown(),
                    number + 1
                ));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn one_file_reads_the_clock() {
    let mut wrong = Vec::new();
    for file in sources("src")
        .iter()
        .filter(|file| file.module() != "clock")
    {
        for call in ["Instant::now", "SystemTime::now"] {
            wrong.extend(
                file.lines_with(call)
                    .map(|at| format!("{at}: {call} is for clock.rs")),
            );
        }
    }
    assert_none(&wrong);
}

#[test]
fn one_file_swaps_the_snapshot() {
    // An atomic's `store` names its `Ordering`; a swap does not.
    let swaps = |line: &str| {
        line.contains("snapshots.swap(") || line.contains(".store(") && !line.contains("Ordering")
    };
    let swapping: Vec<String> = sources("src")
        .iter()
        .filter(|file| file.code.contains("ArcSwap") && file.code.lines().any(swaps))
        .map(Source::shown)
        .collect();
    assert!(
        swapping.len() <= 1,
        "more than one file swaps the snapshot: {swapping:?}"
    );
}

fn kind_of(module: &str) -> Option<Kind> {
    HOUSE.iter().find(|row| row.0 == module).map(|row| row.1)
}

fn stands_above(import: &str, module: &str) -> bool {
    let row = |name: &str| HOUSE.iter().position(|row| row.0 == name);
    row(import) < row(module)
}
