//! Online calibration: what the quantiles of a model's forecast really are, learned from how its past
//! forecasts turned out.
//!
//! Scores are normalised: `s = (actual - mean) / deviation`, both as forecast, so that the learned offset
//! `q_p` of each level `p` scales with what the model itself says of its uncertainty. An offset has
//! three parts, each of which does what the others cannot:
//!
//! ```text
//! q_p = m + (sum_k w_pk a_pk c_k - m) * f_p  +  R * c_slow * g_p * x_p * (1 + (x_p / S)^2)
//!           what was found sharp        held together        kept true
//! ```
//!
//! **Sharp.** Three followers `k` stand side by side. Each has a scale `c_k`, an exponential mean of
//! |s| with its own memory, and an offset `a_pk` on the scale of `s / c_k`, followed by quantile
//! tracking (the P of conformal PID control; Angelopoulos, Candès, Tibshirani 2023, equation 5):
//! `a += rate_p (p - [s / c_k <= a])`. A short scale follows bursts of volatility (as in the CAViaR
//! models of Engle and Manganelli 2004); a long one is not fooled by a single outlier. The step is
//! divided by the density of the normal at `p`, so that all levels move alike in *probability*, and is
//! at most half of the tail `min(p, 1 - p)`: a step much greater than the tail would be noise. The
//! followers are averaged by exponential weights with a fixed share on their pinball losses (after
//! DtACI, Gibbs and Candès 2024, but on the scale of quantiles, where no interval becomes infinite; the
//! share after Herbster and Warmuth 1998), apart for each side's tail and flank and for the median.
//!
//! **True.** `x_p = sum_t (p - [s_t <= q_p,t])` counts the outcomes that the level owes; it is the
//! integral term of conformal PID control (same paper, theorem 1 and equation 8). `g_p` is a step that
//! grows with the level's distance from the median.
//!
//! **Together.** The two sides of a central interval that holds `1 - 2p` are widened or narrowed by one
//! bounded factor `f_p = (2 + y) / (2 - y)`, `y = D (x_{1-p} - x_p) / sqrt(2p)`, the debt of the interval:
//! misses on either side count for both, so that the coverage of the interval holds in short windows
//! as well as in the long run.
//!
//! # Guarantee
//!
//! For *any* sequence of scores, be it random or not, the share of scores at or below `q_p` tends to
//! `p` for every level, at the rate `O(1 / T)`; scores beyond ±[`SCORE_LIMIT`] count as that. Proof
//! (theorem 3 of the same paper: an integrator that outgrows the scores, plus *any* bounded prediction
//! of them). Scales are kept within fixed bounds, so the first two parts are bounded by some `G` whatever
//! the followers and weights do. The third outgrows every bound as |x| does: at some `X` it exceeds
//! `G` + [`SCORE_LIMIT`]. Beyond `X` the next score therefore lies on the side that pays the debt off, and
//! |x_p| never exceeds `X + 1`. So the share differs from `p` by at most `(X + 1) / T`. Crossing levels
//! are repaired from the median outwards: if an upper level `i` falls below its inner neighbour `j` it
//! takes over `q_j` and thus the outcome of `j`; in that time `x_i - x_j` only grows (by `p_i - p_j`), so
//! `x_i` cannot fall without `x_j`, and the bound carries over outwards by induction (mirrored below the
//! median). A score equal to an offset is a tie and moves nothing (zero is a subgradient there): for
//! counts `p` then lies between the shares below and at or below.
//!
//! # Several steps ahead
//!
//! An outcome `h` steps ahead arrives `h` steps late, and the errors of forecasts that overlap are alike:
//! what looks like a burst is often one error seen `h` times. [`Calibrator::ahead`] therefore divides all
//! rates by `h`, and the strength of the debt by its root. [`Calibrator::learn`] judges an
//! outcome by the offsets of its arrival; the guarantee then holds for those.
//! [`Calibrator::learn_issued`] judges it by the offsets that were given out, for whoever kept them,
//! and the guarantee holds for what was given out (a delay of `h` adds at most `h` to the debt's bound).
//!
//! Before the first outcome the offsets are those of Student's t with three degrees of freedom: a short
//! history says little of tails.
//!
//! Invariants: offsets are finite, and [`Calibrator::offsets`] never cross.

use std::f32::consts::{PI, SQRT_2};

use evenkeel_core::forecast::{LEVELS, MEDIAN};
use serde::{Deserialize, Serialize};

/// One number per level of [`LEVELS`].
pub type PerLevel = [f64; LEVELS.len()];

/// The same in single precision.
type Levels = [f32; LEVELS.len()];

/// Standard normal quantiles at [`LEVELS`].
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

/// [`LEVELS`] in single precision.
const LEVEL: Levels = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995,
];

/// Quantiles at [`LEVELS`] of Student's t with three degrees of freedom, over its mean absolute value
/// `2 sqrt(3) / pi`.
const STUDENT: Levels = [
    -5.297_119, -4.117_962, -2.886_16, -2.134_265, -1.485_27, -0.693_681, 0.0, 0.693_681, 1.485_27,
    2.134_265, 2.886_16, 4.117_962, 5.297_119,
];

/// The mean absolute value of a standard normal: the scale before the first outcome.
const NORMAL_SCALE: f32 = 0.797_884_6;

/// One over the standard normal density at [`NORMAL`], counted in mean absolute values: by so much a
/// quantile moves when its probability does.
const PER_DENSITY: Levels = [
    86.676, 47.025, 21.444, 12.152, 7.141_5, 3.944, PI, 3.944, 7.141_5, 12.152, 21.444, 47.025,
    86.676,
];

/// One over the pinball loss that a normal has at each level (which is its density there), and over the
/// number of levels in the group.
const PER_LOSS: Levels = [
    23.053, 12.507, 5.703_4, 3.232_0, 1.899_4, 1.049_0, 2.506_6, 1.049_0, 1.899_4, 3.232_0,
    5.703_4, 12.507, 23.053,
];

/// `g_p`: the root of the density at the median over that at the level.
const STIFFNESS: Levels = [
    5.252_6, 3.868_9, 2.612_6, 1.966_8, 1.507_7, 1.120_5, 1.0, 1.120_5, 1.507_7, 1.966_8, 2.612_6,
    3.868_9, 5.252_6,
];

/// How many followers there are.
const FOLLOWERS: usize = 3;

/// Gains of the scales: hasty, middling, patient.
const GAINS: [f32; FOLLOWERS] = [0.3, 0.06, 0.003];

/// The follower whose scale is also the unit of everything that is to be steady.
const PATIENT: usize = FOLLOWERS - 1;

/// The step of the followers, in probability.
const RATE: f32 = 0.005;

/// The first outcomes move scales and followers faster, by one over this and their number.
const WARM_UP: f32 = 10.0;

/// No score counts for more in a scale: a mean of heavy tails is mostly its outliers. (Three deviations;
/// two to ten were tried and do about as well.)
const OUTLIER: f32 = 3.0;

/// No score counts for more.
pub const SCORE_LIMIT: f64 = 1e4;

/// No scale is less: after long calm the first change still finds one.
const SCALE_FLOOR: f32 = 1e-3;

/// A hasty scale is at least this share of the patient one.
const FLOOR_SHARE: f32 = 0.05;

/// How strongly a difference in loss, in units of what a normal would lose, speaks for a follower.
const LOSS_RATE: f32 = 0.5;

/// One outcome lowers no weight by more than `exp` of this.
const LOSS_LIMIT: f32 = 5.0;

/// A follower's part when all have the same.
#[allow(clippy::cast_precision_loss)] // Exact: there are three.
const EVEN: f32 = 1.0 / FOLLOWERS as f32;

/// The part of the weights that is spread evenly after each outcome.
const SHARE: f32 = 0.01;

/// The strength `R` of a level's own debt.
const DEBT_RATE: f32 = 0.05;

/// The debt `S` at which its strength doubles.
const DEBT_DOUBLES_AT: f32 = 20.0;

/// The strength `D` of an interval's debt, and the most that it changes.
const INTERVAL_RATE: f32 = 0.015;
const INTERVAL_LIMIT: f32 = 0.7;

/// Levels share weights with their neighbours: lower tail, lower flank, median, upper flank, upper tail.
const GROUPS: usize = 5;
const GROUP: [usize; LEVELS.len()] = [0, 0, 0, 1, 1, 1, 2, 3, 3, 3, 4, 4, 4];

/// Learns the offsets of one horizon.
///
/// Single precision, because there is one per horizon of every property and an offset needs no more
/// than three digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrator {
    /// Per follower the quantiles of scores over its scale.
    quantiles: [Levels; FOLLOWERS],
    scales: [f32; FOLLOWERS],
    /// Per group of levels the weight of each follower; they sum to 1.
    weights: [[f32; FOLLOWERS]; GROUPS],
    /// How many outcomes at or below itself a level owes.
    debts: Levels,
    /// One over the horizon in steps.
    pace: f32,
    scored: u32,
}

impl Default for Calibrator {
    /// For forecasts one step ahead.
    fn default() -> Self {
        Self::ahead(1)
    }
}

impl Calibrator {
    /// For forecasts `steps` ahead (at least one), scored as their outcomes arrive. Also for any other
    /// scores that stay alike for about `steps` of them.
    #[must_use]
    pub fn ahead(steps: u32) -> Self {
        // Exact enough: only its order of magnitude matters.
        #[allow(clippy::cast_precision_loss)]
        let pace = 1.0 / steps.max(1) as f32;
        Self {
            quantiles: [STUDENT; FOLLOWERS],
            scales: [NORMAL_SCALE; FOLLOWERS],
            weights: [[EVEN; FOLLOWERS]; GROUPS],
            debts: [0.0; LEVELS.len()],
            pace,
            scored: 0,
        }
    }

    /// Learns from one normalised score, judged by the present offsets. What is not finite is not a
    /// score and is ignored.
    pub fn learn(&mut self, score: f64) {
        let issued = self.narrow_offsets();
        self.learn_from(score, &issued);
    }

    /// Learns from one normalised score, judged by the offsets that were given out for it.
    pub fn learn_issued(&mut self, score: f64, issued: &PerLevel) {
        self.learn_from(score, &issued.map(narrow));
    }

    /// The calibrated offset of each level in units of the forecast's deviation, rising.
    pub fn offsets(&self) -> PerLevel {
        self.narrow_offsets().map(f64::from)
    }

    /// How many outcomes it has learned from.
    pub fn scored(&self) -> u32 {
        self.scored
    }

    fn learn_from(&mut self, score: f64, issued: &Levels) {
        if !score.is_finite() {
            return;
        }
        let score = narrow(score.clamp(-SCORE_LIMIT, SCORE_LIMIT));
        // Exact enough: only its order of magnitude matters.
        #[allow(clippy::cast_precision_loss)]
        let warm_up = 1.0 / (WARM_UP + self.scored as f32);
        self.weigh(score);
        for (level, debt) in self.debts.iter_mut().enumerate() {
            *debt += surprise(LEVEL[level], score, issued[level]);
        }
        self.follow(score, warm_up);
        self.scored = self.scored.saturating_add(1);
    }

    /// Moves the weights by what each follower would have lost.
    fn weigh(&mut self, score: f32) {
        let mut losses = [[0.0; FOLLOWERS]; GROUPS];
        let followers = self.quantiles.iter().zip(self.scales).enumerate();
        for (follower, (quantiles, scale)) in followers {
            let lost: Levels = std::array::from_fn(|level| {
                let over = score - quantiles[level] * scale;
                (LEVEL[level] * over).max((LEVEL[level] - 1.0) * over) * PER_LOSS[level]
            });
            for (level, lost) in lost.into_iter().enumerate() {
                losses[GROUP[level]][follower] += lost;
            }
        }
        let speaks = LOSS_RATE * self.pace / self.scales[PATIENT];
        let share = SHARE * self.pace;
        for (weights, losses) in self.weights.iter_mut().zip(losses) {
            let least = losses.iter().copied().fold(f32::INFINITY, f32::min);
            for (weight, loss) in weights.iter_mut().zip(losses) {
                if loss > least {
                    *weight *= (-(speaks * (loss - least)).min(LOSS_LIMIT)).exp();
                }
            }
            let kept = (1.0 - share) / weights.iter().sum::<f32>();
            for weight in weights {
                *weight = kept * *weight + share * EVEN;
            }
        }
    }

    /// Moves every follower's quantiles, then its scale.
    fn follow(&mut self, score: f32, warm_up: f32) {
        let rate = RATE * self.pace;
        let steps: Levels = std::array::from_fn(|level| {
            let tail = LEVEL[level].min(1.0 - LEVEL[level]);
            rate.min(0.5 * tail).max(warm_up.min(tail)) * PER_DENSITY[level]
        });
        for (quantiles, scale) in self.quantiles.iter_mut().zip(self.scales) {
            let relative = score / scale;
            for (level, quantile) in quantiles.iter_mut().enumerate() {
                *quantile += steps[level] * surprise(LEVEL[level], relative, *quantile);
            }
        }
        let size = score.abs().min(OUTLIER);
        for (scale, gain) in self.scales.iter_mut().zip(GAINS) {
            *scale += (gain * self.pace).max(warm_up) * (size - *scale);
        }
        let floor = (FLOOR_SHARE * self.scales[PATIENT]).max(SCALE_FLOOR);
        for scale in &mut self.scales {
            *scale = scale.max(floor);
        }
    }

    fn narrow_offsets(&self) -> Levels {
        let mut result: Levels = std::array::from_fn(|level| {
            let weights = &self.weights[GROUP[level]];
            (0..FOLLOWERS)
                .map(|k| weights[k] * self.scales[k] * self.quantiles[k][level])
                .sum()
        });
        self.hold_intervals(&mut result);
        let strength = DEBT_RATE * self.scales[PATIENT];
        let patience = self.pace.sqrt();
        for (level, slot) in result.iter_mut().enumerate() {
            let debt = self.debts[level] * patience;
            let grown = 1.0 + (debt / DEBT_DOUBLES_AT).powi(2);
            *slot += strength * STIFFNESS[level] * debt * grown;
        }
        for level in MEDIAN + 1..LEVELS.len() {
            result[level] = result[level].max(result[level - 1]);
        }
        for level in (0..MEDIAN).rev() {
            result[level] = result[level].min(result[level + 1]);
        }
        result
    }

    /// Widens or narrows each central interval by what it owes.
    fn hold_intervals(&self, offsets: &mut Levels) {
        let median = offsets[MEDIAN];
        let strength = INTERVAL_RATE * self.pace.sqrt();
        for lower in 0..MEDIAN {
            let upper = LEVELS.len() - 1 - lower;
            let owed = (self.debts[upper] - self.debts[lower]) * INTERVAL_WEIGHT[lower];
            let change = (strength * owed).clamp(-INTERVAL_LIMIT, INTERVAL_LIMIT);
            let factor = (2.0 + change) / (2.0 - change);
            offsets[lower] = median + (offsets[lower] - median).min(0.0) * factor;
            offsets[upper] = median + (offsets[upper] - median).max(0.0) * factor;
        }
    }
}

/// One over the root of the part outside each central interval, the widest first.
const INTERVAL_WEIGHT: [f32; MEDIAN] = [10.0, 7.071_07, 4.472_14, 3.162_28, 2.236_07, SQRT_2];

/// `p - [score <= offset]`, and 0 for a tie: what an outcome adds to the debt of level `p`.
fn surprise(level: f32, score: f32, offset: f32) -> f32 {
    let below = if score < offset { 1.0 } else { 0.0 };
    if score == offset { 0.0 } else { level - below }
}

// Rounding is meant; what is handed in is bounded far below the limit of single precision.
#[allow(clippy::cast_possible_truncation)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use proptest::prelude::*;

    #[test]
    #[allow(clippy::float_cmp)] // Copies of constants.
    fn tables_are_what_their_formulas_say() {
        let per_group = |group: usize| GROUP.iter().filter(|g| **g == group).count();
        let at_median = 1.0 / std::f64::consts::TAU.sqrt();
        for level in 0..LEVELS.len() {
            let density = at_median * (-NORMAL[level].powi(2) / 2.0).exp();
            #[allow(clippy::cast_precision_loss)] // At most three.
            let sharing = per_group(GROUP[level]) as f64;
            for (table, formula) in [
                (LEVEL[level], LEVELS[level]),
                (
                    PER_DENSITY[level],
                    1.0 / (density * f64::from(NORMAL_SCALE)),
                ),
                (PER_LOSS[level], 1.0 / (density * sharing)),
                (STIFFNESS[level], (at_median / density).sqrt()),
            ] {
                let error = (f64::from(table) / formula - 1.0).abs();
                assert!(error < 1e-4, "level {level}: {table} for {formula}");
            }
            assert_eq!(STUDENT[level], -STUDENT[LEVELS.len() - 1 - level]);
        }
        for (weight, level) in INTERVAL_WEIGHT.iter().zip(LEVELS) {
            assert!((f64::from(*weight).powi(-2) - 2.0 * level).abs() < 1e-5);
        }
    }

    #[test]
    fn before_the_first_outcome_tails_are_wider_than_a_normals() {
        let offsets = Calibrator::default().offsets();
        assert!(offsets[0] < 1.5 * NORMAL[0], "{offsets:?}");
        assert!((offsets[4] / NORMAL[4] - 1.0).abs() < 0.1, "{offsets:?}");
    }

    #[test]
    fn a_calibrator_takes_at_most_320_bytes() {
        assert!(size_of::<Calibrator>() <= 320);
    }

    #[test]
    fn offsets_find_the_quantiles_of_the_scores() {
        let mut calibrator = Calibrator::default();
        // Evenly spread over [0, 1), in a scrambled order.
        for step in 0..4000_u32 {
            calibrator.learn(f64::from(step * 619 % 1000) / 1000.0);
        }
        for (offset, level) in calibrator.offsets().iter().zip(LEVELS) {
            assert!((offset - level).abs() < 0.1, "{level}: {offset}");
        }
    }

    #[test]
    fn a_tie_changes_no_debt() {
        let mut calibrator = Calibrator::default();
        for level in 0..LEVELS.len() {
            let before = calibrator.debts;
            calibrator.learn(calibrator.offsets()[level]);
            assert_eq!(calibrator.debts[level].to_bits(), before[level].to_bits());
        }
    }

    #[test]
    fn a_burst_widens_the_interval_at_once_and_less_so_further_ahead() {
        let widened = |steps: u32| {
            let mut random = Random::new(3);
            let mut calibrator = Calibrator::ahead(steps);
            (0..500).for_each(|_| calibrator.learn(random.normal()));
            let before = calibrator.offsets()[10];
            (0..6).for_each(|_| calibrator.learn(6.0 * random.normal()));
            calibrator.offsets()[10] / before
        };
        assert!(widened(1) > 1.3, "{}", widened(1));
        assert!(widened(12) < 0.5 + 0.5 * widened(1), "{}", widened(12));
    }

    #[test]
    fn what_is_no_number_is_not_learned() {
        let mut calibrator = Calibrator::default();
        calibrator.learn(1.0);
        let before = calibrator.clone();
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
            .into_iter()
            .for_each(|score| calibrator.learn(score));
        assert_eq!(calibrator, before);
    }

    proptest! {
        #[test]
        fn offsets_are_finite_and_never_cross(
            steps in prop_oneof![Just(0_u32), 1_u32..100, Just(u32::MAX)],
            scores in proptest::collection::vec(
                prop_oneof![
                    -3.0_f64..3.0,
                    -1e300_f64..1e300,
                    -1e-300_f64..1e-300,
                    Just(0.0),
                    Just(f64::NAN),
                    Just(f64::INFINITY),
                ],
                0..200,
            ),
        ) {
            let mut calibrator = Calibrator::ahead(steps);
            let issued = calibrator.offsets();
            for (index, score) in scores.into_iter().enumerate() {
                if index % 3 == 0 {
                    calibrator.learn_issued(score, &issued);
                } else {
                    calibrator.learn(score);
                }
                let offsets = calibrator.offsets();
                prop_assert!(offsets.iter().all(|offset| offset.is_finite()));
                prop_assert!(offsets.windows(2).all(|pair| pair[0] <= pair[1]));
            }
        }

        #[test]
        fn mirrored_scores_have_mirrored_offsets(
            scores in proptest::collection::vec(-9.0_f64..9.0, 0..100),
        ) {
            let (mut one, mut other) = (Calibrator::default(), Calibrator::default());
            for score in scores {
                one.learn(score);
                other.learn(-score);
            }
            let (one, other) = (one.offsets(), other.offsets());
            for level in 0..LEVELS.len() {
                let difference = one[level] + other[LEVELS.len() - 1 - level];
                prop_assert!(difference.abs() < 0.01, "{one:?} {other:?}");
            }
        }

        #[test]
        fn a_stored_calibrator_goes_on_where_it_was(
            scores in proptest::collection::vec(-9.0_f64..9.0, 0..100),
            next in -9.0_f64..9.0,
        ) {
            let mut calibrator = Calibrator::ahead(4);
            scores.into_iter().for_each(|score| calibrator.learn(score));
            let stored = serde_json::to_string(&calibrator).unwrap();
            let mut restored: Calibrator = serde_json::from_str(&stored).unwrap();
            calibrator.learn(next);
            restored.learn(next);
            prop_assert_eq!(calibrator, restored);
        }
    }
}
