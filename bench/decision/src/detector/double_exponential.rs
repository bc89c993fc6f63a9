//! Prometheus' `double_exponential_smoothing(v[window], sf, tf)` (formerly `holt_winters`), continued to the
//! horizon and held against the limit.
//!
//! Source: the Prometheus documentation, "Query functions", and `funcDoubleExponentialSmoothing` and
//! `calcTrendValue` in its `promql/functions.go` (Holt 1957):
//!
//! ```text
//! s_0 = x_0,  b_0 = x_1 - x_0
//! s_i = sf x_i + (1 - sf)(s_{i-1} + b_{i-1}),   b_i = tf (s_i - s_{i-1}) + (1 - tf) b_{i-1}
//! ```
//!
//! in samples, whatever their distance, over a window of [`WINDOW`] samples that ends now. Prometheus
//! gives `s` alone; who wants a prediction adds the trend times the samples to the horizon, as here.

use super::{Context, Detector, Window};

/// Samples in the window: one hour of a probe a minute.
const WINDOW: usize = 60;

#[derive(Clone, Debug)]
pub(super) struct DoubleExponential {
    sf: f64,
    tf: f64,
    limit: f64,
    ahead: f64,
    window: Window,
}

impl DoubleExponential {
    /// `limit` in limits.
    pub(super) fn new(context: Context, sf: f64, tf: f64, limit: f64) -> Self {
        Self {
            sf,
            tf,
            limit,
            ahead: context.horizon / context.step,
            window: Window::new(WINDOW),
        }
    }

    /// Level and trend per sample.
    fn smooth(&self) -> Option<(f64, f64)> {
        let mut values = self.window.values.iter().copied();
        let (first, second) = (values.next()?, values.next()?);
        let (mut level, mut trend) = (first, second - first);
        for value in std::iter::once(second).chain(values) {
            let next = self.sf * value + (1.0 - self.sf) * (level + trend);
            trend = self.tf * (next - level) + (1.0 - self.tf) * trend;
            level = next;
        }
        Some((level, trend))
    }
}

impl Detector for DoubleExponential {
    fn observe(&mut self, _at: f64, deviation: f64) -> bool {
        self.window.push(deviation);
        self.smooth()
            .is_some_and(|(level, trend)| (level + trend * self.ahead).abs() >= self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(values: &[f64]) -> DoubleExponential {
        let context = Context {
            step: 1.0,
            horizon: 10.0,
        };
        let mut detector = DoubleExponential::new(context, 0.5, 0.25, 1.0);
        for value in values {
            detector.observe(0.0, *value);
        }
        detector
    }

    #[test]
    fn level_and_trend_are_those_of_the_definition() {
        assert_eq!(after(&[1.0]).smooth(), None);
        // s0 = 0, b0 = 1; s1 = 0.5 + 0.5 (0 + 1) = 1, b1 = 1; s2 = 0.5 x 4 + 0.5 (1 + 1) = 3,
        // b2 = 0.25 x 2 + 0.75 = 1.25.
        assert_eq!(after(&[0.0, 1.0, 4.0]).smooth(), Some((3.0, 1.25)));
    }

    #[test]
    fn a_line_alarms_when_its_end_is_in_sight() {
        let line: Vec<f64> = (0..11).map(|i| 0.05 * f64::from(i)).collect();
        assert!(!after(&line[..10]).observe(0.0, 0.449));
        assert!(after(&line[..10]).observe(0.0, 0.5001));
    }

    #[test]
    fn only_the_window_counts() {
        let mut detector = after(&[50.0; 7]);
        for _ in 0..WINDOW {
            detector.observe(0.0, 0.25);
        }
        assert_eq!(detector.smooth(), Some((0.25, 0.0)));
    }
}
