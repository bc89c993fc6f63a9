//! What a policy is made of: ranges, rules, windows.

use std::time::Duration;

use evenkeel_core::Timestamp;
use evenkeel_core::policy::{
    Mode, Policy, Probability, PropertyRule, RecurringWindow, RiskTolerance, Tolerance, Window,
};
use evenkeel_core::property::Severity;

use crate::case::*;

#[test]
fn numbers_in_the_unit_range_are_what_they_were() {
    for number in [0.0, 0.25, 1.0] {
        assert_eq!(RiskTolerance::new(number).unwrap().get(), number);
        assert_eq!(Probability::new(number).unwrap().get(), number);
    }
    assert!(RiskTolerance::new(-0.1).is_err() && Probability::new(1.1).is_err());
}

#[test]
fn modes_are_called_as_in_files() {
    let all = [Mode::Observe, Mode::Advise, Mode::Act];
    assert_eq!(all.map(Mode::as_str), ["observe", "advise", "act"]);
}

#[test]
fn rules_are_the_same_when_all_of_them_is() {
    let rule = |pattern: &str| PropertyRule::new(pattern, Tolerance::Relative(0.5)).unwrap();
    assert_eq!(rule("conf/**"), rule("conf/**"));
    assert_ne!(rule("conf/**"), rule("conf/*"));
    let changes: [fn(&mut PropertyRule); 5] = [
        |rule| rule.tolerance = Tolerance::Relative(0.25),
        |rule| rule.severity = Some(Severity::Warn),
        |rule| rule.ignore = true,
        |rule| rule.redact = true,
        |rule| rule.unit = Some("s".into()),
    ];
    for change in changes {
        let mut other = rule("conf/**");
        change(&mut other);
        assert_ne!(other, rule("conf/**"));
        assert_ne!(rule("conf/**"), other);
    }
}

#[test]
fn a_path_without_a_rule_has_none() {
    let policy = Policy {
        rules: vec![PropertyRule::new("conf/**", Tolerance::Learned).unwrap()],
        ..Policy::default()
    };
    assert!(policy.rule(&"conf/a/b".into()).is_some());
    assert!(policy.rule(&"pool".into()).is_none());
}

/// Of two weeks from a Monday, the quarters of hours in which a window is open.
fn open(window: &RecurringWindow) -> Vec<u32> {
    let monday = NOON.before(12 * HOUR);
    let quarters = (0..14 * 96).filter(|quarter| window.contains(monday + 15 * MINUTE * *quarter));
    quarters.collect()
}

#[test]
fn a_recurring_window_is_open_from_its_start_for_its_length_on_its_days() {
    let window = |weekdays: &[u8], start: Duration, length: Duration| RecurringWindow {
        weekdays: weekdays.to_vec(),
        start,
        length,
    };
    let half_hour = 30 * MINUTE;
    let two_weeks = |in_a_week: &[u32]| {
        [
            in_a_week.to_vec(),
            in_a_week.iter().map(|q| q + 7 * 96).collect(),
        ]
        .concat()
    };
    // Tuesday 01:00 to 01:30.
    assert_eq!(open(&window(&[1], HOUR, half_hour)), two_weeks(&[100, 101]));
    // Sunday 23:45 to Monday 00:15, the Sunday before the first Monday too.
    let over_sunday = open(&window(&[6], 23 * HOUR + 45 * MINUTE, half_hour));
    assert_eq!(over_sunday, [0, 671, 672, 1343]);
    // Every day from midnight.
    let daily: Vec<u32> = (0..14).flat_map(|day| [96 * day, 96 * day + 1]).collect();
    assert_eq!(open(&window(&[], Duration::ZERO, half_hour)), daily);
    assert_eq!(open(&window(&[], Duration::ZERO, Duration::ZERO)), [0; 0]);
    assert_eq!(open(&window(&[0], Duration::ZERO, 24 * HOUR)).len(), 2 * 96);
}

#[test]
fn a_window_holds_its_first_instant_and_not_its_last() {
    let at = |seconds: i64| Timestamp::from_millis(1000 * seconds);
    let window = Window {
        from: at(10),
        until: at(20),
        by: "ann".into(),
        why: "upgrade".into(),
    };
    let open: Vec<i64> = (0..30)
        .filter(|second| window.contains(at(*second)))
        .collect();
    assert_eq!(open, (10..20).collect::<Vec<i64>>());
}
