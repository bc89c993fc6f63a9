//! A recorded run decides the same again, byte for byte, through the real forecaster; and so it does when the
//! process ends half-way, and goes on from what it had stored.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::Timestamp;
use evenkeel_core::decide::{Decision, Facts, Input, RehearsalFacts, decide};
use evenkeel_core::generation::{ContentHash, Generation, Verdict};
use evenkeel_core::policy::{Mode, Policy, PropertyRule, Tolerance};
use evenkeel_core::property::{Probe, Severity};
use evenkeel_core::replay::{Entry, Replay, Setting};
use evenkeel_core::state::{Phase, State};
use evenkeel_core::watch::Watch;
use evenkeel_core::watch::refit::Course;
use evenkeel_core::{GenerationId, Instance, RunId};
use evenkeel_forecast::MixtureFactory;
use evenkeel_scenario::random::Seeded;
use evenkeel_sim::world::START;

mod record;
use record::{ASSUMED, baseline, probe};

const MINUTE: Duration = Duration::from_secs(60);

const APPROVED: [(&str, f64); 3] = [("heap", 512.0), ("pool", 400.0), ("threads", 32.0)];

fn policy(mode: Mode) -> Policy {
    let rules = [
        ("heap", Tolerance::Relative(0.5), Severity::Warn),
        ("pool", Tolerance::Absolute(300.0), Severity::Critical),
        ("threads", Tolerance::Absolute(16.0), Severity::Critical),
    ];
    let rules = rules.map(|(path, tolerance, severity)| {
        let mut rule = PropertyRule::new(path, tolerance).unwrap();
        rule.severity = Some(severity);
        rule
    });
    Policy {
        mode,
        warm_up: Some(Duration::ZERO),
        sample_every: MINUTE,
        horizon: 60 * MINUTE,
        rules: rules.to_vec(),
        ..Policy::default()
    }
}

/// Noise on the heap, a pool that has a season and begins to leak, whole threads; with gaps.
fn recorded(seed: u64, minutes: u32) -> Vec<Probe> {
    let mut random = Seeded::new(seed);
    let leak_from = minutes / 2 + u32::try_from(random.below(100)).unwrap();
    let probes = (0..minutes).filter_map(|minute| {
        let (heap, pool) = (random.normal(), random.normal());
        let threads = 30 + random.below(5);
        let season = (f64::from(minute) / 60.0 * std::f64::consts::TAU).sin();
        let leak = f64::from(minute.saturating_sub(leak_from)) * 0.8;
        let found = [
            ("heap", 512.0 + 20.0 * heap),
            ("pool", 400.0 + 15.0 * season + 5.0 * pool + leak),
            ("threads", threads as f64),
        ];
        (!random.permille(30)).then(|| probe(START + MINUTE * minute, &found))
    });
    probes.collect()
}

/// All that a decision is, as text.
fn written(decision: &Decision) -> String {
    let state = serde_json::to_string(&decision.state).unwrap();
    let explanation = serde_json::to_string(&decision.explanation).unwrap();
    format!(
        "{state} {explanation} {:?} {}",
        decision.actions, decision.notable
    )
}

fn replayed(probes: Vec<Probe>) -> Vec<String> {
    let (policy, baseline, resource) = (policy(Mode::Act), baseline(&APPROVED), "web".into());
    let setting = Setting {
        resource: &resource,
        policy: &policy,
        baseline: &baseline,
        factory: &MixtureFactory::default(),
        assumed: ASSUMED,
    };
    let mut replay = Replay::new(&setting);
    let told = |probe| written(replay.take(Entry::Probed(probe)).unwrap().decision);
    probes.into_iter().map(told).collect()
}

#[test]
fn a_record_that_was_stored_is_decided_the_same_again() {
    for seed in 0..4 {
        let probes = recorded(seed, 900);
        let stored = serde_json::to_string(&probes).unwrap();
        let first = replayed(probes);
        assert!(
            first.iter().any(|told| told.contains("\"fail_over\"")),
            "{seed}"
        );
        assert_eq!(first, replayed(serde_json::from_str(&stored).unwrap()));
    }
}

/// What one process knows in memory, apart from the course of deviations, which is in the history.
struct Process {
    watch: Watch,
    state: State,
}

impl Process {
    /// Its successor, which reads what it stored.
    fn restarted(self, policy: &Policy, now: Timestamp) -> Self {
        let learned = serde_json::to_string(&self.watch.snapshot()).unwrap();
        let state = serde_json::to_string(&self.state).unwrap();
        let learned = serde_json::from_str(&learned).unwrap();
        let (watch, restored) = Watch::restore(policy, learned, now, &MixtureFactory::default());
        assert_eq!((restored.going_on, restored.anew), (APPROVED.len(), 0));
        Self {
            watch,
            state: serde_json::from_str(&state).unwrap(),
        }
    }
}

fn facts(at: Timestamp) -> Facts {
    Facts {
        resource: "web".into(),
        capabilities: ASSUMED.capabilities,
        next_run: RunId(1),
        has_redirector: true,
        may_lease: true,
        generations: vec![Generation {
            id: GenerationId(1),
            at: START,
            from: Instance::A,
            verdict: Verdict::Good,
            config: ContentHash("c1".to_owned()),
            data: None,
            baseline: None,
            torn: false,
            files: 0,
            bytes: 0,
            bytes_moved: 0,
        }],
        synced_at: Some(at),
        rehearsal: Some(RehearsalFacts {
            at,
            activation: ASSUMED.activation,
            result: Ok(()),
        }),
        shared_by_clone: Vec::new(),
        drifting_elsewhere: BTreeMap::new(),
    }
}

/// Watches and decides, as the daemon does; the process ends after each of these probes.
fn lived(policy: &Policy, probes: &[Probe], ends_after: &[usize]) -> Vec<String> {
    let baseline = baseline(&APPROVED);
    let factory = MixtureFactory::default();
    let mut history = Course::default();
    let mut process = Process {
        watch: Watch::new(policy),
        state: State {
            phase: Phase::Guarded,
            ..State::new(START)
        },
    };
    let mut told = Vec::new();
    for (number, probe) in probes.iter().enumerate() {
        let outlooks = process.watch.assess(policy, &baseline, probe, &factory);
        history.push(probe.at, &outlooks);
        process.watch.refit_now(&history);
        let facts = facts(probe.at);
        let input = Input::Assessed {
            outlooks: &outlooks,
            facts: &facts,
        };
        let decision = decide(policy, &process.state, &input, probe.at);
        told.push(written(&decision));
        process.state = decision.state;
        if ends_after.contains(&number) {
            process = process.restarted(policy, probe.at);
        }
    }
    told
}

#[test]
fn who_goes_on_from_what_was_stored_decides_as_if_nothing_had_happened() {
    // Nothing is moved, so that the watch goes on to the end.
    let policy = policy(Mode::Advise);
    for seed in 0..4 {
        let probes = recorded(seed, 900);
        let unbroken = lived(&policy, &probes, &[]);
        assert!(
            unbroken.iter().any(|told| told.contains("\"held_back\"")),
            "{seed}"
        );
        for ends_after in [
            vec![0],
            vec![1, 100],
            vec![350],
            vec![10, 63, 64, 200, 399, 400, 650],
        ] {
            let broken = lived(&policy, &probes, &ends_after);
            let other = unbroken.iter().zip(&broken).position(|(a, b)| a != b);
            if let Some(at) = other {
                panic!(
                    "seed {seed}, {ends_after:?}: another at {at}\n{}\n{}",
                    unbroken[at], broken[at]
                );
            }
        }
    }
}
