//! Replays: whole histories through the watch and `decide`.

use std::collections::BTreeSet;
use std::time::Duration;

use evenkeel_core::ResourceId;
use evenkeel_core::baseline::Baseline;
use evenkeel_core::decide::Command;
use evenkeel_core::failover::{Capabilities, Outcome};
use evenkeel_core::guard::Guard;
use evenkeel_core::policy::{ActOn, Mode, Policy, PropertyRule, RiskTolerance, Tolerance};
use evenkeel_core::property::{Observed, Severity, Value};
use evenkeel_core::reason::Reason;
use evenkeel_core::replay::{Assumed, Entry, Fleet, Replay, Replayed, Setting, replay};
use evenkeel_core::watch::{Job, Workers};
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
        act_on: ActOn::Band,
        warm_up: Some(Duration::ZERO),
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

/// With `web` and straight lines.
pub(crate) fn setting<'a>(
    resource: &'a ResourceId,
    policy: &'a Policy,
    baseline: &'a Baseline,
    outcome: Outcome,
) -> Setting<'a> {
    Setting {
        resource,
        policy,
        baseline,
        factory: &STRAIGHT,
        assumed: assumed(outcome),
    }
}

fn run(policy: &Policy, outcome: Outcome, entries: Vec<Entry>) -> Replayed {
    let (resource, baseline) = ("web".into(), baseline());
    replay(&setting(&resource, policy, &baseline, outcome), entries)
}

fn baseline() -> Baseline {
    approving(pool(400.0))
}

fn assumed(outcome: Outcome) -> Assumed {
    Assumed {
        capabilities: Capabilities::STATELESS,
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
        Reason::Watched { .. } => "watched",
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
fn what_only_leaves_its_band_is_told_and_what_is_headed_for_its_limit_is_left() {
    let by_default = Policy {
        act_on: ActOn::default(),
        ..policy()
    };
    let replayed = run(&by_default, Outcome::Done, drift(200));
    assert_eq!(
        said(&replayed),
        [
            (770, "watched"),
            // It would come to its limit at 1600 s, and be beyond it at 1610 s: a horizon of 200 s later.
            (1410, "not sustained"),
            (1430, "fail over"),
            (1440, "held back"),
            (1445, "moved"),
            (1505, "reinstated"),
        ]
    );
    assert_eq!((replayed.moves, replayed.in_time), (1, 1));
}

#[test]
fn a_prediction_is_not_acted_on_before_two_horizons_were_watched() {
    let by_default = Policy {
        warm_up: None,
        ..policy()
    };
    let replayed = run(&by_default, Outcome::Done, drift(200));
    assert_eq!(
        said(&replayed)[..2],
        said(&run(&policy(), Outcome::Done, drift(200)))[..2]
    );
    // An hour of horizon is two hours of warm-up, more than there is of the record.
    let longer = Policy {
        horizon: HOUR,
        ..by_default
    };
    let said = said(&run(&longer, Outcome::Done, drift(159)));
    assert!(
        said.iter().any(|(_, word)| *word == "held back"),
        "{said:?}"
    );
    assert!(
        said.iter().all(|(_, word)| *word != "fail over"),
        "{said:?}"
    );
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

/// Begins with the last job, does every second one twice, and leaves the first undone.
#[derive(Debug)]
struct Unruly;

impl Workers for Unruly {
    fn each(&self, jobs: &mut [&mut Job<'_>]) {
        let wanted = jobs.iter_mut().skip(1).rev();
        wanted.for_each(|job| job.run());
        jobs.iter_mut().step_by(2).skip(1).for_each(|job| job.run());
    }
}

proptest! {
    #[test]
    fn no_decision_depends_on_who_does_the_work(
        moves in proptest::collection::vec(proptest::array::uniform3(-60.0_f64..80.0), 20..80),
    ) {
        let mut levels = [400.0; 3];
        let entries = moves.iter().zip(0..).map(|(steps, i)| {
            let Entry::Probed(mut probe) = probe(10 * i, 400.0) else { unreachable!("it is one") };
            for ((level, step), path) in levels.iter_mut().zip(steps).zip(["pool", "a", "z"]) {
                *level += step;
                probe.properties.insert(path.into(), Observed::configuration(Value::Number(*level)));
            }
            Entry::Probed(probe)
        });
        let entries: Vec<Entry> = entries.collect();
        let (resource, policy, baseline) = ("web".into(), policy(), baseline());
        let setting = setting(&resource, &policy, &baseline, Outcome::Done);
        let mut shared = Replay::new(&setting).by(&Unruly);
        entries.iter().for_each(|entry| { shared.take(entry.clone()); });
        prop_assert_eq!(shared.finish(), replay(&setting, entries));
    }

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

/// Half an hour in which the pool is at `level` from the first minute on.
fn step(level: f64) -> Vec<Entry> {
    let value = |i: u64| if i < 6 { 400.0 } else { level };
    (0..180).map(|i| probe(10 * i, value(i))).collect()
}

#[test]
fn who_moves_when_the_limit_is_reached_moves_too_late() {
    let replayed = run(&policy(), Outcome::Done, step(1000.0));
    assert_eq!((replayed.moves, replayed.in_time), (1, 0));
}

#[test]
fn a_limit_that_something_else_has_reached_is_no_lateness() {
    let warned = Policy {
        rules: [
            policy().rules,
            vec![PropertyRule::new("heap", Tolerance::Absolute(1.0)).unwrap()],
        ]
        .concat(),
        ..policy()
    };
    let with_heap = |entry| match entry {
        Entry::Probed(mut probe) => {
            let heap = Observed::capacity(7.0, None);
            probe.properties.insert("heap".into(), heap);
            Entry::Probed(probe)
        }
        other => other,
    };
    let entries = drift(100).into_iter().map(with_heap).collect();
    let replayed = run(&warned, Outcome::Done, entries);
    assert_eq!((replayed.moves, replayed.in_time), (1, 1));
}

#[test]
fn a_record_speaks_again_from_half_of_the_way_back() {
    // It is left at 1000, so half of the way back to 400 is 700.
    for (back_to, moves) in [(701.0, 1), (700.0, 2)] {
        let mut entries = step(1000.0);
        entries.push(probe(1800, back_to));
        entries.extend((181..360).map(|i| probe(10 * i, 1000.0)));
        let replayed = run(&policy(), Outcome::Done, entries);
        assert_eq!(replayed.moves, moves, "back to {back_to}");
    }
}

#[test]
fn a_text_speaks_again_when_it_is_as_approved() {
    let text = |at: u64, text: &str| {
        let found = [("mode", Observed::configuration(Value::Text(text.into())))];
        Entry::Probed(probed(NOON + Duration::from_secs(at), found))
    };
    let mut rule = PropertyRule::new("mode", Tolerance::Learned).unwrap();
    rule.severity = Some(Severity::Critical);
    let policy = Policy {
        rules: vec![rule],
        ..policy()
    };
    let resource = "web".into();
    let baseline = approving([("mode", Observed::configuration(Value::Text("on".into())))]);
    let setting = setting(&resource, &policy, &baseline, Outcome::Done);
    let moves = |between: &str| {
        let changes = [
            (0, "on"),
            (60, "off"),
            (1200, between),
            (1800, "off"),
            (1860, "off"),
        ];
        let entries = changes.map(|(at, what)| text(at, what));
        replay(&setting, entries).moves
    };
    assert_eq!((moves("off"), moves("other"), moves("on")), (1, 1, 2));
}

/// A replay of `entries`, with what each was answered.
fn answers(entries: Vec<Entry>) -> (Vec<Option<&'static str>>, Replayed) {
    let (policy, baseline, resource) = (policy(), baseline(), "web".into());
    let setting = setting(&resource, &policy, &baseline, Outcome::Done);
    let mut replay = Replay::new(&setting);
    let word = |reason: &Reason| match reason {
        Reason::Quiet => "quiet",
        Reason::Unknown { .. } => "unknown",
        Reason::Commanded { .. } => "commanded",
        Reason::BaselineTaken => "baseline taken",
        other => panic!("{other:?}"),
    };
    let mut said = Vec::new();
    for entry in entries {
        let step = replay.take(entry);
        said.push(step.map(|step| word(&step.decision.explanation.reason)));
    }
    (said, replay.finish())
}

#[test]
fn every_entry_is_answered_at_its_own_time_and_none_that_comes_too_late() {
    let at = |seconds| NOON + Duration::from_secs(seconds);
    let lost = |seconds| Entry::Lost {
        at: at(seconds),
        since: at(0),
        why: "gone".into(),
    };
    let failover = |seconds| Entry::Commanded {
        at: at(seconds),
        command: Command::Failover,
        by: "ann".into(),
    };
    let accepted = |seconds| Entry::Accepted {
        at: at(seconds),
        paths: BTreeSet::new(),
        by: "ann".into(),
    };
    let (said, replayed) = answers(vec![
        probe(0, 400.0),
        lost(59),
        lost(60),
        failover(60),
        lost(50),
        probe(59, 400.0),
        accepted(58),
        failover(57),
        accepted(200),
    ]);
    let (quiet, late) = (Some("quiet"), None);
    assert_eq!(
        said,
        [
            quiet,
            quiet,
            Some("unknown"),
            Some("commanded"),
            late,
            late,
            late,
            late,
            Some("baseline taken"),
        ]
    );
    let told: Vec<u64> = (replayed.decisions.iter())
        .map(|d| (d.at - NOON).as_secs())
        .collect();
    // Lost, moved by hand, done 15 s later, reinstated a minute after that, and approved anew.
    assert_eq!(told, [60, 60, 75, 135, 200]);
    assert_eq!(
        (replayed.moves, replayed.in_time, replayed.evaluations),
        (1, 0, 1)
    );
    assert_eq!(replayed.alerts.get(&Severity::Info), Some(&2));
}

#[test]
fn what_is_approved_is_what_was_named_or_all() {
    let (policy, resource) = (policy(), "web".into());
    let found = |pool: f64, heap: f64| {
        let number = |value: f64| Observed::configuration(Value::Number(value));
        [("pool", number(pool)), ("heap", number(heap))]
    };
    let baseline = approving(found(400.0, 1.0));
    let setting = setting(&resource, &policy, &baseline, Outcome::Done);
    let approved = |paths: &[&str]| {
        let mut replay = Replay::new(&setting);
        replay.take(Entry::Probed(probed(NOON, found(500.0, 2.0))));
        replay.take(Entry::Accepted {
            at: NOON + SECOND,
            paths: paths.iter().map(|path| (*path).into()).collect(),
            by: "ann".into(),
        });
        let number = |path: &str| {
            let observed = &replay.baseline().properties[&path.into()];
            observed.value.as_number().unwrap()
        };
        (number("pool"), number("heap"))
    };
    assert_eq!(approved(&["pool"]), (500.0, 1.0));
    assert_eq!(approved(&["heap"]), (400.0, 2.0));
    assert_eq!(approved(&[]), (500.0, 2.0));
}

#[test]
fn a_saga_ends_with_the_entry_of_its_last_instant() {
    let (policy, baseline, resource) = (policy(), baseline(), "web".into());
    let setting = setting(&resource, &policy, &baseline, Outcome::Done);
    let mut replay = Replay::new(&setting);
    replay.take(probe(0, 400.0));
    replay.take(Entry::Commanded {
        at: NOON + 10 * SECOND,
        command: Command::Switchover,
        by: "ann".into(),
    });
    let phases = [24, 25, 84, 85].map(|seconds| {
        replay.take(probe(seconds, 400.0));
        (
            replay.state().phase.as_str(),
            replay.state().serving.as_str(),
        )
    });
    let expected = [
        ("moving", "a"),
        ("reinstating", "b"),
        ("reinstating", "b"),
        ("guarded", "b"),
    ];
    assert_eq!(phases, expected);
}

#[test]
fn who_serves_changes_only_with_a_move_that_succeeds() {
    let (policy, baseline, resource) = (policy(), baseline(), "web".into());
    for (outcome, serves) in [
        (Outcome::Done, "b"),
        (Outcome::Undone, "a"),
        (Outcome::Stuck, "a"),
    ] {
        let setting = setting(&resource, &policy, &baseline, outcome);
        let mut replay = Replay::new(&setting);
        for entry in drift(90) {
            replay.take(entry);
        }
        assert_eq!(replay.state().serving.as_str(), serves, "{outcome:?}");
    }
}

#[test]
fn a_clone_is_good_while_what_it_was_made_of_is_approved() {
    let (policy, baseline, resource) = (policy(), baseline(), "web".into());
    let setting = setting(&resource, &policy, &baseline, Outcome::Done);
    let mut replay = Replay::new(&setting);
    // Approved, drifted, approved: three generations; then the first drift beyond its limit.
    for (seconds, value) in [
        (0, 400.0),
        (10, 410.0),
        (20, 410.0),
        (30, 400.0),
        (40, 400.0),
    ] {
        replay.take(probe(seconds, value));
    }
    let step = replay.take(probe(50, 1000.0)).unwrap();
    let choice = step.decision.plan().unwrap().choice.clone().unwrap();
    assert_eq!((choice.config_from.0, choice.data_from.0), (3, 4));
    assert_eq!(choice.config_at, NOON + 30 * SECOND);
}
