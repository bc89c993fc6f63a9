//! Where exponential smoothing begins before it is estimated: a line and seasonal means.
//!
//! As in Hyndman, Koehler, Ord and Snyder (2008), section 2.6.1: the season by the means of the first
//! cycles, freed from their trend; level and slope by a regression line through what is left.

use super::form::{Form, Start, Trend};

/// Cycles that are looked at.
const CYCLES: usize = 3;

/// Values a line goes through at least.
const LINE: usize = 10;

/// A start for a series that begins with an observation; gaps are NaN.
pub(super) fn of(y: &[f64], form: Form) -> Start {
    let season = if form.seasonal() {
        seasonal(y, form.season)
    } else {
        Vec::new()
    };
    let length = LINE.max(2 * form.season).min(y.len());
    let adjusted = y[..length].iter().enumerate().map(|(t, y)| {
        let s = if season.is_empty() {
            0.0
        } else {
            season[t % season.len()]
        };
        (t, y - s)
    });
    let (level, slope) = line(adjusted);
    match form.trend {
        // The line's height where it begins.
        Trend::None => Start {
            level: level + slope,
            slope: 0.0,
            season,
        },
        Trend::Additive | Trend::Damped => Start {
            level,
            slope,
            season,
        },
    }
}

/// Means by phase over the first cycles less their own trend, summing to zero. A phase that was never
/// seen has none, which is 0.
fn seasonal(y: &[f64], length: usize) -> Vec<f64> {
    let end = (CYCLES * length).min(y.len());
    let cycles = y[..end]
        .chunks(length)
        .filter_map(|cycle| mean(cycle.iter().copied()));
    let means: Vec<f64> = cycles.collect();
    let slope = match means.as_slice() {
        // Only whole cycles can be compared.
        [first, .., last] if end.is_multiple_of(length) && means.len() == end / length => {
            (last - first) / count(end - length)
        }
        _ => 0.0,
    };
    let centre = mean(y[..end].iter().copied()).unwrap_or_default();
    let middle = 0.5 * count(end);
    let mut season: Vec<f64> = (0..length)
        .map(|phase| {
            let seen = (phase..end).step_by(length);
            mean(seen.map(|t| y[t] - centre - slope * (count(t) - middle))).unwrap_or_default()
        })
        .collect();
    let sum = mean(season.iter().copied()).unwrap_or_default();
    season.iter_mut().for_each(|s| *s -= sum);
    season
}

/// Mean of what is a number.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values
        .filter(|v| v.is_finite())
        .fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    (n > 0.0).then(|| sum / n)
}

/// The least-squares line through what is a number: its height one step before the first, its slope.
fn line(points: impl Iterator<Item = (usize, f64)> + Clone) -> (f64, f64) {
    let known = || {
        points
            .clone()
            .filter(|(_, y)| y.is_finite())
            .map(|(t, y)| (count(t), y))
    };
    let (n, t_sum, y_sum) = known().fold((0.0, 0.0, 0.0), |(n, ts, ys), (t, y)| {
        (n + 1.0, ts + t, ys + y)
    });
    if n < 1.0 {
        return (0.0, 0.0);
    }
    let (t_mean, y_mean) = (t_sum / n, y_sum / n);
    let (across, along) = known().fold((0.0, 0.0), |(across, along), (t, y)| {
        (
            across + (t - t_mean) * (y - y_mean),
            along + (t - t_mean) * (t - t_mean),
        )
    });
    let slope = if along > 0.0 { across / along } else { 0.0 };
    (y_mean - slope * (t_mean + 1.0), slope)
}

#[allow(clippy::cast_precision_loss)] // Lengths of series are far below 2^52.
fn count(n: usize) -> f64 {
    n as f64
}
