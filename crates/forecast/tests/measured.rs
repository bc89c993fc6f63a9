//! Deviations of a measured quantity: forecasts stay where the quantity can go, whatever the approved value
//! and the tolerance are, through refits, restarts of the course and of the process.
#![allow(clippy::unwrap_used)] // A test fails by it.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::deviation::Scale;
use evenkeel_core::forecast::{ChangeKind, LEVELS};
use evenkeel_core::measure::{Measure, Quantity};
use evenkeel_core::outlook::PropertyOutlook;
use evenkeel_core::policy::{Policy, PropertyRule, Tolerance};
use evenkeel_core::property::{Observed, Probe, Value};
use evenkeel_core::time::Timestamp;
use evenkeel_core::watch::Watch;
use evenkeel_core::watch::refit::Course;
use evenkeel_core::{BaselineVersion, Instance};
use evenkeel_forecast::MixtureFactory;
use proptest::prelude::*;

#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

/// One property `x`, watched once a second.
struct Scene {
    policy: Policy,
    watch: Watch,
    course: Course,
    approved: f64,
    unit: Option<&'static str>,
    second: u64,
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000) + Duration::from_secs(second)
}

impl Scene {
    fn new(approved: f64, tolerance: Tolerance, unit: Option<&'static str>) -> Self {
        let policy = Policy {
            sample_every: Duration::from_secs(1),
            horizon: Duration::from_secs(30),
            rules: vec![PropertyRule::new("x", tolerance).unwrap()],
            ..Policy::default()
        };
        Self {
            watch: Watch::new(&policy),
            policy,
            course: Course::default(),
            approved,
            unit,
            second: 0,
        }
    }

    fn properties(&self, value: f64) -> BTreeMap<evenkeel_core::PropertyPath, Observed> {
        let observed = Observed {
            unit: self.unit.map(str::to_owned),
            ..Observed::configuration(Value::Number(value))
        };
        BTreeMap::from([("x".into(), observed)])
    }

    fn see(&mut self, value: f64) -> PropertyOutlook {
        let baseline = Baseline {
            version: BaselineVersion(1),
            at: at(0),
            by: "test".into(),
            note: String::new(),
            properties: self.properties(self.approved),
            learned: BTreeMap::new(),
            pinned: None,
        };
        let probe = Probe {
            at: at(self.second),
            instance: Instance::A,
            properties: self.properties(value),
            unreadable: BTreeMap::new(),
        };
        self.second += 1;
        let factory = MixtureFactory::default();
        let outlooks = self.watch.assess(&self.policy, &baseline, &probe, &factory);
        self.course.push(probe.at, &outlooks);
        self.watch.refit_now(&self.course);
        outlooks.into_iter().next().unwrap()
    }

    /// The quantiles of the forecast after `value`, as values of the quantity.
    fn forecast_after(&mut self, value: f64) -> Vec<f64> {
        let outlook = self.see(value);
        let tolerance = self.policy.rules[0].tolerance;
        let scale = Scale::resolve(tolerance, outlook.approved.as_ref(), outlook.origin, None);
        let measure = Measure::new(self.approved, scale, Quantity::of(self.unit)).unwrap();
        let quantiles = outlook.forecast.into_iter().flat_map(|f| f.quantiles);
        let quantiles = quantiles.flat_map(|quantiles| *quantiles.values());
        quantiles.map(|quantile| measure.value(quantile)).collect()
    }

    fn restart_process(&mut self) {
        let text = serde_json::to_string(&self.watch.snapshot()).unwrap();
        let factory = MixtureFactory::default();
        let state = serde_json::from_str(&text).unwrap();
        let (watch, restored) = Watch::restore(&self.policy, state, at(self.second), &factory);
        assert_eq!((restored.going_on, restored.anew), (1, 0));
        self.watch = watch;
    }
}

/// Counts round `level` with a scatter of some 3.
fn counts(random: &mut Random, level: f64) -> f64 {
    (level + 3.0 * random.normal()).round().max(0.0)
}

/// Of each horizon's quantiles: none is negative, and all are whole numbers unless they are spread so far that
/// it makes no difference.
fn all_whole(forecast: &[f64]) -> bool {
    let spread = |quantiles: &[f64]| quantiles[quantiles.len() - 1] - quantiles[0];
    let mut horizons = forecast.chunks(LEVELS.len());
    !forecast.is_empty()
        && horizons.all(|quantiles| {
            let whole = quantiles.iter().all(|v| v.fract() == 0.0);
            quantiles[0] >= 0.0 && (whole || spread(quantiles) > 49.0)
        })
}

#[test]
fn a_count_is_forecast_in_whole_numbers_whatever_its_tolerance_is() {
    let mut scene = Scene::new(400.0, Tolerance::Absolute(7.0), None);
    let mut random = Random::new(1);
    for second in 0..300 {
        let forecast = scene.forecast_after(counts(&mut random, 401.0));
        if second >= 30 {
            assert!(all_whole(&forecast), "{second}: {forecast:?}");
            assert!(
                forecast[0].fract() == 0.0 && forecast[12] < 430.0,
                "one step"
            );
        }
    }
}

#[test]
fn what_was_recognised_outlasts_a_restart_and_a_baseline_and_a_tolerance_that_move() {
    let mut scene = Scene::new(400.0, Tolerance::Absolute(7.0), None);
    let mut random = Random::new(2);
    for _ in 0..100 {
        scene.forecast_after(counts(&mut random, 400.0));
    }
    scene.restart_process();
    assert!(all_whole(&scene.forecast_after(403.0)));
    // Another tolerance while it runs.
    scene.policy.rules[0].tolerance = Tolerance::Absolute(31.0);
    assert!(all_whole(&scene.forecast_after(399.0)));
    // The baseline moves: the course is forgotten, but not that it is a count.
    scene.approved = 410.5;
    scene.watch.restart();
    scene.see(409.0);
    assert!(all_whole(&scene.forecast_after(412.0)));
}

#[test]
fn a_count_that_falls_towards_zero_is_not_forecast_below_it() {
    let mut scene = Scene::new(400.0, Tolerance::Absolute(7.0), None);
    for i in 0..100 {
        scene.see(f64::from(i % 5));
    }
    for value in (0..400).rev().step_by(3) {
        let forecast = scene.forecast_after(f64::from(value));
        assert!(all_whole(&forecast), "{value}: {forecast:?}");
    }
}

#[test]
fn a_counter_is_not_forecast_to_fall() {
    let upper = Tolerance::Limits {
        lower: None,
        upper: Some(1e9),
    };
    let mut scene = Scene::new(1000.0, upper, None);
    let (mut random, mut total) = (Random::new(3), 1000.0);
    for second in 0..200 {
        total += (random.normal().abs() * 50.0).round();
        let forecast = scene.forecast_after(total);
        if second > 60 {
            assert!(
                forecast.iter().all(|v| *v >= total),
                "{total}: {forecast:?}"
            );
        }
    }
}

#[test]
fn a_change_has_a_size_in_the_unit_of_the_property() {
    for (lower, size) in [(Some(100.0), 120.0), (None, 80.0), (Some(300.0), -60.0)] {
        let limits = Tolerance::Limits {
            lower,
            upper: Some(1000.0),
        };
        let mut scene = Scene::new(400.0, limits, Some("connections"));
        let mut random = Random::new(5);
        for second in 0..200 {
            let level = 410.0 + if second < 150 { 0.0 } else { size };
            scene.see(level + 2.0 * random.normal());
        }
        let insight = scene.watch.insight(&"x".into()).unwrap();
        let change = insight.change.unwrap();
        assert_eq!(change.kind, ChangeKind::Step);
        assert!(change.at >= at(150) && change.at < at(155), "{change:?}");
        assert!(
            change.onset <= at(150) && change.onset > at(140),
            "{change:?}"
        );
        let measured = insight.change_measured.unwrap();
        assert!((measured - size).abs() < 2.0, "{measured} for {size}");
        scene.watch.restart();
        scene.see(410.0);
        assert_eq!(scene.watch.insight(&"x".into()).unwrap().change, None);
    }
}

#[test]
fn a_side_without_a_limit_is_not_forecast_to_deviate() {
    let upper = Tolerance::Limits {
        lower: None,
        upper: Some(500.0),
    };
    let mut scene = Scene::new(400.0, upper, None);
    let mut random = Random::new(4);
    for _ in 0..200 {
        let outlook = scene.see(400.0 + 20.0 * random.normal());
        let forecast = outlook.forecast.into_iter().flat_map(|f| f.quantiles);
        assert!(forecast.flat_map(|q| *q.values()).all(|q| q >= 0.0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_percentage_is_never_forecast_beyond_its_ends(
        approved in 0.0_f64..100.0,
        lower in 0.5_f64..60.0,
        upper in 0.5_f64..60.0,
        seed in any::<u64>(),
        slope in -2.0_f64..2.0,
    ) {
        let limits = Tolerance::Limits {
            lower: Some(approved - lower),
            upper: Some(approved + upper),
        };
        let mut scene = Scene::new(approved, limits, Some("%"));
        let mut random = Random::new(seed);
        for step in 0..80 {
            let value = approved + slope * f64::from(step) + 5.0 * random.normal();
            for said in scene.forecast_after(value.clamp(0.0, 100.0)) {
                prop_assert!((-1e-9..=100.0 + 1e-9).contains(&said), "{said}");
            }
        }
    }
}
