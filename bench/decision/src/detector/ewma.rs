//! The EWMA control chart (Roberts 1959; Montgomery, *Introduction to Statistical Quality Control*, 9.2).
//!
//! ```text
//! z_i = lambda x_i + (1 - lambda) z_{i-1},   z_0 = mean
//! alarm: |z_i - mean| > L sigma sqrt(lambda / (2 - lambda) (1 - (1 - lambda)^{2 i}))
//! ```
//!
//! with mean and sigma in control of phase I.

use super::{Detector, PhaseOne};

#[derive(Clone, Debug)]
pub(super) struct Ewma {
    lambda: f64,
    limit: f64,
    phase_one: PhaseOne,
    /// `z`, and `(1 - lambda)^{2 i}`.
    state: Option<(f64, f64)>,
}

impl Ewma {
    pub(super) fn new(lambda: f64, limit: f64) -> Self {
        Self {
            lambda,
            limit,
            phase_one: PhaseOne::default(),
            state: None,
        }
    }
}

impl Detector for Ewma {
    fn observe(&mut self, _at: f64, deviation: f64) -> bool {
        let Some((mean, sigma)) = self.phase_one.take(deviation) else {
            return false;
        };
        let keeps = 1.0 - self.lambda;
        let (z, memory) = self.state.unwrap_or((mean, 1.0));
        let z = self.lambda * deviation + keeps * z;
        let memory = memory * keeps * keeps;
        self.state = Some((z, memory));
        let spread = sigma * (self.lambda / (2.0 - self.lambda) * (1.0 - memory)).sqrt();
        (z - mean).abs() > self.limit * spread
    }
}

#[cfg(test)]
mod tests {
    use super::super::PHASE_ONE;
    use super::*;

    fn chart() -> Ewma {
        let mut chart = Ewma::new(0.5, 2.0);
        for i in 0..PHASE_ONE {
            assert!(!chart.observe(0.0, if i % 2 == 0 { 0.1 } else { -0.1 }));
        }
        chart
    }

    #[test]
    fn its_limits_are_those_of_the_definition() {
        let sigma = 0.1 * (60.0_f64 / 59.0).sqrt();
        // First: z = x / 2, limit 2 sigma sqrt(1/3 x 3/4) = sigma, so x = 2 sigma.
        assert!(!chart().observe(0.0, 1.99 * sigma));
        assert!(chart().observe(0.0, 2.01 * sigma));
        // Second: z = x2/2 + x1/4, limit 2 sigma sqrt(1/3 x 15/16) = 1.1180 sigma.
        let mut after_one = chart();
        after_one.observe(0.0, sigma);
        assert!(!after_one.clone().observe(0.0, 1.73 * sigma));
        assert!(after_one.observe(0.0, 1.74 * sigma));
    }

    #[test]
    fn a_small_shift_is_found_in_the_end() {
        let mut chart = Ewma::new(0.05, 5.0);
        let value = |i: u32| if i.is_multiple_of(2) { 0.1 } else { -0.1 };
        assert!((0..600).all(|i| !chart.observe(0.0, value(i))));
        assert!((0..600).any(|i| chart.observe(0.0, 0.12 + value(i))));
    }
}
