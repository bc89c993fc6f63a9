//! People are told once of what lasts, and every time of what happens.

use std::collections::BTreeSet;

use evenkeel_core::decide::{Command, Decision, Input};
use evenkeel_core::fleet::remembered_for;
use evenkeel_core::outlook::Breach;
use evenkeel_core::policy::{Mode, When};
use evenkeel_core::property::Severity;
use evenkeel_core::reason::Reason;
use evenkeel_core::state::Phase;

use crate::case::*;

fn advised() -> Case {
    Case::failing_over().with(|c| c.policy.mode = Mode::Advise)
}

#[test]
fn what_lasts_is_said_once() {
    let mut case = advised();
    let first = case.assess();
    assert_eq!(alerts(&first), [Severity::Critical]);
    assert!(first.notable);
    for minutes_left in [9, 8, 7] {
        case = case.after(&case.assess(), SECOND);
        // The numbers move on; the matter is the same.
        case.outlooks[0].breach = predicted(minutes_left * MINUTE, 0.98);
        let again = case.assess();
        assert!(alerts(&again).is_empty() && !again.notable);
    }
}

#[test]
fn another_property_or_another_guard_is_another_matter() {
    let case = advised();
    let told = case.after(&case.assess(), SECOND);
    let other_property = told.clone().with(|c| c.outlooks[0].path = "other".into());
    assert_eq!(alerts(&other_property.assess()).len(), 1);
    let other_guard = told.with(|c| {
        c.policy.mode = Mode::Act;
        c.facts.may_lease = false;
    });
    assert_eq!(alerts(&other_guard.assess()).len(), 1);
}

#[test]
fn what_came_back_is_said_again_and_its_end_is_recorded() {
    let case = advised();
    let told = case.after(&case.assess(), SECOND);
    let quiet = told.clone().with(|c| c.outlooks[0].breach = Breach::None);
    let over = quiet.assess();
    assert_eq!(over.explanation.reason, Reason::Quiet);
    assert!(
        over.notable && alerts(&over).is_empty(),
        "the end is recorded"
    );
    let stays = quiet.after(&over, SECOND).assess();
    assert!(!stays.notable);
    let rest = remembered_for(&case.policy);
    let soon = told.after(&over, rest - 2 * SECOND).assess();
    assert!(soon.notable && alerts(&soon).is_empty(), "the same episode");
    let later = told.after(&over, rest).assess();
    assert_eq!(alerts(&later), [Severity::Critical]);
    // While it lasts, its episode does.
    let mut lasting = told.clone();
    for _ in 0..10 {
        let again = lasting.assess();
        assert!(alerts(&again).is_empty());
        lasting = lasting.after(&again, rest / 3);
    }
}

#[test]
fn the_end_of_an_episode_moves_on_when_half_of_it_is_over() {
    let case = advised();
    let rest = remembered_for(&case.policy);
    let first = case.assess();
    let ends = |decision: &Decision| decision.state.told.values().copied().collect::<Vec<_>>();
    assert_eq!(ends(&first), [NOON + rest]);
    for (later, end) in [
        (rest / 4, NOON + rest),
        (rest / 2, NOON + rest),
        (rest / 2 + SECOND, NOON + rest / 2 + SECOND + rest),
    ] {
        let again = case.after(&first, later).assess();
        assert_eq!(ends(&again), [end], "{later:?}");
    }
}

#[test]
fn what_passes_or_is_told_to_nobody_has_no_episode() {
    let fails_over = Case::failing_over().assess();
    assert_eq!(alerts(&fails_over), [Severity::Critical]);
    let unsure = Case::failing_over().with(|c| c.state.sustain = Default::default());
    for decision in [fails_over, unsure.assess()] {
        assert!(decision.state.told.is_empty(), "{:?}", decision.state.told);
    }
}

#[test]
fn who_serves_now_is_told_anew() {
    let case = advised();
    let told = case.after(&case.assess(), SECOND);
    let rebased = told.give(&Input::BaselineTaken {
        moved: &BTreeSet::new(),
    });
    let again = told.after(&rebased, SECOND).with(|c| {
        c.state.sustain = case.state.sustain;
    });
    assert_eq!(alerts(&again.assess()), [Severity::Critical]);
}

#[test]
fn what_is_told_of_is_over_when_none_of_the_last_evaluations_saw_it() {
    let seen = Case::failing_over().with(|c| c.outlooks[0].severity = Severity::Warn);
    let told = seen.assess();
    let mut case = seen.after(&told, SECOND);
    let quiet = |case: &Case| {
        let case = case.clone().with(|c| c.outlooks[0].breach = Breach::None);
        case.assess()
    };
    for _ in 0..4 {
        let decision = quiet(&case);
        assert!(!decision.notable && decision.actions.is_empty());
        case = case.after(&decision, SECOND);
        // Seen again, if only once of five: it goes on.
        let again = case.assess();
        assert!(matches!(again.explanation.reason, Reason::Watched { .. }));
        assert!(!again.notable);
    }
    let over = quiet(&case);
    assert_eq!(over.explanation.reason, Reason::Quiet);
    assert!(over.notable, "the end is recorded");
}

#[test]
fn what_is_only_told_of_is_told_when_it_is_sustained() {
    let mut case = Case::failing_over().with(|c| {
        c.outlooks[0].severity = Severity::Warn;
        c.state.watched = Default::default();
    });
    let quiet = case.clone().with(|c| c.outlooks[0].breach = Breach::None);
    let mut told = Vec::new();
    // Seen once, gone once, and so on: 3 of 5 at the fifth evaluation.
    for i in 0..9 {
        let seen = if i % 2 == 0 { &case } else { &quiet };
        let seen = seen.clone().with(|c| c.state = case.state.clone());
        let decision = seen.assess();
        told.extend((!alerts(&decision).is_empty()).then_some(i));
        case = case.after(&decision, SECOND);
    }
    assert_eq!(told, [4], "and said once");
    let observed = case.with(|c| {
        c.state = Case::failing_over().state;
        c.outlooks[0].breach = Breach::Observed;
    });
    assert_eq!(alerts(&observed.assess()), [Severity::Warn], "at once");
}

#[test]
fn a_probe_lost_for_a_moment_ends_nothing_that_lasts() {
    let case = advised();
    let told = case.after(&case.assess(), SECOND);
    let lost = told.give(&Input::ProbeLost {
        since: told.now,
        why: "timed out",
    });
    let again = told.after(&lost, SECOND).assess();
    assert!(alerts(&again).is_empty(), "it was said before");
}

#[test]
fn a_persons_word_ends_nothing_that_lasts() {
    let case = advised();
    let told = case.after(&case.assess(), SECOND);
    for command in [Command::Resume, Command::Release] {
        let decision = told.command(&command);
        let again = told.after(&decision, SECOND).assess();
        assert!(alerts(&again).is_empty(), "after {command:?}");
    }
}

#[test]
fn how_urgent_an_alert_is_depends_on_who_can_do_something() {
    let check = |change: fn(&mut Case), expected: &[Severity]| {
        let decision = Case::failing_over().with(change).assess();
        assert_eq!(
            alerts(&decision),
            expected,
            "{:?}",
            decision.explanation.reason
        );
    };
    check(|_| (), &[Severity::Critical]);
    check(|c| c.facts.may_lease = false, &[Severity::Critical]);
    check(
        |c| c.state.failovers = vec![NOON.before(SECOND)],
        &[Severity::Warn],
    );
    check(|c| c.policy.when = When::LatestSafe, &[]);
    check(
        |c| {
            c.state.phase = Phase::Moving {
                run: c.facts.next_run,
            }
        },
        &[],
    );
    check(
        |c| c.outlooks[0].severity = Severity::Warn,
        &[Severity::Warn],
    );
    check(|c| c.state.sustain = Default::default(), &[]);
}

#[test]
fn every_reason_has_a_sentence_that_ends_without_a_full_stop() {
    let case = Case::failing_over();
    let decisions = [
        case.assess(),
        advised().assess(),
        case.clone().with(|c| c.outlooks.clear()).assess(),
        case.clone()
            .with(|c| c.outlooks[0].severity = Severity::Warn)
            .assess(),
        case.clone()
            .with(|c| c.state.sustain = Default::default())
            .assess(),
        case.give(&Input::BaselineTaken {
            moved: &BTreeSet::new(),
        }),
        case.give(&Input::Seeded),
        case.give(&Input::ProbeLost {
            since: NOON.before(HOUR),
            why: "gone",
        }),
        case.command(&Command::Resume),
        case.command(&Command::Release),
    ];
    for decision in decisions {
        let sentence = decision.explanation.reason.sentence();
        assert!(
            !sentence.is_empty() && !sentence.ends_with('.'),
            "{sentence}"
        );
    }
}
