//! The example files come to what they say.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use evenkeel_core::PropertyPath;
use evenkeel_core::decide::Command;
use evenkeel_core::property::Value;
use evenkeel_core::replay::Entry;
use evenkeel_scenario::{Drift, Generated, Scenario, Truth, generate};

fn read(name: &str) -> (Scenario, Generated) {
    let text = match name {
        "leak.toml" => include_str!("../../../examples/scenarios/leak.toml"),
        "ramp.toml" => include_str!("../../../examples/scenarios/ramp.toml"),
        "rollout.toml" => include_str!("../../../examples/scenarios/rollout.toml"),
        "year.toml" => include_str!("../../../examples/scenarios/year.toml"),
        other => panic!("there is no example {other}"),
    };
    let scenario = Scenario::from_toml(name, text).unwrap_or_else(|problems| panic!("{problems}"));
    let generated = generate(&scenario, scenario.seed).unwrap();
    (scenario, generated)
}

fn hours(scenario: &Scenario, truth: &Truth) -> (f64, f64) {
    let since = |at: Option<evenkeel_core::Timestamp>| {
        at.unwrap().since(scenario.start).as_secs_f64() / 3600.0
    };
    (since(truth.onset), since(truth.harm_at))
}

#[test]
fn the_leak_reaches_its_limit_after_the_last_restart() {
    let (scenario, generated) = read("leak.toml");
    let (path, truth) = generated.resources[0].first_harm().unwrap();
    assert_eq!(path.as_str(), "@process/rss");
    assert_eq!(truth.kind, Drift::Gradual);
    let (onset, harm) = hours(&scenario, &truth);
    assert!(
        (94.0..99.0).contains(&onset),
        "the fourth restart, not {onset}"
    );
    // 624 MiB at 350 a day.
    assert!(
        (harm - onset - 624.0 / 350.0 * 24.0).abs() < 0.05,
        "{onset} {harm}"
    );
}

#[test]
fn the_ramp_reaches_its_limit_and_everything_else_happens() {
    let (scenario, generated) = read("ramp.toml");
    let web = &generated.resources[0];
    let (_, truth) = web.first_harm().unwrap();
    assert_eq!(truth.kind, Drift::Gradual);
    let (onset, harm) = hours(&scenario, &truth);
    assert!(
        (onset - 96.0).abs() < 1e-9 && (102.0..108.0).contains(&harm),
        "{onset} {harm}"
    );
    let truths = web.truths();
    let level = &truths[&PropertyPath::from("nginx.conf/error_log/level")];
    assert_eq!((level.kind, level.onset), (Drift::Sudden, level.harm_at));
    assert_eq!(truths[&PropertyPath::from("motd")], Truth::HARMLESS);
    let entries: Vec<Entry> = web.entries().collect();
    assert!(entries.windows(2).all(|pair| pair[0].at() <= pair[1].at()));
    let lost = entries
        .iter()
        .filter(|e| matches!(e, Entry::Lost { .. }))
        .count();
    assert_eq!(lost, 4);
    let pauses = |e: &&Entry| {
        matches!(
            e,
            Entry::Commanded {
                command: Command::Pause { until: Some(_), .. },
                ..
            }
        )
    };
    assert_eq!(entries.iter().filter(pauses).count(), 1);
    let Some(Entry::Probed(last)) = entries.last() else {
        panic!("a probe comes last");
    };
    let allowed = &last.properties[&PropertyPath::from("nginx.conf/http/allow")].value;
    assert!(
        matches!(allowed, Value::Set(items) if items.len() == 6),
        "{allowed}"
    );
    let motd = &last.properties[&PropertyPath::from("motd")].value;
    assert!(motd.to_string().contains("edited 1"), "{motd}");
}

#[test]
fn the_approved_rollout_is_harmless_and_the_second_comes_to_all() {
    let (scenario, generated) = read("rollout.toml");
    assert_eq!(generated.resources.len(), 6);
    for (member, made) in (1..).zip(&generated.resources) {
        assert_eq!(made.id.as_str(), format!("app-{member}"));
        let (_, truth) = made.first_harm().unwrap();
        let (onset, harm) = hours(&scenario, &truth);
        let behind = f64::from(member - 1) / 30.0;
        assert!((onset - 58.0 - behind).abs() < 1e-9, "{onset}");
        // 20 % of the 150 that were approved: half of the way of 60.
        assert!((harm - onset - 0.5).abs() < 1e-9, "{harm}");
        let opened = made.entries().any(|entry| {
            matches!(
                entry,
                Entry::Commanded {
                    command: Command::OpenWindow { .. },
                    ..
                }
            )
        });
        assert!(opened);
        let entries: Vec<Entry> = made.entries().collect();
        let accepted = |pair: &&[Entry]| matches!(pair[1], Entry::Accepted { .. });
        let pair = entries.windows(2).find(accepted).unwrap();
        let Entry::Accepted { at, paths, by } = &pair[1] else {
            panic!("it was just found");
        };
        assert_eq!(
            at.since(scenario.start),
            Duration::from_secs(3600 * 34 + 1200)
        );
        assert_eq!((paths.len(), by.as_str()), (2, "alice"));
        assert!(
            matches!(&pair[0], Entry::Probed(probe) if probe.at == *at),
            "of that probe"
        );
    }
}

#[test]
fn the_year_has_a_hundred_properties_of_which_a_tenth_vary() {
    let (scenario, generated) = read("year.toml");
    let db = &generated.resources[0];
    assert_eq!(db.baseline.properties.len(), 100);
    assert_eq!(db.probes(), 525_600);
    let mut entries = db.entries();
    let Some(Entry::Probed(first)) = entries.next() else {
        panic!("a probe comes first");
    };
    let Some(Entry::Probed(later)) = entries.nth(2000) else {
        panic!("and later");
    };
    let varied = |path: &&PropertyPath| first.properties[*path] != later.properties[*path];
    let varied = later.properties.keys().filter(varied).count();
    assert!((8..=10).contains(&varied), "{varied}");
    let critical: Vec<(f64, f64)> = (db.truths().values())
        .filter(|truth| truth.kind == Drift::Gradual)
        .map(|truth| hours(&scenario, truth))
        .collect();
    let day = |hours: f64| hours / 24.0;
    assert_eq!(critical.len(), 2, "{critical:?}");
    assert!(
        critical
            .iter()
            .any(|(_, harm)| (140.0..141.0).contains(&day(*harm)))
    );
    assert!(
        critical
            .iter()
            .any(|(_, harm)| (250.0..252.1).contains(&day(*harm)))
    );
    assert_eq!(scenario.length, Duration::from_secs(365 * 86_400));
}

#[test]
fn the_example_of_the_documentation_is_one() {
    let text = include_str!("../../../docs/scenarios.md");
    let mut blocks = text.split("```toml scenario\n").skip(1);
    let example = blocks
        .next()
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let scenario = Scenario::from_toml("scenarios.md", example);
    let scenario = scenario.unwrap_or_else(|problems| panic!("{problems}"));
    let (of_the_example, _) = read("leak.toml");
    assert_eq!(scenario, of_the_example);
}
