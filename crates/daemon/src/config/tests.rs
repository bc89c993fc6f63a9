//! What the configuration file refuses, and how.

use std::path::Path;

use evenkeel_core::policy::{Mode, Tolerance};
use evenkeel_core::property::Severity;

use super::*;

/// A resource whose trees are there, with `more` in its table.
fn resource(dir: &Path, name: &str, ports: [u16; 2], more: &str) -> String {
    let tree = dir.join(name);
    std::fs::create_dir_all(&tree).unwrap();
    let (a, b) = (
        tree.display(),
        dir.join(format!("{name}-b")).display().to_string(),
    );
    let [port_a, port_b] = ports;
    format!(
        "[[resource]]\nname = \"{name}\"\n{more}\n[resource.service]\nstart = [\"true\"]\n\
         a = {{ config = \"{a}\", address = \"127.0.0.1:{port_a}\" }}\n\
         b = {{ config = \"{b}\", address = \"127.0.0.1:{port_b}\" }}\n"
    )
}

/// The problems of a text, with the file's name as `x.toml`.
fn problems(text: &str) -> String {
    match parse(Path::new("x.toml"), text) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn a_good_file_comes_to_its_resources() {
    let dir = tempfile::tempdir().unwrap();
    let text = resource(dir.path(), "web", [81, 82], "policy = { mode = \"act\" }")
        + "[[resource.property]]\nmatch = \"**/worker_connections\"\nlimits = { upper = 1024 }\n\
           severity = \"critical\"\n[[resource.property]]\nmatch = \"**\"\ntolerance = \"20%\"\n";
    let config = parse(Path::new("x.toml"), &text).unwrap();
    let settings = &config.resources[0].settings;
    assert_eq!(settings.policy.mode, Mode::Act);
    let rule = &settings.policy.rules[0];
    assert_eq!(
        rule.tolerance,
        Tolerance::Limits {
            lower: None,
            upper: Some(1024.0)
        }
    );
    assert_eq!(rule.severity, Some(Severity::Critical));
    assert_eq!(settings.policy.rules[1].tolerance, Tolerance::Relative(0.2));
    assert_eq!(settings.kind, "service");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_right_name() {
    let said = problems("[defaults]\nrisk_tolerence = 0.5\n");
    assert!(
        said.starts_with("x.toml:2:1: unknown field `risk_tolerence`"),
        "{said}"
    );
    assert!(said.ends_with("did you mean `risk_tolerance`?"), "{said}");
    let said = problems("[defaults]\nmode = \"atc\"\n");
    assert!(
        said.starts_with("x.toml:2:8: unknown variant `atc`"),
        "{said}"
    );
    assert!(said.ends_with("did you mean `act`?"), "{said}");
}

#[test]
fn a_wrong_type_is_refused_at_its_place() {
    let said = problems("[defaults]\n\nmax_failovers = \"three\"\n");
    assert!(
        said.starts_with("x.toml:3:17: invalid type: string \"three\""),
        "{said}"
    );
    let said = problems("[defaults]\nhorizon = \"30 parsecs\"\n");
    assert!(
        said.starts_with("x.toml:2:11: `30 parsecs` is not a span of time"),
        "{said}"
    );
    let said = problems("[defaults\n");
    assert!(said.starts_with("x.toml:1:"), "{said}");
}

#[test]
fn every_value_out_of_range_is_named_at_once() {
    let said = problems(
        "[defaults]\nrisk_tolerance = 3\nsustain = [4, 2]\nsafety_factor = -1.0\n\
         windows = [\"daily 01:00-02:00\", \"sometimes\"]\n",
    );
    for expected in [
        "x.toml:2:1: risk_tolerance: risk tolerance lies between 0 and 1; 3 does not",
        "x.toml:3:1: sustain = [4, 2]; write [k, n] with 1 <= k <= n <= 64",
        "x.toml:4:1: a safety factor of -1",
        "x.toml:5:33: `sometimes` is not a window",
    ] {
        assert!(said.contains(expected), "{expected}\n---\n{said}");
    }
}

#[test]
fn a_resource_that_says_nothing_or_names_a_missing_path_is_refused() {
    let said = problems("[[resource]]\nname = \"web\"\n");
    assert!(
        said.contains("x.toml:1:1: resource `web` does not say what it is"),
        "{said}"
    );
    let said = problems(
        "[[resource]]\nname = \"web\"\n[resource.service]\n\
         a = { config = \"/nowhere/at/all\", address = \"127.0.0.1:1\" }\n\
         b = { config = \"/nowhere/b\", address = \"127.0.0.1:2\" }\n",
    );
    assert!(
        said.contains("x.toml:4:7: /nowhere/at/all: No such file"),
        "{said}"
    );
    let said = problems("[[resource]]\nname = \"../web\"\n");
    assert!(
        said.contains("x.toml:2:1: `../web` cannot name a resource"),
        "{said}"
    );
}

#[test]
fn two_resources_cannot_share_a_name_an_address_or_a_tree() {
    let dir = tempfile::tempdir().unwrap();
    let first = resource(dir.path(), "web", [81, 82], "");
    let said = problems(&(first.clone() + &resource(dir.path(), "shop", [83, 82], "")));
    assert!(
        said.contains("127.0.0.1:82 is used by resource `web` already; use another port"),
        "{said}"
    );
    assert!(said.starts_with("x.toml:14:"), "{said}");
    let said = problems(&(first.clone() + &resource(dir.path(), "web", [91, 92], "")));
    assert!(said.contains("two resources are named `web`"), "{said}");
    let renamed = first
        .replace("name = \"web\"", "name = \"other\"")
        .replace(":8", ":9");
    let said = problems(&(first + &renamed));
    assert!(said.contains("belongs to resource `web` already"), "{said}");
}

#[test]
fn the_proxy_cannot_listen_where_an_instance_does() {
    let dir = tempfile::tempdir().unwrap();
    let more = "redirect = { proxy = { listen = \"127.0.0.1:81\" } }";
    let said = problems(&resource(dir.path(), "web", [81, 82], more));
    assert!(
        said.contains("127.0.0.1:81 is used by resource `web` already"),
        "{said}"
    );
}

#[test]
fn networks_are_there_only_when_they_are_asked_for() {
    let networks = |text: &str| parse(Path::new("x.toml"), text).unwrap().networks;
    assert_eq!(networks(""), None);
    assert_eq!(networks("[forecast]\nlstm = \"off\"\n"), None);
    let asked = networks("[forecast]\nlstm = \"on\"\n");
    assert_eq!(asked, Some(crate::networks::Options::default()));
    let said = problems("[forecast]\n\nlstm = \"onn\"\n");
    assert!(
        said.starts_with("x.toml:3:8: unknown variant `onn`"),
        "{said}"
    );
    assert!(said.ends_with("did you mean `on`?"), "{said}");
    let said = problems("[forecast]\nlstms = \"on\"\n");
    assert!(
        said.starts_with("x.toml:2:1: unknown field `lstms`"),
        "{said}"
    );
}

#[test]
fn the_schema_knows_every_table() {
    let text = schema().to_string();
    for key in ["risk_tolerance", "connections_max", "stop_grace", "limits"] {
        assert!(text.contains(&format!("\"{key}\"")), "{key}");
    }
}

#[test]
fn a_missing_file_says_how_to_get_one() {
    let said = load(Path::new("/nowhere/evenkeel.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        said.starts_with("/nowhere/evenkeel.toml: cannot be read: No such file"),
        "{said}"
    );
    assert!(said.ends_with("write one with `evenkeel init`"), "{said}");
}
