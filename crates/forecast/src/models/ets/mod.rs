//! Additive exponential smoothing as a state-space model, with automatic choice of its form.
//!
//! The form is one of level, trend or damped trend, each without or with an additive season:
//!
//! ```text
//! y(t) = l(t-1) + phi b(t-1) + s(t-m) + e(t),     e independent with variance s2
//! l(t) = l(t-1) + phi b(t-1) + alpha e(t)
//! b(t) = phi b(t-1) + beta e(t)
//! s(t) = s(t-m) + gamma e(t)
//! ```
//!
//! Source: Hyndman, Koehler, Ord and Snyder (2008), "Forecasting with Exponential Smoothing: The State
//! Space Approach"; choice by the corrected information criterion as in Hyndman, Koehler, Snyder and
//! Grose (2002). Multiplicative errors and seasons are left out: they need a positive series, and their
//! variances have no closed form.
//!
//! Parameters are estimated once, by [`Ets::fit`] or [`Ets::auto`]; afterwards an observation costs a
//! handful of operations. Invariants: those of [`Fitted`]; a forecast is equivariant to shift and scale.

mod fit;
mod form;
mod normal;
mod start;
mod state;
pub(crate) mod units;
mod wake;

use serde::{Deserialize, Serialize};

use super::{Fitted, Moments};
use fit::{Estimate, Problem};
use state::State;
use units::Units;

pub use form::{Form, Smoothing, Start, Trend};

/// A fitted exponential smoothing model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ets {
    form: Form,
    units: Units,
    smoothing: Smoothing,
    state: State,
    /// Of an innovation, in inner units; estimated without bias.
    variance: f64,
    log_likelihood: f64,
    /// Mean square of the innovations in inner units.
    mean_square: f64,
    observed: usize,
}

impl Ets {
    /// Estimates `form` on `history`; NaN and infinities are gaps.
    ///
    /// `None` where fewer than two observations more than parameters were seen: its variance would be a
    /// guess.
    pub fn fit(history: &[f64], form: Form) -> Option<Self> {
        let units = Units::of(history);
        let y = units.inner_all(history);
        let (fitted, _) = Self::fit_inner(&y, units, form, None)?;
        Some(fitted)
    }

    /// Estimates every form that `history` is long enough for, with `season` steps (less than 2: none),
    /// and keeps the one with the least corrected information criterion. `None` as for [`Self::fit`].
    pub fn auto(history: &[f64], season: usize) -> Option<Self> {
        let units = Units::of(history);
        let y = units.inner_all(history);
        let trends = [Trend::None, Trend::Additive, Trend::Damped];
        let seasons = [0, season];
        let worth = if season > 1 {
            &seasons[..]
        } else {
            &seasons[..1]
        };
        let mut best: Option<Self> = None;
        for &season in worth {
            let mut level = None;
            for trend in trends {
                let form = Form { trend, season };
                let Some((next, estimate)) = Self::fit_inner(&y, units, form, level.as_ref())
                else {
                    continue;
                };
                level = level.or(Some(estimate));
                if best.as_ref().is_none_or(|best| next.aicc() < best.aicc()) {
                    best = Some(next);
                }
            }
        }
        best
    }

    /// The model with parameters and start as given, run over `history`; they are in the units of the
    /// series and belong to its first observation. `None` where nothing was observed, or where `start`
    /// does not have the season of `form`.
    pub fn with(history: &[f64], form: Form, smoothing: Smoothing, start: Start) -> Option<Self> {
        let season = if form.seasonal() { form.season } else { 0 };
        if start.season.len() != season {
            return None;
        }
        let units = Units::of(history);
        let y = units.inner_all(history);
        let y = from_first_observation(&y);
        let start = Start {
            level: units.inner(start.level)?,
            slope: start.slope / units.unit(),
            season: start.season.iter().map(|s| s / units.unit()).collect(),
        };
        let squares = Problem {
            y,
            form,
            known: None,
            nothing: 0.0,
        }
        .squares(&smoothing, &start);
        (!y.is_empty()).then(|| Self::run(y, units, form, smoothing, start, squares))
    }

    fn fit_inner(
        y: &[f64],
        units: Units,
        form: Form,
        known: Option<&Estimate>,
    ) -> Option<(Self, Estimate)> {
        let y = from_first_observation(y);
        let observed = observations(y);
        if observed < form.estimated() + 3 {
            return None;
        }
        let nothing = units.rounding() * count(observed);
        let estimate = Problem {
            y,
            form,
            known,
            nothing,
        }
        .solve();
        let squares = estimate.squares.max(nothing);
        let start = estimate.start.clone();
        Some((
            Self::run(y, units, form, estimate.smoothing, start, squares),
            estimate,
        ))
    }

    /// Runs the filter over the history and takes stock.
    fn run(
        y: &[f64],
        units: Units,
        form: Form,
        smoothing: Smoothing,
        start: Start,
        squares: f64,
    ) -> Self {
        let observed = observations(y);
        let mut state = State::new(start);
        for y in y {
            state.step(&smoothing, y.is_finite().then_some(*y));
        }
        let n = count(observed);
        let free = count(observed.saturating_sub(form.estimated()).max(1));
        let mean_square = (squares / n).max(f64::MIN_POSITIVE);
        let likelihood = (std::f64::consts::TAU * mean_square).ln() + 1.0 + 2.0 * units.unit().ln();
        Self {
            form,
            units,
            smoothing,
            state,
            variance: squares / free,
            log_likelihood: -0.5 * (n * likelihood + log_spread(y)),
            mean_square,
            observed,
        }
    }

    /// Its form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Its smoothing parameters.
    pub fn smoothing(&self) -> Smoothing {
        self.smoothing
    }

    /// The Gaussian log-likelihood of the history, the variance being its own best estimate.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// The mean squared innovation over the history, in squared units of the series.
    pub fn mean_squared_error(&self) -> f64 {
        self.mean_square * self.units.unit() * self.units.unit()
    }

    /// Akaike's information criterion, corrected for the length of the history; the variance counts as
    /// a parameter, too. Infinite where there is too little history.
    pub fn aicc(&self) -> f64 {
        let k = count(self.form.estimated() + 1);
        let left = count(self.observed) - k - 1.0;
        if left <= 0.0 {
            return f64::INFINITY;
        }
        -2.0 * self.log_likelihood + 2.0 * k + 2.0 * k * (k + 1.0) / left
    }
}

impl Fitted for Ets {
    fn describe(&self) -> String {
        self.form.name()
    }

    fn update(&mut self, observed: Option<f64>) {
        let inner = observed.and_then(|value| self.units.inner(value));
        self.state.step(&self.smoothing, inner);
    }

    fn predict(&self, steps: &[u32], out: &mut [Moments]) {
        for (h, moments) in steps.iter().zip(out) {
            let (mean, growth) = self.state.predict(&self.smoothing, (*h).max(1));
            *moments = self.units.outer(mean, self.variance * growth);
        }
    }
}

/// A season and a start belong to the first observation: what is missing before it was never there.
fn from_first_observation(y: &[f64]) -> &[f64] {
    let first = y.iter().position(|y| y.is_finite()).unwrap_or(y.len());
    &y[first..]
}

fn observations(y: &[f64]) -> usize {
    y.iter().filter(|y| y.is_finite()).count()
}

/// The sum of the logarithms of the weights' inverses, see [`fit`].
fn log_spread(y: &[f64]) -> f64 {
    let (mut gap, mut sum) = (0.0, 0.0);
    for y in y {
        if y.is_nan() {
            gap += 1.0;
        } else {
            sum += f64::ln_1p(gap);
            gap = 0.0;
        }
    }
    sum
}

#[allow(clippy::cast_precision_loss)] // Lengths of series are far below 2^52.
fn count(n: usize) -> f64 {
    n as f64
}
