//! The embedded store: control state, journal, audit log and history in two SQLite files. Nothing to
//! install, one directory to back up.
//!
//! | file | holds | durability |
//! |---|---|---|
//! | `control.db` | resources, baselines, generations, runs, events, leases, audit | survives a power cut |
//! | `history.db` | samples, changes, forecasts, what was learned | survives a crash of the process; after a power cut the last seconds may be missing |
//! | `lock` | the process id of whoever has the store open | – |
//!
//! Left out on purpose: several processes on one store (a cluster has other implementations of the
//! same traits), and any opinion on what is written.
//!
//! Invariants: one open [`Store`] per directory; one writing connection per file, behind a mutex that
//! is never held across an await; what a call could not write in full it did not write at all.

mod control;
mod database;
mod fault;
mod history;
mod lock;
pub mod record;
mod store;

pub use store::Store;
