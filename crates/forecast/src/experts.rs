//! Which model to believe at one horizon: exponential weights with a fixed share.
//!
//! After each outcome every weight is multiplied by `exp(-RATE * loss)` and then mixed with the prior
//! by `SHARE`. The loss is the mean pinball loss of the model's lower decile, median and upper
//! decile, divided by its running mean over all models so that it has no unit and lies in [0, [`MODELS`]].
//!
//! Bound (fixed share: Herbster and Warmuth 1998; Cesa-Bianchi and Lugosi 2006, theorem 5.2): against
//! the best sequence of models with `k` switches in `n` outcomes, the weighted mean forecast loses at
//! most `((k + 1) ln(1 / p) + n H(k / n)) / RATE + RATE n MODELS^2 / 8`, `p` being the least prior,
//! `H` the binary entropy and `SHARE = k / n`, in units of the running mean loss. It holds for any
//! sequence. The rate is high, because outcomes are few and a drift does not wait; only one forecast in
//! several is scored at long horizons (see `crate::horizon`), so that overlap does not multiply it.

use crate::metrics::pinball;
use crate::models::{MODELS, Moments};

/// One number per model, in the order of [`crate::models::pool`].
pub type PerModel = [f64; MODELS];

/// How strongly one outcome speaks.
const RATE: f64 = 1.5;

/// The part of the weight that goes back to the prior after each outcome: a model that was useless for
/// long is heard again in a dozen outcomes.
const SHARE: f64 = 0.02;

/// Gain of the running mean loss.
const SCALE_GAIN: f64 = 0.1;

/// Belief before anything was seen: standing still is what configuration mostly does.
pub const PRIOR: PerModel = [0.4, 0.3, 0.2, 0.1];

/// The levels at which a model's Gaussian is scored, and their standard normal quantiles.
const SCORED: [(f64, f64); 3] = [(0.1, -1.281_551_6), (0.5, 0.0), (0.9, 1.281_551_6)];

/// The weights of the models at one horizon.
#[derive(Clone, Copy, Debug)]
pub struct Experts {
    weights: PerModel,
    scale: Option<f64>,
}

impl Default for Experts {
    fn default() -> Self {
        Self {
            weights: PRIOR,
            scale: None,
        }
    }
}

impl Experts {
    /// The weights, which sum to 1.
    pub fn weights(&self) -> &PerModel {
        &self.weights
    }

    /// Learns from what every model had said and what came.
    pub fn learn(&mut self, said: &[Moments; MODELS], actual: f64) {
        let losses = said.map(|moments| loss(moments, actual));
        let mean = mean(&losses);
        if mean <= 0.0 {
            return;
        }
        let scale = self
            .scale
            .map_or(mean, |scale| scale + SCALE_GAIN * (mean - scale));
        self.scale = Some(scale);
        // At least the present mean, so that no loss counts more than MODELS.
        let unit = scale.max(mean);
        for (weight, loss) in self.weights.iter_mut().zip(losses) {
            *weight *= (-RATE * loss / unit).exp();
        }
        let total: f64 = self.weights.iter().sum();
        for (weight, prior) in self.weights.iter_mut().zip(PRIOR) {
            *weight = (1.0 - SHARE) * *weight / total + SHARE * prior;
        }
    }
}

/// Mean and variance of the mixture of what the models say. The disagreement between them is part of
/// the variance.
pub fn combine(weights: &PerModel, said: &[Moments; MODELS]) -> Moments {
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
    total / 3.0
}

#[allow(clippy::cast_precision_loss)] // Exact: a handful of models.
fn mean(losses: &PerModel) -> f64 {
    losses.iter().sum::<f64>() / MODELS as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(means: PerModel) -> [Moments; MODELS] {
        means.map(|mean| Moments {
            mean,
            variance: 0.01,
        })
    }

    #[test]
    fn the_best_model_takes_over_and_can_be_deposed() {
        let mut experts = Experts::default();
        for _ in 0..30 {
            experts.learn(&said([0.0, 1.0, 2.0, 2.0]), 0.0);
        }
        assert!(experts.weights()[0] > 0.9, "{:?}", experts.weights());
        for _ in 0..30 {
            experts.learn(&said([0.0, 1.0, 2.0, 0.0]), 2.0);
        }
        assert!(experts.weights()[2] > 0.9, "{:?}", experts.weights());
    }

    #[test]
    fn disagreement_widens_the_mixture() {
        let mixed = combine(&[0.5, 0.0, 0.5, 0.0], &said([0.0, 0.0, 2.0, 1.0]));
        assert_eq!(mixed.mean, 1.0);
        assert!((mixed.variance - 1.01).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn weights_always_sum_to_one(
            outcomes in proptest::collection::vec((-1e20_f64..1e20, -1.0_f64..1.0), 0..60),
        ) {
            let mut experts = Experts::default();
            for (mean, actual) in outcomes {
                experts.learn(&said([mean, 0.0, -mean, 1.0]), actual);
                let total: f64 = experts.weights().iter().sum();
                prop_assert!((total - 1.0).abs() < 1e-9, "{:?}", experts.weights());
            }
        }
    }
}
