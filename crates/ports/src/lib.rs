//! The traits between Evenkeel's core and the world. Traits and their value types only: no policy, no
//! I/O, no runtime. Each implementation passes the tests in `contract`, and `fake` has an in-memory
//! one of each for simulations.
//!
//! | trait | what it reaches | implementations |
//! |---|---|---|
//! | [`Driver`] | one resource of one kind: probe, clone, activate, fence, revert | `evenkeel-drivers` |
//! | [`Redirector`] | the clients of one resource | `evenkeel-drivers` |
//! | [`ControlStore`] | states, baselines, generations, events | `evenkeel-store` |
//! | [`Journal`] | sagas, durable line by line | `evenkeel-store` |
//! | [`Audit`] | who did what, tamper-evident | `evenkeel-store` |
//! | [`History`] | samples, changes, forecasts, what was learned | `evenkeel-store` |
//! | [`Clock`] | time | `evenkeel-daemon`, simulations |

mod clock;
pub mod contract;
mod driver;
pub mod fake;
mod history;
mod redirector;
pub mod saga;
mod store;

pub use clock::Clock;
pub use driver::{
    Activated, ChangeFeed, ChangeHint, Driver, DriverError, Evidence, FileChange, FileChangeKind,
    Health, Rehearsal, Reverted, StepKey, SyncProgress, Synced,
};
pub use history::{
    Aggregation, History, HistoryError, Learned, LearnedFound, Point, PropertyChange, Range,
    RetentionPlan, RetentionPolicy, Sample, SeriesKey, Stream,
};
pub use redirector::{Drained, Endpoint, RedirectError, Redirector};
pub use store::{
    Audit, AuditEntry, AuditRecord, AuditVerdict, Commit, Committed, ControlStore, EventFilter,
    Journal, Lease, ResourceRecord, Revision, RunRecord, StoreError,
};
