//! The documentation: what is written from the code is up to date, and every link leads somewhere.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use switchback::cli::Arguments;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The reference of the commands is what `--help` says: `UPDATE_EXPECT=1` rewrites the page.
#[test]
fn the_reference_has_every_command_as_help_says_it() {
    let mut page = "# Commands\n\n\
        What `switchback COMMAND --help` says, in one place; the page is written from the same\n\
        definitions. The exit codes stand with each command.\n"
        .to_owned();
    let mut switchback = Arguments::command().term_width(100);
    switchback.build();
    describe(&mut switchback, &mut page);
    let path = root().join("docs/commands.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(page == written, "UPDATE_EXPECT=1 rewrites docs/commands.md");
}

/// A section for each command below this one that people are shown.
fn describe(command: &mut clap::Command, page: &mut String) {
    for inner in command.get_subcommands_mut() {
        if inner.is_hide_set() || inner.get_name() == "help" {
            continue;
        }
        let help = inner.render_long_help().to_string();
        let name = inner.get_bin_name().unwrap_or_default().to_owned();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        *page += &format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim());
        describe(inner, page);
    }
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let leads = match heading {
                "" => target.exists(),
                heading => {
                    fs::read_to_string(&target).is_ok_and(|text| headings(&text).contains(heading))
                }
            };
            if !leads {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_index_names_every_page() {
    let index = root().join("docs/README.md");
    let text = fs::read_to_string(&index).unwrap();
    let named: BTreeSet<PathBuf> = links(&text)
        .map(|link| root().join("docs").join(link.split('#').next().unwrap()))
        .collect();
    let missing: Vec<PathBuf> = pages()
        .into_iter()
        .filter(|page| page.starts_with(root().join("docs")) && *page != index)
        .filter(|page| !named.contains(page))
        .collect();
    assert!(missing.is_empty(), "docs/README.md names no {missing:?}");
}

/// Names of tests in the code of a page are those with more than three underscores.
#[test]
fn the_tests_that_a_page_names_exist() {
    let mut sources = Vec::new();
    for folder in ["src", "tests"] {
        files(&root().join(folder), "rs", &mut sources);
    }
    let known: String = sources
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let page = fs::read_to_string(root().join("docs/others.md")).unwrap();
    let named = page.split('`').filter(|word| word.matches('_').count() > 3);
    let unknown: Vec<&str> = named
        .filter(|test| !known.contains(&format!("fn {test}()")))
        .collect();
    assert!(unknown.is_empty(), "docs/others.md names {unknown:?}");
}

/// Every page of text at the top, in `docs`, in `examples` and in `packaging`.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![
        root().join("README.md"),
        root().join("CHANGELOG.md"),
        root().join("CONTRIBUTING.md"),
    ];
    for folder in ["docs", "examples", "packaging"] {
        files(&root().join(folder), "md", &mut pages);
    }
    pages
}

/// Adds every file with such an extension in a folder, and below it.
fn files(folder: &Path, extension: &str, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, into);
        } else if path.extension().is_some_and(|found| found == extension) {
            into.push(path);
        }
    }
}

/// Where the links of a page lead, outside its blocks of code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2).flat_map(|prose| {
        prose
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
    })
}

/// The names under which a page's headings are linked to.
fn headings(text: &str) -> BTreeSet<String> {
    text.split("```")
        .step_by(2)
        .flat_map(str::lines)
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let kept = line
                .trim_start_matches('#')
                .trim()
                .chars()
                .filter_map(|c| match c {
                    ' ' => Some('-'),
                    '-' | '_' => Some(c),
                    c => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
                });
            kept.collect()
        })
        .collect()
}
