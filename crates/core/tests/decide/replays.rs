//! Replays: whole histories through the watch and `decide`.

use std::collections::BTreeSet;
use std::time::Duration;

use evenkeel_core::ResourceId;
use evenkeel_core::baseline::Baseline;
use evenkeel_core::failover::{Capabilities, Outcome};
use evenkeel_core::guard::Guard;
use evenkeel_core::policy::{Mode, Policy, PropertyRule, RiskTolerance, Tolerance};
use evenkeel_core::property::{Observed, Severity, Value};
use evenkeel_core::reason::Reason;
use evenkeel_core::replay::{Assumed, Entry, Fleet, Replayed, Setting, replay};
use proptest::prelude::*;

use crate::case::*;
use crate::line::STRAIGHT;

fn policy() -> Policy {
    let limits = Tolerance::Limits {
        lower: None,
        upper: Some(1000.0),
    };
    let mut rule = PropertyRule::new("pool", limits).unwrap();
    rule.severity = Some(Severity::Critical);
    Policy {
        mode: Mode::Act,
        horizon: Duration::from_secs(200),
        rules: vec![rule],
        ..Policy::default()
    }
}

fn pool(value: f64) -> [(&'static str, Observed); 1] {
    [("pool", Observed::configuration(Value::Number(value)))]
}

fn probe(seconds: u64, value: f64) -> Entry {
    let at = NOON + Duration::from_secs(seconds);
    Entry::Probed(probed(at, pool(value)))
}

fn run(policy: &Policy, outcome: Outcome, entries: Vec<Entry>) -> Replayed {
    let resource = "web".into();
    let setting = Setting {
        resource: &resource,
        policy,
        baseline: &baseline(),
        factory: &STRAIGHT,
        assumed: assumed(outcome),
    };
    replay(&setting, entries)
}

fn baseline() -> Baseline {
    approving(pool(400.0))
}

fn assumed(outcome: Outcome) -> Assumed {
    Assumed {
        capabilities: Capabilities {
            single_writer: false,
            has_traffic: true,
            has_data: false,
            can_rehearse: true,
        },
        activation: 5 * SECOND,
        moving: 15 * SECOND,
        outcome,
        reinstating: MINUTE,
    }
}

/// Ten quiet minutes, then a drift of 6 a step until the end.
fn drift(steps: u64) -> Vec<Entry> {
    let level = |i: u64| 400.0 + 6.0 * i.saturating_sub(60) as f64;
    (0..steps).map(|i| probe(10 * i, level(i))).collect()
}

fn said(replayed: &Replayed) -> Vec<(u64, &'static str)> {
    let word = |reason: &Reason| match reason {
        Reason::Surprised { .. } => "surprised",
        Reason::NotSustained { .. } => "not sustained",
        Reason::FailOver { .. } => "fail over",
        Reason::Moved { .. } => "moved",
        Reason::MoveUndone { .. } => "undone",
        Reason::Reinstated { .. } => "reinstated",
        Reason::Quiet => "quiet",
        Reason::HeldBack { .. } => "held back",
        Reason::BaselineTaken => "baseline taken",
        other => panic!("{other:?}"),
    };
    let told = |d: &evenkeel_core::replay::Decided| {
        (
            (d.at - NOON).as_secs(),
            word(&d.decision.explanation.reason),
        )
    };
    replayed.decisions.iter().map(told).collect()
}

#[test]
fn a_drift_is_failed_over_from_once_before_its_limit_and_the_old_primary_reinstated() {
    let replayed = run(&policy(), Outcome::Done, drift(200));
    assert_eq!(
        said(&replayed),
        [
            (750, "not sustained"),
            (770, "fail over"),
            (780, "held back"),
            (785, "moved"),
            (845, "reinstated"),
        ]
    );
    assert_eq!((replayed.moves, replayed.in_time), (1, 1));
    assert_eq!(replayed.evaluations, 200);
}

#[test]
fn a_move_that_fails_heals_nothing() {
    let replayed = run(&policy(), Outcome::Undone, drift(100));
    let said = said(&replayed);
    assert_eq!(said[3], (785, "undone"));
    assert_eq!(said.last().unwrap().1, "held back", "by the cool-down");
}

#[test]
fn advising_moves_nothing() {
    let advise = Policy {
        mode: Mode::Advise,
        ..policy()
    };
    let replayed = run(&advise, Outcome::Done, drift(200));
    assert_eq!(replayed.moves, 0);
    assert_eq!(replayed.alerts.get(&Severity::Critical), Some(&1));
}

#[test]
fn once_the_record_has_come_back_it_speaks_again() {
    let mut entries = drift(100);
    entries.extend((100..200).map(|i| probe(10 * i, 400.0)));
    // Beyond the cool-down a second drift sets in.
    entries.extend((200..300).map(|i| probe(10 * i, 400.0 + 6.0 * (i - 200) as f64)));
    let replayed = run(&policy(), Outcome::Done, entries);
    assert_eq!((replayed.moves, replayed.in_time), (2, 2));
}

#[test]
fn what_is_out_of_order_is_passed_over_and_nothing_gives_nothing() {
    let mut entries = drift(10);
    entries.push(probe(0, 2000.0));
    assert_eq!(run(&policy(), Outcome::Done, entries).moves, 0);
    assert_eq!(run(&policy(), Outcome::Done, vec![]), Replayed::default());
}

proptest! {
    #[test]
    fn a_higher_risk_tolerance_never_fails_over_earlier(
        r in 0.0_f64..1.0,
        more in 0.0_f64..1.0,
        moves in proptest::collection::vec(-60.0_f64..60.0, 5..60),
    ) {
        let mut level = 400.0;
        let entries: Vec<Entry> = moves.iter().zip(0..).map(|(step, i)| {
            level += step;
            probe(10 * i, level)
        }).collect();
        let first = |r: f64| {
            let policy = Policy { risk_tolerance: RiskTolerance::new(r).unwrap(), ..policy() };
            let replayed = run(&policy, Outcome::Done, entries.clone());
            replayed.decisions.iter()
                .find(|d| matches!(d.decision.explanation.reason, Reason::FailOver { .. }))
                .map(|d| d.at)
        };
        let (bold, wary) = (first((r + more).min(1.0)), first(r));
        if let Some(bold) = bold {
            prop_assert!(wary.is_some_and(|wary| wary <= bold), "{:?} after {:?}", wary, bold);
        }
    }
}

#[test]
fn an_approved_step_is_not_a_drift() {
    let step = |i: u64| if i < 60 { 400.0 } else { 700.0 };
    let mut entries: Vec<Entry> = (0..61).map(|i| probe(10 * i, step(i))).collect();
    entries.push(Entry::Accepted {
        at: NOON + Duration::from_secs(601),
        paths: BTreeSet::from(["pool".into()]),
        by: "ann".into(),
    });
    entries.extend((61..200).map(|i| probe(10 * i, step(i))));
    let replayed = run(&policy(), Outcome::Done, entries);
    assert_eq!(replayed.moves, 0);
    let last = replayed.decisions.last().unwrap();
    assert_eq!(last.decision.explanation.reason, Reason::BaselineTaken);
}

#[test]
fn the_same_drift_on_many_resources_at_once_is_a_rollout() {
    let (policy, baseline) = (policy(), baseline());
    let names: [ResourceId; 5] = ["a", "b", "c", "d", "e"].map(Into::into);
    let settings = names.each_ref().map(|resource| Setting {
        resource,
        policy: &policy,
        baseline: &baseline,
        factory: &STRAIGHT,
        assumed: assumed(Outcome::Done),
    });
    let moves = |resources: usize| {
        let mut fleet = Fleet::new(&settings[..resources]);
        let mut held = 0;
        for entry in drift(160) {
            for resource in 0..resources {
                let step = fleet.take(resource, entry.clone()).unwrap();
                held += u32::from(matches!(
                    step.decision.explanation.reason,
                    Reason::HeldBack {
                        guard: Guard::SharedFate,
                        ..
                    }
                ));
            }
        }
        let moves: u64 = fleet.finish().iter().map(|replayed| replayed.moves).sum();
        (moves, held > 0)
    };
    assert_eq!(moves(3), (3, false), "three are fewer than three others");
    assert_eq!(moves(5), (0, true));
}
