//! The two-sided CUSUM (Page 1954; Montgomery, *Introduction to Statistical Quality Control*, 9.1).
//!
//! ```text
//! C+_i = max(0, C+_{i-1} + (x_i - mean) / sigma - k),   C-_i = max(0, C-_{i-1} - (x_i - mean) / sigma - k)
//! alarm: C+ > h or C- > h
//! ```
//!
//! with mean and sigma in control of phase I. The sums are not put back by an alarm: what acts on it
//! starts a detector anew.

use super::{Detector, PhaseOne};

#[derive(Clone, Debug)]
pub(super) struct Cusum {
    slack: f64,
    limit: f64,
    phase_one: PhaseOne,
    above: f64,
    below: f64,
}

impl Cusum {
    pub(super) fn new(slack: f64, limit: f64) -> Self {
        Self {
            slack,
            limit,
            phase_one: PhaseOne::default(),
            above: 0.0,
            below: 0.0,
        }
    }
}

impl Detector for Cusum {
    fn observe(&mut self, _at: f64, deviation: f64) -> bool {
        let Some((mean, sigma)) = self.phase_one.take(deviation) else {
            return false;
        };
        let z = (deviation - mean) / sigma;
        self.above = (self.above + z - self.slack).max(0.0);
        self.below = (self.below - z - self.slack).max(0.0);
        self.above > self.limit || self.below > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::super::PHASE_ONE;
    use super::*;

    #[test]
    fn sums_grow_by_what_exceeds_the_slack_and_never_fall_below_zero() {
        let mut chart = Cusum::new(0.5, 4.0);
        for i in 0..PHASE_ONE {
            assert!(!chart.observe(0.0, if i % 2 == 0 { 0.1 } else { -0.1 }));
        }
        let sigma = 0.1 * (60.0_f64 / 59.0).sqrt();
        let alarms: Vec<bool> = [-1.0, 2.0, 2.0, 1.5, 0.1]
            .iter()
            .map(|z| chart.observe(0.0, z * sigma))
            .collect();
        // Above: 0, 1.5, 3, 4, 3.6; below: 0.5, then nothing.
        assert_eq!(alarms, [false; 5]);
        assert!((chart.above - 3.6).abs() < 1e-9 && chart.below == 0.0);
        assert!(chart.observe(0.0, 1.0 * sigma));
    }

    #[test]
    fn both_sides_are_watched() {
        let mut chart = Cusum::new(0.5, 4.0);
        for _ in 0..PHASE_ONE {
            chart.observe(0.0, 0.0);
        }
        // The scatter is the floor's, 0.01.
        assert!(!chart.observe(0.0, -0.044));
        assert!(chart.observe(0.0, -0.02));
    }
}
