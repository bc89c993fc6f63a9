//! What the day does every day is no drift: the band makes room for it, and for nothing else.
#![allow(clippy::unwrap_used)] // A test fails by it.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::outlook::{Breach, PropertyOutlook};
use evenkeel_core::policy::{Policy, PropertyRule, Tolerance};
use evenkeel_core::property::{Observed, Probe, Severity, Value};
use evenkeel_core::state::Sustain;
use evenkeel_core::time::Timestamp;
use evenkeel_core::watch::Watch;
use evenkeel_core::watch::refit::Course;
use evenkeel_core::{BaselineVersion, Instance};
use evenkeel_forecast::MixtureFactory;

#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const STEP: Duration = Duration::from_secs(300);
const STEPS_A_DAY: u32 = 288;

/// A Monday, 00:00.
const START: Timestamp = Timestamp::from_millis(1_795_392_000_000);

/// One critical property `x` with a tolerance of 1, so that values are deviations.
struct Scene {
    policy: Policy,
    watch: Watch,
    course: Course,
    random: Random,
    step: u32,
    sustain: Sustain,
}

impl Scene {
    fn new() -> Self {
        let mut rule = PropertyRule::new("x", Tolerance::Absolute(1.0)).unwrap();
        rule.severity = Some(Severity::Critical);
        let policy = Policy {
            sample_every: STEP,
            horizon: 36 * STEP,
            rules: vec![rule],
            ..Policy::default()
        };
        Self {
            watch: Watch::new(&policy),
            policy,
            course: Course::default(),
            random: Random::new(1),
            step: 0,
            sustain: Sustain::default(),
        }
    }

    fn probe(at: Timestamp, value: f64) -> Probe {
        let observed = Observed::configuration(Value::Number(value));
        Probe {
            at,
            instance: Instance::A,
            properties: BTreeMap::from([("x".into(), observed)]),
            unreadable: BTreeMap::new(),
        }
    }

    fn see(&mut self, value: f64) -> PropertyOutlook {
        let at = START + STEP * self.step;
        let baseline = Baseline {
            version: BaselineVersion(1),
            at: START,
            by: "test".into(),
            note: String::new(),
            properties: Self::probe(START, 0.0).properties,
            learned: BTreeMap::new(),
            pinned: None,
        };
        let factory = MixtureFactory::default();
        let probe = Self::probe(at, value);
        let outlooks = self.watch.assess(&self.policy, &baseline, &probe, &factory);
        self.course.push(at, &outlooks);
        self.watch.refit_now(&self.course);
        self.step += 1;
        outlooks.into_iter().next().unwrap()
    }

    /// The days (as fractions) on which a failover would be called for, over so many days of `course`.
    fn triggers(&mut self, days: u32, course: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut triggers = Vec::new();
        for _ in 0..days * STEPS_A_DAY {
            let day = f64::from(self.step) / f64::from(STEPS_A_DAY);
            let value = course(day) + 0.02 * self.random.normal();
            let outlook = self.see(value);
            let sees = match outlook.breach {
                Breach::None => false,
                Breach::Observed => true,
                Breach::Predicted { confidence, .. } => {
                    confidence >= self.policy.min_confidence.get()
                }
            };
            self.sustain = self.sustain.push(sees);
            let seen = self.sustain.count(self.policy.sustain_n);
            if sees && seen >= u32::from(self.policy.sustain_k) {
                triggers.push(day);
            }
        }
        triggers
    }
}

/// A job that rewrites the value for an hour each night.
fn nightly(day: f64) -> f64 {
    let hour = day.fract() * 24.0;
    if (2.0..3.0).contains(&hour) { 0.6 } else { 0.0 }
}

#[test]
fn a_job_that_rewrites_a_value_each_night_triggers_nothing_once_it_is_known() {
    let mut scene = Scene::new();
    let learning = scene.triggers(14, nightly);
    assert!(!learning.is_empty(), "at first it is news");
    assert_eq!(scene.triggers(14, nightly), Vec::<f64>::new());
}

#[test]
fn a_drift_on_top_of_it_is_acted_on_before_the_limit() {
    for a_day in [0.05, 0.2, 0.5] {
        let mut scene = Scene::new();
        scene.triggers(14, nightly);
        let drifting = |day: f64| nightly(day) + a_day * (day - 14.0).max(0.0);
        let harm = (14 * STEPS_A_DAY..)
            .map(|step| f64::from(step) / f64::from(STEPS_A_DAY))
            .find(|day| drifting(*day) >= 1.0)
            .unwrap();
        let triggers = scene.triggers(10, drifting);
        let first = triggers.first().copied().unwrap_or(f64::INFINITY);
        assert!(first < harm, "{a_day} a day: {first}, harm {harm}");
    }
}

#[test]
fn a_frog_that_is_boiled_for_a_year_is_noticed_under_the_season_too() {
    let mut scene = Scene::new();
    scene.triggers(14, nightly);
    let boiling = |day: f64| nightly(day) + 0.01 * (day - 14.0).max(0.0);
    // With the job's 0.6 the limit is reached on the 40th day.
    let triggers = scene.triggers(60, boiling);
    let first = triggers.first().copied().unwrap_or(f64::INFINITY);
    assert!(first < 14.0 + 40.0 + 2.0 / 24.0, "{first}");
}
