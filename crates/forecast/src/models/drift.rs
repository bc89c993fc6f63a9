//! The random walk with drift: every change stays, and changes lean one way (Harvey 1989, 2.3, with no
//! observation noise). It is the trend of what moves in jumps, as the local linear trend is that of
//! what moves smoothly under noise; its uncertainty grows with the root of time at least.
//!
//! Where the series stands still between jumps the same way, these are counted apart: a walk of
//! increments at random would never learn that they are regular (see `stairs`).

use serde::{Deserialize, Serialize};

use super::bank::Bank;
use super::filter::Ratios;
use super::stairs::Stairs;
use super::{Continuation, Model, Moments};

/// The drift's memory is about the inverse root of its ratio: a hundred steps.
const RATIOS: [Ratios; 1] = [Ratios {
    observation: 0.0,
    level: 1.0,
    slope: Some(1e-4),
}];

/// A random walk whose drift is learned.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Drift {
    walk: Bank<1>,
    stairs: Stairs,
}

impl Model for Drift {
    fn name(&self) -> &'static str {
        "drift"
    }

    fn continuation(&self) -> Continuation {
        Continuation::Trending
    }

    fn observe(&mut self, elapsed_steps: f64, value: f64) {
        self.walk.observe(&RATIOS, elapsed_steps, value);
        self.stairs.observe(elapsed_steps, value);
    }

    fn begin_regime(&mut self, value: f64) {
        self.walk.begin_regime(&RATIOS, value);
    }

    fn predict(&self, ahead_steps: f64) -> Moments {
        (self.stairs.predict(ahead_steps))
            .unwrap_or_else(|| self.walk.predict(&RATIOS, ahead_steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_that_lean_one_way_are_carried_on_from_the_last_value() {
        let mut model = Drift::default();
        for step in 0..400_i32 {
            model.observe(1.0, f64::from(step / 4) + 0.1 * f64::from(step % 2));
        }
        let ahead = model.predict(40.0);
        assert!((107.0..111.0).contains(&ahead.mean), "{ahead:?}");
        assert!(ahead.variance > model.predict(1.0).variance * 20.0);
        // Without the jitter it stands still between jumps that are all alike.
        let mut stairs = Drift::default();
        (0..400_i32).for_each(|step| stairs.observe(1.0, f64::from(step / 4)));
        let regular = stairs.predict(40.0);
        assert!((107.0..111.0).contains(&regular.mean), "{regular:?}");
        assert!(regular.variance < 0.5 * ahead.variance, "{regular:?}");
    }
}
