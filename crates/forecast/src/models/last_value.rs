//! The random walk: tomorrow is as today, and uncertainty grows with the root of time.
//!
//! `y(t+dt) = y(t) + e`, `var e = s2 dt`; `s2` is the mean of `(y(t+dt) - y(t))^2 / dt` with old
//! increments discounted. It is the least that every other model has to beat.

use serde::{Deserialize, Serialize};

use super::{Continuation, Model, Moments, VARIANCE_FLOOR};

/// What an increment loses of its say with each later one.
const MEMORY: f64 = 1.0 - 1.0 / 48.0;

/// A random walk without drift.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LastValue {
    last: Option<f64>,
    squares: f64,
    weight: f64,
}

impl Model for LastValue {
    fn name(&self) -> &'static str {
        "last-value"
    }

    fn continuation(&self) -> Continuation {
        Continuation::Flat
    }

    fn observe(&mut self, elapsed_steps: f64, value: f64) {
        if let Some(last) = self.last {
            self.squares = MEMORY * self.squares + (value - last).powi(2) / elapsed_steps;
            self.weight = MEMORY * self.weight + 1.0;
        }
        self.last = Some(value);
    }

    fn predict(&self, ahead_steps: f64) -> Moments {
        let per_step = if self.weight > 0.0 {
            self.squares / self.weight
        } else {
            0.0
        };
        Moments {
            mean: self.last.unwrap_or_default(),
            variance: (per_step * ahead_steps).max(VARIANCE_FLOOR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variance_grows_with_time_and_a_gap_counts_as_time() {
        let mut model = LastValue::default();
        model.observe(1.0, 0.0);
        model.observe(4.0, 2.0);
        assert_eq!(
            model.predict(1.0),
            Moments {
                mean: 2.0,
                variance: 1.0
            }
        );
        assert_eq!(model.predict(9.0).variance, 9.0);
    }
}
