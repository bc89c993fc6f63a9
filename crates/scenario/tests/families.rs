//! What the families claim holds for the scenarios that they make.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use evenkeel_core::replay::Entry;
use evenkeel_scenario::families::family;
use evenkeel_scenario::{Drift, Made, families, generate};

/// Scenarios of each family that are looked at.
const SEEDS: u64 = 40;

fn made(name: &str, seed: u64) -> Vec<Made> {
    let scenario = family(name).unwrap().scenario(seed);
    let generated = generate(&scenario, scenario.seed);
    generated
        .unwrap_or_else(|problems| panic!("{name} of seed {seed}: {problems}"))
        .resources
}

/// How often each kind of drift comes first, over seeds and resources.
fn kinds(name: &str) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for made in (0..SEEDS).flat_map(|seed| made(name, seed)) {
        let kind = made
            .first_harm()
            .map_or(Drift::None, |(_, truth)| truth.kind);
        let word = match kind {
            Drift::None => "none",
            Drift::Gradual => "gradual",
            Drift::Sudden => "sudden",
        };
        *kinds.entry(word).or_default() += 1;
    }
    kinds
}

#[track_caller]
fn only(name: &str, expected: &[&str]) {
    let kinds = kinds(name);
    let found: Vec<&str> = kinds.keys().copied().collect();
    assert_eq!(found, expected, "{name}: {kinds:?}");
}

#[test]
fn what_never_breaches_never_does() {
    for family in families().iter().filter(|family| family.is_noise) {
        only(family.name, &["none"]);
    }
    only("decelerating", &["none"]);
    only("approved_rollout", &["none"]);
}

#[test]
fn what_always_breaches_does_so_gradually() {
    for name in [
        "linear_ramp",
        "accelerating",
        "season_ramp",
        "fleet_drift",
        "two_together",
    ] {
        only(name, &["gradual"]);
    }
}

#[test]
fn the_others_are_of_both_kinds() {
    for name in ["step", "step_decay", "flapping"] {
        only(name, &["none", "sudden"]);
    }
    for name in [
        "random_walk",
        "sawtooth_leak",
        "staircase",
        "counter_resets",
        "gaps_and_late",
        "quantised",
        "set_growth",
        "text_edits",
    ] {
        only(name, &["gradual", "none"]);
    }
}

#[test]
fn a_drift_comes_after_a_quiet_time_and_takes_as_long_as_is_said() {
    for name in [
        "linear_ramp",
        "accelerating",
        "set_growth",
        "text_edits",
        "two_together",
    ] {
        for made in (0..SEEDS).flat_map(|seed| made(name, seed)) {
            let Some((path, truth)) = made.first_harm() else {
                continue;
            };
            let (onset, harm) = (truth.onset.unwrap(), truth.harm_at.unwrap());
            let quiet = onset.since(made.baseline.at).as_secs_f64();
            let steps = quiet / made.policy.sample_every.as_secs_f64();
            assert!(
                (299.0..3100.0).contains(&steps),
                "{name} {path}: {steps} steps"
            );
            let way = harm.since(onset).as_secs_f64() / made.policy.horizon.as_secs_f64();
            assert!((0.4..7.0).contains(&way), "{name} {path}: {way} horizons");
        }
    }
}

#[test]
fn pure_noise_is_long_and_stays_within_its_limit() {
    for family in families().iter().filter(|family| family.is_noise) {
        for made in (0..8).flat_map(|seed| made(family.name, seed)) {
            assert!(made.probes() >= 10_000, "{}", family.name);
            let approved = made.baseline.properties.values().next().unwrap();
            let level = approved.value.as_number().unwrap();
            let rule = made.policy.rules[0].tolerance;
            for entry in made.entries() {
                let Entry::Probed(probe) = entry else {
                    panic!("{}: {entry:?}", family.name);
                };
                let found = probe.properties.values().next().unwrap();
                let deviation = evenkeel_core::deviation::deviation(
                    Some(&approved.value),
                    Some(&found.value),
                    evenkeel_core::deviation::Scale::resolve(
                        rule,
                        Some(&approved.value),
                        found.origin,
                        None,
                    ),
                );
                let at = probe.at;
                assert!(
                    deviation.abs() < 1.0,
                    "{} at {at}: {level} {deviation}",
                    family.name
                );
            }
        }
    }
}

#[test]
fn another_seed_makes_another_scenario_and_the_same_the_same() {
    for family in families() {
        let one = family.scenario(1);
        assert_eq!(one, family.scenario(1), "{}", family.name);
        assert_ne!(one, family.scenario(2), "{}", family.name);
    }
}

#[test]
fn families_have_names_of_their_own_and_stand_in_the_documentation() {
    let table = include_str!("../src/families/mod.rs");
    let mut names = std::collections::BTreeSet::new();
    for family in families() {
        assert!(names.insert(family.name), "{} twice", family.name);
        assert!(
            table.contains(&format!("//! | `{}` |", family.name)),
            "{}",
            family.name
        );
        assert!(!family.what.is_empty());
    }
}
