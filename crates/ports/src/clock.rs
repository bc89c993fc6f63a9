//! Time, as a port: the daemon asks the machine, a simulation its own counter.

use std::time::Duration;

use evenkeel_core::Timestamp;

/// Where time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The wall clock. It may jump.
    fn now(&self) -> Timestamp;

    /// Time since some fixed instant, which never jumps: for measuring how long things take.
    fn monotonic(&self) -> Duration;
}
