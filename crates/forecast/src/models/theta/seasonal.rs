//! Classical seasonal adjustment, as the theta method has it.
//!
//! Whether there is a season at all is asked of the autocorrelation at its lag, against the bounds of
//! Bartlett at 90 %; then a centred moving average gives the trend, and means by phase of what is left
//! give the indices (Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler 2016, section 4). Indices are
//! factors with a mean of 1 where all values are positive and no factor is next to nothing, else
//! summands with a mean of 0. Invariant: a factor is at least [`FACTOR_LEAST`].

use serde::{Deserialize, Serialize};

use super::super::Moments;
use super::super::mstl::fill::filled;

/// The quantile of a normal distribution beyond which 5 % lie on one side.
const BOUND: f64 = 1.644_853_626_951_472_7;

/// The shortest season that is looked for.
const SEASON_LEAST: usize = 4;

/// Factors below this are not believed.
const FACTOR_LEAST: f64 = 0.01;

/// How a season and the rest make a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The season is added.
    Additive,
    /// The season is a factor.
    Multiplicative,
}

/// Seasonal indices by phase, beginning with that of the first value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Indices {
    pub(super) effect: Effect,
    pub(super) by_phase: Vec<f64>,
}

impl Indices {
    /// The indices of `history` (gaps are NaN), or `None` where it has no such season.
    pub(super) fn of(history: &[f64], season: usize) -> Option<Self> {
        if season < SEASON_LEAST || history.len() < 2 * season {
            return None;
        }
        let y = filled(history, season);
        if !y.iter().all(|v| v.is_finite()) || !recurs(&y, season) {
            return None;
        }
        if y.iter().all(|v| *v > 0.0) {
            let by_phase = decompose(&y, season, Effect::Multiplicative);
            if by_phase.iter().all(|factor| *factor >= FACTOR_LEAST) {
                return Some(Self {
                    effect: Effect::Multiplicative,
                    by_phase,
                });
            }
        }
        let by_phase = decompose(&y, season, Effect::Additive);
        let finite = by_phase.iter().all(|s| s.is_finite());
        finite.then_some(Self {
            effect: Effect::Additive,
            by_phase,
        })
    }

    /// A value without its season.
    pub(super) fn remove(&self, value: f64, phase: usize) -> f64 {
        match self.effect {
            Effect::Additive => value - self.by_phase[phase],
            Effect::Multiplicative => value / self.by_phase[phase],
        }
    }

    /// A forecast with the season of its phase.
    pub(super) fn restore(&self, moments: Moments, phase: usize) -> Moments {
        let s = self.by_phase[phase];
        match self.effect {
            Effect::Additive => Moments {
                mean: moments.mean + s,
                ..moments
            },
            Effect::Multiplicative => Moments {
                mean: moments.mean * s,
                variance: moments.variance * s * s,
            },
        }
    }
}

/// Whether the autocorrelation at the season's lag is more than chance.
fn recurs(y: &[f64], season: usize) -> bool {
    let n = count(y.len());
    let mean = y.iter().sum::<f64>() / n;
    let at = |lag: usize| -> f64 {
        y[lag..]
            .iter()
            .zip(y)
            .map(|(now, then)| (now - mean) * (then - mean))
            .sum()
    };
    let whole = at(0);
    if whole.is_nan() || whole <= 0.0 {
        return false;
    }
    let before: f64 = (1..season).map(|lag| (at(lag) / whole).powi(2)).sum();
    (at(season) / whole).abs() > BOUND * ((1.0 + 2.0 * before) / n).sqrt()
}

/// Means by phase of what a centred moving average leaves, normalised.
fn decompose(y: &[f64], season: usize, effect: Effect) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); season];
    let half = season / 2;
    for t in half..y.len() - half {
        let window = &y[t - half..=t + half];
        let mut trend: f64 = window.iter().sum();
        if season.is_multiple_of(2) {
            trend -= 0.5 * (window[0] + window[season]);
        }
        trend /= count(season);
        let left = match effect {
            Effect::Additive => y[t] - trend,
            Effect::Multiplicative => y[t] / trend,
        };
        let sum = &mut sums[t % season];
        *sum = (sum.0 + left, sum.1 + 1.0);
    }
    let mut means: Vec<f64> = sums
        .iter()
        .map(|(sum, n)| sum / f64::max(*n, 1.0))
        .collect();
    let mean = means.iter().sum::<f64>() / count(season);
    for value in &mut means {
        match effect {
            Effect::Additive => *value -= mean,
            Effect::Multiplicative => *value /= mean,
        }
    }
    means
}

#[allow(clippy::cast_precision_loss)] // Lengths of series are far below 2^52.
fn count(n: usize) -> f64 {
    n as f64
}
