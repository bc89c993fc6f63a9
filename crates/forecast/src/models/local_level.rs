//! The local level: a level that wanders slowly, seen through noise. Its mean forecast is the
//! exponentially smoothed past (Harvey 1989, 4.1), with the smoothing found by a bank of ratios.
//! It is at home on stationary noise and on what swings back to a mean.

use serde::{Deserialize, Serialize};

use super::bank::Bank;
use super::filter::Ratios;
use super::{Continuation, Model, Moments};

/// From a level that all but stands still to one that moves as much as the noise.
const RATIOS: [Ratios; 3] = [ratios(1e-5), ratios(3e-3), ratios(0.3)];

const fn ratios(level: f64) -> Ratios {
    Ratios {
        observation: 1.0,
        level,
        slope: None,
    }
}

/// Simple exponential smoothing as a state-space model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LocalLevel(Bank<3>);

impl Model for LocalLevel {
    fn name(&self) -> &'static str {
        "local-level"
    }

    fn continuation(&self) -> Continuation {
        Continuation::Flat
    }

    fn observe(&mut self, elapsed_steps: f64, value: f64) {
        self.0.observe(&RATIOS, elapsed_steps, value);
    }

    fn predict(&self, ahead_steps: f64) -> Moments {
        self.0.predict(&RATIOS, ahead_steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternation_is_forecast_at_its_middle() {
        let mut model = LocalLevel::default();
        for step in 0..200 {
            model.observe(1.0, if step % 2 == 0 { 1.0 } else { -1.0 });
        }
        let moments = model.predict(5.0);
        assert!(moments.mean.abs() < 0.1, "{moments:?}");
        assert!((0.8..1.3).contains(&moments.variance.sqrt()), "{moments:?}");
    }
}
