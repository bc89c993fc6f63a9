//! Closed sets of words, both ways where requests have them.

use evenkeel_api::wire;
use evenkeel_core::Instance;
use evenkeel_core::failover::{Outcome, PlanKind};
use evenkeel_core::generation::Verdict;
use evenkeel_core::guard::GuardCheck;
use evenkeel_core::policy::Mode;
use evenkeel_core::property::{Origin, Severity};
use evenkeel_core::reason::Reason;
use evenkeel_core::record::EventKind;
use evenkeel_core::state::Phase;
use evenkeel_ports::{Aggregation, FileChangeKind, Stream};

pub(in crate::http) fn severity(severity: Severity) -> wire::Severity {
    match severity {
        Severity::Info => wire::Severity::Info,
        Severity::Warn => wire::Severity::Warn,
        Severity::Critical => wire::Severity::Critical,
    }
}

pub(in crate::http) fn origin(origin: Origin) -> wire::Origin {
    match origin {
        Origin::Configuration => wire::Origin::Configuration,
        Origin::Capacity => wire::Origin::Capacity,
    }
}

pub(in crate::http) fn instance(instance: Instance) -> wire::Instance {
    match instance {
        Instance::A => wire::Instance::A,
        Instance::B => wire::Instance::B,
    }
}

pub(in crate::http) fn mode(mode: Mode) -> wire::Mode {
    match mode {
        Mode::Observe => wire::Mode::Observe,
        Mode::Advise => wire::Mode::Advise,
        Mode::Act => wire::Mode::Act,
    }
}

pub(in crate::http) fn phase(phase: &Phase) -> wire::PhaseKind {
    match phase {
        Phase::Settling { .. } => wire::PhaseKind::Settling,
        Phase::Seeding => wire::PhaseKind::Seeding,
        Phase::Guarded => wire::PhaseKind::Guarded,
        Phase::Moving { .. } => wire::PhaseKind::Moving,
        Phase::Reinstating { .. } => wire::PhaseKind::Reinstating,
        Phase::Unprotected { .. } => wire::PhaseKind::Unprotected,
        Phase::Held { .. } => wire::PhaseKind::Held,
    }
}

pub(in crate::http) fn plan_kind(kind: PlanKind) -> wire::PlanKind {
    match kind {
        PlanKind::Failover => wire::PlanKind::Failover,
        PlanKind::Switchover => wire::PlanKind::Switchover,
        PlanKind::Failback => wire::PlanKind::Failback,
        PlanKind::Reinstatement => wire::PlanKind::Reinstatement,
    }
}

pub(in crate::http) fn outcome(outcome: Outcome) -> wire::RunOutcome {
    match outcome {
        Outcome::Done => wire::RunOutcome::Done,
        Outcome::Undone => wire::RunOutcome::Undone,
        Outcome::Stuck => wire::RunOutcome::Stuck,
    }
}

pub(in crate::http) fn verdict(verdict: &Verdict) -> wire::Verdict {
    match verdict {
        Verdict::Good => wire::Verdict::Good,
        Verdict::Suspect => wire::Verdict::Suspect,
        Verdict::Quarantined { .. } => wire::Verdict::Quarantined,
    }
}

pub(in crate::http) fn file_change_kind(kind: FileChangeKind) -> wire::FileChangeKind {
    match kind {
        FileChangeKind::Added => wire::FileChangeKind::Added,
        FileChangeKind::Changed => wire::FileChangeKind::Changed,
        FileChangeKind::Metadata => wire::FileChangeKind::Metadata,
        FileChangeKind::Removed => wire::FileChangeKind::Removed,
    }
}

pub(in crate::http) fn stream(stream: wire::Stream) -> Stream {
    match stream {
        wire::Stream::Value => Stream::Value,
        wire::Stream::Deviation => Stream::Deviation,
        wire::Stream::BandLower => Stream::BandLower,
        wire::Stream::BandUpper => Stream::BandUpper,
    }
}

pub(in crate::http) fn aggregation(aggregation: wire::Aggregation) -> Aggregation {
    match aggregation {
        wire::Aggregation::Min => Aggregation::Min,
        wire::Aggregation::Max => Aggregation::Max,
        wire::Aggregation::Mean => Aggregation::Mean,
        wire::Aggregation::Last => Aggregation::Last,
        wire::Aggregation::Count => Aggregation::Count,
    }
}

pub(in crate::http) fn event_kind(kind: EventKind) -> wire::EventKind {
    match kind {
        EventKind::Baseline => wire::EventKind::Baseline,
        EventKind::Change => wire::EventKind::Change,
        EventKind::Sync => wire::EventKind::Sync,
        EventKind::Verdict => wire::EventKind::Verdict,
        EventKind::Rehearsal => wire::EventKind::Rehearsal,
        EventKind::Decision => wire::EventKind::Decision,
        EventKind::Saga => wire::EventKind::Saga,
        EventKind::Diagnosis => wire::EventKind::Diagnosis,
        EventKind::Alert => wire::EventKind::Alert,
        EventKind::Operator => wire::EventKind::Operator,
        EventKind::Daemon => wire::EventKind::Daemon,
    }
}

pub(in crate::http) fn asked_event_kind(kind: wire::EventKind) -> EventKind {
    match kind {
        wire::EventKind::Baseline => EventKind::Baseline,
        wire::EventKind::Change => EventKind::Change,
        wire::EventKind::Sync => EventKind::Sync,
        wire::EventKind::Verdict => EventKind::Verdict,
        wire::EventKind::Rehearsal => EventKind::Rehearsal,
        wire::EventKind::Decision => EventKind::Decision,
        wire::EventKind::Saga => EventKind::Saga,
        wire::EventKind::Diagnosis => EventKind::Diagnosis,
        wire::EventKind::Alert => EventKind::Alert,
        wire::EventKind::Operator => EventKind::Operator,
        wire::EventKind::Daemon => EventKind::Daemon,
    }
}

/// How a decision came out, as a word for programs.
pub(in crate::http) fn reason(reason: &Reason) -> &'static str {
    match reason {
        Reason::Quiet => "quiet",
        Reason::Watched { .. } => "watched",
        Reason::Surprised { .. } => "surprised",
        Reason::NotSustained { .. } => "not_sustained",
        Reason::HeldBack { .. } => "held_back",
        Reason::FailOver { .. } => "fail_over",
        Reason::Unknown { .. } => "unknown",
        Reason::BaselineTaken => "baseline_taken",
        Reason::Seeded => "seeded",
        Reason::Moved { .. } => "moved",
        Reason::MoveUndone { .. } => "move_undone",
        Reason::Stuck { .. } => "stuck",
        Reason::Reinstated { .. } => "reinstated",
        Reason::ReinstatementFailed { .. } => "reinstatement_failed",
        Reason::Commanded { .. } => "commanded",
        Reason::Refused { .. } => "refused",
    }
}

pub(in crate::http) fn guards(checks: &[GuardCheck]) -> Vec<wire::GuardCheck> {
    checks
        .iter()
        .map(|check| wire::GuardCheck {
            guard: check.guard.as_str().to_owned(),
            holds: check.holds,
            sentence: check.sentence.clone(),
        })
        .collect()
}
