//! Rolling `k` sigma: an observation further than `k` standard deviations from the mean of the window
//! before it (Shewhart 1931 with a sliding reference, as monitoring systems have it; k = 3 by custom).
//!
//! The value itself is not of its reference. Nothing is said before half of the window is there.

use std::collections::VecDeque;

use super::{Detector, SIGMA_FLOOR};

#[derive(Clone, Debug)]
pub(super) struct ThreeSigma {
    k: f64,
    length: usize,
    values: VecDeque<f64>,
    /// The first value: sums are of distances from it, to keep digits.
    origin: f64,
    sum: f64,
    squares: f64,
}

impl ThreeSigma {
    /// `window` in probes.
    pub(super) fn new(k: f64, window: usize) -> Self {
        Self {
            k,
            length: window.max(2),
            values: VecDeque::new(),
            origin: 0.0,
            sum: 0.0,
            squares: 0.0,
        }
    }

    fn push(&mut self, value: f64) {
        if self.values.is_empty() {
            self.origin = value;
        }
        if self.values.len() == self.length
            && let Some(oldest) = self.values.pop_front()
        {
            let from_origin = oldest - self.origin;
            self.sum -= from_origin;
            self.squares -= from_origin * from_origin;
        }
        let from_origin = value - self.origin;
        self.values.push_back(value);
        self.sum += from_origin;
        self.squares += from_origin * from_origin;
    }

    /// Mean and standard deviation (n - 1) of the window.
    fn moments(&self) -> (f64, f64) {
        let n = self.values.len() as f64;
        let variance = (self.squares - self.sum * self.sum / n).max(0.0) / (n - 1.0);
        (self.origin + self.sum / n, variance.sqrt())
    }
}

impl Detector for ThreeSigma {
    fn observe(&mut self, _at: f64, deviation: f64) -> bool {
        let alarm = self.values.len() >= (self.length / 2).max(2) && {
            let (mean, sigma) = self.moments();
            (deviation - mean).abs() > self.k * sigma.max(SIGMA_FLOOR)
        };
        self.push(deviation);
        alarm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_alarms_and_the_window_forgets() {
        let mut detector = ThreeSigma::new(3.0, 4);
        for value in [0.1, -0.1, 0.1, -0.1] {
            assert!(!detector.observe(0.0, value));
        }
        // Mean 0, sigma = sqrt(0.04 / 3) = 0.1155: the limit is 0.346.
        assert!(!detector.clone().observe(0.0, 0.34));
        assert!(detector.clone().observe(0.0, 0.35));
        for _ in 0..4 {
            detector.observe(0.0, 5.0);
        }
        let (mean, sigma) = detector.moments();
        assert!((mean - 5.0).abs() < 1e-9 && sigma < 1e-6, "{mean} {sigma}");
    }

    #[test]
    fn nothing_is_said_before_half_of_the_window() {
        let mut detector = ThreeSigma::new(3.0, 10);
        let alarms: Vec<bool> = [0.0, 9.0, -9.0, 0.0, 90.0, 1e4]
            .map(|value| detector.observe(0.0, value))
            .to_vec();
        assert_eq!(alarms, [false, false, false, false, false, true]);
    }
}
