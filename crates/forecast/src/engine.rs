//! The full machinery for one series that varies: models, their weights, calibration, onset.
//!
//! One observation goes through it in this order: forecasts that are due are scored (weights and
//! offsets learn), the models take the observation, and new forecasts are put by for later scoring. So
//! no forecast is ever scored on what its models already knew.
//!
//! Values are counted from the series' first one: a level of 1e15 does not eat the digits of the
//! changes, and the result does not depend on where zero lies.

use std::time::Duration;

use evenkeel_core::forecast::{HorizonGrid, ModelWeight, Quantiles};
use evenkeel_core::time::Timestamp;

use crate::changepoint::OnsetTracker;
use crate::conformal::PerLevel;
use crate::experts::{PerModel, combine};
use crate::horizon::{Anchor, anchors};
use crate::mixture::{ConstantRun, RESOLUTION, Scoreboard};
use crate::models::{Continuation, MODELS, Model, Moments, VARIANCE_FLOOR, pool};
use crate::trend::TrendEvidence;

/// Of a constant run so many observations are played to the models: enough to know the level, few
/// enough that the first change shows in the variance.
const REPLAYED: u32 = 32;

/// Deviations are widened by the root of `1 + SHORT_HISTORY / n` after `n` observations: a variance
/// learned from few is itself uncertain (the variance of a Student distribution, to first order).
const SHORT_HISTORY: f64 = 4.0;

/// A trend is carried on in full up to so many times its age, and less beyond: six points in a row are
/// no reason to be sure of the next two hundred, whatever their fit.
const CARRIED_ON: f64 = 3.0;

/// Everything that is known of a varying series.
#[derive(Debug)]
pub(crate) struct Engine {
    zero: f64,
    first_at: Timestamp,
    last_at: Timestamp,
    last_value: f64,
    seen: u64,
    models: [Box<dyn Model>; MODELS],
    anchors: Vec<Anchor>,
    trend: TrendEvidence,
    onset: OnsetTracker,
}

/// What holds at one anchor when a forecast is made.
#[derive(Clone, Copy, Debug)]
struct Belief {
    weights: PerModel,
    offsets: PerLevel,
}

impl Engine {
    /// Takes over a series that was constant so far.
    pub(crate) fn after(run: &ConstantRun, grid: &HorizonGrid) -> Self {
        let replayed = u32::try_from(run.count).unwrap_or(REPLAYED).min(REPLAYED);
        let mut engine = Self {
            zero: run.value,
            first_at: run.first,
            last_at: run.last,
            last_value: run.value,
            seen: run.count,
            models: pool(),
            anchors: anchors(grid),
            trend: TrendEvidence::default(),
            onset: OnsetTracker::after_constant(0.0, u32::try_from(run.count).unwrap_or(u32::MAX)),
        };
        let elapsed = steps(run.mean_gap(), grid);
        for _ in 0..replayed {
            engine
                .models
                .iter_mut()
                .for_each(|model| model.observe(elapsed, 0.0));
            engine.trend.observe(0.0);
        }
        engine
    }

    /// Takes an observation made after the last one.
    pub(crate) fn observe(
        &mut self,
        at: Timestamp,
        value: f64,
        grid: &HorizonGrid,
        scoreboard: &mut Scoreboard,
    ) {
        let gap = at.since(self.last_at);
        let shifted = value - self.zero;
        self.score(at, gap, shifted, scoreboard);

        let elapsed = steps(gap, grid);
        self.models
            .iter_mut()
            .for_each(|model| model.observe(elapsed, shifted));
        self.trend.observe(shifted);
        let onset_before = self.onset.onset();
        self.onset.observe(at, shifted);
        // An onset that moves back joins steps to one drift; nothing new has begun with it.
        if self.onset.onset() > onset_before {
            self.anchors.iter_mut().for_each(Anchor::begin_regime);
            self.models
                .iter_mut()
                .for_each(|model| model.begin_regime(shifted));
        }
        self.last_at = at;
        self.last_value = value;
        self.seen += 1;

        self.put_by(at, gap);
    }

    /// Learns from every forecast whose outcome this observation is.
    fn score(&mut self, at: Timestamp, gap: Duration, shifted: f64, scoreboard: &mut Scoreboard) {
        let floor = self.floor();
        let onset = self.onset.onset();
        for (index, anchor) in self.anchors.iter_mut().enumerate() {
            while let Some(pending) = anchor.take_due(at, gap) {
                anchor.experts.learn(&pending.models, shifted);
                anchor.count_outcome(&pending, onset);
                let score = (shifted - pending.mixture.mean) / pending.mixture.variance.sqrt();
                if index == 0 {
                    scoreboard.score(&anchor.calibrator.offsets(), score);
                }
                // A deviation at the floor is arithmetic, no scale to learn from.
                if pending.mixture.variance > floor {
                    anchor.calibrator.learn(score);
                }
            }
        }
    }

    fn put_by(&mut self, at: Timestamp, gap: Duration) {
        let weights = self.weights_at_anchors();
        for (index, weights) in weights.iter().enumerate() {
            let anchor = &self.anchors[index];
            if anchor.wants(at, gap) {
                let said = self.say(anchor.steps);
                let mixture = self.widened(combine(weights, &said));
                self.anchors[index].keep(at, said, mixture);
            }
        }
    }

    /// Quantiles for every horizon of the grid.
    pub(crate) fn forecast(&self, grid: &HorizonGrid) -> Vec<Quantiles> {
        let beliefs: Vec<Belief> = self
            .weights_at_anchors()
            .into_iter()
            .zip(&self.anchors)
            .map(|(weights, anchor)| Belief {
                weights,
                offsets: anchor.calibrator.offsets(),
            })
            .collect();
        let mut result = Vec::with_capacity(grid.len());
        for (index, steps) in grid.steps().iter().enumerate() {
            let belief = self.belief_at(index, &beliefs);
            let said = self.say(f64::from(*steps));
            let mixture = self.widened(combine(&belief.weights, &said));
            let deviation = mixture.variance.sqrt();
            let centre = self.zero + mixture.mean;
            result.push(Quantiles::new(
                belief.offsets.map(|o| finite(centre + o * deviation)),
            ));
        }
        result
    }

    /// The belief at a horizon of the grid: between two anchors, in proportion.
    fn belief_at(&self, grid_index: usize, beliefs: &[Belief]) -> Belief {
        let above = self
            .anchors
            .partition_point(|anchor| anchor.grid_index < grid_index);
        let upper = above.min(beliefs.len() - 1);
        let lower = upper.saturating_sub(1);
        let (from, to) = (
            self.anchors[lower].grid_index,
            self.anchors[upper].grid_index,
        );
        if upper == lower || grid_index >= to {
            return beliefs[upper];
        }
        if grid_index <= from {
            return beliefs[lower];
        }
        // Exact: grids have some sixty horizons at most.
        #[allow(clippy::cast_precision_loss)]
        let share = (grid_index - from) as f64 / (to - from) as f64;
        let (a, b) = (&beliefs[lower], &beliefs[upper]);
        Belief {
            weights: std::array::from_fn(|i| a.weights[i] + share * (b.weights[i] - a.weights[i])),
            offsets: std::array::from_fn(|i| a.offsets[i] + share * (b.offsets[i] - a.offsets[i])),
        }
    }

    /// The weights at every anchor: learned, handed on from shorter to longer horizons, and those of
    /// trending models only so far as there is a trend old enough to be carried on so far.
    fn weights_at_anchors(&self) -> Vec<PerModel> {
        let strength = self.trend.strength();
        let mut learned: Option<PerModel> = None;
        let mut result = Vec::with_capacity(self.anchors.len());
        for anchor in &self.anchors {
            let weights = anchor.weights(learned.as_ref());
            learned = Some(weights);
            let reach = CARRIED_ON * self.last_at.since(self.regime_began()).as_secs_f64();
            let carried = (reach / anchor.span().as_secs_f64()).min(1.0).powi(2);
            result.push(self.gated(weights, strength * carried));
        }
        result
    }

    fn regime_began(&self) -> Timestamp {
        self.onset.onset().unwrap_or(self.first_at)
    }

    fn gated(&self, mut weights: PerModel, trending: f64) -> PerModel {
        for (weight, model) in weights.iter_mut().zip(&self.models) {
            *weight *= match model.continuation() {
                Continuation::Flat => 1.0,
                Continuation::Trending => trending,
            };
        }
        let total: f64 = weights.iter().sum();
        weights.map(|weight| weight / total)
    }

    fn say(&self, ahead_steps: f64) -> [Moments; MODELS] {
        std::array::from_fn(|index| self.models[index].predict(ahead_steps))
    }

    fn floor(&self) -> f64 {
        (RESOLUTION * self.last_value).powi(2).max(VARIANCE_FLOOR)
    }

    /// With the doubt of a short history, and no narrower than the arithmetic.
    #[allow(clippy::cast_precision_loss)] // Counts stay far below 2^52.
    fn widened(&self, moments: Moments) -> Moments {
        let doubt = 1.0 + SHORT_HISTORY / self.seen as f64;
        Moments {
            variance: (moments.variance * doubt).max(self.floor()),
            ..moments
        }
    }

    /// When the present regime set in.
    pub(crate) fn onset(&self) -> Option<Timestamp> {
        self.onset.onset()
    }

    /// The instant of the last observation.
    pub(crate) fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// The weights as they are shown: the mean over the anchors.
    pub(crate) fn shown_weights(&self) -> Vec<ModelWeight> {
        let all = self.weights_at_anchors();
        // Exact: there are a handful of anchors.
        #[allow(clippy::cast_precision_loss)]
        let count = all.len() as f64;
        let mean = std::array::from_fn(|model| all.iter().map(|w| w[model]).sum::<f64>() / count);
        name(&self.models, &mean)
    }
}

/// Names the weights.
pub(crate) fn name(models: &[Box<dyn Model>; MODELS], weights: &PerModel) -> Vec<ModelWeight> {
    models
        .iter()
        .zip(weights)
        .map(|(model, weight)| ModelWeight {
            model: model.name().to_owned(),
            weight: *weight,
        })
        .collect()
}

/// `span` in steps of the grid; at least a thousandth, so that it can be divided by.
fn steps(span: Duration, grid: &HorizonGrid) -> f64 {
    (span.as_secs_f64() / grid.step().as_secs_f64()).max(1e-3)
}

/// Far beyond any deviation, but finite: a trend of 1e30 a step over 1e5 steps.
fn finite(value: f64) -> f64 {
    value.clamp(-1e300, 1e300)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experts::PRIOR;
    use evenkeel_core::forecast::LEVELS;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    /// An engine that saw `calm` seconds of 0 and then `values`.
    fn engine(calm: u32, grid: &HorizonGrid, values: impl IntoIterator<Item = f64>) -> Engine {
        let last = at(i64::from(calm) - 1);
        let run = ConstantRun {
            value: 0.0,
            first: at(0),
            last,
            count: u64::from(calm),
        };
        let mut engine = Engine::after(&run, grid);
        let mut scoreboard = Scoreboard::default();
        for (second, value) in (i64::from(calm)..).zip(values) {
            engine.observe(at(second), value, grid, &mut scoreboard);
        }
        engine
    }

    #[test]
    fn a_trend_is_not_carried_on_far_beyond_its_age() {
        let grid = HorizonGrid::new(SECOND, SECOND * 400);
        let engine = engine(50, &grid, (1..=9).map(f64::from));
        let trending = |weights: &PerModel| weights[2] + weights[3];
        let weights = engine.weights_at_anchors();
        assert!(trending(&weights[1]) > 0.8, "near: {weights:?}");
        assert!(trending(weights.last().unwrap()) < 0.1, "far: {weights:?}");
    }

    #[test]
    #[allow(clippy::cast_precision_loss)] // Indexes are small.
    fn horizons_between_anchors_lie_between_them() {
        let grid = HorizonGrid::new(SECOND, SECOND * 400);
        let engine = engine(5, &grid, (0..300).map(|i| f64::from(i * 619 % 100)));
        let beliefs: Vec<Belief> = (0..engine.anchors.len())
            .map(|anchor| Belief {
                weights: PRIOR,
                offsets: [anchor as f64; LEVELS.len()],
            })
            .collect();
        let offsets: Vec<f64> = (0..grid.len())
            .map(|index| engine.belief_at(index, &beliefs).offsets[0])
            .collect();
        assert_eq!(
            (offsets[0], *offsets.last().unwrap()),
            (0.0, (beliefs.len() - 1) as f64)
        );
        assert!(
            offsets.windows(2).all(|pair| pair[0] < pair[1]),
            "{offsets:?}"
        );
        for (anchor, belief) in engine.anchors.iter().zip(&beliefs) {
            assert_eq!(offsets[anchor.grid_index], belief.offsets[0]);
        }
    }

    #[test]
    fn a_varying_series_takes_about_five_kilobytes() {
        let grid = HorizonGrid::new(SECOND, SECOND * 1800);
        let engine = engine(5, &grid, (0..300).map(|i| f64::from(i % 7)));
        let models: usize = engine
            .models
            .iter()
            .map(|model| size_of_val(model.as_ref()))
            .sum();
        let anchors: usize = engine.anchors.iter().map(Anchor::bytes).sum();
        let bytes = size_of::<Engine>() + models + anchors;
        assert!(
            bytes < 5 * 1024,
            "{bytes}: {} {models} {anchors}",
            size_of::<Engine>()
        );
    }
}
