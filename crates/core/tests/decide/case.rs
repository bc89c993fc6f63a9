//! A case that fails over, and short ways to change it and to look at what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::band::Band;
use evenkeel_core::baseline::Baseline;
use evenkeel_core::decide::{Action, Command, Decision, Facts, Input, RehearsalFacts, decide};
use evenkeel_core::failover::{Capabilities, Outcome, Plan};
use evenkeel_core::generation::{ContentHash, Generation, Verdict};
use evenkeel_core::guard::Guard;
use evenkeel_core::harm::Harm;
use evenkeel_core::outlook::{Breach, PropertyOutlook};
use evenkeel_core::policy::{Mode, Policy};
use evenkeel_core::property::{Observed, Origin, Probe, Severity, Value};
use evenkeel_core::reason::Reason;
use evenkeel_core::state::{Phase, State, Sustain};
use evenkeel_core::surprise::Surprise;
use evenkeel_core::{BaselineVersion, GenerationId, Instance, RunId, Timestamp};

/// 2026-11-23, a Monday, at noon.
pub(crate) const NOON: Timestamp = Timestamp::from_millis(1_795_435_200_000);

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Everything one decision is made on.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) policy: Policy,
    pub(crate) state: State,
    pub(crate) outlooks: Vec<PropertyOutlook>,
    pub(crate) facts: Facts,
    pub(crate) now: Timestamp,
}

impl Case {
    /// A guarded resource that may act, with a sustained, confident prediction: it fails over.
    pub(crate) fn failing_over() -> Self {
        let seen = (0..5).fold(Sustain::default(), |sustain, _| sustain.push(true));
        Self {
            policy: Policy {
                mode: Mode::Act,
                ..Policy::default()
            },
            state: State {
                phase: Phase::Guarded,
                sustain: seen,
                watched: seen,
                ..State::new(NOON.before(HOUR))
            },
            outlooks: vec![outlook("pool", predicted(10 * MINUTE, 0.97))],
            facts: facts(),
            now: NOON,
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn assess(&self) -> Decision {
        self.give(&Input::Assessed {
            outlooks: &self.outlooks,
            facts: &self.facts,
        })
    }

    pub(crate) fn command(&self, command: &Command) -> Decision {
        self.give(&Input::Commanded {
            command,
            by: "ann",
            facts: &self.facts,
        })
    }

    pub(crate) fn end_run(&self, plan: &Plan, outcome: Outcome) -> Decision {
        let moved = plan.kind == evenkeel_core::failover::PlanKind::Reinstatement
            || outcome == Outcome::Done;
        self.give(&Input::RunEnded {
            plan,
            outcome,
            serving: if moved { plan.to } else { plan.from },
            why: Some("it broke"),
            facts: &self.facts,
        })
    }

    pub(crate) fn give(&self, input: &Input<'_>) -> Decision {
        decide(&self.policy, &self.state, input, self.now)
    }

    /// The case after a decision, `later`.
    pub(crate) fn after(&self, decision: &Decision, later: Duration) -> Self {
        let last = plan(decision).map_or(self.facts.next_run, |plan| plan.run.next());
        self.clone().with(|case| {
            case.state = decision.state.clone();
            case.facts.next_run = last;
            case.now = case.now + later;
        })
    }
}

pub(crate) fn facts() -> Facts {
    Facts {
        resource: "web".into(),
        capabilities: Capabilities {
            single_writer: false,
            has_traffic: true,
            has_data: true,
            can_rehearse: true,
        },
        next_run: RunId(5),
        has_redirector: true,
        may_lease: true,
        generations: vec![generation(1, 4 * MINUTE, Verdict::Good)],
        synced_at: Some(NOON),
        rehearsal: Some(RehearsalFacts {
            at: NOON.before(HOUR),
            activation: 10 * SECOND,
            result: Ok(()),
        }),
        shared_by_clone: Vec::new(),
        drifting_elsewhere: BTreeMap::new(),
    }
}

pub(crate) fn generation(id: u64, age: Duration, verdict: Verdict) -> Generation {
    Generation {
        id: GenerationId(id),
        at: NOON.before(age),
        from: Instance::A,
        verdict,
        config: ContentHash(format!("c{id}")),
        data: Some(ContentHash(format!("d{id}"))),
        baseline: None,
        torn: false,
        files: 1,
        bytes: 1,
        bytes_moved: 1,
    }
}

/// A probe that found these.
pub(crate) fn probed<'p>(
    at: Timestamp,
    found: impl IntoIterator<Item = (&'p str, Observed)>,
) -> Probe {
    let found = found.into_iter();
    Probe {
        at,
        instance: Instance::A,
        properties: found
            .map(|(path, observed)| (path.into(), observed))
            .collect(),
        unreadable: BTreeMap::new(),
    }
}

/// A baseline that approves these.
pub(crate) fn approving<'p>(found: impl IntoIterator<Item = (&'p str, Observed)>) -> Baseline {
    Baseline {
        version: BaselineVersion(1),
        at: NOON,
        by: "test".into(),
        note: String::new(),
        properties: probed(NOON, found).properties,
        learned: BTreeMap::new(),
        pinned: None,
    }
}

pub(crate) fn predicted(lead_time: Duration, confidence: f64) -> Breach {
    Breach::Predicted {
        lead_time,
        confidence,
        harm_after: None,
    }
}

/// A critical property of which the drift set in three minutes ago.
pub(crate) fn outlook(path: &str, breach: Breach) -> PropertyOutlook {
    PropertyOutlook {
        path: path.into(),
        severity: Severity::Critical,
        origin: Origin::Configuration,
        unit: None,
        approved: Some(Value::Number(400.0)),
        limit: None,
        found: Some(Value::Number(520.0)),
        place: None,
        deviation: 0.2,
        band: Band {
            lower: 0.3,
            upper: 0.3,
        },
        breach,
        onset: Some(NOON.before(3 * MINUTE)),
        forecast: None,
        harm: Some(Harm {
            probability: 0.99,
            turned_back: 0,
        }),
        since: Some(NOON.before(24 * HOUR)),
        company: None,
        surprise: None,
        season: None,
    }
}

/// 400 was forecast, for certain.
pub(crate) const SURPRISE: Surprise = Surprise {
    expected_lower: 0.0,
    expected_upper: 0.0,
    least: Some(400.0),
    greatest: Some(400.0),
};

/// The plan that a decision starts.
pub(crate) fn plan(decision: &Decision) -> Option<&Plan> {
    decision.plan()
}

/// The guard that held a failover back.
pub(crate) fn holding(decision: &Decision) -> Option<Guard> {
    match &decision.explanation.reason {
        Reason::HeldBack { guard, .. } => Some(*guard),
        _ => None,
    }
}

pub(crate) fn alerts(decision: &Decision) -> Vec<Severity> {
    let alert = |action: &Action| match action {
        Action::Alert { severity, .. } => Some(*severity),
        Action::Start(_)
        | Action::Quarantine { .. }
        | Action::RestartWatch
        | Action::Recentre(_)
        | Action::Judge { .. } => None,
    };
    decision.actions.iter().filter_map(alert).collect()
}

pub(crate) fn refused(decision: &Decision) -> &str {
    match &decision.explanation.reason {
        Reason::Refused { what } => what,
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_fails_over(case: &Case) {
    let decision = case.assess();
    let reason = &decision.explanation.reason;
    assert!(
        matches!(reason, Reason::FailOver { .. }),
        "{}",
        reason.sentence()
    );
    assert!(plan(&decision).is_some());
}

/// One of each phase.
pub(crate) fn phases() -> [Phase; 7] {
    let run = RunId(4);
    [
        Phase::Settling { since: NOON },
        Phase::Seeding,
        Phase::Guarded,
        Phase::Moving { run },
        Phase::Reinstating { run },
        Phase::Unprotected {
            why: "it broke".into(),
        },
        Phase::Held {
            run,
            why: "it broke".into(),
        },
    ]
}

/// One of each command.
pub(crate) fn commands() -> [Command; 9] {
    [
        Command::Failover,
        Command::Switchover,
        Command::Failback,
        Command::Reinstate,
        Command::Pause {
            why: "upgrade".into(),
            until: None,
        },
        Command::Resume,
        Command::Approve { until: NOON + HOUR },
        Command::OpenWindow {
            from: NOON,
            until: NOON + HOUR,
            why: "upgrade".into(),
        },
        Command::Release,
    ]
}
