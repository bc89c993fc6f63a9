//! Trains the network of each kind, beside everything else.
//!
//! Now and then it looks at what the history has of each kind. With series enough, and a reason, a network is
//! trained from the beginning, slice by slice on a thread of its own, each slice in a turn of the budget
//! that refits live on too; then it is stored, put in force, and told of. A network is a reason for every
//! property of its kind to be fitted anew, by which it gets into their committees.
//!
//! The reason for a first network is that there is none; for a later one, that there are twice as many values
//! as the last one learned from, or that time has gone on for as long as the last one's history reached back.
//! So the cost falls with age, and no network stays for ever.
//!
//! Invariants: the weights depend on the kind and the history alone (a fixed seed, a bound on steps, not on
//! time, unless the machine is so slow that [`Options::spent_max`] ends it); what is not finished is neither
//! stored nor put in force, and a stop discards it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::Timestamp;
use evenkeel_core::property::Severity;
use evenkeel_forecast::lstm::{
    self, ArchitectureError, Checkpoint, CheckpointError, Lesson, Sequential, Series, Trainer,
};
use evenkeel_ports::{Clock, ControlStore, HistoryError};
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use super::file::{self, Stored};
use super::lessons::{SERIES_MIN, Source, Watched};
use super::{Networks, Stage, Trained};
use crate::blocking::on_a_thread;
use crate::events;
use crate::world::World;

/// How long a thread trains before it rests.
const SLICE: Duration = Duration::from_millis(100);
/// And how many steps it makes at most, whatever the clock says.
const SLICE_STEPS: u32 = 64;

/// How networks are trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What a network looks like, and how it learns.
    pub trainer: lstm::Config,
    /// Training steps at most, if it does not end by itself before.
    pub steps_max: u64,
    /// The time that they may take, without rests; after it the best so far is taken.
    pub spent_max: Duration,
    /// The time between two looks at the history.
    pub look_every: Duration,
}

impl Default for Options {
    /// A thousand series are learned in some 14,000 steps, a minute or two of one core.
    fn default() -> Self {
        Self {
            trainer: lstm::Config::default(),
            steps_max: 16_000,
            spent_max: Duration::from_secs(600),
            look_every: Duration::from_secs(3600),
        }
    }
}

/// Says which resources are watched now.
pub type Watching = Arc<dyn Fn() -> Vec<Watched> + Send + Sync>;

/// The job that trains. See the module.
#[derive(Clone)]
pub struct Training {
    options: Options,
    networks: Networks,
    source: Source,
    control: Arc<dyn ControlStore>,
    watching: Watching,
}

impl fmt::Debug for Training {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Training")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Why no network came of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    #[error("training ended early")]
    Ended,
    #[error("nothing could be learned from the series there are")]
    Nothing,
    #[error("what came out is no good: {0}")]
    Checkpoint(#[from] CheckpointError),
}

impl Training {
    /// Trains what `watching` names, by what is in `world`.
    pub fn new(world: &World, options: Options, watching: Watching) -> Self {
        Self {
            options,
            networks: world.networks.clone(),
            source: Source {
                history: world.history.clone(),
                clock: world.clock.clone(),
                budget: world.budget.clone(),
            },
            control: world.control.clone(),
            watching,
        }
    }

    /// Looks and trains until `stop`. What is not finished then is discarded.
    pub async fn run(self, stop: oneshot::Receiver<()>) {
        let look_on = async {
            loop {
                self.look().await;
                tokio::time::sleep(self.options.look_every).await;
            }
        };
        tokio::select! {
            _ = stop => {}
            () = look_on => {}
        }
    }

    /// One look at all kinds. A kind's trouble is its own.
    pub(super) async fn look(&self) {
        let mut kinds: BTreeMap<String, Vec<Watched>> = BTreeMap::new();
        for watched in (self.watching)() {
            kinds.entry(watched.kind.clone()).or_default().push(watched);
        }
        for (kind, watched) in kinds {
            if let Err(why) = self.look_at(&kind, &watched).await {
                warn!(%kind, %why, "no network was trained; it is tried again later");
            }
        }
    }

    async fn look_at(&self, kind: &str, watched: &[Watched]) -> Result<(), Failure> {
        let lessons = self.source.read(watched).await?;
        let found = lessons.len();
        let trained = self.networks.trained(kind);
        let result = if is_due(trained.as_ref(), &lessons, self.source.clock.now()) {
            self.renew(kind, trained, lessons).await
        } else {
            debug!(%kind, series = found, "no reason to train a network");
            Ok(())
        };
        self.set_idle(kind, found);
        result
    }

    /// Trains a network for `kind` in the place of the one that is in force.
    async fn renew(
        &self,
        kind: &str,
        trained: Option<Trained>,
        lessons: Vec<Lesson>,
    ) -> Result<(), Failure> {
        let oldest = lessons.iter().map(Lesson::start).min();
        let since = trained.map(|trained| trained.since).or(oldest);
        self.networks.set_stage(kind, Stage::Training { done: 0.0 });
        info!(%kind, series = lessons.len(), "training a network");
        let lessons = self.source.find_seasons(lessons).await;
        let checkpoint = self.train(kind, lessons).await?;
        let at = self.source.clock.now();
        let stored = Stored {
            kind: kind.to_owned(),
            at,
            since: since.unwrap_or(at),
            checkpoint,
        };
        self.put_in_force(stored).await
    }

    async fn train(&self, kind: &str, lessons: Vec<Lesson>) -> Result<Checkpoint, Failure> {
        let trainer = Trainer::new(self.options.trainer.clone(), seed(kind))?;
        let mut work = Work {
            trainer,
            lessons,
            spent: Duration::ZERO,
            is_over: false,
        };
        while !work.is_over {
            let (options, clock) = (self.options.clone(), self.source.clock.clone());
            let slice = async move {
                work.slice(&options, clock.as_ref());
                work
            };
            work = self.source.in_a_turn(slice).await.ok_or(Failure::Ended)?;
            let steps = work.trainer.progress().steps;
            // Far below 2^52.
            #[allow(clippy::cast_precision_loss)]
            let done = (steps as f64 / self.options.steps_max.max(1) as f64).min(1.0);
            self.networks.set_stage(kind, Stage::Training { done });
        }
        let best = work.trainer.best().cloned();
        // Without a single forecast that could be validated nobody knows what it is worth.
        best.filter(|best| best.validation_loss < f32::MAX)
            .ok_or(Failure::Nothing)
    }

    /// Stores a network, then lets everybody of its kind have it. One that cannot be stored is in force until
    /// the daemon ends.
    async fn put_in_force(&self, stored: Stored) -> Result<(), Failure> {
        stored.checkpoint.network()?; // before it takes the place of a good one
        if let Some(path) = self.networks.path(&stored.kind) {
            let (copy, place) = (stored.clone(), path.clone());
            let written = on_a_thread(async move { file::write(&place, &copy) }).await;
            let written = written.unwrap_or_else(|ended| Err(std::io::Error::other(ended)));
            if let Err(error) = written {
                let sentence = format!(
                    "{}: {error}; the network cannot be kept, after a restart it is trained anew",
                    path.display()
                );
                warn!("{sentence}");
                events::of_the_daemon(&self.control, stored.at, Severity::Warn, sentence).await;
            }
        }
        self.networks.put(&stored)?;
        let (kind, trained_on) = (&stored.kind, &stored.checkpoint.trained_on);
        let sentence = format!(
            "a network for the properties of kind {kind} was trained on {} series with {} values: \
             their models are fitted anew",
            trained_on.series, trained_on.values
        );
        let loss = stored.checkpoint.validation_loss;
        info!(steps = trained_on.steps, loss, "{sentence}");
        events::of_the_daemon(&self.control, stored.at, Severity::Info, sentence).await;
        Ok(())
    }

    /// Nothing is done about a kind now, which has `series` to learn from.
    fn set_idle(&self, kind: &str, series: usize) {
        let stage = match self.networks.trained(kind) {
            Some(_) => Stage::Ready,
            None => Stage::Waiting {
                series,
                needed: SERIES_MIN,
            },
        };
        self.networks.set_stage(kind, stage);
    }
}

/// Whether there is a reason to train a network on `lessons`, and enough of them.
fn is_due(trained: Option<&Trained>, lessons: &[Lesson], now: Timestamp) -> bool {
    if lessons.len() < SERIES_MIN {
        return false;
    }
    let Some(trained) = trained else {
        return true;
    };
    let values: usize = lessons.iter().map(|lesson| lesson.values().len()).sum();
    let has_doubled = u64::try_from(values).unwrap_or(u64::MAX) / 2 >= trained.on.values;
    has_doubled || now.since(trained.at) >= trained.at.since(trained.since)
}

/// The seed of a kind's network: the same in every process.
fn seed(kind: &str) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(kind.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// A network in training.
#[derive(Debug)]
struct Work {
    trainer: Trainer,
    lessons: Vec<Lesson>,
    /// Without the rests.
    spent: Duration,
    is_over: bool,
}

impl Work {
    /// Trains for a moment.
    fn slice(&mut self, options: &Options, clock: &dyn Clock) {
        let series: Vec<Series<'_>> = self.lessons.iter().map(Lesson::series).collect();
        let began = clock.monotonic();
        let mut passed = Duration::ZERO;
        for _ in 0..SLICE_STEPS {
            let progress = self.trainer.train_step(&series, &Sequential);
            passed = clock.monotonic().saturating_sub(began);
            self.is_over = progress.is_finished
                || progress.steps >= options.steps_max
                || self.spent + passed >= options.spent_max;
            if self.is_over || passed >= SLICE {
                break;
            }
        }
        if self.is_over {
            self.trainer.conclude(&series, &Sequential);
        }
        self.spent += passed;
    }
}
