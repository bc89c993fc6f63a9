//! A bank of filters with fixed ratios, weighed by their likelihood: adaptation of the ratios
//! without an optimiser (multiple-model adaptive estimation; Magill 1965). The old likelihood is
//! discounted, so the bank follows a series whose nature changes.

use super::filter::{Filter, Ratios};
use super::{Moments, VARIANCE_FLOOR};

/// `N` filters over the same series.
#[derive(Clone, Debug)]
pub(super) struct Bank<const N: usize> {
    ratios: &'static [Ratios; N],
    filters: [Filter; N],
    weights: [f64; N],
}

impl<const N: usize> Bank<N> {
    pub(super) fn new(ratios: &'static [Ratios; N]) -> Self {
        Self {
            ratios,
            filters: [Filter::default(); N],
            // The cast is exact: a bank has a handful of members.
            #[allow(clippy::cast_precision_loss)]
            weights: [1.0 / N as f64; N],
        }
    }

    pub(super) fn observe(&mut self, elapsed: f64, value: f64) {
        for (filter, ratios) in self.filters.iter_mut().zip(self.ratios) {
            filter.observe(ratios, elapsed, value);
        }
        self.weigh();
    }

    pub(super) fn begin_regime(&mut self, value: f64) {
        for (filter, ratios) in self.filters.iter_mut().zip(self.ratios) {
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
        let weights = self.filters.map(|filter| (filter.fit() - best).exp());
        let total: f64 = weights.iter().sum();
        self.weights = weights.map(|weight| weight / total);
    }

    /// Mean and variance of the mixture of the members.
    pub(super) fn predict(&self, ahead: f64) -> Moments {
        let (mut mean, mut variance) = (0.0, 0.0);
        let mut parts = [Moments::default(); N];
        for (index, part) in parts.iter_mut().enumerate() {
            *part = self.filters[index].predict(&self.ratios[index], ahead);
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
