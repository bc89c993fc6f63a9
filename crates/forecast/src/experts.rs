//! Which model to believe at one horizon: exponential weights with a fixed share.
//!
//! After each outcome every weight is multiplied by `exp(-RATE * loss)` and then mixed with the prior
//! by `SHARE`. The loss is the mean pinball loss of the expert's median and two central
//! intervals, divided by its running mean over all models so that it has no unit and lies in [0, [`EXPERTS`]].
//!
//! The committee of fitted models is one of the experts. Where there is none, it sleeps: it is given no
//! weight in the mixture, and its own weight neither grows nor falls (specialists: Freund, Schapire,
//! Singer and Warmuth 1997).
//!
//! Bound (fixed share: Herbster and Warmuth 1998; Cesa-Bianchi and Lugosi 2006, theorem 5.2): against
//! the best sequence of experts with `k` switches in `n` outcomes, the weighted mean forecast loses at
//! most `((k + 1) ln(1 / p) + n H(k / n)) / RATE + RATE n EXPERTS^2 / 8`, `p` being the least prior,
//! `H` the binary entropy and `SHARE = k / n`, in units of the running mean loss. It holds for any
//! sequence. The rate is high, because outcomes are few and a drift does not wait; only one forecast in
//! several is scored at long horizons (see `crate::horizon`), so that overlap does not multiply it.

use serde::{Deserialize, Serialize};

use crate::metrics::pinball;
use crate::models::{Moments, POOL};

/// The pool's models in their order, and after them the committee.
pub const EXPERTS: usize = POOL + 1;

/// The committee's place among the experts.
pub const COMMITTEE: usize = POOL;

/// One number per expert.
pub type PerExpert = [f64; EXPERTS];

/// How strongly one outcome speaks.
const RATE: f64 = 1.5;

/// The part of the weight that goes back to the prior after each outcome: a model that was useless for
/// long is heard again in a dozen outcomes.
const SHARE: f64 = 0.02;

/// Gain of the running mean loss.
const SCALE_GAIN: f64 = 0.1;

/// Belief before anything was seen: standing still is what configuration mostly does, and a committee has
/// already stood a trial.
pub const PRIOR: PerExpert = [0.12, 0.09, 0.06, 0.03, 0.7];

/// At the onset of a regime the committee keeps this part of its weight: its parameters are of another.
const REGIME_KEEPS: f64 = 0.2;

/// The levels at which a model's Gaussian is scored, and their standard normal quantiles.
const SCORED: [(f64, f64); 5] = [
    (0.025, -1.959_964),
    (0.1, -1.281_551_6),
    (0.5, 0.0),
    (0.9, 1.281_551_6),
    (0.975, 1.959_964),
];

/// The weights of the experts at one horizon.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Experts {
    /// In single precision: there is one set per horizon of every property.
    weights: [f32; EXPERTS],
    /// The running mean loss; 0 before the first.
    scale: f64,
}

impl Default for Experts {
    fn default() -> Self {
        Self {
            weights: narrowed(PRIOR),
            scale: 0.0,
        }
    }
}

impl Experts {
    /// The weights, which sum to 1.
    pub fn weights(&self) -> PerExpert {
        self.weights.map(f64::from)
    }

    /// The weights as they are stored.
    pub(crate) fn narrow_weights(&self) -> [f32; EXPERTS] {
        self.weights
    }

    /// Learns from what every expert had said and what came. Without a committee (`awake` is false) its
    /// place in `said` is not looked at.
    pub fn learn(&mut self, said: &[Moments; EXPERTS], awake: bool, actual: f64) {
        let speaking = if awake { EXPERTS } else { COMMITTEE };
        let mut losses = [0.0; EXPERTS];
        for (slot, moments) in losses.iter_mut().zip(said).take(speaking) {
            *slot = loss(*moments, actual);
        }
        // Exact: a handful of experts.
        #[allow(clippy::cast_precision_loss)]
        let mean = losses[..speaking].iter().sum::<f64>() / speaking as f64;
        if mean <= 0.0 {
            return;
        }
        self.scale = if self.scale > 0.0 {
            self.scale + SCALE_GAIN * (mean - self.scale)
        } else {
            mean
        };
        // At least the present mean, so that no loss counts more than EXPERTS.
        let unit = self.scale.max(mean);
        let mut weights = self.weights();
        let speakers = &mut weights[..speaking];
        let before: f64 = speakers.iter().sum();
        for (weight, loss) in speakers.iter_mut().zip(losses) {
            *weight *= (-RATE * loss / unit).exp();
        }
        let after: f64 = speakers.iter().sum();
        speakers
            .iter_mut()
            .for_each(|weight| *weight *= before / after);
        // Those who speak share among themselves.
        let share = SHARE * before / PRIOR[..speaking].iter().sum::<f64>();
        for (weight, prior) in weights.iter_mut().zip(PRIOR).take(speaking) {
            *weight = (1.0 - SHARE) * *weight + share * prior;
        }
        self.set(weights);
    }

    fn set(&mut self, weights: PerExpert) {
        let total: f64 = weights.iter().sum();
        self.weights = narrowed(weights.map(|weight| weight / total));
    }

    /// Takes weights that were learned before. What is no weight is not taken.
    pub fn recall(&mut self, weights: PerExpert) {
        let total: f64 = weights.iter().sum();
        if weights.iter().all(|weight| *weight >= 0.0) && total > 0.0 {
            self.set(weights);
        }
    }

    /// A new regime has set in, of which the committee knows nothing.
    pub fn begin_regime(&mut self) {
        let mut weights = self.weights();
        weights[COMMITTEE] *= REGIME_KEEPS;
        self.set(weights);
    }
}

#[allow(clippy::cast_possible_truncation)] // Single precision is enough for a weight.
fn narrowed(weights: PerExpert) -> [f32; EXPERTS] {
    weights.map(|weight| weight as f32)
}

/// Mean and variance of the mixture of what the models say. The disagreement between them is part of
/// the variance.
pub fn combine(weights: &PerExpert, said: &[Moments; EXPERTS]) -> Moments {
    let mean: f64 = weights.iter().zip(said).map(|(w, m)| w * m.mean).sum();
    let variance = weights
        .iter()
        .zip(said)
        .map(|(w, m)| w * (m.variance + (m.mean - mean).powi(2)))
        .sum();
    Moments { mean, variance }
}

/// The mean pinball loss of a Gaussian with the moments `said`, over a few levels.
pub(crate) fn loss(said: Moments, actual: f64) -> f64 {
    let deviation = said.variance.sqrt();
    let total: f64 = SCORED
        .iter()
        .map(|(level, normal)| pinball(*level, said.mean + deviation * normal, actual))
        .sum();
    // Exact: a handful of levels.
    #[allow(clippy::cast_precision_loss)]
    let count = SCORED.len() as f64;
    total / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(means: PerExpert) -> [Moments; EXPERTS] {
        means.map(|mean| Moments {
            mean,
            variance: 0.01,
        })
    }

    #[test]
    fn the_best_model_takes_over_and_can_be_deposed() {
        let mut experts = Experts::default();
        for _ in 0..30 {
            experts.learn(&said([0.0, 1.0, 2.0, 2.0, 2.0]), true, 0.0);
        }
        assert!(experts.weights()[0] > 0.9, "{:?}", experts.weights());
        for _ in 0..30 {
            experts.learn(&said([0.0, 1.0, 2.0, 0.0, 0.0]), true, 2.0);
        }
        assert!(experts.weights()[2] > 0.9, "{:?}", experts.weights());
    }

    #[test]
    fn who_sleeps_keeps_its_weight() {
        let mut experts = Experts::default();
        for _ in 0..30 {
            experts.learn(&said([0.0, 1.0, 2.0, 2.0, 9.0]), false, 0.0);
        }
        let weights = experts.weights();
        assert!(
            (weights[COMMITTEE] - PRIOR[COMMITTEE]).abs() < 1e-6,
            "{weights:?}"
        );
    }

    #[test]
    fn disagreement_widens_the_mixture() {
        let mixed = combine(&[0.5, 0.0, 0.5, 0.0, 0.0], &said([0.0, 0.0, 2.0, 1.0, 7.0]));
        assert_eq!(mixed.mean, 1.0);
        assert!((mixed.variance - 1.01).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn weights_always_sum_to_one(
            outcomes in proptest::collection::vec((-1e20_f64..1e20, -1.0_f64..1.0, any::<bool>()), 0..60),
        ) {
            let mut experts = Experts::default();
            for (mean, actual, awake) in outcomes {
                experts.learn(&said([mean, 0.0, -mean, 1.0, 3.0]), awake, actual);
                let total: f64 = experts.weights().iter().sum();
                prop_assert!((total - 1.0).abs() < 1e-6, "{:?}", experts.weights());
            }
        }
    }
}
