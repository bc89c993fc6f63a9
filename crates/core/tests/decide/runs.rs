//! What follows when a saga ends, in every way it can.

use evenkeel_core::decide::{Action, Command};
use evenkeel_core::failover::{Outcome, Plan, PlanKind, Step};
use evenkeel_core::generation::Verdict;
use evenkeel_core::property::Severity;
use evenkeel_core::reason::Reason;
use evenkeel_core::state::{Phase, Sustain};
use evenkeel_core::{FencingToken, Instance, RunId};

use crate::case::*;

/// A failover under way, with its plan.
fn moving() -> (Case, Plan) {
    let case = Case::failing_over();
    let decision = case.assess();
    let plan = plan(&decision).unwrap().clone();
    (case.after(&decision, MINUTE), plan)
}

/// A reinstatement under way, with its plan.
fn reinstating() -> (Case, Plan) {
    let (case, moved) = moving();
    let decision = case.end_run(&moved, Outcome::Done);
    let plan = plan(&decision).unwrap().clone();
    (case.after(&decision, MINUTE), plan)
}

#[test]
fn a_move_that_is_done_changes_who_serves_and_reinstates_the_old_primary() {
    let (case, moved) = moving();
    let decision = case.end_run(&moved, Outcome::Done);
    assert_eq!(decision.state.serving, Instance::B);
    assert_eq!(decision.state.phase, Phase::Reinstating { run: RunId(6) });
    assert_eq!(decision.state.sustain, Sustain::default());
    let plan = plan(&decision).unwrap();
    assert_eq!(
        (plan.kind, plan.from, plan.to, plan.token),
        (
            PlanKind::Reinstatement,
            Instance::A,
            Instance::B,
            FencingToken(2)
        )
    );
    assert!(decision.actions.contains(&Action::RestartWatch));
    assert_eq!(alerts(&decision), [Severity::Info]);
    assert!(matches!(
        decision.explanation.reason,
        Reason::Moved {
            to: Instance::B,
            kind: PlanKind::Failover,
            run: RunId(5)
        }
    ));
}

#[test]
fn without_reverting_the_resource_is_unprotected_after_a_move() {
    let (case, moved) = moving();
    let decision = case
        .with(|c| c.policy.revert = false)
        .end_run(&moved, Outcome::Done);
    assert!(matches!(decision.state.phase, Phase::Unprotected { .. }));
    assert_eq!(plan(&decision), None);
    assert_eq!(decision.state.serving, Instance::B);
}

#[test]
fn a_move_that_was_undone_leaves_everything_as_it_was() {
    let (case, moved) = moving();
    let decision = case.end_run(&moved, Outcome::Undone);
    assert_eq!(decision.state.phase, Phase::Guarded);
    assert_eq!(decision.state.serving, Instance::A);
    assert_eq!(alerts(&decision), [Severity::Critical]);
    assert!(matches!(&decision.explanation.reason,
        Reason::MoveUndone { why, .. } if why == "it broke"));
    let again = case.after(&decision, SECOND).assess();
    assert_eq!(plan(&again), None, "it is not tried again at once");
}

#[test]
fn a_stuck_move_is_held_until_a_person_has_looked() {
    let (case, moved) = moving();
    let decision = case.end_run(&moved, Outcome::Stuck);
    assert!(
        matches!(&decision.state.phase, Phase::Held { run: RunId(5), why } if why == "it broke")
    );
    assert_eq!(alerts(&decision), [Severity::Critical]);
    let held = case.after(&decision, HOUR);
    assert_eq!(plan(&held.assess()), None);
    assert_eq!(plan(&held.command(&Command::Failover)), None);
    let released = held.command(&Command::Release);
    let reinstated = held.after(&released, SECOND).command(&Command::Reinstate);
    assert!(plan(&reinstated).is_some());
}

#[test]
fn a_reinstatement_that_is_done_makes_the_resource_guarded_again() {
    let (case, reinstatement) = reinstating();
    let decision = case.end_run(&reinstatement, Outcome::Done);
    assert_eq!(decision.state.phase, Phase::Guarded);
    assert_eq!(decision.state.serving, Instance::B, "roles stay swapped");
    assert_eq!(decision.state.standby(), Instance::A);
    assert!(matches!(
        decision.explanation.reason,
        Reason::Reinstated {
            standby: Instance::A,
            ..
        }
    ));
}

#[test]
fn a_reinstatement_that_failed_never_touches_who_serves() {
    for outcome in [Outcome::Undone, Outcome::Stuck] {
        let (case, reinstatement) = reinstating();
        let decision = case.end_run(&reinstatement, outcome);
        assert!(matches!(decision.state.phase, Phase::Unprotected { .. }));
        assert_eq!(decision.state.serving, Instance::B);
        assert_eq!(alerts(&decision), [Severity::Critical]);
        assert!(matches!(
            decision.explanation.reason,
            Reason::ReinstatementFailed { .. }
        ));
    }
}

#[test]
fn the_old_primary_is_put_back_to_what_was_activated_whatever_was_synced_since() {
    let (case, moved) = moving();
    let decision = case
        .with(|c| {
            let mut newer = c.facts.generations[0].clone();
            newer.id = newer.id.next();
            newer.verdict = Verdict::Good;
            c.facts.generations.push(newer);
        })
        .end_run(&moved, Outcome::Done);
    let chosen = plan(&decision).unwrap().choice.as_ref();
    assert_eq!(chosen, moved.choice.as_ref());
}

#[test]
fn what_was_activated_is_not_put_back_to_once_it_counts_as_bad() {
    let (case, moved) = moving();
    let decision = case
        .with(|c| {
            let mut newer = c.facts.generations[0].clone();
            newer.id = newer.id.next();
            c.facts.generations[0].verdict = Verdict::Suspect;
            c.facts.generations.push(newer);
        })
        .end_run(&moved, Outcome::Done);
    let chosen = plan(&decision).unwrap().choice.as_ref().unwrap();
    assert_eq!(chosen.config_from, moved.choice.unwrap().config_from.next());
}

#[test]
fn a_reinstatement_without_a_good_generation_says_so_in_its_plan() {
    let (case, moved) = moving();
    let decision = case
        .with(|c| c.facts.generations[0].verdict = Verdict::Suspect)
        .end_run(&moved, Outcome::Done);
    let plan = plan(&decision).unwrap();
    assert_eq!(plan.choice, None);
    assert!(plan.steps.contains(&Step::Diagnose));
}

#[test]
fn the_end_of_another_run_is_refused_and_changes_nothing() {
    let (case, moved) = moving();
    let mut foreign = moved.clone();
    foreign.run = RunId(99);
    let decision = case.end_run(&foreign, Outcome::Done);
    assert_eq!(refused(&decision), "r99 is not the run under way");
    assert_eq!(decision.state.phase, Phase::Moving { run: moved.run });
    assert_eq!(decision.state.serving, Instance::A);
    let done = case.end_run(&moved, Outcome::Done);
    let twice = case.after(&done, SECOND).end_run(&moved, Outcome::Done);
    assert_eq!(refused(&twice), "r5 is not the run under way");
}

#[test]
fn without_a_recorded_failure_the_record_says_that_too() {
    let (case, moved) = moving();
    let decision = case.give(&evenkeel_core::decide::Input::RunEnded {
        plan: &moved,
        outcome: Outcome::Stuck,
        serving: moved.from,
        why: None,
        facts: &case.facts,
    });
    let sentence = decision.explanation.reason.sentence();
    assert!(sentence.ends_with("no failure was recorded"), "{sentence}");
}
