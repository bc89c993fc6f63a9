//! Training: Adam on mini-batches, and the weights that did best on a later time range.
//!
//! - Adam (Kingma and Ba 2015, betas 0.9 and 0.999) on the mean pinball loss; a gradient longer than the
//!   clip is shortened to it (Pascanu et al. 2013); a gradient that is not finite is dropped.
//! - Weights are averaged over the last steps (Polyak and Juditsky 1992, as an exponential mean); the average
//!   is what is validated and kept.
//! - Each series is cut in two by time: training never sees a value of the later range, and the validation
//!   loss is of forecasts whose outcomes all lie in it. The best average so far is the result. Without an
//!   improvement for `patience` validations the step size is halved; after the fourth halving it is finished.
//!
//! No clock is read and no thread is started: the caller stops it when its budget is spent, and may carry
//! the parts of a batch to threads. The same seed, data and calls give the same bits on any number of them.

use super::checkpoint::{Checkpoint, CheckpointError, TrainedOn};
use super::network::Network;
use super::part::{LANES, Part, Score, Series};
use super::{ArchitectureError, Config};

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
/// Memory of the average over weights.
const AVERAGE: f32 = 0.998;
const HALVINGS_MAX: u32 = 4;

/// Carries the parts of a batch to where they are worked on.
pub trait Executor {
    /// Calls `work` once on each of `parts`, in any order and on any thread, and returns when all are done.
    fn each(&self, parts: &mut [Part], work: &(dyn Fn(&mut Part) + Sync));
}

/// Works on the parts one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl Executor for Sequential {
    fn each(&self, parts: &mut [Part], work: &(dyn Fn(&mut Part) + Sync)) {
        parts.iter_mut().for_each(work);
    }
}

/// How far training has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Training steps so far.
    pub steps: u64,
    /// Mean loss of the last mini-batch; `None` if nothing in it could be scored.
    pub training_loss: Option<f64>,
    /// The last validation loss, and the best one.
    pub validation_loss: Option<f64>,
    /// See `validation_loss`.
    pub best_loss: Option<f64>,
    /// It will not get better: the step size was halved four times and that did not help.
    pub is_finished: bool,
}

/// A network in training. Memory is bounded by the configuration, whatever the number of series.
#[derive(Clone, Debug)]
pub struct Trainer {
    config: Config,
    seed: u64,
    weights: Vec<f32>,
    average: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    gradient: Vec<f32>,
    parts: Vec<Part>,
    rate: f32,
    stale: u32,
    halvings: u32,
    progress: Progress,
    best: Option<Checkpoint>,
}

impl Trainer {
    /// Starts from random weights.
    pub fn new(config: Config, seed: u64) -> Result<Self, ArchitectureError> {
        let network = Network::untrained(&config.architecture, seed)?;
        Ok(Self::from_weights(config, seed, network.weights().to_vec()))
    }

    /// Goes on from stored weights; the architecture is the checkpoint's.
    pub fn resume(
        mut config: Config,
        seed: u64,
        from: &Checkpoint,
    ) -> Result<Self, CheckpointError> {
        let network = from.network()?;
        config.architecture = network.architecture().clone();
        Ok(Self::from_weights(config, seed, network.weights().to_vec()))
    }

    fn from_weights(config: Config, seed: u64, weights: Vec<f32>) -> Self {
        let config = in_range(config);
        let zeros = vec![0.0; weights.len()];
        let parts = (0..config.batch / LANES)
            .map(|number| Part::new(&config, seed, number))
            .collect();
        Self {
            seed,
            average: weights.clone(),
            first: zeros.clone(),
            second: zeros.clone(),
            gradient: zeros,
            parts,
            rate: config.learning_rate,
            stale: 0,
            halvings: 0,
            progress: Progress::default(),
            best: None,
            weights,
            config,
        }
    }

    /// Takes one training step over a mini-batch of `data`; every `evaluate_every` steps it validates too.
    /// `data` may grow from call to call, but a series keeps its place. Does nothing once finished.
    pub fn train_step(&mut self, data: &[Series<'_>], executor: &dyn Executor) -> Progress {
        if self.progress.is_finished || data.is_empty() {
            return self.progress;
        }
        let weights = &self.weights;
        executor.each(&mut self.parts, &|part| part.train(weights, data));
        let score = total(self.parts.iter().map(|part| part.training));
        self.progress.training_loss = mean(score);
        self.progress.steps += 1;
        if score.count > 0 {
            self.descend(score.count);
        }
        if self
            .progress
            .steps
            .is_multiple_of(self.config.evaluate_every)
        {
            self.evaluate(data, executor);
        }
        self.progress
    }

    /// Takes training steps until finished, or until `should_stop`, which is asked after each; validates
    /// once more at the end, so that the last weights have their chance.
    pub fn run(
        &mut self,
        data: &[Series<'_>],
        executor: &dyn Executor,
        mut should_stop: impl FnMut(&Progress) -> bool,
    ) -> Progress {
        if data.is_empty() {
            return self.progress;
        }
        while !self.progress.is_finished {
            let progress = self.train_step(data, executor);
            if should_stop(&progress) {
                break;
            }
        }
        self.conclude(data, executor)
    }

    /// Validates once more if the last weights were not yet: to be called when the budget is spent before
    /// training is finished.
    pub fn conclude(&mut self, data: &[Series<'_>], executor: &dyn Executor) -> Progress {
        let is_validated = self
            .progress
            .steps
            .is_multiple_of(self.config.evaluate_every);
        if !self.progress.is_finished && !is_validated && !data.is_empty() {
            self.evaluate(data, executor);
        }
        self.progress
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The best weights so far; `None` before the first validation.
    pub fn best(&self) -> Option<&Checkpoint> {
        self.best.as_ref()
    }

    /// Bytes that it holds, roughly.
    pub fn bytes(&self) -> usize {
        let copies = 5 + usize::from(self.best.is_some());
        4 * copies * self.weights.len() + self.parts.iter().map(Part::bytes).sum::<usize>()
    }

    /// One step of Adam along the sum of the parts' gradients.
    fn descend(&mut self, count: u32) {
        self.gradient.fill(0.0);
        // Always in the order of the parts, whoever worked on them.
        for part in &self.parts {
            for (sum, value) in self.gradient.iter_mut().zip(&part.gradient) {
                *sum += value;
            }
        }
        let share = 1.0 / f64::from(count);
        let squares: f64 = self
            .gradient
            .iter()
            .map(|g| f64::from(*g) * f64::from(*g))
            .sum();
        let length = squares.sqrt() * share;
        if !length.is_finite() {
            return;
        }
        let clip = f64::from(self.config.clip);
        #[allow(clippy::cast_possible_truncation)] // A share; its far digits do not matter.
        let factor = (share * (clip / length).min(1.0)) as f32;
        let steps = i32::try_from(self.progress.steps).unwrap_or(i32::MAX);
        let (bias_1, bias_2) = (1.0 - BETA_1.powi(steps), 1.0 - BETA_2.powi(steps));
        // The average forgets its start soon at first.
        let early = 1.0 - 10.0 / (10.0 + f32::from(u16::try_from(steps).unwrap_or(u16::MAX)));
        let decay = AVERAGE.min(early);
        for n in 0..self.weights.len() {
            let slope = self.gradient[n] * factor;
            self.first[n] += (1.0 - BETA_1) * (slope - self.first[n]);
            self.second[n] += (1.0 - BETA_2) * (slope * slope - self.second[n]);
            let step = (self.first[n] / bias_1) / ((self.second[n] / bias_2).sqrt() + 1e-8);
            self.weights[n] -= self.rate * step;
            self.average[n] = decay * self.average[n] + (1.0 - decay) * self.weights[n];
        }
    }

    /// Validates the averaged weights and keeps them if they are the best.
    fn evaluate(&mut self, data: &[Series<'_>], executor: &dyn Executor) {
        let (weights, count) = (&self.average, self.parts.len());
        executor.each(&mut self.parts, &|part| part.validate(weights, data, count));
        let loss = mean(total(self.parts.iter().map(|part| part.validation)));
        self.progress.validation_loss = loss;
        // With nothing to validate on, the newest weights are as good as any.
        let Some(loss) = loss else {
            self.keep(data, f64::MAX);
            return;
        };
        if self.progress.best_loss.is_none_or(|best| loss < best) {
            self.progress.best_loss = Some(loss);
            self.stale = 0;
            self.keep(data, loss);
            return;
        }
        self.stale += 1;
        if self.stale >= self.config.patience {
            self.stale = 0;
            self.halvings += 1;
            self.rate *= 0.5;
            self.progress.is_finished = self.halvings >= HALVINGS_MAX;
        }
    }

    fn keep(&mut self, data: &[Series<'_>], loss: f64) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let trained_on = TrainedOn {
            series: count(data.len()),
            values: count(data.iter().map(|series| series.values.len()).sum()),
            steps: self.progress.steps,
            seed: self.seed,
        };
        let network = Network::new(self.config.architecture.clone(), self.average.clone());
        #[allow(clippy::cast_possible_truncation)] // For people; a loss fits.
        let loss = loss.min(f64::from(f32::MAX)) as f32;
        self.best = Some(Checkpoint::new(&network, trained_on, loss));
    }
}

/// Brings every number into a range in which training is possible and bounded.
fn in_range(mut config: Config) -> Config {
    let positive = |x: f32, otherwise: f32| {
        if x > 0.0 && x.is_finite() {
            x
        } else {
            otherwise
        }
    };
    let standard = Config::default();
    config.sequence = config.sequence.clamp(2, 1024);
    config.batch = config.batch.clamp(1, 1024).next_multiple_of(LANES);
    config.stride = config.stride.clamp(1, config.sequence);
    config.stretches_max = config.stretches_max.clamp(1, 1024);
    config.learning_rate = positive(config.learning_rate, standard.learning_rate).min(0.1);
    config.clip = positive(config.clip, standard.clip);
    if !(0.01..=0.9).contains(&config.validation_share) {
        config.validation_share = standard.validation_share;
    }
    config.validation_series = config
        .validation_series
        .clamp(1, 65_536)
        .next_multiple_of(LANES);
    config.evaluate_every = config.evaluate_every.max(1);
    config.patience = config.patience.max(1);
    config
}

fn total(scores: impl Iterator<Item = Score>) -> Score {
    scores.fold(Score::default(), |sum, score| Score {
        sum: sum.sum + score.sum,
        count: sum.count.saturating_add(score.count),
    })
}

fn mean(score: Score) -> Option<f64> {
    (score.count > 0).then(|| score.sum / f64::from(score.count))
}
