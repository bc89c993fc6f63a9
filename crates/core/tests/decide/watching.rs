//! The watch from outside: what is watched, what comes first, and what is said of it.

use std::sync::Mutex;
use std::time::Duration;

use evenkeel_core::band::Judgement;
use evenkeel_core::forecast::{Forecaster, ForecasterFactory, HorizonGrid};
use evenkeel_core::outlook::{Breach, PropertyOutlook};
use evenkeel_core::policy::{Policy, PropertyRule, Tolerance};
use evenkeel_core::property::{Observed, Severity, Value};
use evenkeel_core::watch::{Watch, default_severity};

use crate::case::*;
use crate::line::{Lines, STRAIGHT};

fn rule(path: &str, severity: Option<Severity>) -> PropertyRule {
    let mut rule = PropertyRule::new(path, Tolerance::Absolute(1.0)).unwrap();
    rule.severity = severity;
    rule
}

/// Everything may be 1 away from 0.
fn policy(rules: Vec<PropertyRule>) -> Policy {
    Policy {
        rules: [rules, vec![rule("**", None)]].concat(),
        horizon: Duration::from_secs(100),
        ..Policy::default()
    }
}

fn setting(value: f64) -> Observed {
    Observed::configuration(Value::Number(value))
}

/// What is said of the last of these probes, ten seconds apart.
fn seen<const N: usize>(policy: &Policy, found: &[[(&str, f64); N]]) -> Vec<PropertyOutlook> {
    watched(policy, STRAIGHT, found).1
}

fn watched<const N: usize>(
    policy: &Policy,
    forecasts: Lines,
    found: &[[(&str, f64); N]],
) -> (Watch, Vec<PropertyOutlook>) {
    let mut watch = Watch::new(policy);
    let baseline = approving(found[0].map(|(path, _)| (path, setting(0.0))));
    let mut outlooks = Vec::new();
    for (values, step) in found.iter().zip(0_u32..) {
        let at = NOON + 10 * SECOND * step;
        let probe = probed(at, values.map(|(path, value)| (path, setting(value))));
        outlooks = watch.assess(policy, &baseline, &probe, &forecasts);
    }
    (watch, outlooks)
}

fn order(outlooks: &[PropertyOutlook]) -> Vec<&str> {
    outlooks.iter().map(|o| o.path.as_str()).collect()
}

#[test]
fn breaches_come_first_by_severity_then_what_is_seen_then_what_is_sure() {
    let critical = Some(Severity::Critical);
    let policy = policy(vec![
        rule("critical/*", critical),
        rule("info/*", Some(Severity::Info)),
    ]);
    let still = [
        ("critical/calm", 0.0),
        ("critical/far", 0.0),
        ("critical/near", 0.0),
        ("critical/seen", 0.0),
        ("info/seen", 0.0),
        ("warn/calm", 0.0),
        ("warn/near", 0.0),
        ("warn/seen", 0.0),
    ];
    let then = [
        ("critical/calm", 0.0),
        ("critical/far", 0.03),
        ("critical/near", 0.06),
        ("critical/seen", 1.0),
        ("info/seen", -5.0),
        ("warn/calm", 0.0),
        ("warn/near", 0.06),
        ("warn/seen", 1.0),
    ];
    let outlooks = seen(&policy, &[still, then]);
    assert_eq!(
        order(&outlooks),
        [
            "critical/seen",
            "critical/near",
            "critical/far",
            "warn/seen",
            "warn/near",
            "info/seen",
            "critical/calm",
            "warn/calm",
        ]
    );
}

#[test]
fn a_surer_breach_comes_before_a_sooner_one_that_is_in_doubt() {
    let policy = policy(vec![]);
    // Both go on as they went: one leaves its band sooner, the other goes further.
    let before = [("far", 0.0), ("soon", 0.3)];
    let after = [("far", 0.06), ("soon", 0.31)];
    let lines = Lines {
        spread: 0.1,
        ..STRAIGHT
    };
    let (_, outlooks) = watched(&policy, lines, &[before, after]);
    assert_eq!(order(&outlooks), ["far", "soon"]);
    let lead_time = |i: usize| outlooks[i].breach.lead_time().unwrap();
    assert!(lead_time(0) > lead_time(1));
    // The time that is left tells between those that are about as sure, even where it is only seconds.
    let every_second = Policy {
        sample_every: SECOND,
        horizon: 10 * SECOND,
        ..policy.clone()
    };
    let (before, after) = (
        [("far", 0.2), ("soon", 0.32)],
        [("far", 0.22), ("soon", 0.327)],
    );
    let (_, outlooks) = watched(&every_second, lines, &[before, after]);
    let confidence = |i: usize| outlooks[i].breach.confidence();
    assert_eq!(order(&outlooks), ["far", "soon"]);
    assert!((0.05..0.2).contains(&(confidence(0) - confidence(1))));
    // Of two that are as sure the sooner comes first.
    let (before, after) = (
        [("late", 0.0), ("soon", 0.1)],
        [("late", 0.1), ("soon", 0.2)],
    );
    let outlooks = seen(&policy, &[before, after]);
    assert_eq!(order(&outlooks), ["soon", "late"]);
}

#[test]
fn what_stays_in_its_band_comes_by_how_far_it_has_gone_in_it() {
    let policy = policy(vec![rule("critical", Some(Severity::Critical))]);
    let found = [("a", 0.1), ("b", -0.2), ("c", 0.15), ("critical", 0.18)];
    // Twice the same, so that nothing is predicted to move.
    let outlooks = seen(&policy, &[found, found]);
    assert!(outlooks.iter().all(|o| o.breach == Breach::None));
    assert_eq!(order(&outlooks), ["critical", "b", "c", "a"]);
    // What is critical counts for a third more than what is only worth a warning, and for no more than that.
    let found = [("b", 0.2), ("critical", 0.13)];
    let outlooks = seen(&policy, &[found, found]);
    assert_eq!(order(&outlooks), ["b", "critical"]);
}

#[test]
fn each_side_is_measured_by_its_own_end_of_the_band() {
    let policy = policy(vec![]);
    let lines = Lines {
        // 0.41 below and 0.83 above, of which the band takes 0.95.
        half_width: Some(0.9),
        is_drift: true,
        ..STRAIGHT
    };
    let found = [("above", 0.32), ("below", -0.3)];
    let (_, outlooks) = watched(&policy, lines, &[found, found]);
    assert!(outlooks[0].band.lower < outlooks[0].band.upper);
    assert_eq!(order(&outlooks), ["below", "above"]);
    let upwards = [("above", 0.35), ("below", -0.1)];
    let (_, outlooks) = watched(&policy, lines, &[upwards, upwards]);
    assert_eq!(order(&outlooks), ["above", "below"]);
}

#[test]
fn harm_is_foreseen_where_the_median_reaches_the_ceiling_on_either_side() {
    let policy = policy(vec![]);
    for sign in [1.0, -1.0] {
        let (first, then) = ([("x", 0.0)], [("x", 0.1 * sign)]);
        let outlooks = seen(&policy, &[first, then]);
        // 0.1 a step: 0.4 after 3 steps, 1.1 after the 10 that are looked ahead, and 0.9 after 8.
        let Breach::Predicted {
            lead_time,
            harm_after,
            confidence,
        } = outlooks[0].breach
        else {
            panic!("{:?}", outlooks[0].breach)
        };
        assert_eq!(lead_time, 30 * SECOND);
        assert_eq!(harm_after, Some(100 * SECOND));
        assert!(confidence > 0.99, "{confidence}");
    }
    let calm = seen(&policy, &[[("x", 0.0)], [("x", 0.02)]]);
    assert_eq!(calm[0].breach, Breach::None);
    assert_eq!(seen(&policy, &[[("x", 1.0)]])[0].breach, Breach::Observed);
}

#[test]
fn confidence_is_what_lies_outside_of_either_end_of_the_band() {
    let lines = Lines {
        spread: 0.1,
        ..STRAIGHT
    };
    // The median is at 0.42 after ten steps; the band's end, 0.324, is a little above the lower quartile, 0.32.
    let found = [[("x", 0.0)], [("x", 0.42 / 11.0)]];
    let (_, outlooks) = watched(&policy(vec![]), lines, &found);
    let confidence = outlooks[0].breach.confidence();
    assert!((0.7..0.75).contains(&confidence), "{confidence}");
}

#[test]
fn the_band_is_refined_by_what_is_in_control_and_by_nothing_else() {
    let policy = Policy {
        band_floor: 0.01,
        ..policy(vec![])
    };
    let band = |is_drift, values: &[f64]| {
        let lines = Lines {
            half_width: Some(0.5),
            is_drift,
            ..STRAIGHT
        };
        let found: Vec<[(&str, f64); 1]> = values.iter().map(|value| [("x", *value)]).collect();
        watched(&policy, lines, &found).1[0].band
    };
    let fresh = band(false, &[0.0]);
    assert!(
        band(false, &[0.0, 0.0, 0.0]).upper < fresh.upper,
        "hits narrow it"
    );
    // With the first observation the drift sets in, and nothing is learned any more.
    let drifting = band(true, &[0.0, 0.0]);
    assert_eq!(band(true, &[0.0; 9]), drifting);
    assert_eq!(band(false, &[0.9, 0.9, 0.0]), fresh, "outside of the band");
}

#[test]
fn a_change_is_measured_in_the_propertys_own_unit() {
    let mut policy = policy(vec![rule("pool", None)]);
    policy.rules[0].tolerance = Tolerance::Absolute(100.0);
    let drifting = Lines {
        is_drift: true,
        ..STRAIGHT
    };
    let found = [[("pool", 10.0)], [("pool", 15.0)], [("pool", 40.0)]];
    let (watch, _) = watched(&policy, drifting, &found);
    let insight = watch.insight(&"pool".into()).unwrap();
    let change = insight.change.unwrap();
    assert_eq!((change.before, change.onset), (0.1, NOON));
    assert!((insight.change_measured.unwrap() - 30.0).abs() < 1e-9);
    let (watch, _) = watched(&policy, drifting, &[[("pool", 0.0)], [("pool", 0.0)]]);
    let still = watch.insight(&"pool".into()).unwrap();
    assert_eq!(
        (still.change, still.change_measured),
        (None, None),
        "it never moved"
    );
}

/// Tells with which seeds forecasters were asked for.
#[derive(Debug, Default)]
struct Seeds(Mutex<Vec<u64>>);

impl ForecasterFactory for Seeds {
    fn forecaster(&self, grid: &HorizonGrid, seed: u64) -> Box<dyn Forecaster> {
        self.0.lock().unwrap().push(seed);
        STRAIGHT.forecaster(grid, seed)
    }
}

#[test]
fn every_property_has_a_seed_of_its_own_the_same_in_every_process() {
    let seeds = Seeds::default();
    let found = [("a", setting(0.0)), ("foobar", setting(0.0))];
    let policy = policy(vec![]);
    let (baseline, probe) = (approving(found.clone()), probed(NOON, found));
    Watch::new(&policy).assess(&policy, &baseline, &probe, &seeds);
    // Test vectors of FNV-1a, 64 bits.
    let expected = [0xAF63_DC4C_8601_EC8C, 0x8594_4171_F739_67E8];
    assert_eq!(*seeds.0.lock().unwrap(), expected);
}

#[test]
fn a_rule_says_unit_and_severity_and_the_origin_what_is_left() {
    let mut policy = policy(vec![rule("limit", Some(Severity::Critical))]);
    policy.rules[0].unit = Some("connections".into());
    let found = [
        ("limit", Observed::capacity(0.0, Some("B"))),
        ("memory", Observed::capacity(0.0, Some("B"))),
        ("timeout", setting(0.0)),
    ];
    let mut watch = Watch::new(&policy);
    let probe = probed(NOON, found.clone());
    let mut outlooks = watch.assess(&policy, &approving(found), &probe, &STRAIGHT);
    outlooks.sort_by_key(|o| o.path.clone());
    let said: Vec<_> = (outlooks.iter())
        .map(|o| (o.path.as_str(), o.unit.as_deref(), o.severity))
        .collect();
    assert_eq!(
        said,
        [
            ("limit", Some("connections"), Severity::Critical),
            ("memory", Some("B"), Severity::Info),
            ("timeout", None, Severity::Warn),
        ]
    );
    assert_eq!(default_severity(outlooks[1].origin), Severity::Info);
}

#[test]
fn an_unreadable_place_hides_what_is_gone_but_not_what_was_found() {
    let policy = policy(vec![]);
    let mut watch = Watch::new(&policy);
    let baseline = approving([("conf/x", setting(0.0)), ("conf/y", setting(0.0))]);
    let mut probe = probed(NOON, [("conf/x", setting(0.0))]);
    probe
        .unreadable
        .insert("conf".into(), "permission denied".into());
    let outlooks = watch.assess(&policy, &baseline, &probe, &STRAIGHT);
    assert_eq!(order(&outlooks), ["conf/x"]);
    assert!(watch.watches(&"conf/x".into()) && !watch.watches(&"conf/y".into()));
}

#[test]
fn a_judgement_of_what_is_watched_widens_its_band_and_no_other() {
    let policy = policy(vec![]);
    let found = [("x", 0.0), ("y", 0.0)];
    let (mut watch, before) = watched(&policy, STRAIGHT, &[found]);
    assert!(watch.judge(&"x".into(), Judgement::FalseAlarm));
    assert!(
        !watch.judge(&"z".into(), Judgement::FalseAlarm),
        "not watched"
    );
    let probe = probed(
        NOON + SECOND,
        found.map(|(path, value)| (path, setting(value))),
    );
    let baseline = approving(found.map(|(path, value)| (path, setting(value))));
    let after = watch.assess(&policy, &baseline, &probe, &STRAIGHT);
    let band = |outlooks: &[PropertyOutlook], path: &str| {
        outlooks
            .iter()
            .find(|o| o.path.as_str() == path)
            .unwrap()
            .band
            .upper
    };
    assert!(band(&after, "x") > 1.5 * band(&before, "x"));
    assert_eq!(band(&after, "y"), band(&before, "y"));
}

#[test]
fn only_what_moved_has_a_forecast_and_an_onset() {
    let policy = policy(vec![]);
    let drifting = Lines {
        is_drift: true,
        ..STRAIGHT
    };
    let found = [
        [("moves", 0.0), ("stays", 0.0)],
        [("moves", 0.1), ("stays", 0.0)],
    ];
    let (_, outlooks) = watched(&policy, drifting, &found);
    let of = |path: &str| outlooks.iter().find(|o| o.path.as_str() == path).unwrap();
    let (moves, stays) = (of("moves"), of("stays"));
    assert_eq!((moves.onset, moves.has_moved()), (Some(NOON), true));
    assert!(moves.forecast.is_some());
    assert_eq!((stays.onset, stays.has_moved()), (None, false));
    assert!(stays.forecast.is_none());
    // What has come back has moved all the same.
    let back = [found[0], found[1], found[0]];
    let (_, outlooks) = watched(&policy, drifting, &back);
    assert!(outlooks.iter().any(|o| o.has_moved() && o.deviation == 0.0));
}
