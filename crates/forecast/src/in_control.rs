//! How far an in-control series strays from its level: the raw material of the adaptive threshold.
//!
//! Unlike the forecast, this asks about the deviation as a whole, not about the next step given the
//! last ones: a series that wanders slowly within its usual range has a small one-step error and a wide
//! range, and the band must hold the range. It learns only from what it is given, and it is given only what was in control.
//! While all values were equal it is two numbers; the machinery comes with the first difference.

use evenkeel_core::forecast::Quantiles;
use serde::{Deserialize, Serialize};

use crate::conformal::Calibrator;

/// Observations before it says anything.
const ENOUGH: u64 = 8;

/// The level and the scale are means of about so many observations.
const LENGTH: f64 = 256.0;

/// A constant run counts for no more than this once the series starts to vary.
const CONSTANT_COUNTS_FOR: f64 = 32.0;

/// The mean absolute deviation of a normal times this is its standard deviation.
const DEVIATIONS_PER_MEAN: f64 = 1.253_314_1;

/// The in-control range of one series.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct InControl {
    level: f64,
    seen: u64,
    varying: Option<Box<Varying>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Varying {
    count: f64,
    scatter: f64,
    calibrator: Calibrator,
}

impl InControl {
    /// Takes one in-control observation.
    pub(crate) fn observe(&mut self, value: f64) {
        self.seen += 1;
        if self.seen == 1 {
            self.level = value;
            return;
        }
        let distance = value - self.level;
        if self.varying.is_none() && distance == 0.0 {
            return;
        }
        // The cast is exact below 2^52 and capped at once.
        #[allow(clippy::cast_precision_loss)]
        let before = ((self.seen - 1) as f64).min(CONSTANT_COUNTS_FOR);
        let varying = self.varying.get_or_insert_with(|| {
            Box::new(Varying {
                count: before,
                scatter: 0.0,
                calibrator: Calibrator::default(),
            })
        });
        varying.count = (varying.count + 1.0).min(LENGTH);
        if varying.scatter > 0.0 {
            varying
                .calibrator
                .learn(distance / (varying.scatter * DEVIATIONS_PER_MEAN));
        }
        varying.scatter += (distance.abs() - varying.scatter) / varying.count;
        self.level += distance / varying.count;
    }

    /// Half-widths (below, above) round the median at `coverage`.
    pub(crate) fn half_widths(&self, coverage: f64) -> Option<(f64, f64)> {
        if self.seen < ENOUGH {
            return None;
        }
        let Some(varying) = &self.varying else {
            return Some((0.0, 0.0));
        };
        // Wider by the uncertainty of a scale learned from few.
        let honest = (1.0 + 4.0 / varying.count).sqrt();
        let scale = varying.scatter * DEVIATIONS_PER_MEAN * honest;
        let quantiles = Quantiles::new(varying.calibrator.offsets().map(|offset| offset * scale));
        let (lower, upper) = quantiles.interval(coverage.clamp(0.0, 1.0));
        let median = quantiles.median();
        Some(((median - lower).max(0.0), (upper - median).max(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn a_constant_has_no_width_and_no_machinery() {
        let mut control = InControl::default();
        for _ in 0..7 {
            control.observe(2.0);
        }
        assert_eq!(control.half_widths(0.9), None);
        control.observe(2.0);
        assert_eq!(control.half_widths(0.9), Some((0.0, 0.0)));
        assert!(control.varying.is_none());
    }

    #[test]
    fn noise_gets_the_widths_of_its_quantiles() {
        let mut control = InControl::default();
        let mut random = Random::new(1);
        for _ in 0..4000 {
            control.observe(0.1 * random.normal());
        }
        let (below, above) = control.half_widths(0.9).unwrap();
        assert!((0.14..0.20).contains(&below), "{below}");
        assert!((0.14..0.20).contains(&above), "{above}");
    }

    #[test]
    fn skew_shows_on_its_own_side() {
        let mut control = InControl::default();
        let mut random = Random::new(2);
        for _ in 0..4000 {
            control.observe(-random.uniform().ln());
        }
        let (below, above) = control.half_widths(0.9).unwrap();
        assert!(above > 2.0 * below, "{below} {above}");
    }
}
