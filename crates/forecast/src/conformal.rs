//! Online calibration: what quantiles of a model's forecast really are, learned from how its past
//! forecasts turned out.
//!
//! Scores are normalised: `(actual - mean) / deviation`, both as forecast, so that the learned offset
//! of each level scales with what the model itself says of its uncertainty. Per level `p` the offset is
//! followed by quantile tracking, the P of conformal PID control (Angelopoulos, Candès, Tibshirani
//! 2023): `q += rate * scale * (p - [score <= q])`, `scale` being the running mean of |score|. For any
//! sequence of scores the share of scores at or below `q` tends to `p`, as long as they are bounded, which
//! `SCORE_LIMIT` sees to. Three rates run side by side and are averaged by exponential weights on
//! their discounted pinball loss, apart for lower, middle and upper levels (after DtACI, Gibbs and
//! Candès 2024, but on the scale of quantiles, where no interval becomes infinite).
//!
//! An outcome `h` steps ahead arrives `h` steps late and is compared with the offsets of its arrival; the
//! delay changes the constant of the guarantee, not the limit.
//!
//! Invariants: offsets are finite, and [`Calibrator::offsets`] never cross.

use evenkeel_core::forecast::LEVELS;
use serde::{Deserialize, Serialize};

use crate::metrics::pinball;

/// One number per level of [`LEVELS`].
pub type PerLevel = [f64; LEVELS.len()];

/// Standard normal quantiles at [`LEVELS`]: what is believed before the first outcome.
pub const NORMAL: PerLevel = [
    -2.575_829_3,
    -2.326_347_9,
    -1.959_964,
    -1.644_853_6,
    -1.281_551_6,
    -0.674_489_75,
    0.0,
    0.674_489_75,
    1.281_551_6,
    1.644_853_6,
    1.959_964,
    2.326_347_9,
    2.575_829_3,
];

/// Steps as shares of the running mean |score|: patient, middling, hasty.
const RATES: [f32; 3] = [0.02, 0.1, 0.5];

/// No score counts for more: the first change after long calm would otherwise throw the offsets out
/// for good.
const SCORE_LIMIT: f64 = 20.0;

/// Gain of the running mean |score|.
const SCALE_GAIN: f32 = 0.02;

/// What a loss keeps of its say with each later one.
const LOSS_MEMORY: f32 = 0.98;

/// How strongly a difference in discounted loss speaks for a rate.
const LOSS_RATE: f32 = 2.0;

/// The first outcomes move every rate alike, by one over this and their number.
const WARM_UP: f32 = 10.0;

/// Levels below this index are the lower side, above its mirror the upper side.
const LOWER_LEVELS: usize = 5;
const UPPER_LEVELS_FROM: usize = LEVELS.len() - LOWER_LEVELS;

/// Learns the offsets of one horizon.
///
/// Single precision, because there is one per horizon of every property and an offset needs no more
/// than three digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Calibrator {
    offsets: [[f32; LEVELS.len()]; RATES.len()],
    losses: [[f32; 3]; RATES.len()],
    scale: f32,
    scored: u32,
}

impl Default for Calibrator {
    fn default() -> Self {
        Self {
            offsets: [NORMAL.map(narrow); RATES.len()],
            losses: [[0.0; 3]; RATES.len()],
            scale: 0.8, // The mean |score| of a standard normal.
            scored: 0,
        }
    }
}

impl Calibrator {
    /// Learns from one normalised score. What is not finite is not a score and is ignored.
    pub fn learn(&mut self, score: f64) {
        if !score.is_finite() {
            return;
        }
        let score = score.clamp(-SCORE_LIMIT, SCORE_LIMIT);
        self.score_rates(score);
        let score = narrow(score);
        // Exact enough: only its order of magnitude matters.
        #[allow(clippy::cast_precision_loss)]
        let warm_up = 1.0 / (WARM_UP + self.scored as f32);
        for (offsets, rate) in self.offsets.iter_mut().zip(RATES) {
            let step = rate.max(warm_up) * self.scale;
            for (offset, level) in offsets.iter_mut().zip(LEVELS) {
                let below = if score <= *offset { 1.0 } else { 0.0 };
                *offset += step * (narrow(level) - below);
            }
        }
        self.scale += SCALE_GAIN.max(warm_up) * (score.abs() - self.scale);
        self.scored = self.scored.saturating_add(1);
    }

    /// The calibrated offset of each level in units of the forecast's deviation, rising.
    pub fn offsets(&self) -> PerLevel {
        let shares = self.shares();
        let mut result = [0.0; LEVELS.len()];
        for (level, slot) in result.iter_mut().enumerate() {
            let share = &shares[group(level)];
            *slot = (0..RATES.len())
                .map(|rate| f64::from(share[rate] * self.offsets[rate][level]))
                .sum();
        }
        result.sort_by(f64::total_cmp);
        result
    }

    /// How many outcomes it has learned from.
    pub fn scored(&self) -> u32 {
        self.scored
    }

    fn score_rates(&mut self, score: f64) {
        for (losses, offsets) in self.losses.iter_mut().zip(&self.offsets) {
            *losses = losses.map(|loss| loss * LOSS_MEMORY);
            for (index, level) in LEVELS.iter().enumerate() {
                let loss = pinball(*level, f64::from(offsets[index]), score);
                losses[group(index)] += narrow(loss);
            }
        }
    }

    /// For lower, middle and upper levels the weight of each rate.
    fn shares(&self) -> [[f32; RATES.len()]; 3] {
        std::array::from_fn(|group| {
            let losses = self.losses.map(|groups| groups[group]);
            let least = losses.iter().copied().fold(f32::INFINITY, f32::min);
            let unit = self.scale.max(f32::MIN_POSITIVE);
            let weights = losses.map(|loss| (-LOSS_RATE * (loss - least) / unit).exp());
            let total: f32 = weights.iter().sum();
            weights.map(|weight| weight / total)
        })
    }
}

/// 0 for the lower levels, 1 for the middle, 2 for the upper.
fn group(level: usize) -> usize {
    usize::from(level >= LOWER_LEVELS) + usize::from(level >= UPPER_LEVELS_FROM)
}

// Rounding is meant; what is handed in is bounded far below the limit of single precision.
#[allow(clippy::cast_possible_truncation)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn before_the_first_outcome_the_normal_is_believed() {
        let offsets = Calibrator::default().offsets();
        assert!(
            offsets
                .iter()
                .zip(NORMAL)
                .all(|(a, b)| (a - b).abs() < 1e-5)
        );
    }

    #[test]
    fn offsets_find_the_quantiles_of_the_scores() {
        let mut calibrator = Calibrator::default();
        // Evenly spread over [0, 1), in a scrambled order.
        for step in 0..4000_u32 {
            calibrator.learn(f64::from(step * 619 % 1000) / 1000.0);
        }
        let offsets = calibrator.offsets();
        // The outermost levels see one outcome in a hundred and keep much of the normal's width.
        for (offset, level) in offsets.iter().zip(LEVELS).skip(3).take(7) {
            assert!((offset - level).abs() < 0.06, "{level}: {offset}");
        }
    }

    proptest! {
        #[test]
        fn offsets_are_finite_and_never_cross(
            scores in proptest::collection::vec(
                prop_oneof![-3.0_f64..3.0, -1e300_f64..1e300, Just(f64::NAN), Just(f64::INFINITY)],
                0..300,
            ),
        ) {
            let mut calibrator = Calibrator::default();
            for score in scores {
                calibrator.learn(score);
                let offsets = calibrator.offsets();
                prop_assert!(offsets.iter().all(|offset| offset.is_finite()));
                prop_assert!(offsets.windows(2).all(|pair| pair[0] <= pair[1]));
            }
        }
    }
}
