//! Style as a failing test: which module may know which, what a pure module may not touch, and
//! how large things may get. [`HOUSE`] is the architecture; change it on purpose or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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
        ],
    ),
    ("dnstap", Io, &["server", "zone", "clock"]),
    ("notify", Io, &["snapshot", "tsig", "zone", "clock"]),
    ("supervisor", Io, &["clock"]),
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

/// Lines of the longest file, unless its head says why: a line that begins [`LONG_BECAUSE`].
const MAX_LINES: usize = 600;
const LONG_BECAUSE: &str = "//! Long because ";

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

#[test]
fn files_stay_readable() {
    let wrong: Vec<String> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|folder| sources(folder))
        .map(|file| (file.text.lines().count(), file))
        .filter(|(lines, file)| *lines > MAX_LINES && !file.text.contains(LONG_BECAUSE))
        .map(|(lines, file)| format!("{}: {lines} lines, at most {MAX_LINES}", file.shown()))
        .collect();
    assert_none(&wrong);
}

#[test]
fn tests_wait_for_a_state_and_none_is_switched_off() {
    let mut wrong = Vec::new();
    for file in ["src", "tests"].iter().flat_map(|folder| sources(folder)) {
        let off = file.lines_with("#[ignore");
        wrong.extend(off.map(|at| format!("{at}: a test that does not run is deleted")));
        if file.path.starts_with("tests") {
            let pauses = file.lines_with("sleep(");
            wrong.extend(pauses.map(|at| format!("{at}: wait for a state, with a bound")));
        }
    }
    assert_none(&wrong);
}

#[test]
fn nothing_is_left_for_later_or_tied_to_one_machine() {
    let banned = [
        "TODO",
        "FIXME",
        "XXX:",
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
    ];
    let mut wrong = Vec::new();
    let mut files = Vec::new();
    for folder in [
        "src",
        "tests",
        "benches",
        "examples",
        "docs",
        "zones",
        "packaging",
        "fuzz",
    ] {
        walk(Path::new(folder), &mut files);
    }
    files.extend(
        [
            "Cargo.toml",
            "Makefile",
            "README.md",
            "CHANGELOG.md",
            ".ci/run",
        ]
        .map(PathBuf::from),
    );
    for path in files.iter().filter(|path| !path.ends_with("tests/tidy.rs")) {
        // What is not text has no notes in it.
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: `{word}`", path.display(), number + 1));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_tests_that_the_documentation_names_exist() {
    let known = sources("tests").into_iter().chain(sources("src"));
    let known: String = known.map(|source| source.text).collect();
    let page = std::fs::read_to_string("docs/others.md").expect("the page");
    let tests = page.split('`').filter(|word| word.matches('_').count() > 3);
    let unknown = tests.filter(|test| !known.contains(&format!("fn {test}()")));
    assert_none(&unknown.map(str::to_owned).collect::<Vec<_>>());
}

fn kind_of(module: &str) -> Option<Kind> {
    HOUSE.iter().find(|row| row.0 == module).map(|row| row.1)
}

fn stands_above(import: &str, module: &str) -> bool {
    let row = |name: &str| HOUSE.iter().position(|row| row.0 == name);
    row(import) < row(module)
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// One Rust file: as written, and as [`code_only`] with its unit tests blanked.
struct Source {
    path: PathBuf,
    text: String,
    code: String,
}

impl Source {
    /// The top-level module it belongs to: `failover` for `src/failover/rank.rs`.
    fn module(&self) -> String {
        let inside = self.path.strip_prefix("src").unwrap_or(&self.path);
        let first = inside
            .iter()
            .next()
            .and_then(|part| part.to_str())
            .unwrap_or_default();
        first.trim_end_matches(".rs").to_owned()
    }

    fn is_root_of_module(&self) -> bool {
        self.path.ends_with("mod.rs") && self.path.iter().count() == 3
            || self.path.iter().count() == 2
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn lines_with<'a>(&'a self, what: &'a str) -> impl Iterator<Item = String> + 'a {
        let hits = self
            .code
            .lines()
            .enumerate()
            .filter(move |(_, line)| line.contains(what));
        hits.map(|(number, _)| format!("{}:{}", self.path.display(), number + 1))
    }

    /// Every top-level module named by a path from the crate's root, with the line:
    /// `crate::a::b`, `crate::{a, b::c}`, and in `main.rs` `switchback::a`.
    fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for root in ["crate::", "switchback::"] {
            for (at, _) in self.code.match_indices(root) {
                let line = self.code[..at].lines().count().max(1);
                let after = &self.code[at + root.len()..];
                let names = match after.strip_prefix('{') {
                    Some(group) => first_names(group),
                    None => words(after).take(1).map(str::to_owned).collect(),
                };
                found.extend(names.into_iter().map(|name| (line, name)));
            }
        }
        found
    }
}

/// The first name of each item of `a, b::c, d::{e, f}}`, up to the closing brace.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut item, mut items) = (0_u32, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            other => item.push(other),
        }
    }
    items.push(item);
    items
        .iter()
        .filter_map(|item| words(item).next().map(str::to_owned))
        .collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// The Rust files under `folder`. Files that are themselves tests keep to none of the rules for
/// what they test, so under `src` they are left out.
fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(Path::new(folder), &mut paths);
    let is_test = |path: &PathBuf| {
        folder == "src"
            && path
                .iter()
                .any(|part| part == "tests" || part == "tests.rs")
    };
    let itself = |path: &PathBuf| path.ends_with("tests/tidy.rs");
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .filter(|path| !is_test(path) && !itself(path))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file is UTF-8");
            let code = without_unit_tests(&code_only(&text));
            Source { path, text, code }
        })
        .collect()
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        match path.is_dir() {
            true if path.ends_with("target") => {}
            true => walk(&path, into),
            false => into.push(path),
        }
    }
}

/// `code` with everything from `#[cfg(test)] mod … {` to the end blanked: unit tests come last.
fn without_unit_tests(code: &str) -> String {
    let tests = code.match_indices("#[cfg(test)]").map(|(at, _)| at);
    let begin = tests.into_iter().find(|at| {
        let after = code[*at..].trim_start_matches("#[cfg(test)]").trim_start();
        after.starts_with("mod ") && after.find('{') < after.find(';').or(Some(usize::MAX))
    });
    code[..begin.unwrap_or(code.len())].to_owned()
}

/// `text` with comments and the contents of string and character literals turned into blanks;
/// lines stay where they are.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => end_of_string(rest),
            'r' if !code.ends_with(is_word) => end_of_raw_string(rest),
            '\'' => end_of_character(rest),
            _ => 0,
        };
        if skip == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(
                rest[..skip]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' }),
            );
            rest = &rest[skip..];
        }
    }
    code
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn end_of_string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// 0 if `rest` does not begin a raw string.
fn end_of_raw_string(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
    let Some(body) = rest[1 + hashes..].strip_prefix('"') else {
        return 0;
    };
    let close = format!("\"{}", "#".repeat(hashes));
    body.find(&close)
        .map_or(rest.len(), |end| 2 + hashes + end + close.len())
}

/// 0 if the quote is a lifetime's.
fn end_of_character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((escaped, c))) => {
            let after = escaped + c.len_utf8();
            rest[after..].find('\'').map_or(0, |end| after + end + 1)
        }
        (Some(_), Some((close, '\''))) => close + 1,
        _ => 0,
    }
}

#[test]
fn the_reader_of_sources_sees_code_and_nothing_else() {
    let text = "use crate::{a, b::{c, d}, e}; // crate::f\nlet s = \"crate::g\"; let l: &'a str;\n\
                let r = r#\"\"crate::h\"#; let q = ['\"', '\\'']; crate::i::j();\n";
    let file = Source {
        path: "src/x.rs".into(),
        text: String::new(),
        code: code_only(text),
    };
    let names: Vec<String> = file.imports().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["a", "b", "e", "i"]);
    assert_eq!(file.imports()[3].0, 3);
    let tests = without_unit_tests("fn a() {}\n#[cfg(test)]\nmod tests { tokio }\n");
    assert!(!tests.contains("tokio"));
}
