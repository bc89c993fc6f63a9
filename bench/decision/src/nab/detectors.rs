//! How surprising each value is, by three kinds of detectors. More is more surprising; the scale is the
//! threshold's business.
//!
//! None of them knows the future: the surprise of a value is computed before it is learned from.

use std::time::Duration;

use evenkeel_core::forecast::{Forecaster, HorizonGrid};
use evenkeel_core::surprise::probability;
use evenkeel_core::time::Timestamp;
use evenkeel_forecast::Mixture;

use super::Series;

/// One setting of a detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Candidate {
    /// The observed-surprise check of the core: minus the logarithm of `p(x)`, the mixture forecasting one
    /// step ahead.
    Mixture,
    /// Distance from the mean of the `window` values before, in their standard deviations.
    RollingSigma { window: usize },
    /// Distance of the exponentially weighted mean (the value included) from the long-run mean, in standard
    /// deviations of that mean; mean and scatter are of the `window` values before.
    Ewma { lambda: f64, window: usize },
}

/// The detectors, each with the settings among which the best is chosen.
pub(super) fn families() -> Vec<(&'static str, Vec<Candidate>)> {
    let windows = [50, 150, 500, 1500];
    let ewma = |lambda| windows.map(|window| Candidate::Ewma { lambda, window });
    vec![
        ("Evenkeel, observed surprise", vec![Candidate::Mixture]),
        (
            "rolling k-sigma",
            windows
                .map(|window| Candidate::RollingSigma { window })
                .to_vec(),
        ),
        ("EWMA", [ewma(0.05), ewma(0.2), ewma(0.5)].concat()),
    ]
}

impl Candidate {
    pub(super) fn name(self) -> String {
        match self {
            Self::Mixture => "mixture".into(),
            Self::RollingSigma { window } => format!("window {window}"),
            Self::Ewma { lambda, window } => format!("lambda {lambda}, window {window}"),
        }
    }

    /// The surprise of each value.
    pub(super) fn surprises(self, series: &Series) -> Vec<f64> {
        match self {
            Self::Mixture => mixture(series),
            Self::RollingSigma { window } => rolling(&series.values, window, 1.0),
            Self::Ewma { lambda, window } => rolling(&series.values, window, lambda),
        }
    }
}

/// The distance of the weighted mean from the mean of the window, in its standard deviations. With a
/// `lambda` of 1 the weighted mean is the value itself.
fn rolling(values: &[f64], window: usize, lambda: f64) -> Vec<f64> {
    let mut smooth: Option<f64> = None;
    let spread = (lambda / (2.0 - lambda)).sqrt();
    // Sums of distances from the first value keep their digits.
    let origin = values.first().copied().unwrap_or_default();
    let (mut sum, mut squares) = (0.0, 0.0);
    values
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let n = i.min(window) as f64;
            let mean = origin + sum / n.max(1.0);
            let variance = ((squares - sum * sum / n.max(1.0)) / (n - 1.0).max(1.0)).max(0.0);
            let weighted = lambda * value + (1.0 - lambda) * smooth.unwrap_or(*value);
            smooth = Some(weighted);
            let sigma = variance.sqrt().max(1e-9 * (1.0 + mean.abs()));
            let from_origin = value - origin;
            sum += from_origin;
            squares += from_origin * from_origin;
            if i >= window {
                let oldest = values[i - window] - origin;
                sum -= oldest;
                squares -= oldest * oldest;
            }
            if i < 10 {
                0.0
            } else {
                (weighted - mean).abs() / (sigma * spread)
            }
        })
        .collect()
}

/// No tail is taken to be less probable.
const TAIL_MIN: f64 = 1e-300;

fn mixture(series: &Series) -> Vec<f64> {
    let step = Duration::from_millis(series.step_ms().unsigned_abs());
    let grid = HorizonGrid::every_step(step, 1);
    let mut mixture = Mixture::new(&grid);
    let mut history: Vec<(Timestamp, f64)> = Vec::new();
    let pairs = series.at_ms.iter().zip(&series.values);
    pairs
        .map(|(at, value)| {
            let at = Timestamp::from_millis(*at);
            let forecast = mixture.forecast();
            let surprise = forecast.map_or(0.0, |f| {
                -probability(&f.quantiles[0], *value).max(TAIL_MIN).ln()
            });
            mixture.observe(at, *value);
            if history.last().is_none_or(|(last, _)| at > *last) {
                history.push((at, *value));
            }
            if let Some(since) = mixture.wants_refit() {
                let from = history.partition_point(|(t, _)| *t < since);
                mixture.refit(&history[from..]);
            }
            surprise
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_is_the_most_surprising_value_for_all() {
        let mut values: Vec<f64> = (0..400_u32)
            .map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 16 & 1023) / 1024.0)
            .collect();
        values[300] = 30.0;
        let series = Series {
            name: "x".into(),
            at_ms: (0..400).map(|i| i * 300_000).collect(),
            values,
            windows: Vec::new(),
        };
        for (name, candidates) in families() {
            for candidate in candidates {
                let surprises = candidate.surprises(&series);
                let greatest = (0..400).max_by(|a, b| surprises[*a].total_cmp(&surprises[*b]));
                assert_eq!(greatest, Some(300), "{name}, {}", candidate.name());
            }
        }
    }

    #[test]
    fn the_distance_is_in_standard_deviations_of_the_window_before() {
        let values: Vec<f64> = (0..12)
            .map(|i| if i % 2 == 0 { 1.0 } else { 3.0 })
            .chain([8.0])
            .collect();
        // Before it: six of 1 and six of 3, mean 2, sigma sqrt(12 / 11).
        let surprise = rolling(&values, 50, 1.0)[12];
        assert!((surprise - 6.0 / (12.0_f64 / 11.0).sqrt()).abs() < 1e-9);
        // Of the last four: mean 2, sigma sqrt(4 / 3).
        let surprise = rolling(&values, 4, 1.0)[12];
        assert!((surprise - 6.0 / (4.0_f64 / 3.0).sqrt()).abs() < 1e-9);
    }
}
