//! The engine: one task per resource owns everything that is known of it. It takes one closed set of
//! [`Message`]s, applies each to its end before the next, and holds no lock.
//!
//! ```text
//!  sampler ── Probed ──▶ ┌──────────┐ ── plan ──▶ executor ── RunEnded ─▶ (back)
//!  keeper ─── Synced ──▶ │ resource │ ── stage ─▶ keeper
//!  people ─── Command ─▶ │   task   │ ── alert ─▶ alerts
//!                        └──────────┘ ── snapshot ▶ http
//! ```
//! Nothing acts before the store has the new state and the whole plan, in one transaction. If the
//! store cannot take it, nothing is done, and the next probe tries again.

mod apply;
mod assess;
mod baseline;
mod commands;
mod generations;
mod learned;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::baseline::Difference;
use evenkeel_core::failover::{Next, Outcome, Plan};
use evenkeel_core::generation::{Choice, Generation};
use evenkeel_core::outlook::PropertyOutlook;
use evenkeel_core::property::{Probe, Severity};
use evenkeel_core::record::{EventKind, NewEvent};
use evenkeel_core::state::{Phase, State};
use evenkeel_core::watch::Watch;
use evenkeel_core::watch::refit::{Fork, Ticket};
use evenkeel_core::{GenerationId, Instance, PropertyPath, RunId, Timestamp};
use evenkeel_forecast::MixtureFactory;
use evenkeel_ports::{
    Commit, Driver, DriverError, Redirector, Rehearsal, ResourceRecord, Revision, StoreError,
    Synced,
};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{Instrument, info, warn};

pub use commands::{Answer, Asked};
pub use learned::KEEP_EVERY;
pub use snapshot::{Snapshot, Spark};

use crate::executor;
use crate::gate::Gate;
use crate::keeper::Keeper;
use crate::settings::Settings;
use crate::world::World;

/// Everything that can happen to a resource.
#[derive(Debug)]
pub enum Message {
    /// A probe came back.
    Probed(Result<Probe, DriverError>),
    /// A sync came back; whoever made it wants to know what became of it.
    Synced {
        /// What the driver said.
        result: Result<Synced, DriverError>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<SyncOutcome, String>>,
    },
    /// A rehearsal came back.
    Rehearsed {
        /// What the driver said.
        result: Result<Rehearsal, DriverError>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Rehearsal, String>>,
    },
    /// A saga ended.
    RunEnded {
        /// Its plan.
        plan: Box<Plan>,
        /// How.
        outcome: Outcome,
        /// Where clients are now.
        serving: Instance,
        /// What failed last, if anything did.
        why: Option<String>,
    },
    /// A person asks for something.
    Asked {
        /// What.
        asked: Asked,
        /// Who.
        by: String,
        /// Only say what would be done.
        dry_run: bool,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Answer, String>>,
    },
    /// Something wants to know which configuration of an instance is not as approved.
    Compare {
        /// A fresh reading of the instance.
        probe: Probe,
        /// Where the answer goes.
        reply: oneshot::Sender<Vec<Difference>>,
    },
    /// A property's turn to be refitted has come.
    Fork {
        /// Which.
        path: PropertyPath,
        /// Where the copy of its forecaster goes; `None` if nothing is wanted any longer.
        reply: oneshot::Sender<Option<Fork>>,
    },
    /// A copy comes back fitted, or what it was is given up.
    Refitted(Result<Fork, Ticket>),
    /// The configuration file changed.
    Reconfigured(Arc<Settings>),
    /// The daemon stops.
    Stop,
}

/// What became of a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncOutcome {
    /// The generation, with its verdict.
    pub generation: Generation,
    /// What the standby should have in place now, if that changed.
    pub stage: Option<Choice>,
    /// Generations that are not kept any longer.
    pub forget: Vec<GenerationId>,
}

/// What the daemon holds of a running resource.
#[derive(Clone, Debug)]
pub struct ResourceHandle {
    /// Takes messages.
    pub messages: mpsc::Sender<Message>,
    /// The latest view.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The clone's reconciler.
    pub keeper: Keeper,
    /// The resource's driver.
    pub driver: Arc<dyn Driver>,
    /// The redirector of its clients.
    pub redirector: Option<Arc<dyn Redirector>>,
}

/// What a resource's task is made from.
#[derive(Debug)]
pub struct Parts {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The driver.
    pub driver: Arc<dyn Driver>,
    /// The redirector, where the resource has clients.
    pub redirector: Option<Arc<dyn Redirector>>,
    /// The rest of the world.
    pub world: World,
}

/// One resource's task.
#[derive(Debug)]
struct ResourceTask {
    settings: Arc<Settings>,
    driver: Arc<dyn Driver>,
    redirector: Option<Arc<dyn Redirector>>,
    world: World,
    record: ResourceRecord,
    generations: Vec<Generation>,
    synced_at: Option<Timestamp>,
    sync_problem: Option<String>,
    next_run: NextRun,
    /// Those of its kind.
    forecasters: MixtureFactory,
    watch: Watch,
    keeping: learned::Keeping,
    last_probe: Option<Arc<Probe>>,
    settling: Vec<Arc<Probe>>,
    outlooks: Arc<Vec<PropertyOutlook>>,
    spark: Spark,
    probe_lost: Option<(Timestamp, String)>,
    probing: bool,
    staged: Option<Choice>,
    gate: Gate,
    keeper: Keeper,
    messages: mpsc::Sender<Message>,
    snapshot: watch::Sender<Arc<Snapshot>>,
}

/// The number of the next run, reserved before it is needed: a decision is made without waiting.
#[derive(Clone, Copy, Debug)]
enum NextRun {
    Reserved(RunId),
    /// It was given to a plan, and the store has not given another yet.
    Used(RunId),
}

/// How long messages may queue before their senders wait.
const QUEUE: usize = 64;

/// Starts a resource's task, with its keeper. `open` are the sagas which a former process did not
/// close.
///
/// # Errors
/// When the store cannot be read.
pub async fn start(
    parts: Parts,
    open: Vec<executor::OpenRun>,
) -> Result<ResourceHandle, StoreError> {
    let Parts {
        settings,
        driver,
        redirector,
        world,
    } = parts;
    let now = world.now();
    let record = world
        .control
        .load(&settings.name)
        .await?
        .unwrap_or_else(|| ResourceRecord {
            revision: Revision(0),
            state: State::new(now),
            baseline: None,
            rehearsal: None,
        });
    let span = tracing::info_span!("resource", name = %settings.name);
    let watch = learned::restored(&world, &settings, &record)
        .instrument(span.clone())
        .await;
    let keeping = learned::Keeping::new(&world, &settings.name);
    let generations = world.control.generations(&settings.name).await?;
    let next_run = NextRun::Reserved(world.journal.next_run().await?);
    let (messages, inbox) = mpsc::channel(QUEUE);
    let gate = Gate::default();
    let (keeper, requests) = Keeper::new();
    let first = Snapshot::first(&settings, &record);
    let (snapshot, seen) = watch::channel(Arc::new(first));
    let handle = ResourceHandle {
        messages: messages.clone(),
        snapshot: seen.clone(),
        keeper: keeper.clone(),
        driver: driver.clone(),
        redirector: redirector.clone(),
    };
    let work = crate::keeper::Work {
        requests,
        messages: messages.clone(),
        snapshot: seen,
        driver: driver.clone(),
        world: world.clone(),
        gate: gate.clone(),
    };
    tokio::spawn(crate::keeper::run(work).instrument(span.clone()));
    let task = ResourceTask {
        forecasters: world.networks.factory(&settings.kind),
        settings,
        driver,
        redirector,
        world,
        record,
        generations,
        synced_at: None,
        sync_problem: None,
        next_run,
        watch,
        keeping,
        last_probe: None,
        settling: Vec::new(),
        outlooks: Arc::default(),
        spark: Spark::default(),
        probe_lost: None,
        probing: false,
        staged: None,
        gate,
        keeper,
        messages,
        snapshot,
    };
    tokio::spawn(task.run(inbox, open).instrument(span));
    Ok(handle)
}

impl ResourceTask {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>, open: Vec<executor::OpenRun>) {
        let under_way = self.record.state.phase.run();
        let is_there = open.iter().any(|run| Some(run.plan().run) == under_way);
        for run in open {
            self.resume(run).await;
        }
        if let (Some(run), false) = (under_way, is_there) {
            self.hold(run).await;
        }
        self.publish();
        let mut period = self.settings.policy.sample_every;
        let mut ticks = ticker(period);
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    None | Some(Message::Stop) => break,
                    Some(message) => self.apply(message).await,
                },
                _ = ticks.tick() => self.start_probe(),
            }
            if period != self.settings.policy.sample_every {
                period = self.settings.policy.sample_every;
                ticks = ticker(period);
            }
        }
        self.keep_learned_at_last().await;
        self.keeper.stop().await;
    }

    /// Reads the instance that serves, in the background; the answer comes as a message. While
    /// clients are being moved nothing is read: what is half-way tells nothing.
    fn start_probe(&mut self) {
        let moving = matches!(self.record.state.phase, Phase::Moving { .. });
        if self.probing || moving {
            return;
        }
        self.probing = true;
        let (driver, messages) = (self.driver.clone(), self.messages.clone());
        let (instance, now) = (self.record.state.serving, self.world.now());
        let limit = self.settings.policy.sample_every.max(PROBE_LIMIT);
        let (world, name) = (self.world.clone(), self.settings.name.clone());
        tokio::spawn(
            async move {
                match tokio::time::timeout(limit, driver.tend(instance)).await {
                    Ok(Ok(None)) => {}
                    Ok(Ok(Some(done))) => crate::events::tended(&world, &name, done).await,
                    Ok(Err(error)) => warn!(%error, "what ended cannot be started again"),
                    Err(_) => warn!("starting what ended again takes long; it goes on"),
                }
                let probe = tokio::time::timeout(limit, driver.probe(instance, now));
                let result = probe.await.unwrap_or_else(|_| {
                    let limit = evenkeel_core::Brief(limit);
                    Err(DriverError::without_effect(format!(
                        "the probe did not end within {limit}"
                    )))
                });
                // The task has gone only when the daemon stops.
                messages.send(Message::Probed(result)).await.ok();
            }
            .in_current_span(),
        );
    }

    /// Runs a plan in the background; the end comes as a message.
    fn start_run(&self, open: executor::OpenRun) {
        let site = executor::Site {
            driver: self.driver.clone(),
            redirector: self.redirector.clone(),
            world: self.world.clone(),
            messages: self.messages.clone(),
            gate: self.gate.clone(),
        };
        tokio::spawn(executor::run(site, open).in_current_span());
    }

    /// Goes on with a saga which a former process did not close. One that the stored state does not
    /// know of any more had ended, and only its closing was lost.
    async fn resume(&mut self, open: executor::OpenRun) {
        let plan = open.plan().clone();
        if self.record.state.phase.run() == Some(plan.run) {
            let what = open.what_comes_next();
            let sentence = format!("started with {} {} open: {what}", plan.kind, plan.run);
            info!(%sentence);
            let event = crate::events::daemon(self.world.now(), sentence);
            self.note(event.of(&self.settings.name).in_run(plan.run))
                .await;
            self.start_run(open);
            return;
        }
        let outcome = match open.next() {
            Next::Finished(outcome) => outcome,
            Next::Do(_) | Next::Undo(_) => Outcome::Stuck,
        };
        if let Err(error) = self
            .world
            .journal
            .close(plan.run, self.world.now(), outcome)
            .await
        {
            warn!(%error, run = %plan.run, "a run that has ended could not be closed");
        }
    }
}

impl ResourceTask {
    /// A saga should be under way and its journal cannot be used: nothing is done until a person has
    /// looked.
    async fn hold(&mut self, run: RunId) {
        let why = "its journal is missing or cannot be replayed".to_owned();
        let sentence = format!("{run} was under way, and {why} (then: evenkeel release)");
        let (now, name) = (self.world.now(), self.settings.name.clone());
        self.world
            .alerts
            .raise(now, Some(&name), Severity::Critical, &sentence);
        let event = NewEvent::new(now, EventKind::Alert, Severity::Critical, sentence);
        let phase = Phase::Held { run, why };
        let state = State {
            phase,
            ..self.record.state.clone()
        };
        let events = vec![event.of(&name).in_run(run)];
        let commit = Commit {
            state: Some(state),
            events,
            ..Commit::default()
        };
        self.commit(commit).await.ok(); // said where it happened; the phase in memory still holds
    }
}

/// The least time a probe is given.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

fn ticker(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(period.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}
