//! What holds for every case.

use std::collections::BTreeSet;

use std::time::Duration;

use evenkeel_core::decide::{Explanation, Input};
use evenkeel_core::failover::{Capabilities, Outcome, Plan, PlanKind};
use evenkeel_core::generation::Verdict;
use evenkeel_core::outlook::{Breach, PropertyOutlook};
use evenkeel_core::policy::{Mode, Probability, When};
use evenkeel_core::property::Severity;
use evenkeel_core::state::{Phase, State, Sustain};
use evenkeel_core::{Instance, RunId};
use proptest::prelude::*;

use crate::case::*;

fn any_breach() -> impl Strategy<Value = Breach> {
    prop_oneof![
        Just(Breach::None),
        Just(Breach::Observed),
        (0_u64..7200, 0.0_f64..1.0)
            .prop_map(|(lead, confidence)| predicted(Duration::from_secs(lead), confidence)),
    ]
}

fn any_outlook() -> impl Strategy<Value = PropertyOutlook> {
    let severity = prop_oneof![
        Just(Severity::Info),
        Just(Severity::Warn),
        Just(Severity::Critical),
        Just(Severity::Critical)
    ];
    (
        0_u8..4,
        severity,
        any_breach(),
        proptest::option::of(0_u64..600),
        any::<bool>(),
    )
        .prop_map(
            |(path, severity, breach, onset, surprises)| PropertyOutlook {
                surprise: surprises.then_some(SURPRISE),
                deviation: if surprises { 0.6 } else { 0.2 },
                severity,
                onset: onset.map(|s| NOON.before(Duration::from_secs(s))),
                ..outlook(&format!("p{path}"), breach)
            },
        )
}

fn any_phase() -> impl Strategy<Value = Phase> {
    let phases = phases();
    // Guarded is where things happen.
    prop_oneof![
        Just(Phase::Guarded),
        (0..phases.len()).prop_map(move |i| phases[i].clone())
    ]
}

prop_compose! {
    fn any_case()(
        outlooks in proptest::collection::vec(any_outlook(), 0..4),
        phase in any_phase(),
        mode in prop_oneof![Just(Mode::Act), Just(Mode::Act), Just(Mode::Advise), Just(Mode::Observe)],
        when in prop_oneof![Just(When::Early), Just(When::LatestSafe)],
        (seen, on_b, approval, lease, revert) in
            (any::<u64>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        verdicts in proptest::collection::vec((0_u8..3, 0_u64..600, any::<bool>()), 0..5),
        bits in 0_u8..16,
        min_confidence in 0.0_f64..1.0,
    ) -> Case {
        let mut case = Case::failing_over();
        case.outlooks = outlooks;
        case.state.phase = phase;
        case.state.serving = if on_b { Instance::B } else { Instance::A };
        case.state.sustain = (0..64)
            .fold(Sustain::default(), |s, bit| s.push(seen >> bit & 1 == 1));
        case.policy.mode = mode;
        case.policy.when = when;
        case.policy.revert = revert;
        case.policy.approval_required = approval;
        case.policy.min_confidence = Probability::new(min_confidence).unwrap();
        case.facts.may_lease = lease;
        case.facts.generations = verdicts.into_iter().zip(1..).map(|((verdict, age, torn), id)| {
            let verdict = match verdict {
                0 => Verdict::Suspect,
                1 => Verdict::Quarantined { why: "drift".into() },
                _ => Verdict::Good,
            };
            let mut made = generation(id, Duration::from_secs(age), verdict);
            made.torn = torn;
            made
        }).collect();
        let has = |bit: u8| bits & (1 << bit) != 0;
        case.facts.capabilities = Capabilities {
            single_writer: has(0),
            has_traffic: has(1),
            has_data: has(2),
            can_rehearse: has(3),
        };
        case
    }
}

/// Every input there is, given to the case.
fn all_inputs(case: &Case, mut take: impl FnMut(&Input<'_>)) {
    let facts = &case.facts;
    take(&Input::Assessed {
        outlooks: &case.outlooks,
        facts,
    });
    for ago in [0, 30, 600] {
        let since = NOON.before(Duration::from_secs(ago));
        take(&Input::ProbeLost { since, why: "gone" });
    }
    take(&Input::BaselineTaken {
        moved: &BTreeSet::new(),
    });
    take(&Input::Seeded);
    for command in &commands() {
        take(&Input::Commanded {
            command,
            by: "ann",
            facts,
        });
    }
    // A run's plan is of the kind that its phase says.
    let kind = match case.state.phase {
        Phase::Reinstating { .. } => PlanKind::Reinstatement,
        _ => PlanKind::Failover,
    };
    for run in [RunId(4), RunId(99)] {
        for outcome in [Outcome::Done, Outcome::Undone, Outcome::Stuck] {
            let plan = ended_plan(kind, run, case);
            take(&Input::RunEnded {
                plan: &plan,
                outcome,
                serving: plan.from,
                why: None,
                facts,
            });
        }
    }
}

fn ended_plan(kind: PlanKind, run: RunId, case: &Case) -> Plan {
    let template = Case::failing_over();
    let decision = template.assess();
    Plan {
        run,
        kind,
        from: case.state.serving,
        to: case.state.standby(),
        ..plan(&decision).unwrap().clone()
    }
}

proptest! {
    #[test]
    fn every_input_has_an_answer_in_every_state_and_the_same_one_every_time(case in any_case()) {
        all_inputs(&case, |input| assert_eq!(case.give(input), case.give(input)));
    }

    #[test]
    fn no_plan_starts_unless_the_resource_stands_where_it_can(case in any_case()) {
        all_inputs(&case, |input| {
            let decision = case.give(input);
            let Some(plan) = plan(&decision) else { return };
            let may_start = match (&case.state.phase, plan.kind) {
                (Phase::Guarded, PlanKind::Failover | PlanKind::Switchover | PlanKind::Failback) => true,
                (Phase::Unprotected { .. }, PlanKind::Reinstatement) => true,
                (Phase::Moving { run }, PlanKind::Reinstatement) => {
                    matches!(input, Input::RunEnded { plan, outcome: Outcome::Done, .. } if plan.run == *run)
                }
                _ => false,
            };
            assert!(may_start, "{:?} from {:?}", plan.kind, case.state.phase);
        });
    }

    #[test]
    fn the_token_rises_by_one_with_every_plan_and_never_otherwise(case in any_case()) {
        all_inputs(&case, |input| {
            let decision = case.give(input);
            let expected = match plan(&decision) {
                Some(plan) => {
                    assert_eq!(plan.token, decision.state.token);
                    case.state.token.next()
                }
                None => case.state.token,
            };
            assert_eq!(decision.state.token, expected);
        });
    }

    #[test]
    fn what_is_activated_is_configured_by_a_good_generation(case in any_case()) {
        all_inputs(&case, |input| {
            let decision = case.give(input);
            let Some(plan) = plan(&decision) else { return };
            if let Some(choice) = &plan.choice {
                let config = case.facts.generations.iter().find(|g| g.id == choice.config_from);
                assert_eq!(config.unwrap().verdict, Verdict::Good);
            } else {
                assert_eq!(plan.kind, PlanKind::Reinstatement);
            }
        });
    }

    #[test]
    fn a_plan_under_way_and_the_phase_name_the_same_run(case in any_case()) {
        all_inputs(&case, |input| {
            let decision = case.give(input);
            if let Some(plan) = plan(&decision) {
                assert_eq!(decision.state.phase.run(), Some(plan.run));
                assert_eq!(plan.to, plan.from.other());
            }
        });
    }

    #[test]
    fn a_breach_that_is_less_sure_never_adds_a_failover(case in any_case(), less in 0.0_f64..1.0) {
        let wary = case.clone().with(|c| {
            for outlook in &mut c.outlooks {
                if let Breach::Predicted { confidence, .. } = &mut outlook.breach {
                    *confidence *= less;
                }
            }
        });
        if plan(&case.assess()).is_none() && case.policy.when == When::Early {
            prop_assert!(plan(&wary.assess()).is_none());
        }
    }

    #[test]
    fn a_surprise_alone_never_starts_a_failover(case in any_case()) {
        let calm = case.with(|c| {
            c.outlooks.iter_mut().for_each(|o| o.breach = Breach::None);
        });
        prop_assert!(plan(&calm.assess()).is_none());
    }

    #[test]
    fn states_plans_and_explanations_read_back_what_was_written(case in any_case()) {
        all_inputs(&case, |input| {
            let decision = case.give(input);
            let text = serde_json::to_string(&decision.state).unwrap();
            assert_eq!(serde_json::from_str::<State>(&text).unwrap(), decision.state);
            let text = serde_json::to_string(&decision.explanation).unwrap();
            assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), decision.explanation);
            if let Some(plan) = plan(&decision) {
                let text = serde_json::to_string(plan).unwrap();
                assert_eq!(&serde_json::from_str::<Plan>(&text).unwrap(), plan);
            }
        });
    }
}
