//! A clock that stands until it is moved.

use std::sync::Mutex;
use std::time::Duration;

use evenkeel_core::Timestamp;

use super::locked;
use crate::clock::Clock;

/// See the module.
#[derive(Debug)]
pub struct FakeClock {
    started: Timestamp,
    elapsed: Mutex<Duration>,
}

impl FakeClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self {
            started: now,
            elapsed: Mutex::new(Duration::ZERO),
        }
    }

    /// Moves it on.
    pub fn advance(&self, span: Duration) {
        *locked(&self.elapsed) += span;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.started + *locked(&self.elapsed)
    }

    fn monotonic(&self) -> Duration {
        *locked(&self.elapsed)
    }
}
