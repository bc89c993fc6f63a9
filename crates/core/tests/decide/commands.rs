//! What people ask for: done, begun, or refused with the reason.

use evenkeel_core::band::Judgement;
use evenkeel_core::decide::{Action, Command};
use evenkeel_core::failover::{PlanKind, Step};
use evenkeel_core::generation::Verdict;
use evenkeel_core::guard::Guard;
use evenkeel_core::policy::Mode;
use evenkeel_core::reason::Reason;
use evenkeel_core::state::{Phase, State};
use evenkeel_core::{EventId, Instance};

use crate::case::*;

#[track_caller]
fn assert_done(case: &Case, command: &Command, what: &str) -> State {
    let decision = case.command(command);
    match &decision.explanation.reason {
        Reason::Commanded { by, what: said } => {
            assert_eq!((by.as_str(), said.as_str()), ("ann", what));
        }
        other => panic!("{other:?}"),
    }
    assert!(decision.notable, "what a person did is recorded");
    decision.state
}

#[test]
fn moves_by_hand_start_their_plan() {
    let case = Case::failing_over().with(|c| c.state.serving = Instance::B);
    for (command, kind, counts) in [
        (Command::Failover, PlanKind::Failover, 1),
        (Command::Switchover, PlanKind::Switchover, 0),
        (Command::Failback, PlanKind::Failback, 0),
    ] {
        let decision = case.command(&command);
        let plan = plan(&decision).unwrap();
        assert_eq!((plan.kind, plan.to), (kind, Instance::A));
        assert_eq!(plan.why, format!("{kind} asked for by ann"));
        assert_eq!(decision.state.failovers.len(), counts, "{kind}");
        assert_eq!(decision.state.phase, Phase::Moving { run: plan.run });
        let planned = kind != PlanKind::Failover;
        assert_eq!(plan.steps.contains(&Step::FinalSync), planned, "{kind}");
    }
}

#[test]
fn a_person_is_not_held_back_by_what_is_merely_unwise() {
    let case = Case::failing_over().with(|c| {
        c.policy.mode = Mode::Observe;
        c.policy.approval_required = true;
        c.state.failovers = vec![NOON.before(SECOND); 9];
        c.facts.drifting_elsewhere.insert("pool".into(), 9);
        c.facts.shared_by_clone = vec!["pool".into()];
    });
    let paused = case.command(&Command::Pause {
        why: "upgrade".into(),
        until: None,
    });
    let decision = case.after(&paused, SECOND).command(&Command::Failover);
    assert!(plan(&decision).is_some());
}

#[test]
fn a_person_is_held_back_by_what_would_break() {
    let check = |change: fn(&mut Case), guard: Guard| {
        let decision = Case::failing_over()
            .with(change)
            .command(&Command::Switchover);
        assert_eq!(plan(&decision), None);
        assert!(refused(&decision).starts_with("switchover: "), "{guard}");
        let holds: Vec<Guard> = (decision.explanation.guards.iter())
            .filter(|c| c.holds)
            .map(|c| c.guard)
            .collect();
        assert_eq!(holds, [guard]);
    };
    check(|c| c.state.phase = Phase::Seeding, Guard::Phase);
    check(
        |c| c.facts.generations[0].verdict = Verdict::Suspect,
        Guard::GoodGeneration,
    );
    check(
        |c| c.facts.rehearsal.as_mut().unwrap().result = Err("no".into()),
        Guard::CloneHealth,
    );
    check(
        |c| {
            c.facts.synced_at = None;
            c.facts.generations[0].at = NOON.before(HOUR);
        },
        Guard::CloneLag,
    );
    check(|c| c.facts.has_redirector = false, Guard::Redirector);
    check(|c| c.facts.may_lease = false, Guard::Lease);
}

#[test]
fn there_is_no_failback_from_where_it_came() {
    let decision = Case::failing_over().command(&Command::Failback);
    assert!(refused(&decision).contains("instance a serves already"));
}

#[test]
fn only_what_is_unprotected_is_reinstated() {
    for phase in phases() {
        let case = Case::failing_over().with(|c| c.state.phase = phase.clone());
        let decision = case.command(&Command::Reinstate);
        if let Phase::Unprotected { .. } = phase {
            let plan = plan(&decision).unwrap();
            assert_eq!(plan.kind, PlanKind::Reinstatement);
            assert_eq!((plan.from, plan.to), (Instance::B, Instance::A));
        } else {
            assert!(refused(&decision).contains("not unprotected"));
        }
    }
}

#[test]
fn only_what_is_held_is_released() {
    for phase in phases() {
        let case = Case::failing_over().with(|c| c.state.phase = phase.clone());
        let decision = case.command(&Command::Release);
        if let Phase::Held { .. } = phase {
            assert!(matches!(decision.state.phase, Phase::Unprotected { .. }));
        } else {
            assert!(refused(&decision).contains("not held"));
            assert_eq!(decision.state.phase, phase);
        }
    }
}

#[test]
fn pausing_and_resuming() {
    let case = Case::failing_over();
    let pause = Command::Pause {
        why: "upgrade".into(),
        until: Some(NOON + HOUR),
    };
    let paused = assert_done(&case, &pause, "paused: nothing is done by itself");
    assert_eq!(paused.pause.as_ref().unwrap().by, "ann");
    let case = case.with(|c| c.state = paused);
    let resumed = assert_done(&case, &Command::Resume, "resumed");
    assert_eq!(resumed.pause, None);
    assert_done(&Case::failing_over(), &Command::Resume, "was not paused");
}

#[test]
fn a_window_is_opened_unless_it_ends_before_it_begins() {
    let open = |from, until| {
        Case::failing_over().command(&Command::OpenWindow {
            from,
            until,
            why: "upgrade".into(),
        })
    };
    assert_eq!(open(NOON, NOON + HOUR).state.windows.len(), 1);
    let backwards = open(NOON + HOUR, NOON + MINUTE);
    assert!(refused(&backwards).contains("ends before it begins"));
    assert!(backwards.state.windows.is_empty());
}

#[test]
fn what_would_be_void_already_is_refused() {
    let past = NOON.before(SECOND);
    for command in [
        Command::Approve { until: past },
        Command::Pause {
            why: "upgrade".into(),
            until: Some(past),
        },
        Command::OpenWindow {
            from: past.before(HOUR),
            until: past,
            why: "upgrade".into(),
        },
    ] {
        let decision = Case::failing_over().command(&command);
        assert!(refused(&decision).contains("past"), "{command:?}");
        assert_eq!(decision.state.approval, None);
        assert_eq!(decision.state.pause, None);
    }
}

#[test]
fn a_judgement_is_passed_on_and_said_in_words() {
    for (judgement, said) in [
        (Judgement::FalseAlarm, "a false alarm"),
        (Judgement::Right, "right"),
    ] {
        let command = Command::Judge {
            event: EventId(7),
            path: "pool".into(),
            judgement,
        };
        let decision = Case::failing_over().command(&command);
        let path = "pool".into();
        assert_eq!(decision.actions, [Action::Judge { path, judgement }]);
        let sentence = decision.explanation.reason.sentence();
        let expected = format!("judged e7 about pool to be {said}: its band follows (by ann)");
        assert_eq!(sentence, expected);
    }
}
