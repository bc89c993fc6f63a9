//! Control state: what must never be lost or be written by two at once.
//!
//! Contract: when a writing call returns `Ok`, what it wrote survives a power cut. [`ControlStore::commit`]
//! is one transaction, refused ([`StoreError::Conflict`]) if the record is no longer at the revision the
//! caller has read; nothing acts before it returned.

use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::baseline::Baseline;
use evenkeel_core::failover::{Event, Outcome, Plan};
use evenkeel_core::generation::Generation;
use evenkeel_core::record::{EventKind, EventRecord, NewEvent};
use evenkeel_core::state::State;
use evenkeel_core::{
    BaselineVersion, EventId, FencingToken, GenerationId, ResourceId, RunId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::driver::Rehearsal;

/// Counts the commits of one resource's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// What is stored of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceRecord {
    /// How often it was committed.
    pub revision: Revision,
    /// Where it stands.
    pub state: State,
    /// The baseline in force.
    pub baseline: Option<Baseline>,
    /// The last rehearsal.
    pub rehearsal: Option<Rehearsal>,
}

/// One change of a resource's record, with everything that goes with it.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The new state.
    pub state: Option<State>,
    /// A new baseline, which comes into force.
    pub baseline: Option<Baseline>,
    /// A new rehearsal result.
    pub rehearsal: Option<Rehearsal>,
    /// A plan that will be run: it opens its run.
    pub plan: Option<Plan>,
    /// A new generation, or a new verdict on a known one.
    pub generations: Vec<Generation>,
    /// Generations to forget.
    pub forgotten: Vec<GenerationId>,
    /// What happened.
    pub events: Vec<NewEvent>,
    /// What goes into the audit log.
    pub audit: Vec<AuditEntry>,
}

/// What a commit brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The record's revision now.
    pub revision: Revision,
    /// The numbers of the events, in order.
    pub events: Vec<EventId>,
}

/// Which events are asked for, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this resource.
    pub resource: Option<ResourceId>,
    /// Of this kind.
    pub kind: Option<EventKind>,
    /// Of this saga.
    pub run: Option<RunId>,
    /// Later than this one (then oldest first).
    pub after: Option<EventId>,
    /// At most so many.
    pub limit: usize,
}

/// The right to act on a resource, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// On which resource.
    pub resource: ResourceId,
    /// Who holds it: one process, not one machine.
    pub holder: String,
    /// The token its holder acts with.
    pub token: FencingToken,
    /// Void from then on, unless renewed.
    pub until: Timestamp,
}

/// States, baselines, generations, events, leases; see the module's contract.
#[async_trait]
pub trait ControlStore: Send + Sync + std::fmt::Debug {
    /// A resource's record, if it was ever committed.
    async fn load(&self, resource: &ResourceId) -> Result<Option<ResourceRecord>, StoreError>;

    /// The names of all resources that have a record.
    async fn resources(&self) -> Result<Vec<ResourceId>, StoreError>;

    /// Changes a record (a first commit is made on revision 0).
    async fn commit(
        &self,
        resource: &ResourceId,
        read_at: Revision,
        commit: Commit,
    ) -> Result<Committed, StoreError>;

    /// Records events that change no resource's record.
    async fn record(&self, events: Vec<NewEvent>) -> Result<Vec<EventId>, StoreError>;

    /// All versions of a baseline, newest first.
    async fn baselines(&self, resource: &ResourceId) -> Result<Vec<Baseline>, StoreError>;

    /// One version.
    async fn baseline(
        &self,
        resource: &ResourceId,
        version: BaselineVersion,
    ) -> Result<Option<Baseline>, StoreError>;

    /// All generations of a clone, oldest first.
    async fn generations(&self, resource: &ResourceId) -> Result<Vec<Generation>, StoreError>;

    /// Events, as the filter says.
    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError>;

    /// One event.
    async fn event(&self, id: EventId) -> Result<Option<EventRecord>, StoreError>;

    /// Takes, or renews, the lease of a resource: granted if it is free, void or the holder's own,
    /// and `token` is not lower than any granted before. `Ok(None)` if another holds it.
    async fn acquire_lease(
        &self,
        resource: &ResourceId,
        holder: &str,
        token: FencingToken,
        now: Timestamp,
        for_: Duration,
    ) -> Result<Option<Lease>, StoreError>;

    /// Gives a lease back, if it is the holder's.
    async fn release_lease(&self, resource: &ResourceId, holder: &str) -> Result<(), StoreError>;

    /// The key under which secrets are hashed; made at random on first use.
    async fn redaction_key(&self) -> Result<[u8; 32], StoreError>;
}

/// One saga with everything that was journalled of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// What was to be done.
    pub plan: Plan,
    /// What came of it.
    pub events: Vec<(Timestamp, Event)>,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
}

/// Sagas, line by line.
#[async_trait]
pub trait Journal: Send + Sync + std::fmt::Debug {
    /// A number no run has had.
    async fn next_run(&self) -> Result<RunId, StoreError>;

    /// Adds one line; durable on return.
    async fn append(&self, run: RunId, at: Timestamp, event: &Event) -> Result<(), StoreError>;

    /// Closes a run; durable on return.
    async fn close(&self, run: RunId, at: Timestamp, outcome: Outcome) -> Result<(), StoreError>;

    /// The runs that were not closed: what a restart has to finish.
    async fn open_runs(&self) -> Result<Vec<RunRecord>, StoreError>;

    /// One run.
    async fn run(&self, run: RunId) -> Result<Option<RunRecord>, StoreError>;
}

/// One line of the audit log, before it is chained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who: a person, `uid 1000`, `evenkeel`.
    pub actor: String,
    /// What was done, or refused: `failover.start`, `baseline.accept`, `change.seen`.
    pub action: String,
    /// To which resource.
    pub resource: Option<ResourceId>,
    /// Whether it was done; `Err` with the reason of a refusal.
    pub result: Result<(), String>,
    /// Before, as text.
    pub before: Option<String>,
    /// After, as text.
    pub after: Option<String>,
}

/// One line of the audit log, chained to the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Counted from 1, without gaps.
    pub number: u64,
    /// The line.
    pub entry: AuditEntry,
    /// BLAKE3 over the number, the line and the hash of the record before, in hexadecimal.
    pub hash: String,
}

/// What verifying the audit log showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditVerdict {
    /// Every record follows from the one before.
    Intact {
        /// How many there are.
        records: u64,
        /// The last one's hash: note it elsewhere, and nobody can rebuild the chain unseen.
        head: String,
    },
    /// This record does not: it, or one before it, was altered or removed.
    Broken {
        /// The first that does not follow.
        number: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// The audit log.
#[async_trait]
pub trait Audit: Send + Sync + std::fmt::Debug {
    /// Adds a line; durable on return.
    async fn append_audit(&self, entry: AuditEntry) -> Result<(), StoreError>;

    /// Lines after `after`, oldest first.
    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>, StoreError>;

    /// Checks the whole chain.
    async fn verify_audit(&self) -> Result<AuditVerdict, StoreError>;
}

/// Why control state could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("{place}: in use by another evenkeel (pid {pid}): stop that one first")]
    Locked {
        /// The directory.
        place: String,
        /// Its process id, or `unknown`.
        pid: String,
    },
    /// The record was changed since the caller read it.
    #[error("{resource}: changed meanwhile (revision {found:?}, expected {expected:?})")]
    Conflict {
        /// Whose record.
        resource: ResourceId,
        /// What the caller had read.
        expected: Revision,
        /// What is stored.
        found: Revision,
    },
    /// The store was written by a newer Evenkeel.
    #[error(
        "{place}: written by a newer version (schema {found}, this one knows {known}): upgrade"
    )]
    Newer {
        /// The file.
        place: String,
        /// Its schema.
        found: u64,
        /// The newest schema known here.
        known: u64,
    },
    /// What is stored cannot be understood.
    #[error("{place}: damaged: {what}: restore it from a backup")]
    Damaged {
        /// The file, table and row.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// There is no room left.
    #[error("{place}: no space left: free some; nothing was changed")]
    NoSpace {
        /// The file.
        place: String,
    },
    /// It did not work out.
    #[error("{place}: {what}")]
    Failed {
        /// The file.
        place: String,
        /// What went wrong.
        what: String,
    },
}
