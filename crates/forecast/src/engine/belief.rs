//! What is believed at each horizon when a forecast is made: the experts' weights, and the offsets of the
//! quantiles.
//!
//! Both are learned at the anchors. Weights are handed on from shorter to longer ones, trending models are
//! heard only so far as there is a trend old enough, and a horizon between two anchors takes its belief from
//! both in proportion.

use std::time::Duration;

use evenkeel_core::forecast::{HorizonGrid, MEDIAN};
use evenkeel_core::time::Timestamp;

use super::Engine;
use super::possible::Bounds;
use crate::conformal::PerLevel;
use crate::experts::{COMMITTEE, EXPERTS, PerExpert};
use crate::horizon::Anchor;
use crate::models::{Continuation, Moments};

/// A trend is carried on in full up to so many times its age, and less beyond: six points in a row are
/// no reason to be sure of the next two hundred, whatever their fit.
const CARRIED_ON: f64 = 3.0;

/// An expert with less than this part of the greatest weight is in the pool only to be heard again one
/// day. In the mixture it would add nothing but its disagreement to the variance.
const NEGLIGIBLE: f64 = 0.05;

/// After so many outcomes a learned median counts for half.
const MEDIAN_COUNTS_FROM: f64 = 50.0;

/// Where the offsets of a forecast are laid off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) centre: f64,
    pub(super) deviation: f64,
    /// The value at the forecast's origin.
    pub(super) last: f64,
}

impl Place {
    pub(super) fn quantiles(&self, bounds: &Bounds, offsets: PerLevel) -> PerLevel {
        let free = offsets.map(|offset| finite(self.centre + offset * self.deviation));
        bounds.confine(free, self.last)
    }

    pub(super) fn confined(&self, bounds: &Bounds, offsets: PerLevel) -> PerLevel {
        let quantiles = self.quantiles(bounds, offsets);
        quantiles.map(|quantile| (quantile - self.centre) / self.deviation)
    }
}

/// What holds at one anchor when a forecast is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belief {
    pub(super) weights: PerExpert,
    pub(super) offsets: PerLevel,
}

impl Engine {
    /// The belief at a horizon of the grid: between two anchors, in proportion.
    pub(super) fn belief_at(&self, grid_index: usize, beliefs: &[Belief]) -> Belief {
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
    pub(super) fn weights_at_anchors(&self) -> Vec<PerExpert> {
        let trending = self.trending();
        let mut learned: Option<PerExpert> = None;
        let mut result = Vec::with_capacity(self.anchors.len());
        for anchor in &self.anchors {
            let weights = anchor.weights(learned.as_ref());
            learned = Some(weights);
            result.push(self.gated(weights, trending(anchor.span())));
        }
        result
    }

    /// How much a trend is believed so far ahead, from 0 to 1: so far as there is one, and it is old enough.
    fn trending(&self) -> impl Fn(Duration) -> f64 + use<> {
        let strength = self.trend.strength();
        let reach = CARRIED_ON * self.last_at.since(self.regime_began()).as_secs_f64();
        move |span| strength * (reach / span.as_secs_f64()).min(1.0).powi(2)
    }

    /// At each of the steps `ahead` the stretch between the last value and where the trending models are,
    /// of which `said` tells, so far as a trend is believed; empty while there is none.
    pub(super) fn opened_by_trend(
        &self,
        ahead: &[u32],
        said: &[[Moments; EXPERTS]],
        grid: &HorizonGrid,
    ) -> Vec<(f64, f64)> {
        if self.trend.strength() == 0.0 {
            return Vec::new();
        }
        let (models, trending) = (self.pool.models(), self.trending());
        let open = |(steps, said): (&u32, &[Moments; EXPERTS])| {
            let believed = trending(grid.step() * *steps);
            let mut stretch = (self.last_value, self.last_value);
            for (model, moments) in models.iter().zip(said) {
                if model.continuation() == Continuation::Trending {
                    let way = self.zero + moments.mean - self.last_value;
                    let end = self.last_value + believed * way;
                    stretch = (stretch.0.min(end), stretch.1.max(end));
                }
            }
            stretch
        };
        ahead.iter().zip(said).map(open).collect()
    }

    fn regime_began(&self) -> Timestamp {
        self.onset.onset().unwrap_or(self.first_at)
    }

    fn gated(&self, mut weights: PerExpert, trending: f64) -> PerExpert {
        for (weight, model) in weights.iter_mut().zip(self.pool.models()) {
            *weight *= match model.continuation() {
                Continuation::Flat => 1.0,
                Continuation::Trending => trending,
            };
        }
        if self.speaking().is_none() {
            weights[COMMITTEE] = 0.0;
        }
        let most = weights.iter().copied().fold(0.0, f64::max);
        for weight in &mut weights {
            if *weight < NEGLIGIBLE * most {
                *weight = 0.0;
            }
        }
        let total: f64 = weights.iter().sum();
        weights.map(|weight| weight / total)
    }
}

/// The calibrator's offsets, the median's only so far as it is known from many outcomes: at long horizons
/// outcomes are few, and a median learned from few is worse than the models' own.
pub(super) fn calibrated(anchor: &Anchor) -> PerLevel {
    let mut offsets = anchor.calibrator.offsets();
    let outcomes = f64::from(anchor.calibrator.scored());
    let median = offsets[MEDIAN] * outcomes / (outcomes + MEDIAN_COUNTS_FROM);
    offsets[MEDIAN] = median.clamp(offsets[MEDIAN - 1], offsets[MEDIAN + 1]);
    offsets
}

/// Far beyond any deviation, but finite: a trend of 1e30 a step over 1e5 steps.
fn finite(value: f64) -> f64 {
    value.clamp(-1e300, 1e300)
}

#[cfg(test)]
mod tests {
    use super::super::tests::engine;
    use super::*;
    use crate::experts::PRIOR;
    use evenkeel_core::forecast::{HorizonGrid, LEVELS};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_trend_is_not_carried_on_far_beyond_its_age() {
        let grid = HorizonGrid::new(SECOND, SECOND * 400);
        let engine = engine(50, &grid, (1..=9).map(f64::from));
        let trending = |weights: &PerExpert| weights[2] + weights[3];
        let weights = engine.weights_at_anchors();
        assert!(trending(&weights[1]) > 0.8, "near: {weights:?}");
        assert!(
            trending(weights.last().unwrap()) < 0.155,
            "far: {weights:?}"
        );
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
}
