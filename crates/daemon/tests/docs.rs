//! The documentation against the code: every configuration in it is good, every key is described, the
//! defaults are the ones in force, and no link leads nowhere.
//!
//! A TOML block is a whole file, or the part of one resource (then it begins with `[resource.` or
//! `[[resource.`). The directories it names are made in a place of its own.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use evenkeel_core::policy::Policy;
use evenkeel_daemon::{config, local};
use serde_json::Value as Json;
use toml::{Table, Value};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .parent()
        .unwrap()
}

/// Every file below `directory` with this ending.
fn files(directory: &Path, ending: &str, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, into);
        } else if path.to_string_lossy().ends_with(ending) {
            into.push(path);
        }
    }
}

/// The pages, by name and text.
fn pages() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    files(&root().join("docs"), ".md", &mut paths);
    let at_the_root = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
    ];
    paths.extend(at_the_root.map(|name| root().join(name)));
    paths.sort();
    let named = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (
            path.strip_prefix(root()).unwrap().display().to_string(),
            text,
        )
    };
    paths.into_iter().map(named).collect()
}

/// The configurations in a page, each with the line it starts on. Blocks of `toml scenario` are another
/// crate's, which reads them in its own tests.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line) {
            (None, "```toml") => open = Some((number + 2, String::new())),
            (Some(_), "```") => found.extend(open.take()),
            (Some((_, block)), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    found
}

/// The block as a whole file.
fn whole(block: &str) -> String {
    let is_part = !block.contains("[[resource]]")
        && (block.contains("[resource.") || block.contains("[[resource."));
    if !is_part {
        return block.to_owned();
    }
    let says_what = block.contains("[resource.service]") || block.contains("[resource.files]");
    let files = "[resource.files]\na = \"/part/a\"\nb = \"/part/b\"\n";
    format!(
        "[[resource]]\nname = \"part\"\n{}{block}",
        if says_what { "" } else { files }
    )
}

/// Moves the path at `keys` below `root` and makes the directory, where `is_there`.
fn move_path(table: &mut Table, keys: &[&str], root: &Path, is_there: bool) {
    let Some((first, rest)) = keys.split_first() else {
        return;
    };
    match table.get_mut(*first) {
        Some(Value::Table(inner)) => move_path(inner, rest, root, is_there),
        Some(Value::String(path)) => {
            let moved = root.join(path.trim_start_matches('/'));
            if is_there {
                fs::create_dir_all(&moved).unwrap();
            }
            *path = moved.display().to_string();
        }
        Some(_) | None => {}
    }
}

/// The file with all that it names of the machine moved below `root`.
fn moved(text: &str, root: &Path) -> Result<String, String> {
    let mut file: Table = toml::from_str(text).map_err(|error| error.to_string())?;
    let resources = file.get_mut("resource").and_then(Value::as_array_mut);
    for resource in resources
        .into_iter()
        .flatten()
        .filter_map(Value::as_table_mut)
    {
        for (a, b) in [
            (
                &["service", "a", "config"][..],
                &["service", "b", "config"][..],
            ),
            (&["service", "a", "data"], &["service", "b", "data"]),
            (&["files", "a"], &["files", "b"]),
            (&["files", "data", "a"], &["files", "data", "b"]),
        ] {
            move_path(resource, a, root, true);
            move_path(resource, b, root, false);
        }
        move_path(resource, &["redirect", "link", "path"], root, false);
    }
    toml::to_string(&file).map_err(|error| error.to_string())
}

/// What `evenkeel check` finds wrong with a text; empty if nothing.
fn problems(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("evenkeel.toml");
    match moved(text, dir.path()) {
        Err(error) => return error,
        Ok(moved) => fs::write(&path, moved).unwrap(),
    }
    let mut out = Vec::new();
    let good = local::check(&path, false, false, &mut out).unwrap();
    if good {
        String::new()
    } else {
        String::from_utf8(out).unwrap()
    }
}

#[track_caller]
fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn every_configuration_in_the_documentation_is_good() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (name, text) in pages() {
        for (line, block) in blocks(&text) {
            count += 1;
            let said = problems(&whole(&block));
            if !said.is_empty() {
                wrong.push(format!("{name}:{line}: {said}"));
            }
        }
    }
    assert_none("these configurations are refused", &wrong);
    assert!(
        count >= 10,
        "only {count} blocks were found: is the test looking at the right files?"
    );
}

#[test]
fn every_example_file_is_good() {
    let mut paths = Vec::new();
    files(&root().join("examples"), ".toml", &mut paths);
    assert!(!paths.is_empty());
    // Scenarios are no configuration: the crate that reads them tests them.
    let scenarios = root().join("examples/scenarios");
    let wrong: Vec<String> = (paths.iter())
        .filter(|path| !path.starts_with(&scenarios))
        .map(|path| (path, problems(&fs::read_to_string(path).unwrap())))
        .filter(|(_, said)| !said.is_empty())
        .map(|(path, said)| format!("{}: {said}", path.display()))
        .collect();
    assert_none("these examples are refused", &wrong);
}

/// The names of all fields, and all words that a field may have.
fn names(schema: &Json, into: &mut BTreeSet<String>) {
    match schema {
        Json::Object(object) => {
            if let Some(Json::Object(properties)) = object.get("properties") {
                into.extend(properties.keys().cloned());
            }
            let words = object.get("enum").and_then(Json::as_array);
            into.extend(
                words
                    .into_iter()
                    .flatten()
                    .filter_map(Json::as_str)
                    .map(str::to_owned),
            );
            into.extend(
                object
                    .get("const")
                    .and_then(Json::as_str)
                    .map(str::to_owned),
            );
            object.values().for_each(|value| names(value, into));
        }
        Json::Array(items) => items.iter().for_each(|item| names(item, into)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn every_key_and_every_word_of_the_configuration_is_described() {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut all = BTreeSet::new();
    names(&config::schema(), &mut all);
    assert!(
        all.contains("risk_tolerance") && all.contains("latest-safe"),
        "{all:?}"
    );
    let silent: Vec<String> = all
        .into_iter()
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert_none("docs/configuration.md does not describe these", &silent);
}

#[test]
fn the_schema_that_is_shipped_is_the_one_of_this_build() {
    let path = root().join("contrib/evenkeel.schema.json");
    let schema = format!("{:#}\n", config::schema());
    if std::env::var_os("EVENKEEL_WRITE_SCHEMA").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    let shipped = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shipped == schema,
        "write it anew: EVENKEEL_WRITE_SCHEMA=1 cargo test -p evenkeel-daemon --test docs"
    );
}

#[test]
fn the_defaults_that_are_described_are_the_ones_in_force() {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let (_, block) = blocks(&page)
        .into_iter()
        .find(|(_, b)| b.contains("[defaults]"))
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let resource = "[[resource]]\nname = \"x\"\n[resource.files]\na = \"a\"\nb = \"b\"\n";
    fs::create_dir(dir.path().join("a")).unwrap();
    let parse = |text: &str| config::parse(&dir.path().join("x.toml"), text).unwrap();
    let described = parse(&(block.clone() + resource));
    let in_force = parse(resource);
    let policy = |config: &config::Config| {
        let mut policy = config.resources[0].settings.policy.clone();
        // Where it is not said it follows from the horizon.
        policy.warm_up = Some(policy.warm_up());
        policy
    };
    assert_eq!(policy(&described), policy(&in_force));
    let default = Policy::default();
    assert_eq!(policy(&described).warm_up(), default.warm_up());
    let by_default = Policy {
        warm_up: policy(&described).warm_up,
        ..default
    };
    assert_eq!(policy(&described), by_default);
    assert_eq!(described.retention, in_force.retention);
    assert_eq!(
        (described.state_dir, described.socket),
        (in_force.state_dir, in_force.socket)
    );
    // Every key of a policy is there, less the one that is off by default.
    let mut keys = BTreeSet::new();
    names(&config::schema()["$defs"]["Policy"], &mut keys);
    keys.retain(|key| key != "rehearsal_max_age");
    let left_out: Vec<String> = keys
        .into_iter()
        .filter(|key| !block.contains(key.as_str()))
        .collect();
    assert_none("the block of defaults leaves these out", &left_out);
}

#[test]
fn no_link_leads_nowhere() {
    let mut dead = Vec::new();
    for (name, text) in pages() {
        let here = root().join(&name);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            let elsewhere =
                link.contains("://") || target.is_empty() || target.contains([' ', '`']);
            if !elsewhere && !here.parent().unwrap().join(target).exists() {
                dead.push(format!("{name}: {link}"));
            }
        }
    }
    assert_none("these links lead nowhere", &dead);
}
