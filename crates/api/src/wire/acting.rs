//! Requests that act, and their answer.
//!
//! `dry_run` has no default: whoever acts says so. Unknown fields are refused for the same reason.

use serde::{Deserialize, Serialize};

use super::{GuardCheck, Id, Rfc3339};

/// For actions that need no more than the resource: sync, failover, switchover, failback, reinstate,
/// resume, release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActRequest {
    /// Only say what would be done.
    pub dry_run: bool,
    /// What for; goes into the record.
    pub reason: Option<String>,
}

/// Accepts differences from the baseline: what is found becomes what is approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptRequest {
    /// Globs of property paths, `**` for any depth; at least one.
    pub paths: Vec<String>,
    /// What for; goes into the baseline's history.
    pub note: String,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// Activates the clone in isolation, checks its health, and puts it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RehearseRequest {
    /// Which generation; the one that a failover would choose where not said.
    pub generation: Option<Id>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// What for; goes into the record.
    pub reason: Option<String>,
}

/// Allows one failover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The approval is void after this time.
    pub for_s: f64,
    /// Only say what would be done.
    pub dry_run: bool,
    /// What for; goes into the record.
    pub reason: Option<String>,
}

/// Asks that nothing be done for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// For how long; until resumed where not said.
    pub for_s: Option<f64>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// What for; goes into the record.
    pub reason: Option<String>,
}

/// Opens a one-off window in which changes are expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowRequest {
    /// First instant; now where not said.
    pub from: Option<Rfc3339>,
    /// How long.
    pub for_s: f64,
    /// What for.
    pub why: String,
    /// Only say what would be done.
    pub dry_run: bool,
}

words! {
    /// What a person says of an alarm, or of a failover, afterwards.
    Judgement {
        /// It was harmless.
        FalseAlarm = "false-alarm",
        /// It was, or would have become, harmful.
        Right = "right",
    }
}

/// Judges an alarm or a failover; the band of the property that it was about follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeRequest {
    /// The event: `e7`.
    pub event: Id,
    /// What is said of it.
    pub judgement: Judgement,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Why; goes into the record.
    pub reason: Option<String>,
}

/// One step that would be, or is being, done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Its name: `health check`.
    pub name: String,
    /// What it does, in one sentence.
    pub what: String,
}

/// What would be, or is being, done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// In one sentence.
    pub sentence: String,
    /// In order; empty for what has no steps, such as a pause.
    pub steps: Vec<PlannedStep>,
    /// What every guard says; one that holds keeps it from being done.
    pub guards: Vec<GuardCheck>,
}

/// The answer to every request that acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acted {
    /// Whether it was done, or begun; false for a dry run, and for what a guard held back.
    pub done: bool,
    /// What was, or would be, done.
    pub plan: PlanView,
    /// The saga that was begun, to be followed at `/v1/runs/{id}`.
    pub run: Option<Id>,
    /// The event in the record.
    pub event: Option<Id>,
    /// What came of it, in one sentence.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_does_not_say_whether_it_is_a_dry_run_is_refused() {
        for body in [
            r"{}",
            r#"{"dry_run":true,"dryrun":true}"#,
            r#"{"reason":"x"}"#,
        ] {
            assert!(serde_json::from_str::<ActRequest>(body).is_err(), "{body}");
        }
        let request: ActRequest = serde_json::from_str(r#"{"dry_run":true}"#).unwrap();
        assert_eq!(
            request,
            ActRequest {
                dry_run: true,
                reason: None
            }
        );
    }
}
