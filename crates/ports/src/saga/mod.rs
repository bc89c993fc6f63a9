//! The executor of sagas: drives a [`Run`] through the ports, and does as told.
//!
//! ```text
//! loop: run.next() ─▶ Begun durable ─▶ effect ─▶ Done/Failed durable ─▶ run.apply
//! ```
//! The daemon and the simulation drive the same code. It has no runtime of its own: time that must
//! pass, deadlines, and everything about the resource's reconcilers come through [`Hooks`].
//!
//! Invariants:
//! - A step's `Begun` is durable before its effect, and memory only ever follows the journal.
//! - A step that may have acted counts so: when one of its calls was made and a later one failed,
//!   when it ran over its deadline, and when the process died inside it.
//! - A late actor stops: [`Ended::Superseded`] neither retries nor undoes, for another saga acts now.
//!
//! Left to the caller, on purpose: to close the run in the journal, *after* it has committed what
//! follows from the outcome. A crash between the two is then harmless: the run is open, is replayed,
//! and ends at once as it did. After an error the caller must replay the run from the journal, never
//! go on with the one in memory: the failed append may have been durable all the same.

mod perform;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::Instance;
use evenkeel_core::baseline::Difference;
use evenkeel_core::failover::{
    Effect, Event, Failure, IllegalEvent, Next, Outcome, Output, Run, Step,
};
use evenkeel_core::record::NewEvent;

use crate::clock::Clock;
use crate::driver::{Driver, DriverError, StepKey, Synced};
use crate::redirector::{RedirectError, Redirector};
use crate::store::{ControlStore, Journal, StoreError};

/// The effect of one step, under way.
pub type Work<'f> = Pin<Box<dyn Future<Output = Performed> + Send + 'f>>;

/// What came of the effect of one step.
pub type Performed = Result<Output, StepError>;

/// What an executor needs beside the ports. One object serves one resource.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// Stops the clone's reconciler and returns when it is idle. Idempotent; asked again after a
    /// restart.
    async fn freeze_sync(&self) -> Result<(), DriverError>;

    /// Lets the clone's reconciler work again. Idempotent.
    async fn thaw_sync(&self) -> Result<(), DriverError>;

    /// Syncs from an instance now, and records the generation with its verdict before it returns.
    async fn sync_now(&self, from: Instance) -> Result<Synced, DriverError>;

    /// In which configuration an instance differs from the baseline, read afresh.
    async fn differences(&self, instance: Instance) -> Result<Vec<Difference>, DriverError>;

    /// Records an event, durably.
    async fn record(&self, event: NewEvent) -> Result<(), StoreError>;

    /// Runs `work`, for at most `limit`: `None` when it took longer, and then it is dropped.
    async fn within<'f>(&self, limit: Duration, work: Work<'f>) -> Option<Performed>;

    /// Lets time pass: between two attempts, or two looks at the same thing.
    async fn pause(&self, span: Duration);
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The run came to its end.
    Finished(Outcome),
    /// Another saga, or another process, acts on the resource now. Nothing was undone: the run is
    /// left as it is, and is not to be driven on from here.
    Superseded {
        /// Who said so, and how.
        what: String,
    },
}

/// Why a run could not be driven on. Nothing is lost: replay it from the journal, and try again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// The journal, or the lease, could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal does not tell of this plan.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
}

/// Why a step, or its undo, was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepError {
    /// A lower token than one already seen: another saga took over.
    Stale(String),
    /// It did not work out; the same step may be tried again.
    Failed(Failure),
}

impl StepError {
    fn without_effect(what: impl Into<String>) -> Self {
        let what = what.into();
        Self::Failed(Failure {
            what,
            effect: Effect::None,
        })
    }

    fn maybe_effect(what: impl Into<String>) -> Self {
        let what = what.into();
        Self::Failed(Failure {
            what,
            effect: Effect::Unknown,
        })
    }

    /// The same, after an earlier call of the same step had its effect already.
    fn after_an_effect(self) -> Self {
        match self {
            Self::Stale(what) => Self::Stale(what),
            Self::Failed(failure) => Self::maybe_effect(failure.what),
        }
    }
}

impl From<DriverError> for StepError {
    fn from(error: DriverError) -> Self {
        let effect = error.effect();
        let what = error.to_string();
        match error {
            DriverError::Stale { .. } => Self::Stale(what),
            DriverError::Misconfigured { .. } | DriverError::Failed { .. } => {
                Self::Failed(Failure { what, effect })
            }
        }
    }
}

impl From<RedirectError> for StepError {
    fn from(error: RedirectError) -> Self {
        let what = error.to_string();
        match error {
            RedirectError::Stale { .. } => Self::Stale(what),
            RedirectError::Fenced { .. } | RedirectError::Unchanged(_) => {
                Self::without_effect(what)
            }
            RedirectError::MaybeChanged(_) => Self::maybe_effect(what),
        }
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::maybe_effect(error.to_string())
    }
}

/// Drives runs of one resource.
#[derive(Clone, Copy)]
pub struct Executor<'a> {
    /// The resource's driver.
    pub driver: &'a dyn Driver,
    /// What moves its clients, where it has any.
    pub redirector: Option<&'a dyn Redirector>,
    /// Where every event goes before anything follows from it.
    pub journal: &'a dyn Journal,
    /// Leases and generations.
    pub store: &'a dyn ControlStore,
    /// Time.
    pub clock: &'a dyn Clock,
    /// All else.
    pub hooks: &'a dyn Hooks,
    /// In whose name the lease is held. The same after a restart, or a restarted process has to wait
    /// until its own old lease is void.
    pub holder: &'a str,
}

/// The lease outlasts the step for which it was renewed by this much.
const LEASE_BEYOND_STEP: Duration = Duration::from_secs(30);

/// The longest pause between two attempts at a step.
const BACK_OFF_MAX: Duration = Duration::from_secs(8);

impl Executor<'_> {
    /// Drives `run` to its end. A run that was replayed after a crash goes on where it stopped.
    ///
    /// # Errors
    /// When the store or the journal cannot be written; see the module for what to do then.
    pub async fn execute(&self, run: &mut Run) -> Result<Ended, ExecuteError> {
        self.take_up(run).await?;
        loop {
            let (step, direction) = match run.next() {
                Next::Do(step) => (step, Direction::Do),
                Next::Undo(step) => (step, Direction::Undo),
                Next::Finished(outcome) => {
                    self.let_go(run).await;
                    return Ok(Ended::Finished(outcome));
                }
            };
            if run.attempt() > 1 {
                self.hooks.pause(back_off(run.attempt())).await;
            }
            if !self.keep_lease(run, step).await? {
                let what = format!("another process holds the lease of {}", run.plan().resource);
                return Ok(Ended::Superseded { what });
            }
            let begun = match direction {
                Direction::Do => Event::Begun(step),
                Direction::Undo => Event::UndoBegun(step),
            };
            self.append(run, begun).await?;
            let event = match self.attempt(run, step, direction).await {
                Ok(output) => match direction {
                    Direction::Do => Event::Done(step, output),
                    Direction::Undo => Event::Undone(step),
                },
                Err(StepError::Stale(what)) => return Ok(Ended::Superseded { what }),
                Err(StepError::Failed(failure)) => ended_badly(run, step, direction, failure),
            };
            self.append(run, event).await?;
        }
    }

    /// Takes up a run that was interrupted: says so in its journal, and stops the reconciler again.
    async fn take_up(&self, run: &mut Run) -> Result<(), ExecuteError> {
        if run.is_interrupted() {
            let failure = |step: Step| Failure {
                what: format!("the process died during {step}"),
                effect: Effect::Unknown,
            };
            let event = match run.next() {
                Next::Do(step) => ended_badly(run, step, Direction::Do, failure(step)),
                Next::Undo(step) => ended_badly(run, step, Direction::Undo, failure(step)),
                Next::Finished(_) => return Ok(()),
            };
            self.append(run, event).await?;
        }
        let frozen = run.output(Step::FreezeSync).is_some() && run.output(Step::Record).is_none();
        if frozen {
            let place = format!("sync of {}", run.plan().resource);
            self.hooks.freeze_sync().await.map_err(|error| {
                let what = format!("cannot be stopped again after a restart: {error}");
                StoreError::Failed { place, what }
            })?;
        }
        Ok(())
    }

    /// One attempt at a step or its undo, with its deadline and its time.
    async fn attempt(&self, run: &Run, step: Step, direction: Direction) -> Performed {
        let started = self.clock.monotonic();
        let work: Work<'_> = match direction {
            Direction::Do => Box::pin(self.perform(run, step)),
            Direction::Undo => Box::pin(self.undo(run, step)),
        };
        let limit = step.deadline();
        let performed = self.hooks.within(limit, work).await;
        let took = self.clock.monotonic().saturating_sub(started);
        match performed {
            None => Err(StepError::maybe_effect(format!(
                "{step} was not done within {}",
                evenkeel_core::Brief(limit)
            ))),
            Some(result) => result.map(|output| Output {
                took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                ..output
            }),
        }
    }

    /// Durable first, then in memory.
    async fn append(&self, run: &mut Run, event: Event) -> Result<(), ExecuteError> {
        let now = self.clock.now();
        self.journal.append(run.plan().run, now, &event).await?;
        run.apply(&event)?;
        Ok(())
    }

    /// Renews the lease, once the run has it, so that it outlasts the step. `false` if it is lost.
    async fn keep_lease(&self, run: &Run, step: Step) -> Result<bool, StoreError> {
        if step == Step::Lease || run.output(Step::Lease).is_none() {
            return Ok(true);
        }
        let lease = self.lease(run, step.deadline()).await?;
        Ok(lease.is_some())
    }

    async fn lease(
        &self,
        run: &Run,
        for_: Duration,
    ) -> Result<Option<crate::store::Lease>, StoreError> {
        let plan = run.plan();
        let (now, for_) = (self.clock.now(), for_ + LEASE_BEYOND_STEP);
        self.store
            .acquire_lease(&plan.resource, self.holder, plan.token, now, for_)
            .await
    }

    /// Gives the lease back. That it cannot be is no reason to fail a run that has ended: it becomes
    /// void by itself.
    async fn let_go(&self, run: &Run) {
        let resource = &run.plan().resource;
        let _void_soon = self.store.release_lease(resource, self.holder).await;
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Do,
    Undo,
}

/// The event for an attempt that did not end well. The last attempt at a step that the plan can do
/// without skips it.
fn ended_badly(run: &Run, step: Step, direction: Direction, failure: Failure) -> Event {
    // The attempt is begun already, so the run counts it among those before the next.
    let was_last = run.attempt() > run.plan().attempts_max;
    match direction {
        Direction::Do if was_last && step.can_be_skipped() => Event::Skipped(step, failure),
        Direction::Do => Event::Failed(step, failure),
        Direction::Undo => Event::UndoFailed(step, failure.what),
    }
}

/// The pause before an attempt: 1 s before the second, then doubling.
fn back_off(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(2).min(16);
    Duration::from_secs(1 << doublings).min(BACK_OFF_MAX)
}

fn key(run: &Run, step: Step) -> StepKey {
    StepKey {
        run: run.plan().run,
        step,
        token: run.plan().token,
    }
}
