//! What is journalled while a plan runs.

use serde::{Deserialize, Serialize};

use super::plan::Step;
use crate::ids::GenerationId;

/// One line of a run's journal. `Begun` and `UndoBegun` are durable *before* the effect; a second
/// one for the same step without an end between them means that the process died in the middle, and
/// the effect may have happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// About to do the step.
    Begun(Step),
    /// Did it.
    Done(Step, Output),
    /// Could not do it; it may be tried again.
    Failed(Step, Failure),
    /// Could not do it, and the plan can do without.
    Skipped(Step, Failure),
    /// About to undo the step.
    UndoBegun(Step),
    /// Undid it, leaving no trace.
    Undone(Step),
    /// Could not undo it; it may be tried again.
    UndoFailed(Step, String),
}

/// What a step left for later steps and for the record. Steps share nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The generation that a sync step made, whose data the activation takes.
    pub generation: Option<GenerationId>,
    /// How long the effect took, in milliseconds.
    pub took_ms: u64,
    /// What was done, in one sentence, for people.
    pub note: String,
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// In one sentence, for people.
    pub what: String,
    /// Whether the world may have changed all the same.
    pub effect: Effect,
}

/// Whether something that failed may have had its effect all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Surely not.
    None,
    /// It may have.
    Unknown,
}
