//! Layout rules, checked over the sources as text: what a reviewer would otherwise have to look for.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 90;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// All files below `directory` with this ending, without build output and foreign code.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                let skipped = name.starts_with('.') || name == "target" || name == "node_modules";
                if !skipped {
                    open.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    let mut paths = files(&root().join("crates"), ".rs");
    paths.extend(files(&root().join("src"), ".rs"));
    let named = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        (name, text)
    };
    paths.into_iter().map(named).collect()
}

#[track_caller]
fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let silent: Vec<String> = (sources().into_iter())
        .filter(|(_, text)| !text.starts_with("//!") && !text.starts_with("#![doc = include_str!"))
        .map(|(name, _)| name)
        .collect();
    assert_none("these do not start with a `//!` header", &silent);
}

#[test]
fn no_source_file_is_too_long() {
    let long: Vec<String> = (sources().into_iter())
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    assert_none("split these by idea", &long);
}

#[test]
fn no_function_is_too_long() {
    let long: Vec<String> = (sources().iter())
        .flat_map(|(name, text)| {
            let long = functions(text)
                .into_iter()
                .filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
            long.map(move |(at, lines)| format!("{name}:{at}: {lines} lines"))
        })
        .collect();
    assert_none("split these functions", &long);
}

/// Line and length of each function. `rustfmt` puts the closing brace of an item at the indentation
/// of its first line, so that no parser is needed.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let rest = line.trim_start();
        let indent = &line[..line.len() - rest.len()];
        if !is_function(rest) {
            continue;
        }
        let closing = format!("{indent}}}");
        let declared = (lines[at..].iter())
            .position(|l| l.trim_end().ends_with('{') || l.trim_end().ends_with(';'));
        let has_body = declared.is_some_and(|end| lines[at + end].trim_end().ends_with('{'));
        if !has_body {
            continue;
        }
        if let Some(length) = lines[at..].iter().position(|l| *l == closing) {
            found.push((at + 1, length + 1));
        }
    }
    found
}

fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let modifier =
        |word: &str| matches!(word, "async" | "const" | "extern") || word.starts_with("pub");
    words.find(|word| !modifier(word)) == Some("fn")
}

#[test]
fn the_length_of_functions_is_counted_right() {
    let text = "pub(crate) async fn one() {\n    two\n}\n\nfn three(\n    a: u8,\n) -> u8 {\n    a\n}\nfn four();\n";
    assert_eq!(functions(text), [(1, 3), (5, 5)]);
}

/// Where a thread may sleep: to poll with a deadline, to end a helper process that was forgotten, to go
/// at the pace of clients and drifts, and to outwait a dead holder's lock.
const SLEEPERS: [&str; 4] = [
    "crates/store/src/lock.rs",
    "crates/testing/src/lib.rs",
    "crates/drivers/tests/common/mod.rs",
    "crates/e2e/src/",
];

#[test]
fn nothing_is_left_for_later_and_no_test_sleeps_or_is_left_out() {
    // Put together here, so that this file does not find itself.
    let words = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["#[ig", "nore"],
        ["todo", "!("],
        ["unimplemented", "!("],
    ]
    .map(|halves| halves.concat());
    let sleep = ["thread::sl", "eep("].concat();
    let mut found = Vec::new();
    for (name, text) in sources() {
        let may_sleep = SLEEPERS.iter().any(|place| name.starts_with(place));
        for (line, number) in text.lines().zip(1..) {
            let sleeps = line.contains(&sleep) && !may_sleep;
            if sleeps || words.iter().any(|word| line.contains(word.as_str())) {
                found.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    assert_none("finish these", &found);
}

/// Which crates a crate may name, beside those from outside: DESIGN, section 12.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("evenkeel-core", &[][..]),
        ("evenkeel-forecast", &["core"]),
        ("evenkeel-ports", &["core"]),
        ("evenkeel-clone", &["ports", "core"]),
        ("evenkeel-drivers", &["clone", "ports", "core"]),
        ("evenkeel-store", &["ports", "core"]),
        ("evenkeel-api", &["core"]),
        ("evenkeel-scenario", &["core"]),
        ("evenkeel-sim", &["core", "forecast", "ports", "scenario"]),
        ("evenkeel-cli", &["api", "core", "forecast", "scenario"]),
        (
            "evenkeel-daemon",
            &[
                "api", "clone", "core", "drivers", "forecast", "ports", "store",
            ],
        ),
        ("evenkeel-demo", &["daemon", "api", "cli", "ports", "core"]),
        // Tests of the whole, what tests share, and load for the benchmarks.
        ("evenkeel-e2e", &["api", "testing"]),
        ("evenkeel-testing", &[]),
        ("evenkeel-load", &["drivers"]),
        ("evenkeel-decision", &["core", "forecast", "scenario"]),
        ("evenkeel", &["cli", "daemon", "demo"]),
        ("xtask", &[]),
    ])
}

#[test]
fn crates_depend_only_on_what_the_design_allows() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let arguments = [
        "metadata",
        "--offline",
        "--no-deps",
        "--format-version",
        "1",
    ];
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {complaint}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let allowed = allowed();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let Some(allowed) = allowed.get(name) else {
            found.push(format!("{name} is not in the table of this test"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let target = dependency["name"].as_str().unwrap();
            let ours = target.strip_prefix("evenkeel-");
            // Tests may use what the code may not.
            let for_tests = dependency["kind"].as_str() == Some("dev");
            if ours.is_some_and(|ours| !allowed.contains(&ours)) && !for_tests {
                found.push(format!("{name} -> {target}"));
            }
        }
    }
    assert_none("these edges are not in the design", &found);
}

#[test]
fn no_async_runtime_comes_in_below_where_it_may() {
    let free = ["core", "forecast", "ports", "scenario", "sim"];
    let found: Vec<String> = (free.iter())
        .filter(|name| {
            let path = root().join("crates").join(name).join("Cargo.toml");
            let text = fs::read_to_string(path).unwrap();
            let code = text.split("[dev-dependencies]").next().unwrap_or_default();
            code.lines().any(|line| line.starts_with("tokio"))
        })
        .map(|name| format!("{name} depends on tokio"))
        .collect();
    assert_none("these stay free of a runtime", &found);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut dead = Vec::new();
    for path in files(root(), ".md") {
        let text = fs::read_to_string(&path).unwrap();
        let directory = path.parent().unwrap();
        for target in links(&text) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !directory.join(file).exists() {
                let name = path.strip_prefix(root()).unwrap().display();
                dead.push(format!("{name}: {target}"));
            }
        }
    }
    assert_none("these links are dead", &dead);
}

/// The relative targets of a document's links, code left out.
fn links(text: &str) -> BTreeSet<String> {
    let mut in_code = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            let target = target.split_whitespace().next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !elsewhere && !target.starts_with('/') {
                found.insert(target.to_owned());
            }
        }
    }
    found
}

#[test]
fn links_are_found_outside_code() {
    let text = "[a](docs/a.md#b) [web](https://x.y)\n```\n[c](d)\n```\n![e](f.png \"title\")\n";
    let found: Vec<String> = links(text).into_iter().collect();
    assert_eq!(found, ["docs/a.md#b", "f.png"]);
}
