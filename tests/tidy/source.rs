//! Rust files as the rules read them: without what is no code.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file: as written, and as [`code_only`] with its unit tests blanked.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) code: String,
}

impl Source {
    /// The top-level module it belongs to: `failover` for `src/failover/rank.rs`.
    pub(crate) fn module(&self) -> String {
        let inside = self.path.strip_prefix("src").unwrap_or(&self.path);
        let first = inside
            .iter()
            .next()
            .and_then(|part| part.to_str())
            .unwrap_or_default();
        first.trim_end_matches(".rs").to_owned()
    }

    pub(crate) fn is_root_of_module(&self) -> bool {
        self.path.ends_with("mod.rs") && self.path.iter().count() == 3
            || self.path.iter().count() == 2
    }

    pub(crate) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    pub(crate) fn lines_with<'a>(&'a self, what: &'a str) -> impl Iterator<Item = String> + 'a {
        let hits = self
            .code
            .lines()
            .enumerate()
            .filter(move |(_, line)| line.contains(what));
        hits.map(|(number, _)| format!("{}:{}", self.path.display(), number + 1))
    }

    /// Every top-level module named by a path from the crate's root, with the line:
    /// `crate::a::b`, `crate::{a, b::c}`, and in `main.rs` `switchback::a`.
    pub(crate) fn imports(&self) -> Vec<(usize, String)> {
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

pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// The Rust files under `folder`. Files that are themselves tests keep to none of the rules for
/// what they test, so under `src` they are left out.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(Path::new(folder), &mut paths);
    let is_test = |path: &PathBuf| {
        folder == "src"
            && path
                .iter()
                .any(|part| part == "tests" || part == "tests.rs")
    };
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .filter(|path| !is_test(path))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file is UTF-8");
            let code = without_unit_tests(&code_only(&text));
            Source { path, text, code }
        })
        .collect()
}

pub(crate) fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
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
