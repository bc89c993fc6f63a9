//! What happened, why, and the audit log.

use serde::{Deserialize, Serialize};

use super::{HorizonForecast, Id, Property, Rfc3339, RunView, Severity};

words! {
    /// What sort of thing happened.
    EventKind {
        /// A baseline was established or accepted.
        Baseline = "baseline",
        /// A configuration value changed.
        Change = "change",
        /// A sync made a generation, or failed to.
        Sync = "sync",
        /// A generation's verdict changed.
        Verdict = "verdict",
        /// A rehearsal was done.
        Rehearsal = "rehearsal",
        /// A decision to fail over, or to hold a failover back.
        Decision = "decision",
        /// A saga's step or end.
        Saga = "saga",
        /// A diagnosis.
        Diagnosis = "diagnosis",
        /// Something that people should know of.
        Alert = "alert",
        /// A person's command.
        Operator = "operator",
        /// The daemon itself: start, reload, recovery.
        Daemon = "daemon",
    }
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Of this resource.
    pub resource: Option<String>,
    /// Of this kind.
    pub kind: Option<EventKind>,
    /// Later than this event; then the answer is oldest first.
    pub after: Option<Id>,
    /// At most so many; 50 where not said.
    pub limit: Option<u32>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub id: Id,
    /// When.
    pub at: Rfc3339,
    /// To which resource; `None` for the daemon itself.
    pub resource: Option<String>,
    /// What sort of thing.
    pub kind: EventKind,
    /// How much it matters.
    pub severity: Severity,
    /// In one sentence.
    pub sentence: String,
    /// Who did it: `evenkeel`, or a person's name.
    pub by: String,
    /// The saga it belongs to.
    pub run: Option<Id>,
    /// Whether there is more to it: `explain` shows what it was decided on.
    pub explained: bool,
}

/// Events: newest first, or oldest first when asked for `after`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventList {
    /// The events.
    pub events: Vec<Event>,
}

/// What one guard said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardCheck {
    /// Which: `cool-down`.
    pub guard: String,
    /// Whether it holds the failover back.
    pub holds: bool,
    /// Why, or why not, in one sentence.
    pub sentence: String,
}

/// One property as it stood when a decision was made, with its forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// As it stood.
    #[serde(flatten)]
    pub property: Property,
    /// The probability levels of every `quantiles`.
    pub levels: Vec<f64>,
    /// Where it went; empty where there was no forecast.
    pub horizons: Vec<HorizonForecast>,
}

/// What a decision was made on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// How it came out, as a word for programs.
    pub reason: String,
    /// The same as a sentence.
    pub sentence: String,
    /// The properties that mattered, most urgent first.
    pub outlooks: Vec<Outlook>,
    /// What every guard said.
    pub guards: Vec<GuardCheck>,
}

/// One piece of evidence of a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is: `configuration diff`, `process`, `log`.
    pub title: String,
    /// The text.
    pub text: String,
}

/// An event with everything that belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventDetail {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// What it was decided on, for decisions.
    pub explanation: Option<Explanation>,
    /// A longer text that goes with it.
    pub detail: Option<String>,
    /// The sagas that came of it, in order: a failover, and the reinstatement after it.
    pub runs: Vec<RunView>,
    /// What was found on the old primary.
    pub diagnosis: Vec<Evidence>,
}

/// Which lines of the audit log are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Later than this number.
    pub after: Option<u64>,
    /// At most so many; 100 where not said.
    pub limit: Option<u32>,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Counted from 1, without gaps.
    pub number: u64,
    /// When.
    pub at: Rfc3339,
    /// Who: a person, `uid 1000`, `evenkeel`.
    pub actor: String,
    /// What was done, or refused: `failover.start`.
    pub action: String,
    /// To which resource.
    pub resource: Option<String>,
    /// Whether it was done.
    pub done: bool,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// Before, as text.
    pub before: Option<String>,
    /// After, as text.
    pub after: Option<String>,
    /// Over the line and the hash of the line before.
    pub hash: String,
}

/// Lines of the audit log, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditList {
    /// The lines.
    pub records: Vec<AuditRecord>,
}

/// What verifying the whole audit log showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Whether every line follows from the one before.
    pub intact: bool,
    /// How many lines do, from the first on.
    pub records: u64,
    /// The last hash of an intact log: noted elsewhere, it shows that nobody rebuilt the chain.
    pub head: Option<String>,
    /// The first line that does not follow.
    pub broken_at: Option<u64>,
    /// What is wrong with it.
    pub what: Option<String>,
}
