//! Starting an instance again that ended by itself, where Evenkeel is who looks after it.
//!
//! Invariants: nothing is started that is fenced, was stopped on purpose, or was found running and never
//! started by Evenkeel; a service that keeps ending is tried ever more rarely.

use std::sync::PoisonError;
use std::time::Duration;

use evenkeel_core::{Brief, Instance};
use evenkeel_ports::DriverError;

use super::config::Supervise;
use super::driver::{Inner, adoption};
use super::supervise::Status;

/// The pause after the first restart; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// It grows no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// One that ran for this long is taken to be settled: its next end is a first one again.
const SETTLED_AFTER: Duration = Duration::from_secs(300);

/// When an instance was started again, and when it may be the next time. By the monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RestartPauses {
    last: Option<Duration>,
    in_a_row: u32,
}

impl RestartPauses {
    fn pause(self) -> Duration {
        match self.in_a_row {
            0 => Duration::ZERO,
            n => FIRST_PAUSE
                .saturating_mul(1 << (n - 1).min(10))
                .min(LONGEST_PAUSE),
        }
    }

    fn may_start(self, now: Duration) -> bool {
        self.last
            .is_none_or(|last| now.saturating_sub(last) >= self.pause())
    }

    #[must_use]
    fn after_a_start(self, now: Duration) -> Self {
        let settled = self
            .last
            .is_none_or(|last| now.saturating_sub(last) >= SETTLED_AFTER);
        Self {
            last: Some(now),
            in_a_row: if settled { 1 } else { self.in_a_row + 1 },
        }
    }
}

impl Inner {
    /// Whether the instance should run, does not, and may be started again by now.
    pub(super) async fn is_to_be_restarted(&self, instance: Instance) -> bool {
        let supervisor = self.supervisors.of(instance);
        let pauses = *self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        self.config.supervise == Supervise::Evenkeel
            && supervisor.record.get().wanted
            && self.fences.mark(instance).is_none()
            && pauses.may_start(self.clock.monotonic())
            && matches!(
                supervisor.status(adoption(instance)).await,
                Status::Stopped { .. }
            )
    }

    /// Starts it again, if that is still to be done.
    pub(super) async fn restart(&self, instance: Instance) -> Result<Option<String>, DriverError> {
        if !self.is_to_be_restarted(instance).await {
            return Ok(None);
        }
        let supervisor = self.supervisors.of(instance);
        let record = supervisor.record.get();
        let ended = match supervisor.status(adoption(instance)).await {
            Status::Stopped { exit: Some(exit) } => exit,
            Status::Stopped { exit: None } | Status::Running { .. } | Status::Foreign(_) => {
                "exit status unknown".to_owned()
            }
        };
        let pauses = {
            let mut pauses = self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
            *pauses = pauses.after_a_start(self.clock.monotonic());
            *pauses
        };
        let started = supervisor
            .start(record.choice.as_ref(), adoption(instance))
            .await;
        // A start counts from zero; this one goes on from where it was.
        supervisor.record.note(|now| {
            now.restarts = record.restarts + 1;
            now.wanted = true;
        });
        started?;
        Ok(Some(format!(
            "{instance} ended by itself ({ended}) and was started again, for time {}; if it ends again, after {}",
            pauses.in_a_row,
            Brief(pauses.pause())
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_it_keeps_ending_and_start_anew_once_it_has_settled() {
        let second = Duration::from_secs;
        let mut pauses = RestartPauses::default();
        assert!(pauses.may_start(second(0)));
        let mut now = Duration::ZERO;
        let mut waited = Vec::new();
        for _ in 0..9 {
            pauses = pauses.after_a_start(now);
            assert!(!pauses.may_start(now));
            now += pauses.pause();
            assert!(pauses.may_start(now));
            waited.push(pauses.pause().as_secs());
        }
        assert_eq!(waited, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        pauses = pauses.after_a_start(now + SETTLED_AFTER);
        assert_eq!(pauses.pause(), FIRST_PAUSE);
    }
}
