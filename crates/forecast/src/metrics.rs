//! Measures of how good a forecast was. Pure functions, used by the aggregation of the models, by
//! tests and by back-testing.
//!
//! The measures of a whole back-test are those of the M4 competition (Makridakis, Spiliotis and
//! Assimakopoulos 2020, "The M4 Competition: 100,000 time series and 61 forecasting methods", section
//! 2): with `h` forecasts `f` of `y`, and the scale `s` of the history (see [`seasonal_scale`])
//!
//! ```text
//! sMAPE = 200/h sum |y - f| / (|y| + |f|)
//! MASE  = 1/h sum |y - f| / s
//! MSIS  = 1/h sum (U - L + 2/a (L - y)[y < L] + 2/a (y - U)[y > U]) / s,   a = 1 - level
//! ```
//!
//! `f` is the median. Beside them stands the mean pinball loss over all of [`LEVELS`]. M4 has no such
//! measure; it is divided by `s` too, so that series of different size weigh the same.
//!
//! Invariants: an outcome that is missing is not scored, and a history without a scale (a constant one,
//! for instance) has no scaled measure, rather than an infinite one.

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

/// The symmetric absolute percentage error of one forecast, in percent: 0 to 200. Nothing forecast
/// where nothing came (0 for 0) is no error.
pub fn symmetric_error(actual: f64, forecast: f64) -> f64 {
    let size = actual.abs() + forecast.abs();
    if size > 0.0 {
        200.0 * (actual - forecast).abs() / size
    } else {
        0.0
    }
}

/// The in-sample mean absolute error of the seasonal naive forecast: the mean of `|y(t) - y(t - m)|`
/// (Hyndman and Koehler 2006), by which errors of different series are made comparable. Pairs of
/// which one is missing (NaN) are left out.
///
/// `None` where there is no pair, or the mean is zero or not finite.
pub fn seasonal_scale(history: &[f64], season: usize) -> Option<f64> {
    let earlier = history.iter();
    let later = history.get(season.max(1)..)?.iter();
    let (mut sum, mut pairs) = (0.0, 0_u32);
    for difference in later.zip(earlier).map(|(y, x)| (y - x).abs()) {
        if difference.is_finite() {
            sum += difference;
            pairs += 1;
        }
    }
    let scale = sum / f64::from(pairs);
    (scale.is_finite() && scale > 0.0).then_some(scale)
}

/// Adds up how the forecasts of one series turned out.
#[derive(Clone, Debug)]
pub struct Tally {
    level: f64,
    coverage: Coverage,
    symmetric: f64,
    absolute: f64,
    interval: f64,
    pinball: f64,
}

impl Tally {
    /// Nothing scored yet. `level` in (0, 1) is the share that the interval is meant to hold.
    pub fn new(level: f64) -> Self {
        Self {
            level,
            coverage: Coverage::default(),
            symmetric: 0.0,
            absolute: 0.0,
            interval: 0.0,
            pinball: 0.0,
        }
    }

    /// Takes one forecast and what came. An outcome that is missing (not finite) is not scored.
    pub fn score(&mut self, forecast: &Quantiles, actual: f64) {
        if !actual.is_finite() {
            return;
        }
        let interval = forecast.interval(self.level);
        self.coverage.score(interval, actual);
        self.symmetric += symmetric_error(actual, forecast.median());
        self.absolute += (actual - forecast.median()).abs();
        self.interval += interval_score(interval.0, interval.1, self.level, actual);
        self.pinball += mean_pinball(forecast, actual);
    }

    /// The means, those that need it divided by `scale` (see [`seasonal_scale`]). `None` before the
    /// first outcome.
    #[allow(clippy::cast_precision_loss)] // Counts stay far below 2^52.
    pub fn scores(&self, scale: Option<f64>) -> Option<Scores> {
        let coverage = self.coverage.share()?;
        let points = self.coverage.scored();
        let scaled = |sum: f64| Some(sum / points as f64 / scale?);
        Some(Scores {
            points,
            smape: self.symmetric / points as f64,
            mase: scaled(self.absolute),
            msis: scaled(self.interval),
            coverage,
            pinball: scaled(self.pinball),
        })
    }
}

/// How good the forecasts of one series were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// How many outcomes were scored.
    pub points: u64,
    /// Symmetric mean absolute percentage error, in percent: 0 to 200.
    pub smape: f64,
    /// Mean absolute scaled error. Below 1 is better than the seasonal naive forecast was in sample.
    pub mase: Option<f64>,
    /// Mean scaled interval score.
    pub msis: Option<f64>,
    /// The share of outcomes inside the interval.
    pub coverage: f64,
    /// Mean pinball loss over all levels, scaled as MASE is.
    pub pinball: Option<f64>,
}

/// The mean of several series' scores, each series weighing the same.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeanScores {
    /// How many series there are.
    pub series: usize,
    /// How many of them have no scale, and count in `smape` and `coverage` alone.
    pub unscaled: usize,
    /// See [`Scores::smape`]; `None` without a series.
    pub smape: Option<f64>,
    /// See [`Scores::mase`]; `None` without a series that has a scale, and so below.
    pub mase: Option<f64>,
    /// See [`Scores::msis`].
    pub msis: Option<f64>,
    /// See [`Scores::coverage`].
    pub coverage: Option<f64>,
    /// See [`Scores::pinball`].
    pub pinball: Option<f64>,
}

impl MeanScores {
    /// The mean over `all`.
    pub fn of(all: &[Scores]) -> Self {
        Self {
            series: all.len(),
            unscaled: all.iter().filter(|s| s.mase.is_none()).count(),
            smape: mean(all.iter().map(|s| s.smape)),
            mase: mean(all.iter().filter_map(|s| s.mase)),
            msis: mean(all.iter().filter_map(|s| s.msis)),
            coverage: mean(all.iter().map(|s| s.coverage)),
            pinball: mean(all.iter().filter_map(|s| s.pinball)),
        }
    }
}

/// The arithmetic mean; `None` of nothing.
pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A distribution with the given 95 % interval and median; the other levels stand on the nearest
    /// of the three.
    fn quantiles(lower: f64, median: f64, upper: f64) -> Quantiles {
        Quantiles::new(LEVELS.map(|level| match level {
            l if l <= 0.025 => lower,
            l if l >= 0.975 => upper,
            _ => median,
        }))
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_symmetric_error_is_zero_to_two_hundred_percent() {
        assert!(close(symmetric_error(100.0, 110.0), 2000.0 / 210.0));
        assert!(close(symmetric_error(-100.0, -110.0), 2000.0 / 210.0));
        assert_eq!(symmetric_error(0.0, 5.0), 200.0);
        assert_eq!(symmetric_error(3.0, -3.0), 200.0);
        assert_eq!(symmetric_error(0.0, 0.0), 0.0);
    }

    #[test]
    fn the_scale_is_the_mean_seasonal_difference() {
        // Season 2: |3 - 1|, |5 - 2|, |4 - 3|, |9 - 5|.
        let history = [1.0, 2.0, 3.0, 5.0, 4.0, 9.0];
        assert_eq!(seasonal_scale(&history, 2), Some(2.5));
        // Season 1: 1, 1, 2, 1, 5. No season counts as one.
        assert_eq!(seasonal_scale(&history, 1), Some(2.0));
        assert_eq!(seasonal_scale(&history, 0), Some(2.0));
        // A gap takes the pairs that it is part of with it: |2 - 1|, |9 - 4| are left of five.
        let gap = [1.0, 2.0, f64::NAN, 5.0, f64::NAN, 4.0, 9.0];
        assert_eq!(seasonal_scale(&gap, 1), Some(3.0));
    }

    #[test]
    fn what_does_not_vary_or_is_too_short_has_no_scale() {
        assert_eq!(seasonal_scale(&[4.0; 9], 1), None);
        assert_eq!(seasonal_scale(&[1.0, 2.0, 1.0, 2.0], 2), None);
        assert_eq!(seasonal_scale(&[1.0, 2.0], 2), None);
        assert_eq!(seasonal_scale(&[1.0, 2.0], 7), None);
        assert_eq!(seasonal_scale(&[], 1), None);
        assert_eq!(seasonal_scale(&[-1e308, 1e308], 1), None);
    }

    #[test]
    fn scores_are_those_of_the_m4_competition() {
        let mut tally = Tally::new(0.95);
        tally.score(&quantiles(90.0, 100.0, 120.0), 110.0); // Inside.
        tally.score(&quantiles(90.0, 100.0, 120.0), 80.0); // 10 too low: 2/0.05 * 10 = 400.
        tally.score(&quantiles(90.0, 100.0, 120.0), 121.0); // 1 too high: 40.
        tally.score(&quantiles(90.0, 100.0, 120.0), f64::NAN); // Not known: not scored.
        let scores = tally.scores(Some(2.0)).expect("three were scored");
        assert_eq!(scores.points, 3);
        let smape = (2000.0 / 210.0 + 4000.0 / 180.0 + 4200.0 / 221.0) / 3.0;
        assert!(close(scores.smape, smape));
        // (10 + 20 + 21) / 3 / 2.
        assert!(close(scores.mase.expect("scaled"), 8.5));
        // (30 + 430 + 70) / 3 / 2.
        assert!((scores.msis.expect("scaled") - 530.0 / 6.0).abs() < 1e-6);
        assert!(close(scores.coverage, 1.0 / 3.0));
    }

    #[test]
    fn pinball_is_the_mean_over_levels_over_the_scale() {
        let mut tally = Tally::new(0.9);
        // All mass one too low: the loss at each level is the level, 0.5 in the mean.
        tally.score(&Quantiles::certain(4.0), 5.0);
        tally.score(&Quantiles::certain(5.0), 5.0);
        let pinball = tally.scores(Some(0.5)).and_then(|s| s.pinball);
        assert!(close(pinball.expect("scaled"), 0.5));
    }

    #[test]
    fn without_a_scale_the_scaled_scores_are_left_out_of_the_mean_and_counted() {
        let score = |actual: f64, scale| {
            let mut tally = Tally::new(0.95);
            tally.score(&quantiles(0.0, 1.0, 2.0), actual);
            tally.scores(scale).expect("one was scored")
        };
        let all = [
            score(1.0, None),
            score(3.0, Some(1.0)),
            score(1.0, Some(2.0)),
        ];
        let mean = MeanScores::of(&all);
        assert_eq!((mean.series, mean.unscaled), (3, 1));
        assert_eq!(mean.smape, Some(100.0 / 3.0));
        assert_eq!(mean.mase, Some(1.0));
        assert_eq!(mean.coverage, Some(2.0 / 3.0));
        assert!(Tally::new(0.95).scores(Some(1.0)).is_none());
        assert_eq!(MeanScores::of(&[]).mase, None);
    }

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
