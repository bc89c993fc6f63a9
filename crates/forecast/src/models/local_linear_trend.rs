//! The local linear trend: a level that moves along a slope, the slope itself wandering slowly
//! (Harvey 1989, 2.3 and 9.2; Durbin and Koopman 2012, 3.2). A bank of ratios
//! covers three lengths of memory.

use serde::{Deserialize, Serialize};

use super::bank::Bank;
use super::filter::Ratios;
use super::{Continuation, Model, Moments};

/// A slope ratio `q` under observation noise gives a memory of about `q^(-1/4)` steps. Larger ratios
/// would let the slope follow noise, and would blow up the variance at far horizons.
const RATIOS: [Ratios; 3] = [
    Ratios {
        observation: 1.0,
        level: 0.0,
        slope: Some(1e-3),
    },
    Ratios {
        observation: 1.0,
        level: 0.0,
        slope: Some(3e-5),
    },
    Ratios {
        observation: 1.0,
        level: 0.0,
        slope: Some(1e-6),
    },
];

/// A level and a slope, by Kalman filter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LocalLinearTrend(Bank<3>);

impl Model for LocalLinearTrend {
    fn name(&self) -> &'static str {
        "local-linear-trend"
    }

    fn continuation(&self) -> Continuation {
        Continuation::Trending
    }

    fn observe(&mut self, elapsed_steps: f64, value: f64) {
        self.0.observe(&RATIOS, elapsed_steps, value);
    }

    fn begin_regime(&mut self, value: f64) {
        self.0.begin_regime(&RATIOS, value);
    }

    fn predict(&self, ahead_steps: f64) -> Moments {
        self.0.predict(&RATIOS, ahead_steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_after_a_flat_stretch_is_taken_up() {
        let mut model = LocalLinearTrend::default();
        for step in 0..160 {
            model.observe(1.0, f64::from((step - 100).max(0)));
        }
        let ahead = model.predict(20.0).mean;
        assert!(
            (75.0..83.0).contains(&ahead),
            "59 + 20 = 79, forecast {ahead}"
        );
    }

    #[test]
    fn irregular_samples_of_a_line_are_continued_exactly() {
        let mut model = LocalLinearTrend::default();
        let mut time = 0.0;
        for elapsed in [1.0, 2.5, 0.3, 7.0, 1.0, 1.0, 4.0, 0.5, 1.0, 12.0, 1.0, 1.0] {
            time += elapsed;
            model.observe(elapsed, 3.0 * time);
        }
        let ahead = model.predict(10.0).mean;
        assert!((ahead - 3.0 * (time + 10.0)).abs() < 1e-2, "{ahead}");
    }
}
