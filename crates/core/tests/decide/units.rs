//! The unit of a property is of no consequence: whoever counts bytes is decided for as whoever counts
//! mebibytes.
//!
//! A value, its approved value and its tolerance are multiplied by one number. By a power of two nothing is
//! rounded, so everything but the values themselves is the same to the last bit; by any other number it is the
//! same but for rounding, and what is decided is the same.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::baseline::Baseline;
use evenkeel_core::decide::{Action, Decision};
use evenkeel_core::failover::Outcome;
use evenkeel_core::policy::{Mode, Policy, PropertyRule, Tolerance};
use evenkeel_core::property::{Observed, Severity};
use evenkeel_core::replay::{Entry, Replay, Setting};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value as Json, json};

use crate::case::*;
use crate::line::Lines;
use crate::replays::setting;

/// One property per way to say a tolerance.
const PATHS: [&str; 4] = ["absolute", "learned", "limits", "relative"];

const APPROVED: [f64; 4] = [400.0, 7.25, 650.5, 12.125];

fn policy(unit: f64) -> Policy {
    let limits = Tolerance::Limits {
        lower: Some(100.25 * unit),
        upper: Some(1000.0 * unit),
    };
    let rules = [
        (
            "absolute",
            Tolerance::Absolute(300.0 * unit),
            Severity::Critical,
        ),
        ("learned", Tolerance::Learned, Severity::Warn),
        ("limits", limits, Severity::Critical),
        ("relative", Tolerance::Relative(0.75), Severity::Critical),
    ];
    let rules = rules.map(|(path, tolerance, severity)| {
        let mut rule = PropertyRule::new(path, tolerance).unwrap();
        rule.severity = Some(severity);
        rule
    });
    Policy {
        mode: Mode::Act,
        horizon: 10 * SECOND * 12,
        rules: rules.to_vec(),
        ..Policy::default()
    }
}

fn found(values: [f64; 4]) -> [(&'static str, Observed); 4] {
    std::array::from_fn(|i| (PATHS[i], Observed::capacity(values[i], None)))
}

fn baseline(unit: f64) -> Baseline {
    Baseline {
        learned: BTreeMap::from([("learned".into(), 0.375 * unit)]),
        ..approving(found(APPROVED.map(|value| value * unit)))
    }
}

/// What happens next, in tolerances.
#[derive(Clone, Debug)]
enum Happening {
    Moved([f64; 4]),
    Accepted(&'static str),
}

fn entries(course: &[Happening], unit: f64) -> Vec<Entry> {
    // How far each goes with a deviation of 1.
    const TOLERANCES: [f64; 4] = [300.0, 2.25, 349.5, 9.09375];
    let mut values = APPROVED;
    let happen = |(happening, step): (&Happening, u32)| match happening {
        Happening::Moved(by) => {
            values = std::array::from_fn(|i| values[i] + by[i] * TOLERANCES[i]);
            let at = NOON + 10 * SECOND * step;
            Entry::Probed(probed(at, found(values.map(|value| value * unit))))
        }
        Happening::Accepted(path) => Entry::Accepted {
            at: NOON + 10 * SECOND * step,
            paths: BTreeSet::from([(*path).into()]),
            by: "ann".into(),
        },
    };
    course.iter().zip(1..).map(happen).collect()
}

/// Every decision on the course, without the values that it was made on.
fn decided(course: &[Happening], kind: Lines, unit: f64) -> Vec<Json> {
    let (policy, baseline, resource) = (policy(unit), baseline(unit), "web".into());
    let setting = Setting {
        factory: &kind,
        ..setting(&resource, &policy, &baseline, Outcome::Done)
    };
    let mut replay = Replay::new(&setting);
    let told = |entry| {
        let step = replay.take(entry).unwrap();
        let mut told = json!({
            "outlooks": step.outlooks,
            "state": step.decision.state,
            "explanation": step.decision.explanation,
            "actions": done(step.decision),
            "notable": step.decision.notable,
        });
        without_values(&mut told);
        told
    };
    entries(course, unit).into_iter().map(told).collect()
}

fn done(decision: &Decision) -> Vec<Json> {
    let of = |action: &Action| match action {
        Action::Start(plan) => json!([
            plan.run,
            plan.token,
            plan.kind,
            plan.from,
            plan.steps,
            plan.choice
        ]),
        Action::Quarantine { since, .. } => json!(["quarantine", since]),
        Action::Alert { severity, .. } => json!(["alert", severity]),
        Action::RestartWatch => json!("restart"),
        Action::Recentre(paths) => json!(["recentre", paths]),
        Action::Judge { path, judgement } => json!(["judge", path, judgement]),
    };
    decision.actions.iter().map(of).collect()
}

/// What is, or names, a value.
const VALUES: [&str; 6] = [
    "approved", "found", "greatest", "least", "limit", "sentence",
];

/// Takes those out.
fn without_values(told: &mut Json) {
    match told {
        Json::Object(fields) => {
            fields.retain(|name, _| !VALUES.contains(&name.as_str()));
            fields.values_mut().for_each(without_values);
        }
        Json::Array(items) => items.iter_mut().for_each(without_values),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// The same but for rounding.
fn are_alike(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(a), Json::Object(b)) => {
            a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| are_alike(a, b))
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_alike(a, b))
        }
        (Json::Number(x), Json::Number(y)) if x.is_f64() && y.is_f64() => {
            let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
            (x - y).abs() <= 1e-9 * x.abs().max(1.0)
        }
        (a, b) => a == b,
    }
}

fn any_course() -> impl Strategy<Value = Vec<Happening>> {
    let step = prop_oneof![Just(0.0), -0.05_f64..0.05, 0.0_f64..0.1, -0.4_f64..0.4];
    let happening = prop_oneof![
        12 => proptest::array::uniform4(step).prop_map(Happening::Moved),
        1 => proptest::sample::select(&PATHS[..]).prop_map(Happening::Accepted),
    ];
    proptest::collection::vec(happening, 2..30)
}

prop_compose! {
    fn any_lines()(
        spread in 0.001_f64..0.1,
        half_width in proptest::option::of(0.0_f64..0.8),
        is_drift in any::<bool>(),
    ) -> Lines {
        Lines { spread, half_width, is_drift }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(42), ..ProptestConfig::with_cases(64) })]

    #[test]
    fn in_a_unit_that_is_a_power_of_two_not_a_bit_is_another(
        course in any_course(), kind in any_lines(), power in -40_i32..40,
    ) {
        let one = decided(&course, kind, 1.0);
        let other = decided(&course, kind, 2.0_f64.powi(power));
        for (step, (one, other)) in one.iter().zip(&other).enumerate() {
            prop_assert!(one == other, "step {}:\n{}\n{}", step, one, other);
        }
    }

    #[test]
    fn in_any_unit_the_decisions_are_the_same(
        course in any_course(), kind in any_lines(), logarithm in -6.0_f64..6.0,
    ) {
        let one = decided(&course, kind, 1.0);
        let other = decided(&course, kind, 10.0_f64.powf(logarithm));
        for (step, (one, other)) in one.iter().zip(&other).enumerate() {
            prop_assert!(are_alike(one, other), "step {}:\n{}\n{}", step, one, other);
        }
    }
}

#[test]
fn courses_are_decided_in_many_ways_and_a_value_in_another_unit_would_be_noticed() {
    let course = vec![Happening::Moved([0.0, 0.0, 0.05, 0.0]); 20];
    let kind = crate::line::STRAIGHT;
    let one = decided(&course, kind, 1.0);
    let told = |reason: &str| {
        one.iter()
            .any(|told| !told["explanation"]["reason"][reason].is_null())
    };
    assert!(told("not_sustained") && told("fail_over") && told("held_back"));
    // The tolerance alone in another unit is another tolerance.
    let halved: Vec<Happening> = vec![Happening::Moved([0.0, 0.0, 0.025, 0.0]); 20];
    assert_ne!(one, decided(&halved, kind, 1.0));
}
