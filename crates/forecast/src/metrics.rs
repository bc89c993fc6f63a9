//! Measures of how good a forecast was. Pure functions, used by the aggregation of the models, by
//! tests and by back-testing.

use evenkeel_core::forecast::{LEVELS, Quantiles};

/// The pinball (quantile) loss of saying that the quantile at `level` is `quantile` when `actual`
/// came: `level` per unit too low, `1 - level` per unit too high. Its expectation is least at the true
/// quantile (Koenker and Bassett 1978).
pub fn pinball(level: f64, quantile: f64, actual: f64) -> f64 {
    let over = actual - quantile;
    if over >= 0.0 {
        level * over
    } else {
        (level - 1.0) * over
    }
}

/// The mean pinball loss over all of [`LEVELS`]: half the continuous ranked probability score, as the
/// levels grow denser.
pub fn mean_pinball(quantiles: &Quantiles, actual: f64) -> f64 {
    let losses = LEVELS
        .iter()
        .zip(quantiles.values())
        .map(|(l, q)| pinball(*l, *q, actual));
    // The cast is exact: there are thirteen levels.
    #[allow(clippy::cast_precision_loss)]
    let count = LEVELS.len() as f64;
    losses.sum::<f64>() / count
}

/// The interval score (Gneiting and Raftery 2007): width, and a penalty for a miss that grows with
/// the confidence. `coverage` in (0, 1).
pub fn interval_score(lower: f64, upper: f64, coverage: f64, actual: f64) -> f64 {
    let miss = (lower - actual).max(0.0) + (actual - upper).max(0.0);
    (upper - lower) + 2.0 / (1.0 - coverage) * miss
}

/// Counts how often what came lay inside an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    inside: u64,
    scored: u64,
}

impl Coverage {
    /// Takes one outcome.
    pub fn score(&mut self, (lower, upper): (f64, f64), actual: f64) {
        self.inside += u64::from((lower..=upper).contains(&actual));
        self.scored += 1;
    }

    /// The share inside; `None` before the first outcome.
    #[allow(clippy::cast_precision_loss)] // Counts stay far below 2^52.
    pub fn share(&self) -> Option<f64> {
        (self.scored > 0).then(|| self.inside as f64 / self.scored as f64)
    }

    /// How many outcomes were scored.
    pub fn scored(&self) -> u64 {
        self.scored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinball_costs_its_level_on_the_far_side() {
        assert!((pinball(0.9, 1.0, 3.0) - 1.8).abs() < 1e-12);
        assert!((pinball(0.9, 3.0, 1.0) - 0.2).abs() < 1e-12);
        assert_eq!(mean_pinball(&Quantiles::certain(2.0), 2.0), 0.0);
    }

    #[test]
    fn a_miss_costs_more_the_surer_the_interval() {
        assert_eq!(interval_score(0.0, 1.0, 0.9, 0.5), 1.0);
        assert!((interval_score(0.0, 1.0, 0.9, 2.0) - 21.0).abs() < 1e-9);
        assert!(interval_score(0.0, 1.0, 0.99, 2.0) > 100.0);
    }

    #[test]
    fn coverage_is_the_share_inside() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.share(), None);
        coverage.score((0.0, 1.0), 1.0);
        coverage.score((0.0, 1.0), 1.5);
        assert_eq!((coverage.share(), coverage.scored()), (Some(0.5), 2));
    }
}
