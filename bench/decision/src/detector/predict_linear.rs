//! Prometheus' `predict_linear(v[window], horizon)` against the limit.
//!
//! Source: the Prometheus documentation, "Query functions", and `linearRegression` in its
//! `promql/functions.go`: simple least squares of the samples in the window over time, taken at `horizon`
//! after now. A window without change predicts its value.
//!
//! ```text
//! slope = (sum xy - sum x sum y / n) / (sum x^2 - (sum x)^2 / n),   x = seconds from now
//! alarm: |intercept + slope horizon| >= limit
//! ```
//!
//! The probability is that of a normal prediction: with the standard error of a new observation
//! `s sqrt(1 + 1/n + (horizon - mean x)^2 / Sxx)` and the residual scatter `s`.
//!
//! The sums run over values relative to the window's start and are built anew now and then, so that
//! rounding does not pile up.

use std::collections::VecDeque;

use super::{Context, Detector, normal_beyond_limit};

/// Probes after which the sums are built anew.
const REBUILD_AFTER: usize = 512;

#[derive(Clone, Debug)]
pub(super) struct PredictLinear {
    window: f64,
    horizon: f64,
    limit: f64,
    samples: VecDeque<(f64, f64)>,
    sums: Sums,
    since_rebuild: usize,
    probability: Option<f64>,
}

/// Sums over the window, times counted from `origin`.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    origin: f64,
    x: f64,
    y: f64,
    xy: f64,
    xx: f64,
    yy: f64,
}

impl Sums {
    fn add(&mut self, (at, y): (f64, f64), sign: f64) {
        let x = at - self.origin;
        self.x += sign * x;
        self.y += sign * y;
        self.xy += sign * x * y;
        self.xx += sign * x * x;
        self.yy += sign * y * y;
    }
}

impl PredictLinear {
    /// `window` in horizons, `limit` in limits.
    pub(super) fn new(context: Context, window: f64, limit: f64) -> Self {
        Self {
            window: window * context.horizon,
            horizon: context.horizon,
            limit,
            samples: VecDeque::new(),
            sums: Sums::default(),
            since_rebuild: 0,
            probability: None,
        }
    }

    fn push(&mut self, at: f64, deviation: f64) {
        self.samples.push_back((at, deviation));
        self.sums.add((at, deviation), 1.0);
        while let Some(oldest) = self
            .samples
            .front()
            .copied()
            .filter(|(t, _)| *t <= at - self.window)
        {
            self.sums.add(oldest, -1.0);
            self.samples.pop_front();
        }
        self.since_rebuild += 1;
        if self.since_rebuild >= REBUILD_AFTER {
            self.since_rebuild = 0;
            self.sums = Sums {
                origin: at,
                ..Sums::default()
            };
            for sample in &self.samples {
                self.sums.add(*sample, 1.0);
            }
        }
    }

    /// Mean and standard error of the prediction at the horizon after `at`.
    fn predict(&self, at: f64) -> Option<(f64, f64)> {
        let count = self.samples.len();
        if count < 2 {
            return None;
        }
        let n = count as f64;
        let Sums {
            origin,
            x,
            y,
            xy,
            xx,
            yy,
        } = self.sums;
        let spread_x = xx - x * x / n;
        let (together, spread_y) = (xy - x * y / n, (yy - y * y / n).max(0.0));
        if spread_x <= 0.0 {
            return None;
        }
        let slope = together / spread_x;
        let ahead = at + self.horizon - origin - x / n;
        let mean = y / n + slope * ahead;
        let residual = (spread_y - slope * together).max(0.0);
        let freedom = (n - 2.0).max(1.0);
        let error = (residual / freedom * (1.0 + 1.0 / n + ahead * ahead / spread_x)).sqrt();
        Some((mean, error))
    }
}

impl Detector for PredictLinear {
    fn observe(&mut self, at: f64, deviation: f64) -> bool {
        self.push(at, deviation);
        let predicted = self.predict(at);
        self.probability = predicted.map(|(mean, error)| normal_beyond_limit(mean, error));
        predicted.is_some_and(|(mean, _)| mean.abs() >= self.limit)
    }

    fn probability(&self) -> Option<f64> {
        self.probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context {
            step: 1.0,
            horizon: 10.0,
        }
    }

    #[test]
    fn a_line_is_continued_and_alarms_once_its_end_is_in_sight() {
        // 0.05 per second: at second t it predicts 0.05 (t + 10), which is 1 from t = 10 on.
        let mut detector = PredictLinear::new(context(), 1.0, 1.0);
        let first = (0..20).position(|t| {
            let t = f64::from(t);
            detector.observe(t, 0.05 * t + 1e-9)
        });
        assert_eq!(first, Some(10));
    }

    #[test]
    fn the_slope_is_that_of_least_squares_over_the_window_alone() {
        let mut detector = PredictLinear::new(context(), 0.4, 1.0);
        for (t, value) in [
            (0.0, 9.0),
            (1.0, 9.0),
            (2.0, 1.0),
            (3.0, 2.0),
            (4.0, 2.0),
            (5.0, 3.0),
        ] {
            detector.observe(t, value);
        }
        // Over 2..=5: slope 0.6, mean 2 at 3.5; at 15: 2 + 0.6 x 11.5.
        let (mean, error) = detector.predict(5.0).unwrap();
        assert!((mean - 8.9).abs() < 1e-9, "{mean}");
        // Residuals 0.2 in squares over 2 degrees of freedom; Sxx = 5.
        let by_hand = (0.1_f64 * (1.0 + 0.25 + 11.5 * 11.5 / 5.0)).sqrt();
        assert!((error - by_hand).abs() < 1e-9, "{error}");
    }

    #[test]
    fn rebuilding_the_sums_changes_nothing() {
        let mut detector = PredictLinear::new(context(), 2.0, 1.0);
        for i in 0..(REBUILD_AFTER * 2 + 7) {
            let t = i as f64;
            detector.observe(t, 0.001 * t);
            if i > 2 {
                let (mean, _) = detector.predict(t).unwrap();
                assert!((mean - 0.001 * (t + 10.0)).abs() < 1e-9, "{i}");
            }
        }
    }

    #[test]
    fn a_constant_predicts_itself() {
        let mut detector = PredictLinear::new(context(), 1.0, 0.9);
        assert!((0..50).all(|t| !detector.observe(f64::from(t), 0.8)));
        assert_eq!(detector.probability(), Some(0.0));
    }
}
