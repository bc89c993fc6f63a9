//! Failover as data: a [`plan`] fixes every step before the first one runs, [`event`]s say what came
//! of each, and a [`run`] is the replay of a plan's events, by the same function live and after a
//! crash. Nothing here acts; the daemon's executor asks [`run::Run::next`] and does as told.

pub mod event;
pub mod plan;
pub mod run;

pub use event::{Effect, Event, Failure, Output};
pub use plan::{Capabilities, Plan, PlanKind, Step};
pub use run::{IllegalEvent, Next, Outcome, Run};

#[cfg(test)]
mod refusals;
