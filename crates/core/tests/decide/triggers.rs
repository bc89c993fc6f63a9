//! What calls for a failover, and what does not.

use std::collections::BTreeSet;

use evenkeel_core::decide::{Action, Input};
use evenkeel_core::failover::{PlanKind, Step};
use evenkeel_core::generation::Verdict;
use evenkeel_core::harm::Harm;
use evenkeel_core::outlook::Breach;
use evenkeel_core::policy::ActOn;
use evenkeel_core::property::Severity;
use evenkeel_core::reason::Reason;
use evenkeel_core::state::{Phase, Sustain};
use evenkeel_core::{FencingToken, GenerationId, Instance, RunId};

use crate::case::*;

#[test]
fn without_a_breach_all_is_quiet() {
    let case = Case::failing_over().with(|c| c.outlooks[0].breach = Breach::None);
    let decision = case.assess();
    assert_eq!(decision.explanation.reason, Reason::Quiet);
    assert!(decision.actions.is_empty() && !decision.notable);
    assert!(decision.explanation.guards.is_empty(), "nobody was asked");
}

#[test]
fn a_failover_takes_the_pinned_configuration_to_the_other_instance() {
    let case = Case::failing_over().with(|c| {
        c.facts
            .generations
            .push(generation(2, SECOND, Verdict::Suspect));
        c.state.serving = Instance::B;
        c.state.token = FencingToken(8);
    });
    let decision = case.assess();
    let plan = plan(&decision).unwrap();
    let choice = plan.choice.as_ref().unwrap();
    assert_eq!(
        (plan.kind, plan.run, plan.token, plan.from, plan.to),
        (
            PlanKind::Failover,
            RunId(5),
            FencingToken(9),
            Instance::B,
            Instance::A
        )
    );
    assert_eq!(
        (choice.config_from, choice.data_from),
        (GenerationId(1), GenerationId(2))
    );
    assert_eq!(decision.state.phase, Phase::Moving { run: RunId(5) });
    assert_eq!(decision.state.failovers, [NOON]);
    assert_eq!(decision.state.token, FencingToken(9));
    assert!(plan.steps.contains(&Step::Redirect));
    assert!(
        plan.why.contains("pool is 520 (approved 400)"),
        "{}",
        plan.why
    );
    assert!(decision.notable);
}

#[test]
fn what_was_made_since_the_drift_set_in_is_quarantined_before_the_plan_starts() {
    let decision = Case::failing_over().assess();
    let [
        Action::Quarantine { since, why },
        Action::Start(_),
        Action::Alert { .. },
    ] = &decision.actions[..]
    else {
        panic!("{:?}", decision.actions)
    };
    // One probe earlier than the one that saw the onset: the change came between the two.
    let sample_every = Case::failing_over().policy.sample_every;
    assert_eq!(*since, NOON.before(3 * MINUTE + sample_every));
    assert!(why.contains("pool"));
    let unknown_onset = Case::failing_over()
        .with(|c| c.outlooks[0].onset = None)
        .assess();
    let quarantines = |a: &Action| matches!(a, Action::Quarantine { .. });
    assert!(!unknown_onset.actions.iter().any(quarantines));
}

#[test]
fn only_a_critical_property_may_start_a_failover() {
    for (severity, reason_is) in [(Severity::Warn, "watched pool"), (Severity::Info, "quiet")] {
        let case = Case::failing_over().with(|c| c.outlooks[0].severity = severity);
        let decision = case.assess();
        let found = match &decision.explanation.reason {
            Reason::Watched { path, .. } => format!("watched {path}"),
            Reason::Quiet => "quiet".to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, reason_is);
        assert_eq!(plan(&decision), None);
    }
}

#[test]
fn a_prediction_needs_the_policys_confidence() {
    let with_confidence = |confidence| {
        Case::failing_over().with(|c| c.outlooks[0].breach = predicted(MINUTE, confidence))
    };
    let decision = with_confidence(0.89).assess();
    assert_eq!(decision.explanation.reason, Reason::Quiet);
    assert_fails_over(&with_confidence(0.9));
}

#[test]
fn a_prediction_is_acted_on_for_harm_and_told_without() {
    // 0.5 + 0.45 x 0.3.
    let with_harm = |probability, turned_back| {
        Case::failing_over().with(|c| {
            c.outlooks[0].harm = Some(Harm {
                probability,
                turned_back,
            });
        })
    };
    assert_fails_over(&with_harm(0.635, 0));
    let told = with_harm(0.634, 2);
    let decision = told.assess();
    let Reason::Watched { sentence, .. } = &decision.explanation.reason else {
        panic!("{:?}", decision.explanation.reason)
    };
    let end =
        "harm with probability 0.63 (2 times it came as far and turned back); acted on from 0.64";
    assert!(sentence.ends_with(end), "{sentence}");
    assert_eq!(alerts(&decision), [Severity::Warn]);
    assert_eq!(decision.state.sustain.count(1), 0, "it is no trigger");
    // What is unknown is not acted on.
    let unknown = told.clone().with(|c| c.outlooks[0].harm = None);
    assert_eq!(plan(&unknown.assess()), None);
    assert_fails_over(&told.clone().with(|c| c.policy.act_on = ActOn::Band));
    assert_fails_over(&told.with(|c| c.outlooks[0].breach = Breach::Observed));
}

#[test]
fn a_prediction_counts_when_k_of_the_last_n_evaluations_saw_it() {
    let seen = |history: &[bool]| {
        let sustain = history
            .iter()
            .fold(Sustain::default(), |s, &saw| s.push(saw));
        let decision = Case::failing_over()
            .with(|c| c.state.sustain = sustain)
            .assess();
        match decision.explanation.reason {
            Reason::NotSustained {
                seen, k: 3, n: 5, ..
            } => Err(seen),
            Reason::FailOver { .. } => Ok(()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(seen(&[]), Err(1));
    assert_eq!(seen(&[true]), Err(2));
    assert_eq!(seen(&[true, true]), Ok(()));
    assert_eq!(seen(&[true, false, true]), Ok(()));
    assert_eq!(
        seen(&[true, true, false, false, false]),
        Err(2),
        "one fell out"
    );
}

#[test]
fn an_observed_breach_is_acted_on_at_once() {
    assert_fails_over(&Case::failing_over().with(|c| {
        c.state.sustain = Sustain::default();
        c.outlooks[0].breach = Breach::Observed;
    }));
}

#[test]
fn the_most_urgent_property_speaks() {
    let case = Case::failing_over().with(|c| {
        c.outlooks.push(outlook("sooner", predicted(MINUTE, 0.95)));
        c.outlooks.push(outlook("unsure", predicted(SECOND, 0.5)));
    });
    match case.assess().explanation.reason {
        Reason::FailOver { path, .. } => assert_eq!(path.as_str(), "sooner"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_keeps_only_outlooks_that_deviate() {
    let case = Case::failing_over().with(|c| {
        let mut steady = outlook("steady", Breach::None);
        steady.deviation = 0.0;
        c.outlooks.push(steady);
        for i in 0..20 {
            c.outlooks.push(outlook(&format!("p{i}"), Breach::None));
        }
    });
    let kept = case.assess().explanation.outlooks;
    assert_eq!(kept.len(), 10);
    assert!(kept.iter().all(|o| o.path.as_str() != "steady"));
}

#[test]
fn a_lost_probe_is_unknown_and_never_a_reason_to_act() {
    let case = Case::failing_over();
    let lost_for = |span| {
        case.give(&Input::ProbeLost {
            since: NOON.before(span),
            why: "connection refused",
        })
    };
    let short = lost_for(59 * SECOND);
    assert_eq!(short.explanation.reason, Reason::Quiet);
    assert!(!short.notable);
    let long = lost_for(MINUTE);
    assert!(matches!(long.explanation.reason, Reason::Unknown { .. }));
    assert_eq!(
        (alerts(&long), plan(&long)),
        (vec![Severity::Critical], None)
    );
    assert_eq!(long.state.phase, Phase::Guarded);
}

#[test]
fn the_first_baseline_leads_to_the_first_clone_and_that_to_guarded() {
    let case = Case::failing_over().with(|c| c.state.phase = Phase::Settling { since: NOON });
    let moved = BTreeSet::from(["pool".into()]);
    let taken = case.give(&Input::BaselineTaken { moved: &moved });
    assert_eq!(taken.state.phase, Phase::Seeding);
    assert_eq!(taken.explanation.reason, Reason::BaselineTaken);
    assert_eq!(taken.actions, [Action::Recentre(moved)]);
    assert_eq!(taken.state.sustain, Sustain::default());
    let seeded = case.after(&taken, SECOND).give(&Input::Seeded);
    assert_eq!(seeded.state.phase, Phase::Guarded);
    assert_eq!(seeded.explanation.reason, Reason::Seeded);
}

#[test]
fn a_clone_or_a_baseline_changes_no_other_phase() {
    for phase in phases() {
        let case = Case::failing_over().with(|c| c.state.phase = phase.clone());
        let after = case.give(&Input::Seeded).state.phase;
        assert!(after == phase || phase == Phase::Seeding);
        let after = case
            .give(&Input::BaselineTaken {
                moved: &BTreeSet::new(),
            })
            .state
            .phase;
        assert!(after == phase || matches!(phase, Phase::Settling { .. }));
    }
}
