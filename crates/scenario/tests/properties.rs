//! Properties of every generated course: it is the same for a seed, independent of its neighbours, and the truth
//! about it is true.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::deviation::{Scale, deviation};
use evenkeel_core::property::{Observed, Origin, Value};
use evenkeel_core::replay::Entry;
use evenkeel_core::{PropertyPath, Timestamp};
use evenkeel_scenario::component::{
    Bend, Flapping, Noise, Ramp, Reverting, Sawtooth, Season, Stairs, Step, Walk, Wave,
};
use evenkeel_scenario::{
    Component, Drift, Limits, Made, Moment, Property, Resource, Scenario, families, generate, trace,
};
use proptest::prelude::*;

const STEP: Duration = Duration::from_secs(60);
const STEPS: u32 = 600;

fn after(steps: u32) -> Moment {
    Moment::After(STEP * steps)
}

/// Any component of a number that is no noise, with a limit some 100 away in mind.
fn systematic() -> impl Strategy<Value = Component> {
    let (by, at, span) = (-150.0..150.0_f64, 0..STEPS, 1..STEPS);
    let bend = prop_oneof![
        Just(Bend::Linear),
        Just(Bend::Accelerating),
        Just(Bend::Decelerating)
    ];
    prop_oneof![
        (at.clone(), by.clone(), span.clone(), bend).prop_map(|(at, by, over, bend)| {
            let (at, over) = (after(at), STEP * over);
            Component::Ramp(Ramp {
                at,
                by,
                over,
                bend,
                until: None,
            })
        }),
        (at.clone(), by.clone(), proptest::option::of(span.clone())).prop_map(|(at, by, decay)| {
            let decay = decay.map(|steps| STEP * steps);
            Component::Step(Step {
                at: after(at),
                by,
                decay,
                lasting: None,
            })
        }),
        (at.clone(), 0.1..10.0_f64)
            .prop_map(|(at, sd)| Component::Walk(Walk { at: after(at), sd })),
        (span.clone(), by.clone(), any::<bool>()).prop_map(|(period, amplitude, pulse)| {
            let wave = if pulse { Wave::Pulse } else { Wave::Sine };
            let period = STEP * period;
            Component::Season(Season {
                period,
                amplitude,
                wave,
                phase: 0.0,
                width: 0.1,
            })
        }),
        (at.clone(), by.clone(), span.clone(), any::<bool>()).prop_map(|(at, by, every, even)| {
            let (at, every) = (after(at), STEP * every);
            let tooth = Sawtooth {
                at,
                by,
                every,
                jitter: 0.3,
                until: None,
            };
            if even {
                Component::Leak(tooth)
            } else {
                Component::Counter(tooth)
            }
        }),
        (at.clone(), -20.0..20.0_f64, span.clone()).prop_map(|(at, by, every)| {
            let (at, every) = (after(at), STEP * every);
            Component::Stairs(Stairs {
                at,
                by,
                every,
                jitter: 0.5,
                count: None,
            })
        }),
        (at, by, 1..60_u32, 1..60_u32).prop_map(|(at, by, high, low)| {
            let (high, low) = (STEP * high, STEP * low);
            let (at, by) = (after(at), Some(by));
            Component::Flapping(Flapping {
                at,
                by,
                high,
                low,
                jitter: 0.5,
                until: None,
            })
        }),
    ]
}

fn noise() -> Vec<Component> {
    vec![
        Component::Noise(Noise {
            sd: 5.0,
            sd_end: Some(9.0),
            tails: Some(4.0),
        }),
        Component::Reverting(Reverting {
            sd: 5.0,
            memory: 5 * STEP,
        }),
    ]
}

fn limited(path: &str, course: Vec<Component>) -> Property {
    let mut property = Property::number(path, 500.0);
    property.limits = Some(Limits {
        lower: Some(400.0),
        upper: Some(600.0),
    });
    property.course = course;
    property
}

fn scenario(properties: Vec<Property>) -> Scenario {
    let mut scenario = Scenario::new(STEP * STEPS, STEP);
    scenario.resource = vec![Resource::new("web", properties)];
    scenario
}

fn made(scenario: &Scenario, seed: u64) -> Made {
    generate(scenario, seed).unwrap().resources.remove(0)
}

/// The values of a property at the instants it was read.
fn values(made: &Made, path: &str) -> BTreeMap<Timestamp, f64> {
    let path = PropertyPath::from(path);
    let value = |entry: Entry| {
        let Entry::Probed(probe) = entry else {
            return None;
        };
        let found: Option<&Observed> = probe.properties.get(&path);
        let found = found.and_then(|found| found.value.as_number());
        found.map(|value| (probe.at, value))
    };
    made.entries().filter_map(value).collect()
}

proptest! {
    #[test]
    fn harm_is_where_the_course_without_noise_reaches_its_limit_and_not_before(
        course in proptest::collection::vec(systematic(), 1..4),
        quantum in proptest::option::of(1.0..40.0_f64),
        seed in any::<u64>(),
    ) {
        let mut property = limited("p", course);
        property.quantum = quantum;
        let clean = made(&scenario(vec![property.clone()]), seed);
        // Noise comes after, so that the components before it keep their streams.
        property.course.extend(noise());
        let noisy = made(&scenario(vec![property]), seed);
        let truth = noisy.truths()[&PropertyPath::from("p")];
        prop_assert_eq!(truth, clean.truths()[&PropertyPath::from("p")], "noise is no part of it");
        let approved = Value::Number(500.0);
        let scale = Scale::resolve(
            noisy.policy.rules[0].tolerance, Some(&approved), Origin::Capacity, None);
        let off = |value: f64| deviation(Some(&approved), Some(&Value::Number(value)), scale);
        let values = values(&clean, "p");
        let reached = values.iter().find(|(_, value)| off(**value).abs() >= 1.0);
        prop_assert_eq!(truth.harm_at, reached.map(|(at, _)| *at));
        prop_assert_eq!(truth.onset.is_some(), truth.harm_at.is_some());
        prop_assert!(truth.onset <= truth.harm_at);
        prop_assert_eq!(truth.kind == Drift::None, truth.harm_at.is_none());
        if let Some((at, value)) = reached {
            let before = values.range(..*at).next_back().map_or(0.0, |(_, value)| off(*value));
            let jump = off(*value).signum() * (off(*value) - before);
            prop_assert_eq!(truth.kind == Drift::Sudden, jump >= 0.5);
        }
    }

    #[test]
    fn a_course_does_not_depend_on_its_neighbours_nor_on_missing_samples(
        course in proptest::collection::vec(systematic(), 0..3),
        other in systematic(),
        seed in any::<u64>(),
    ) {
        let mut all = course;
        all.extend(noise());
        let alone = scenario(vec![limited("p", all.clone())]);
        let mut among = scenario(vec![limited("a", vec![other]), limited("p", all)]);
        among.resource[0].missing = 0.3;
        let one = values(&made(&alone, seed), "p");
        let few = values(&made(&among, seed), "p");
        prop_assert_eq!(one.len(), 600);
        prop_assert!((300..540).contains(&few.len()), "{} of 600", few.len());
        prop_assert!(few.iter().all(|(at, value)| one.get(at) == Some(value)));
    }

    #[test]
    fn entries_come_in_order_and_the_same_each_time(which in 0..families().len(), seed in 0..50_u64) {
        let scenario = families()[which].scenario(seed);
        for made in generate(&scenario, seed).unwrap().resources {
            let mut last = Timestamp::from_millis(i64::MIN);
            for (one, again) in made.entries().zip(made.entries()) {
                prop_assert!(one.at() >= last);
                last = one.at();
                prop_assert_eq!(one, again);
            }
            // The last probe may be stamped late, by less than a step.
            prop_assert!(last < scenario.end() + scenario.step);
        }
    }

    #[test]
    fn a_trace_is_read_back_as_it_was(
        values in proptest::collection::vec(-50.0..250.0_f64, 3..200),
        missing in proptest::collection::btree_set(1..200_usize, 0..20),
    ) {
        let start = Timestamp::from_millis(1_400_000_000_000);
        let samples: Vec<(Timestamp, f64)> = (0_u32..).zip(&values)
            // The median step is to stay the true one.
            .filter(|(i, _)| values.len() < 60 || !missing.contains(&(*i as usize)))
            .map(|(i, value)| (start + STEP * i, *value))
            .collect();
        let limits = Limits { lower: None, upper: Some(200.0) };
        let (resource, path) = ("nab".to_owned(), "p".to_owned());
        let cut = trace::Cut { resource, path, approved: 100.0, limits };
        let made = made(&trace::cut(&samples, cut).unwrap(), 1);
        let expected: BTreeMap<Timestamp, f64> = samples.iter().copied().collect();
        let found = self::values(&made, "p");
        prop_assert_eq!(found.len(), expected.len());
        for (at, value) in &expected {
            prop_assert!((found[at] - value).abs() < 1e-9);
        }
        let reached = samples.iter().find(|(_, value)| *value >= 200.0).map(|(at, _)| *at);
        prop_assert_eq!(made.truths()[&PropertyPath::from("p")].harm_at, reached);
    }
}

#[test]
fn another_seed_makes_another_course() {
    let scenario = scenario(vec![limited("p", noise())]);
    assert_ne!(
        values(&made(&scenario, 1), "p"),
        values(&made(&scenario, 2), "p")
    );
}

#[test]
fn the_noise_is_as_wide_as_it_is_said_to_be() {
    let course = vec![Component::Reverting(Reverting {
        sd: 5.0,
        memory: 5 * STEP,
    })];
    let mut scenario = scenario(vec![limited("p", course)]);
    scenario.length = STEP * 50_000;
    let values: Vec<f64> = values(&made(&scenario, 3), "p").into_values().collect();
    let mean = values.iter().sum::<f64>() / 50_000.0;
    let covariance = |lag: usize| {
        let pairs = values.iter().zip(&values[lag..]);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / 50_000.0
    };
    assert!((mean - 500.0).abs() < 0.5, "{mean}");
    assert!((covariance(0) - 25.0).abs() < 1.5, "{}", covariance(0));
    let correlation = covariance(5) / covariance(0);
    assert!(
        (correlation - (-1.0_f64).exp()).abs() < 0.05,
        "{correlation}"
    );
}

#[test]
fn what_cannot_be_read_is_unknown_and_what_vanishes_is_gone() {
    use evenkeel_scenario::component::Vanish;
    let mut hidden = limited("hidden", Vec::new());
    hidden.unreadable = 0.5;
    let gone = Vanish {
        at: after(100),
        lasting: Some(STEP * 10),
    };
    let gone = limited("gone", vec![Component::Vanish(gone)]);
    let made = made(&scenario(vec![hidden, gone]), 1);
    let (hidden, gone) = (PropertyPath::from("hidden"), PropertyPath::from("gone"));
    let (mut unread, mut absent) = (0, 0);
    for entry in made.entries() {
        let Entry::Probed(probe) = entry else {
            panic!("{entry:?}");
        };
        assert_ne!(
            probe.properties.contains_key(&hidden),
            probe.is_unreadable(&hidden)
        );
        unread += usize::from(probe.is_unreadable(&hidden));
        absent += usize::from(!probe.properties.contains_key(&gone));
        assert!(!probe.is_unreadable(&gone));
    }
    assert!((240..360).contains(&unread), "{unread}");
    assert_eq!(absent, 10);
    let truth = made.truths()[&gone];
    assert_eq!(truth.kind, Drift::Sudden);
    assert_eq!(truth.harm_at, Some(made.baseline.at + STEP * 100));
}
