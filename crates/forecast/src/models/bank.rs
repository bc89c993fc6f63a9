//! A bank of filters with fixed ratios, weighed by their likelihood: adaptation of the ratios
//! without an optimiser (multiple-model adaptive estimation; Magill 1965). The old likelihood is
//! discounted, so the bank follows a series whose nature changes.

use serde::{Deserialize, Serialize};

use super::filter::{Filter, Ratios};
use super::{Moments, VARIANCE_FLOOR};

/// `N` filters over the same series. Their ratios are constants of the model and are handed in with
/// every call, so that the state is small and can be stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(
    serialize = "[Filter; N]: Serialize, [f64; N]: Serialize",
    deserialize = "[Filter; N]: Deserialize<'de>, [f64; N]: Deserialize<'de>"
))]
pub(super) struct Bank<const N: usize> {
    filters: [Filter; N],
    weights: [f64; N],
}

impl<const N: usize> Default for Bank<N> {
    fn default() -> Self {
        Self {
            filters: [Filter::default(); N],
            // The cast is exact: a bank has a handful of members.
            #[allow(clippy::cast_precision_loss)]
            weights: [1.0 / N as f64; N],
        }
    }
}

impl<const N: usize> Bank<N> {
    pub(super) fn observe(&mut self, ratios: &[Ratios; N], elapsed: f64, value: f64) {
        for (filter, ratios) in self.filters.iter_mut().zip(ratios) {
            filter.observe(ratios, elapsed, value);
        }
        self.weigh();
    }

    pub(super) fn begin_regime(&mut self, ratios: &[Ratios; N], value: f64) {
        for (filter, ratios) in self.filters.iter_mut().zip(ratios) {
            filter.begin_regime(ratios, value);
        }
        self.weigh();
    }

    fn weigh(&mut self) {
        let best = self
            .filters
            .iter()
            .map(Filter::fit)
            .fold(f64::NEG_INFINITY, f64::max);
        for filter in &mut self.filters {
            filter.count_fit_from(best);
        }
        let weights = self.filters.map(|filter| filter.fit().exp());
        let total: f64 = weights.iter().sum();
        self.weights = weights.map(|weight| weight / total);
    }

    /// Mean and variance of the mixture of the members.
    pub(super) fn predict(&self, ratios: &[Ratios; N], ahead: f64) -> Moments {
        let (mut mean, mut variance) = (0.0, 0.0);
        let mut parts = [Moments::default(); N];
        for (index, part) in parts.iter_mut().enumerate() {
            *part = self.filters[index].predict(&ratios[index], ahead);
            mean += self.weights[index] * part.mean;
        }
        for (part, weight) in parts.iter().zip(self.weights) {
            variance += weight * (part.variance + (part.mean - mean).powi(2));
        }
        Moments {
            mean,
            variance: variance.max(VARIANCE_FLOOR),
        }
    }
}
