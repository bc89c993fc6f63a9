//! Sagas: a plan, and what came of each step.

use serde::{Deserialize, Serialize};

use super::{Id, Instance, Rfc3339};

words! {
    /// What a plan is for.
    PlanKind {
        /// A predicted or observed breach.
        Failover = "failover",
        /// Asked for by a person.
        Switchover = "switchover",
        /// Back to where the resource was first found.
        Failback = "failback",
        /// Diagnose, revert and re-protect the instance that no longer serves.
        Reinstatement = "reinstatement",
    }
}

words! {
    /// How far one step is.
    StepStatus {
        /// Not begun.
        Pending = "pending",
        /// Under way.
        Running = "running",
        /// Done.
        Done = "done",
        /// Could not be done, and the plan can do without.
        Skipped = "skipped",
        /// Could not be done; see the note.
        Failed = "failed",
        /// Is being undone.
        Undoing = "undoing",
        /// Was undone, leaving no trace.
        Undone = "undone",
        /// Could not be undone; see the note.
        UndoFailed = "undo_failed",
    }
}

words! {
    /// How a run ended.
    RunOutcome {
        /// Every step was done, or could be skipped.
        Done = "done",
        /// It failed before clients moved, and everything is as it was.
        Undone = "undone",
        /// It can go neither forward nor back: a person must look.
        Stuck = "stuck",
    }
}

/// What is activated: the configuration of one generation with the data of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The generation of the configuration.
    pub config_from: Id,
    /// When that was read.
    pub config_at: Rfc3339,
    /// The generation of the data.
    pub data_from: Id,
    /// When that was read.
    pub data_at: Rfc3339,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStep {
    /// Its name: `health check`.
    pub name: String,
    /// What it does, in one sentence.
    pub what: String,
    /// How far it is.
    pub status: StepStatus,
    /// How often it was begun, undoing apart.
    pub attempts: u32,
    /// When it was first begun.
    pub began_at: Option<Rfc3339>,
    /// When it ended, well or not.
    pub ended_at: Option<Rfc3339>,
    /// How long its effect took.
    pub took_ms: Option<u64>,
    /// What was done, or why it was not.
    pub note: Option<String>,
}

/// One saga.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// Its number.
    pub id: Id,
    /// Of which resource.
    pub resource: String,
    /// What for.
    pub kind: PlanKind,
    /// When it was planned.
    pub at: Rfc3339,
    /// Why.
    pub why: String,
    /// The instance that served (reinstatement: that no longer serves).
    pub from: Instance,
    /// The instance that will serve (reinstatement: that serves).
    pub to: Instance,
    /// What is activated, or put back.
    pub choice: Option<Choice>,
    /// In order.
    pub steps: Vec<RunStep>,
    /// The name of the step from which on there is no way back, only forward.
    pub forward_from: Option<String>,
    /// How it ended; `None` while it runs.
    pub outcome: Option<RunOutcome>,
    /// When it ended.
    pub ended_at: Option<Rfc3339>,
}
