//! What was found outside its band and outside what was forecast for it: said once an episode, counted as one
//! evaluation, and no reason to act by itself.

use std::time::Duration;

use evenkeel_core::decide::{Action, Decision};
use evenkeel_core::outlook::{Breach, PropertyOutlook};
use evenkeel_core::policy::Mode;
use evenkeel_core::property::Severity;
use evenkeel_core::reason::Reason;
use evenkeel_core::state::Sustain;

use crate::case::*;

/// Found outside its band of 0.3, where 400 was forecast.
fn surprising(path: &str) -> PropertyOutlook {
    PropertyOutlook {
        deviation: 0.6,
        surprise: Some(SURPRISE),
        ..outlook(path, Breach::None)
    }
}

fn surprised(outlooks: Vec<PropertyOutlook>) -> Case {
    Case::failing_over().with(|c| {
        c.state.sustain = Sustain::default();
        c.outlooks = outlooks;
    })
}

fn sentences(decision: &Decision) -> Vec<&str> {
    (decision.actions.iter())
        .filter_map(|action| match action {
            Action::Alert { sentence, .. } => Some(sentence.as_str()),
            _ => None,
        })
        .collect()
}

/// What is alerted when the property is at these deviations, one evaluation after the other; whole numbers
/// surprise.
fn told(course: &[(u32, f64, bool)]) -> Vec<u32> {
    let mut case = surprised(vec![surprising("pool")]);
    let start = case.now;
    let mut told = Vec::new();
    for &(second, deviation, surprises) in course {
        case.now = start + second * SECOND;
        case.outlooks[0].deviation = deviation;
        case.outlooks[0].surprise = surprises.then_some(SURPRISE);
        let decision = case.assess();
        if !alerts(&decision).is_empty() {
            told.push(second);
        }
        case.state = decision.state;
    }
    told
}

#[test]
fn a_surprise_is_alerted_with_what_was_expected_and_nothing_is_done() {
    let decision = surprised(vec![surprising("pool")]).assess();
    let said =
        "pool is 520 (approved 400), +0.60 of its tolerance, expected 400, band -0.30 to +0.30";
    assert_eq!(sentences(&decision), [said]);
    assert_eq!(alerts(&decision), [Severity::Warn]);
    assert!(matches!(
        decision.explanation.reason,
        Reason::Surprised { more: 0, .. }
    ));
    assert!(decision.notable && plan(&decision).is_none());
    assert_eq!(decision.explanation.outlooks.len(), 1);
}

#[test]
fn inside_its_band_or_for_information_nothing_is_said() {
    for change in [
        |o: &mut PropertyOutlook| o.deviation = 0.3,
        |o: &mut PropertyOutlook| o.severity = Severity::Info,
        |o: &mut PropertyOutlook| o.surprise = None,
    ] {
        let mut calm = surprising("pool");
        change(&mut calm);
        let decision = surprised(vec![calm]).assess();
        assert_eq!(decision.explanation.reason, Reason::Quiet);
        assert!(!decision.notable);
    }
}

#[test]
fn an_episode_lasts_while_the_property_is_outside_and_ends_when_it_was_back_for_a_while() {
    // A drift is remembered for 10 spans of 5 evaluations of 10 s: 500 s.
    assert_eq!(
        told(&[(0, 0.6, true), (10, 0.6, false), (20, 0.9, true)]),
        [0]
    );
    assert_eq!(
        told(&[(0, 0.6, true), (10, 0.0, true), (499, 0.6, true)]),
        [0]
    );
    let back_in_time = [(0, 0.6, true), (10, 0.0, true), (500, 0.6, true)];
    assert_eq!(told(&back_in_time), [0, 500]);
    let stayed = [(0, 0.6, true), (400, 0.6, false), (800, 0.6, true)];
    assert_eq!(told(&stayed), [0], "it never was back");
}

#[test]
fn a_surprise_counts_as_one_evaluation() {
    let after_a_surprise = |surprise: bool| {
        let mut case = surprised(vec![surprising("pool")]);
        if !surprise {
            case.outlooks[0].surprise = None;
        }
        for _ in 0..2 {
            case = case.after(&case.assess(), 10 * SECOND);
            case.outlooks = vec![outlook("pool", predicted(10 * MINUTE, 0.97))];
        }
        case.assess()
    };
    assert!(plan(&after_a_surprise(true)).is_some());
    assert!(plan(&after_a_surprise(false)).is_none());
}

#[test]
fn not_even_one_in_one_is_enough() {
    let case = surprised(vec![surprising("pool")]).with(|c| c.policy.sustain_k = 1);
    let again = case.after(&case.assess(), SECOND).assess();
    assert!(plan(&case.assess()).is_none() && plan(&again).is_none());
}

#[test]
fn what_is_alerted_for_another_reason_is_not_said_twice_but_another_property_is() {
    let acting = |outlooks: Vec<PropertyOutlook>| {
        Case::failing_over()
            .with(|c| c.outlooks = outlooks)
            .assess()
    };
    let breaching = PropertyOutlook {
        breach: predicted(MINUTE, 0.97),
        ..surprising("pool")
    };
    let decision = acting(vec![breaching.clone()]);
    assert!(plan(&decision).is_some());
    let [one] = sentences(&decision)[..] else {
        panic!("{:?}", decision.actions)
    };
    assert!(
        one.contains("failing over") && one.contains("expected 400"),
        "{one}"
    );

    let decision = acting(vec![breaching, surprising("heap"), surprising("stack")]);
    assert!(plan(&decision).is_some());
    let [_, other] = sentences(&decision)[..] else {
        panic!("{:?}", decision.actions)
    };
    assert!(other.starts_with("heap is 520"), "{other}");
    assert!(
        other.ends_with("; 1 more of its properties surprise too"),
        "{other}"
    );
}

#[test]
fn what_lasts_goes_on_beside_a_surprise() {
    let case = Case::failing_over().with(|c| c.policy.mode = Mode::Advise);
    let held = case.after(&case.assess(), SECOND);
    let news = held.clone().with(|c| c.outlooks.push(surprising("heap")));
    let decision = news.assess();
    assert_eq!(alerts(&decision), [Severity::Warn]);
    assert!(
        matches!(&decision.explanation.reason, Reason::Surprised { path, .. } if path.as_str() == "heap")
    );
    let next = held.after(&decision, Duration::from_secs(10)).assess();
    assert!(matches!(next.explanation.reason, Reason::HeldBack { .. }));
    assert!(
        alerts(&next).is_empty() && !next.notable,
        "it was said before"
    );
}

#[test]
fn the_end_of_an_episode_moves_in_its_second_half_and_only_from_outside_of_the_band() {
    let first = surprised(vec![surprising("pool")]);
    let begun = first.assess().state;
    // A drift is remembered for 500 s.
    let end = |second: u32, deviation: f64| {
        let mut case = first.clone().with(|c| c.state = begun.clone());
        case.now = first.now + second * SECOND;
        case.outlooks[0].deviation = deviation;
        (case.assess().state.surprised[&"pool".into()] - first.now).as_secs()
    };
    assert_eq!(
        [end(10, 0.6), end(250, 0.6), end(251, 0.6)],
        [500, 500, 751]
    );
    assert_eq!(
        [end(10, 0.0), end(251, 0.0), end(499, 0.0)],
        [500, 500, 500]
    );
}
