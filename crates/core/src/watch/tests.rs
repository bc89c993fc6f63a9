//! The watch from probes to outlooks.

use super::*;
use crate::forecast::Quantiles;
use crate::ids::{BaselineVersion, Instance};
use crate::policy::PropertyRule;
use crate::property::Value;
use crate::time::Timestamp;

/// Goes on in a straight line through the last two observations, with a spread of 0.01.
#[derive(Debug)]
struct StraightLine {
    grid: HorizonGrid,
    seen: Vec<(Timestamp, f64)>,
    in_control: bool,
}

impl Forecaster for StraightLine {
    fn observe(&mut self, at: Timestamp, value: f64) {
        self.seen.push((at, value));
    }

    fn forecast(&self) -> Option<Forecast> {
        let [.., (_, before), (origin, last)] = self.seen[..] else {
            return None;
        };
        let quantiles = self.grid.steps().iter().map(|&steps| {
            let median = last + (last - before) * f64::from(steps);
            let offset = |i: i32| median + 0.01 * f64::from(i - 6);
            Quantiles::new(std::array::from_fn(|i| offset(i32::try_from(i).unwrap())))
        });
        let quantiles = quantiles.collect();
        Some(Forecast {
            origin,
            grid: self.grid.clone(),
            quantiles,
        })
    }

    fn in_control_half_widths(&self, _: f64) -> Option<(f64, f64)> {
        None
    }

    fn set_in_control(&mut self, in_control: bool) {
        self.in_control = in_control;
    }

    fn onset(&self) -> Option<Timestamp> {
        None
    }

    fn restart(&mut self) {
        self.seen.clear();
    }

    fn weights(&self) -> Vec<ModelWeight> {
        vec![ModelWeight {
            model: "straight line".into(),
            weight: 1.0,
        }]
    }

    fn measured_coverage(&self, _: f64) -> Option<(f64, u64)> {
        Some((1.0, self.seen.len() as u64))
    }
}

#[derive(Debug)]
struct StraightLines;

impl ForecasterFactory for StraightLines {
    fn forecaster(&self, grid: &HorizonGrid, _: u64) -> Box<dyn Forecaster> {
        Box::new(StraightLine {
            grid: grid.clone(),
            seen: Vec::new(),
            in_control: true,
        })
    }
}

fn policy() -> Policy {
    let mut limit = PropertyRule::new(
        "pool",
        Tolerance::Limits {
            lower: None,
            upper: Some(1000.0),
        },
    )
    .unwrap();
    limit.severity = Some(Severity::Critical);
    let mut ignored = PropertyRule::new("noise/**", Tolerance::Learned).unwrap();
    ignored.ignore = true;
    Policy {
        rules: vec![limit, ignored],
        horizon: Duration::from_secs(100),
        ..Policy::default()
    }
}

fn probe(second: i64, values: &[(&str, f64)]) -> Probe {
    Probe {
        at: Timestamp::from_millis(second * 1000),
        instance: Instance::A,
        properties: values
            .iter()
            .map(|(path, v)| ((*path).into(), Observed::configuration(Value::Number(*v))))
            .collect(),
        unreadable: BTreeMap::new(),
    }
}

fn baseline(values: &[(&str, f64)]) -> Baseline {
    Baseline {
        version: BaselineVersion(1),
        at: Timestamp::from_millis(0),
        by: "test".into(),
        note: String::new(),
        properties: probe(0, values).properties,
        learned: BTreeMap::new(),
        pinned: None,
    }
}

fn assess(watch: &mut Watch, second: i64, values: &[(&str, f64)]) -> Vec<PropertyOutlook> {
    let approved = baseline(&[("pool", 400.0), ("other", 1.0)]);
    watch.assess(&policy(), &approved, &probe(second, values), &StraightLines)
}

#[test]
fn a_drift_is_predicted_with_its_lead_time() {
    let mut watch = Watch::new(&policy());
    assess(&mut watch, 0, &[("pool", 400.0), ("other", 1.0)]);
    let outlooks = assess(&mut watch, 10, &[("pool", 430.0), ("other", 1.0)]);
    assert_eq!(outlooks[0].path.as_str(), "pool");
    let Breach::Predicted {
        lead_time,
        confidence,
        harm_after,
    } = outlooks[0].breach
    else {
        panic!("{:?}", outlooks[0].breach)
    };
    // Deviation 0.05 a step; the band at risk tolerance 0.3 is 0.2^0.7 = 0.324; 7 steps reach
    // 0.4, the grid's next horizon after 5 (0.3).
    assert_eq!(lead_time, Duration::from_secs(60));
    assert!(confidence > 0.99);
    assert_eq!(harm_after, None, "not within 10 steps");
    assert_eq!(outlooks[1].breach, Breach::None);
    assert_eq!(
        outlooks[1].forecast, None,
        "a property that never moved has no forecast"
    );
}

#[test]
fn what_matters_more_comes_first_even_if_it_is_only_predicted() {
    let mut watch = Watch::new(&policy());
    assess(&mut watch, 0, &[("pool", 400.0), ("other", 1.0)]);
    // `other` is beyond its limit at once, but only worth a warning; `pool` may start a failover.
    let outlooks = assess(&mut watch, 10, &[("pool", 460.0), ("other", 2.0)]);
    assert_eq!(outlooks[0].path.as_str(), "pool");
    assert_eq!(
        (outlooks[1].breach, outlooks[1].severity),
        (Breach::Observed, Severity::Warn)
    );
}

#[test]
fn the_ceiling_is_an_observed_breach() {
    let mut watch = Watch::new(&policy());
    let outlooks = assess(&mut watch, 0, &[("pool", 1000.0), ("other", 1.0)]);
    assert_eq!(outlooks[0].breach, Breach::Observed);
}

#[test]
fn what_cannot_be_read_has_no_outlook_and_what_vanished_has() {
    let mut watch = Watch::new(&policy());
    let mut seen = probe(0, &[("pool", 400.0)]);
    let approved = baseline(&[("pool", 400.0), ("other", 1.0)]);
    let gone = watch.assess(&policy(), &approved, &seen, &StraightLines);
    assert_eq!(gone[0].path.as_str(), "other");
    assert_eq!((gone[0].deviation, gone[0].breach), (1.0, Breach::Observed));
    seen.unreadable
        .insert("other".into(), "permission denied".into());
    let unknown = watch.assess(&policy(), &approved, &seen, &StraightLines);
    assert_eq!(unknown.len(), 1);
}

#[test]
fn ignored_properties_are_not_watched() {
    let mut watch = Watch::new(&policy());
    let values = [("pool", 400.0), ("other", 1.0), ("noise/x", 7.0)];
    assert_eq!(assess(&mut watch, 0, &values).len(), 2);
}

#[test]
fn the_same_probes_give_the_same_outlooks() {
    let run = || {
        let mut watch = Watch::new(&policy());
        (0_u16..20)
            .map(|i| {
                assess(
                    &mut watch,
                    i64::from(i),
                    &[("pool", 400.0 + f64::from(i * i))],
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

/// What was expected of `pool`, after it was at these values every 10 s.
fn expected_of_pool(values: &[f64]) -> Option<(f64, f64)> {
    let mut watch = Watch::new(&policy());
    let course = (0..).zip(values);
    let outlooks = course.map(|(i, value)| assess(&mut watch, 10 * i, &[("pool", *value)]));
    let last = outlooks.last().unwrap();
    let pool = last.iter().find(|o| o.path.as_str() == "pool").unwrap();
    let surprise = pool.surprise?;
    assert!(pool.sentence().contains(", expected "));
    Some((surprise.expected_lower, surprise.expected_upper))
}

#[test]
fn a_value_is_held_against_what_was_forecast_for_it_before() {
    let line: Vec<f64> = (0..50).map(|i| 400.0 + f64::from(i)).collect();
    let then = |last: f64| expected_of_pool(&[&line[..], &[last]].concat());
    assert_eq!(then(450.0), None);
    // The last forecast of the straight line: 450, which is a deviation of 50 / 600, 0.06 each side to the outermost quantile, and its tail.
    let (lower, upper) = then(600.0).unwrap();
    assert!((lower + upper - 2.0 * 50.0 / 600.0).abs() < 1e-9);
    assert!(
        (0.06..0.25).contains(&((upper - lower) / 2.0)),
        "{lower} {upper}"
    );
    assert_eq!(then(300.0), None, "no limit below");
}

#[test]
fn what_never_moved_is_expected_where_it_is_approved_once_it_was_seen_often_enough() {
    let after = |count| expected_of_pool(&[&vec![400.0; count][..], &[450.0]].concat());
    assert_eq!(after(31), None);
    assert_eq!(after(32), Some((0.0, 0.0)));
}

#[test]
fn after_a_restart_nothing_is_expected() {
    let mut watch = Watch::new(&policy());
    for i in 0..50_i32 {
        let value = 400.0 + f64::from(i);
        assess(&mut watch, i64::from(10 * i), &[("pool", value)]);
    }
    watch.restart();
    let outlooks = assess(&mut watch, 500, &[("pool", 900.0)]);
    assert!(outlooks.iter().all(|o| o.surprise.is_none()));
}
