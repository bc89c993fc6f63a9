//! A driver knows one kind of resource. One driver object serves one resource with its two instances.
//!
//! What every implementation keeps, and the contract tests check:
//! - **Idempotent.** Every acting call may be repeated with the same [`StepKey`], also after it had
//!   its effect: the second call finds it done.
//! - **Fenced.** An acting call with a token lower than the highest one seen for the resource is
//!   refused with [`DriverError::Stale`], without effect. The highest is remembered on disk.
//! - **Nothing lost.** What a call replaces or removes on the user's side is kept aside and named.
//! - **Unknown is not gone.** What cannot be read is listed as unreadable, never left out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::failover::{Capabilities, Effect, Step};
use evenkeel_core::generation::{Choice, ContentHash};
use evenkeel_core::property::{Observed, Probe};
use evenkeel_core::{FencingToken, GenerationId, Instance, PropertyPath, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::redirector::Endpoint;

/// Carried by every acting call: makes repeats harmless and late actors refusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepKey {
    /// The saga.
    pub run: RunId,
    /// Its step.
    pub step: Step,
    /// The saga's fencing token.
    pub token: FencingToken,
}

/// How an instance answers when asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is.
    Well,
    /// It runs, or should, and is not well; why, in one sentence.
    Unwell(String),
    /// It does not run.
    Down,
}

/// What one sync made.
#[derive(Clone, Debug, PartialEq)]
pub struct Synced {
    /// The generation, the newest one if nothing had changed.
    pub id: GenerationId,
    /// Nothing had changed since the newest generation, so none was made.
    pub unchanged: bool,
    /// When the content was read.
    pub at: Timestamp,
    /// The instance it was read from.
    pub from: Instance,
    /// Content of the configuration.
    pub config: ContentHash,
    /// Content of the data, where there is any.
    pub data: Option<ContentHash>,
    /// The configuration properties as they stood in the captured content; `None` if the
    /// configuration changed while it was read, so that nothing can be said of it.
    pub configuration: Option<BTreeMap<PropertyPath, Observed>>,
    /// Files that changed while being read: the data may be torn.
    pub torn: Vec<String>,
    /// What could not be read, with the reason: it is not in the generation.
    pub skipped: Vec<(String, String)>,
    /// Files added, changed, removed since the newest generation.
    pub files_changed: u64,
    /// All files.
    pub files: u64,
    /// All bytes.
    pub bytes: u64,
    /// Bytes that had to be moved.
    pub bytes_moved: u64,
    /// How long it took.
    pub took: Duration,
}

/// How far a sync is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncProgress {
    /// Files done.
    pub files: u64,
    /// Bytes done.
    pub bytes: u64,
    /// All files, as far as known.
    pub files_total: Option<u64>,
}

/// What is known of what changed on the primary, for a sync or a probe to start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeHint {
    /// Compare everything: the periodic net, an overflow, or an event without paths.
    Everything,
    /// At least these paths changed, and most likely no others.
    Paths(Vec<PathBuf>),
}

/// Changes on an instance, as they happen.
#[async_trait]
pub trait ChangeFeed: Send {
    /// Waits for the next change; bursts come as one. `None` when the feed has ended and must be
    /// opened anew (and everything be compared).
    async fn next(&mut self) -> Option<ChangeHint>;
}

/// What an activation brought up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activated {
    /// From the call to the first good health check.
    pub took: Duration,
    /// In one sentence: process id, address, generation.
    pub note: String,
}

/// What a rehearsal showed: the clone activated in isolation, asked for its health, taken down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// When.
    pub at: Timestamp,
    /// What was activated.
    pub choice: Choice,
    /// From start to the first good health check; this is what an activation is expected to take.
    pub activation: Duration,
    /// `Err` with the reason if it did not become well.
    pub result: Result<(), String>,
}

/// One piece of evidence on an instance that drifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is: `configuration diff`, `process`, `log`.
    pub title: String,
    /// The text.
    pub text: String,
}

/// What a revert did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reverted {
    /// Files that were put back, removed or restored.
    pub changed: Vec<FileChange>,
    /// Where what was replaced is kept; `None` if nothing had to be.
    pub kept_aside: Option<PathBuf>,
}

/// A file that differs between two states of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Relative to the tree, with the tree's name in front: `config/nginx.conf`.
    pub path: String,
    /// How it differs.
    pub kind: FileChangeKind,
}

/// How a file differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChangeKind {
    /// Only in the newer state.
    Added,
    /// Other content or type.
    Changed,
    /// Same content, other mode or owner.
    Metadata,
    /// Only in the older state.
    Removed,
}

/// One kind of resource; see the module's contract.
#[async_trait]
pub trait Driver: Send + Sync + std::fmt::Debug {
    /// The kind's name in configurations: `service`, `files`.
    fn kind(&self) -> &'static str;

    /// What the resource can do, which decides the order of a plan's steps.
    fn capabilities(&self) -> Capabilities;

    /// Where clients (or the redirector) find an instance.
    fn endpoint(&self, instance: Instance) -> Option<Endpoint>;

    /// Whether the clone would carry the property's drift with it, because it is about data that
    /// the clone follows.
    fn clone_shares(&self, path: &PropertyPath) -> bool;

    /// Checks what the configuration names (paths, commands, addresses) and picks up what a former
    /// process left: running instances, half-done work. Called once before anything else.
    async fn prepare(&self) -> Result<Vec<String>, DriverError>;

    /// Reads every property of an instance.
    async fn probe(&self, instance: Instance, now: Timestamp) -> Result<Probe, DriverError>;

    /// Asks an instance, at its own address, whether it is well.
    async fn health(&self, instance: Instance) -> Result<Health, DriverError>;

    /// Keeps an instance up that should run and ended by itself: starts it again, after pauses that
    /// grow with every time. Says in one sentence what was done, if anything was. Called often; does
    /// nothing about an instance that is fenced, or that somebody else looks after.
    async fn tend(&self, _instance: Instance) -> Result<Option<String>, DriverError> {
        Ok(None)
    }

    /// A feed of changes on an instance, where the kind has one.
    fn changes(&self, instance: Instance) -> Option<Box<dyn ChangeFeed>>;

    /// Moves the delta since the newest generation from an instance into a new generation.
    async fn sync(
        &self,
        from: Instance,
        hint: ChangeHint,
        now: Timestamp,
        progress: &(dyn Fn(SyncProgress) + Send + Sync),
    ) -> Result<Synced, DriverError>;

    /// Puts a choice in place on a standby that does not serve, without starting it, so that an
    /// activation has next to nothing to copy.
    async fn stage(&self, choice: &Choice, on: Instance) -> Result<(), DriverError>;

    /// Puts a choice in place and starts the instance; done when its process is up. Health is a step
    /// of its own. Lifts a fence that stands on the instance: whoever holds a token at least as high
    /// as the fence's may (a failback activates what an earlier failover fenced).
    async fn activate(
        &self,
        choice: &Choice,
        on: Instance,
        key: StepKey,
    ) -> Result<Activated, DriverError>;

    /// Takes down what `activate` brought up. The undo of an activation.
    async fn deactivate(&self, on: Instance, key: StepKey) -> Result<(), DriverError>;

    /// Makes sure that an instance accepts no work: stopped, and not to be started until unfenced.
    /// Returns only when that is certain.
    async fn fence(&self, instance: Instance, key: StepKey) -> Result<(), DriverError>;

    /// Lets a fenced instance serve again, running as before. The undo of a fence.
    async fn unfence(&self, instance: Instance, key: StepKey) -> Result<(), DriverError>;

    /// Activates a choice in isolation, measures, and puts everything back.
    async fn rehearse(
        &self,
        choice: &Choice,
        on: Instance,
        now: Timestamp,
    ) -> Result<Rehearsal, DriverError>;

    /// Collects evidence on an instance, without changing anything.
    async fn diagnose(
        &self,
        instance: Instance,
        approved: Option<GenerationId>,
        now: Timestamp,
    ) -> Result<Vec<Evidence>, DriverError>;

    /// What `revert` would change.
    async fn plan_revert(
        &self,
        instance: Instance,
        choice: &Choice,
    ) -> Result<Vec<FileChange>, DriverError>;

    /// Puts an instance's configuration back to the choice's, keeping aside what it replaces.
    async fn revert(
        &self,
        instance: Instance,
        choice: &Choice,
        key: StepKey,
    ) -> Result<Reverted, DriverError>;

    /// How the newer generation differs from the older.
    async fn compare(
        &self,
        older: GenerationId,
        newer: GenerationId,
    ) -> Result<Vec<FileChange>, DriverError>;

    /// Forgets generations; content that others use stays.
    async fn forget(&self, generations: &[GenerationId]) -> Result<(), DriverError>;
}

/// Why a driver could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The caller's token is older than one already seen: another saga took over.
    #[error("refused: token {given} is older than {seen}, which already acted on this resource")]
    Stale {
        /// The caller's.
        given: FencingToken,
        /// The highest seen.
        seen: FencingToken,
    },
    /// What the configuration asks for cannot be: it says what would be right.
    #[error("{what}: {remedy}")]
    Misconfigured {
        /// The place and what is wrong with it.
        what: String,
        /// What would be right.
        remedy: String,
    },
    /// It did not work out this time.
    #[error("{what}")]
    Failed {
        /// The place and what went wrong.
        what: String,
        /// Whether the world may have changed all the same.
        effect: Effect,
    },
}

impl DriverError {
    /// A failure that surely had no effect.
    pub fn without_effect(what: impl Into<String>) -> Self {
        Self::Failed {
            what: what.into(),
            effect: Effect::None,
        }
    }

    /// A failure that may have had its effect all the same.
    pub fn maybe_effect(what: impl Into<String>) -> Self {
        Self::Failed {
            what: what.into(),
            effect: Effect::Unknown,
        }
    }

    /// Whether the world may have changed all the same.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Stale { .. } | Self::Misconfigured { .. } => Effect::None,
            Self::Failed { effect, .. } => *effect,
        }
    }
}
