//! A Kalman filter of a level and a slope in continuous time, with fixed ratios of its noises.
//!
//! State `(l, b)`, observation `y = l + e`. Between observations `dt` apart:
//!
//! ```text
//! l(t+dt) = l(t) + b(t) dt + noise,   b(t+dt) = b(t) + noise
//! noise covariance = s2 * | q_l dt + q_b dt^3/3   q_b dt^2/2 |      var e = s2 * r
//!                         | q_b dt^2/2            q_b dt     |
//! ```
//!
//! (Harvey 1989, *Forecasting, Structural Time Series Models and the Kalman Filter*, 9.2; Durbin and
//! Koopman 2012, 3.2 and 3.10). The transition is a semigroup, so one long gap is exactly the same
//! as many short ones without an observation. `r`, `q_l`, `q_b` are ratios to the one unknown
//! variance `s2`, which is concentrated out: the mean of `v^2 / F` over the innovations `v` with
//! scaled variance `F`, with old ones discounted. The gains do not depend on `s2`, so that the filter
//! is equivariant under a change of scale.
//!
//! The start is diffuse: variance [`DIFFUSE`] in units of `s2`, and innovations that still carry it do
//! not enter `s2` (Durbin and Koopman 2012, 5.2, to first order in 1/κ).
//!
//! With `q_b = 0` and no diffuse slope the slope stays 0 and the filter is the local level model.

use serde::{Deserialize, Serialize};

use super::{Moments, VARIANCE_FLOOR};

/// Scaled variance of what is unknown at the start.
const DIFFUSE: f64 = 1e7;

/// An innovation with more scaled variance than this tells of the start, not of the noise.
const DIFFUSE_AT_LEAST: f64 = 1e4;

/// What an observation loses of its say on the noise variance with each later one.
const VARIANCE_MEMORY: f64 = 1.0 - 1.0 / 48.0;

/// What a likelihood loses with each later one: a bank follows changes in some fifty observations.
const LIKELIHOOD_MEMORY: f64 = 1.0 - 1.0 / 50.0;

/// Degrees of freedom of the Student density by which fit is judged: one outlier may not decide.
const FIT_FREEDOM: f64 = 5.0;

/// At the onset of a regime: the slope's scaled variance, and what is kept of the noise's memory.
const REGIME_SLOPE: f64 = 1.0;
const REGIME_KEEPS: f64 = 0.25;

/// The variances of a filter as ratios to the unknown one, per step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratios {
    /// Of the observation noise.
    pub(super) observation: f64,
    /// Of the level's own random walk.
    pub(super) level: f64,
    /// Of the slope's random walk; `None`: there is no slope.
    pub(super) slope: Option<f64>,
}

impl Ratios {
    fn slope_noise(&self) -> f64 {
        self.slope.unwrap_or(0.0)
    }
}

/// The state of one filter; its ratios are handed in with every call, as they are shared constants.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Filter {
    level: f64,
    slope: f64,
    level_variance: f64,
    covariance: f64,
    slope_variance: f64,
    squares: f64,
    squares_weight: f64,
    /// In single precision, which with the next field saves eight bytes of every filter.
    fit: f32,
    started: bool,
}

impl Filter {
    /// Takes an observation `elapsed` steps after the last.
    pub(super) fn observe(&mut self, ratios: &Ratios, elapsed: f64, value: f64) {
        if !self.started {
            self.started = true;
            self.level = value;
            self.level_variance = ratios.observation;
            self.slope_variance = if ratios.slope.is_some() { DIFFUSE } else { 0.0 };
            return;
        }
        self.pass(ratios, elapsed);
        let innovation = value - self.level;
        let spread = (self.level_variance + ratios.observation).max(f64::MIN_POSITIVE);
        let (level_gain, slope_gain) = (self.level_variance / spread, self.covariance / spread);
        self.level += level_gain * innovation;
        self.slope += slope_gain * innovation;
        self.slope_variance = (self.slope_variance - slope_gain * self.covariance).max(0.0);
        let kept = ratios.observation / spread;
        self.level_variance *= kept;
        self.covariance *= kept;
        if spread < DIFFUSE_AT_LEAST * elapsed.max(1.0).powi(2) {
            self.learn(innovation, spread);
        }
    }

    /// A new regime has set in at the last observation, `value`: the level is there, the slope is as
    /// uncertain as one step's noise, and what was learned of the noise has less say (an intervention
    /// in the sense of West and Harrison 1997, 11.2).
    pub(super) fn begin_regime(&mut self, ratios: &Ratios, value: f64) {
        if ratios.slope.is_none() || !self.started {
            return;
        }
        self.level = value;
        self.slope = 0.0;
        self.level_variance = ratios.observation;
        self.covariance = 0.0;
        self.slope_variance = REGIME_SLOPE;
        self.squares *= REGIME_KEEPS;
        self.squares_weight *= REGIME_KEEPS;
        self.fit = 0.0;
    }

    /// Lets `elapsed` steps go by.
    fn pass(&mut self, ratios: &Ratios, elapsed: f64) {
        let (variance, covariance) = self.ahead(ratios, elapsed);
        self.level += self.slope * elapsed;
        self.level_variance = variance;
        self.covariance = covariance;
        self.slope_variance += ratios.slope_noise() * elapsed;
    }

    /// Scaled level variance and covariance with the slope, `ahead` steps on.
    fn ahead(&self, ratios: &Ratios, ahead: f64) -> (f64, f64) {
        let noise = ratios.slope_noise();
        let carried =
            self.level_variance + ahead * (2.0 * self.covariance + ahead * self.slope_variance);
        let variance = carried.max(0.0) + ahead * (ratios.level + noise * ahead * ahead / 3.0);
        let covariance = self.covariance + ahead * (self.slope_variance + noise * ahead / 2.0);
        (variance, covariance)
    }

    fn learn(&mut self, innovation: f64, spread: f64) {
        let square = innovation * innovation / spread;
        // Before any noise was seen the densities would compare nothing but the ratios themselves.
        if self.squares > 0.0 {
            let variance = self.variance();
            let log_density = -0.5 * (variance * spread).ln()
                - 0.5 * (FIT_FREEDOM + 1.0) * (square / (variance * FIT_FREEDOM)).ln_1p();
            // Differences of a thousandth decide nothing.
            #[allow(clippy::cast_possible_truncation)]
            let fit = (LIKELIHOOD_MEMORY * f64::from(self.fit) + log_density) as f32;
            self.fit = fit;
        }
        self.squares = VARIANCE_MEMORY * self.squares + square;
        self.squares_weight = VARIANCE_MEMORY * self.squares_weight + 1.0;
    }

    /// The unknown variance as estimated so far.
    fn variance(&self) -> f64 {
        if self.squares_weight > 0.0 {
            (self.squares / self.squares_weight).max(VARIANCE_FLOOR)
        } else {
            VARIANCE_FLOOR
        }
    }

    /// Discounted log-likelihood of what was seen; comparable between filters of one series.
    pub(super) fn fit(&self) -> f64 {
        f64::from(self.fit)
    }

    /// Counts the likelihood from `best`, the same for all filters of one series. A sum of densities hangs on the unit of
    /// the series, and would cost the digits in which the filters differ.
    pub(super) fn count_fit_from(&mut self, best: f64) {
        // Near 0 for every filter that matters, where single precision is fine.
        #[allow(clippy::cast_possible_truncation)]
        let fit = (self.fit() - best) as f32;
        self.fit = fit;
    }

    /// The predictive distribution of an observation `ahead` steps on.
    pub(super) fn predict(&self, ratios: &Ratios, ahead: f64) -> Moments {
        let (level_variance, _) = self.ahead(ratios, ahead);
        Moments {
            mean: self.level + self.slope * ahead,
            variance: (level_variance + ratios.observation) * self.variance(),
        }
    }

    /// Lets time pass without an observation; only tests need it, as `observe` takes the time.
    #[cfg(test)]
    fn skip(&mut self, ratios: &Ratios, elapsed: f64) {
        self.pass(ratios, elapsed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TREND: Ratios = Ratios {
        observation: 1.0,
        level: 0.1,
        slope: Some(1e-3),
    };

    #[test]
    fn an_exact_line_is_continued_exactly() {
        let mut filter = Filter::default();
        for step in 0..30 {
            filter.observe(&TREND, 1.0, 2.0 + 0.5 * f64::from(step));
        }
        let ahead = filter.predict(&TREND, 10.0).mean;
        assert!((ahead - (2.0 + 0.5 * 39.0)).abs() < 1e-4, "{ahead}");
    }

    #[test]
    fn without_a_slope_the_forecast_is_flat() {
        let ratios = Ratios {
            observation: 1.0,
            level: 0.1,
            slope: None,
        };
        let mut filter = Filter::default();
        for step in 0..30 {
            filter.observe(&ratios, 1.0, f64::from(step));
        }
        assert_eq!(
            filter.predict(&ratios, 1.0).mean,
            filter.predict(&ratios, 50.0).mean
        );
    }

    proptest! {
        #[test]
        fn a_gap_is_the_same_as_skipped_updates(
            values in proptest::collection::vec(-10.0_f64..10.0, 3..20),
            pieces in proptest::collection::vec(0.1_f64..5.0, 1..6),
        ) {
            let mut whole = Filter::default();
            for value in &values {
                whole.observe(&TREND, 1.0, *value);
            }
            let mut parts = whole;
            let (last, skipped) = pieces.split_last().unwrap();
            for piece in skipped {
                parts.skip(&TREND, *piece);
            }
            parts.observe(&TREND, *last, 1.0);
            whole.observe(&TREND, pieces.iter().sum(), 1.0);
            let (a, b) = (whole.predict(&TREND, 4.0), parts.predict(&TREND, 4.0));
            prop_assert!((a.mean - b.mean).abs() < 1e-6 * (1.0 + a.mean.abs()));
            prop_assert!((a.variance - b.variance).abs() < 1e-6 * (1.0 + a.variance));
        }
    }
}
