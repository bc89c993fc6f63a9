//! Records: what is kept of everything that happened, for `events`, `explain` and the audit log.
//!
//! A record carries both a machine's view (the kind) and a person's (the sentence), and, where a
//! decision was made, everything it was made on.

use serde::{Deserialize, Serialize};

use crate::decide::Explanation;
use crate::ids::{EventId, ResourceId, RunId};
use crate::property::Severity;
use crate::time::Timestamp;

/// What sort of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A baseline was established or accepted.
    Baseline,
    /// A configuration value changed.
    Change,
    /// A sync made a generation, or failed to.
    Sync,
    /// A generation's verdict changed.
    Verdict,
    /// A rehearsal was done.
    Rehearsal,
    /// A decision to fail over, or to hold a failover back.
    Decision,
    /// A saga's step or end.
    Saga,
    /// A diagnosis.
    Diagnosis,
    /// Something that people should know of.
    Alert,
    /// A person's command.
    Operator,
    /// The daemon itself: start, reload, recovery.
    Daemon,
}

impl EventKind {
    /// One word for tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Change => "change",
            Self::Sync => "sync",
            Self::Verdict => "verdict",
            Self::Rehearsal => "rehearsal",
            Self::Decision => "decision",
            Self::Saga => "saga",
            Self::Diagnosis => "diagnosis",
            Self::Alert => "alert",
            Self::Operator => "operator",
            Self::Daemon => "daemon",
        }
    }
}

/// Something that happened, before it has a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// When.
    pub at: Timestamp,
    /// To which resource; `None` for the daemon itself.
    pub resource: Option<ResourceId>,
    /// What sort of thing.
    pub kind: EventKind,
    /// How much it matters.
    pub severity: Severity,
    /// In one sentence.
    pub sentence: String,
    /// Who did it: `evenkeel`, or a person's name.
    pub by: String,
    /// The saga it belongs to.
    pub run: Option<RunId>,
    /// What it was decided on, for decisions.
    pub explanation: Option<Explanation>,
    /// A longer text: a diagnosis, a diff.
    pub detail: Option<String>,
}

impl NewEvent {
    /// An event by Evenkeel itself, with nothing but a sentence.
    pub fn new(at: Timestamp, kind: EventKind, severity: Severity, sentence: String) -> Self {
        Self {
            at,
            resource: None,
            kind,
            severity,
            sentence,
            by: "evenkeel".to_owned(),
            run: None,
            explanation: None,
            detail: None,
        }
    }

    /// About `resource`.
    #[must_use]
    pub fn of(mut self, resource: &ResourceId) -> Self {
        self.resource = Some(resource.clone());
        self
    }

    /// By this person.
    #[must_use]
    pub fn by(mut self, who: &str) -> Self {
        who.clone_into(&mut self.by);
        self
    }

    /// In this saga.
    #[must_use]
    pub fn in_run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// With a longer text.
    #[must_use]
    pub fn with_detail(mut self, detail: String) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// Something that happened, numbered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its number.
    pub id: EventId,
    /// What it is.
    #[serde(flatten)]
    pub event: NewEvent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_of_what_it_was_told() {
        let at = Timestamp::from_millis(5);
        let plain = NewEvent::new(at, EventKind::Saga, Severity::Warn, "it ended".to_owned());
        assert_eq!(
            (plain.by.as_str(), plain.run, &plain.detail),
            ("evenkeel", None, &None)
        );
        let full = plain
            .clone()
            .of(&"web".into())
            .by("ann")
            .in_run(RunId(3))
            .with_detail("step by step".to_owned());
        let expected = NewEvent {
            resource: Some("web".into()),
            by: "ann".to_owned(),
            run: Some(RunId(3)),
            detail: Some("step by step".to_owned()),
            ..plain
        };
        assert_eq!(full, expected);
    }

    #[test]
    fn kinds_are_called_as_they_are_stored() {
        for kind in [
            EventKind::Baseline,
            EventKind::Change,
            EventKind::Sync,
            EventKind::Verdict,
            EventKind::Rehearsal,
            EventKind::Decision,
            EventKind::Saga,
            EventKind::Diagnosis,
            EventKind::Alert,
            EventKind::Operator,
            EventKind::Daemon,
        ] {
            let stored = serde_json::to_string(&kind).unwrap();
            assert_eq!(stored, format!("\"{}\"", kind.as_str()));
        }
    }
}
