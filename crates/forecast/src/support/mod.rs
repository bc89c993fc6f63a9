//! Which values are possible at all? Counts are whole, shares end at 100, counters do not fall.
//!
//! [`Recogniser`] watches a series and says what it is sure of: [`Support`]. It is conservative and
//! takes back what a later value contradicts. A hint (the unit, the kind of quantity) counts as evidence
//! that the values so far need only not contradict. [`Support::map`] carries a support to the scale on
//! which forecasts are made, [`Support::confine`] keeps quantiles within it, and [`CounterUnwrap`] turns
//! a counter with resets into a total that goes on.
//!
//! Rounding to the lattice is outward: a lower level down, an upper one up, so that an interval of
//! possible values covers at least what it covered before.

mod counter;
mod recogniser;

use evenkeel_core::forecast::{LEVELS, MEDIAN};
use serde::{Deserialize, Serialize};

pub use counter::CounterUnwrap;
pub use recogniser::{Hints, Recogniser};

/// Equally spaced possible values: `origin + k spacing` for whole `k`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lattice {
    /// One of the values.
    pub origin: f64,
    /// The distance between neighbours; more than 0.
    pub spacing: f64,
}

/// Whether a series only goes one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Monotone {
    /// It may rise and fall.
    #[default]
    No,
    /// It only rises.
    Increasing {
        /// But it may fall back to its beginning.
        resets: bool,
    },
    /// It only falls: an increasing one seen through a negative scale ([`Support::map`]).
    Decreasing {
        /// But it may go back to its beginning.
        resets: bool,
    },
}

/// The possible values of a series, in its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Support {
    /// No value lies below it.
    pub lower: Option<f64>,
    /// No value lies above it.
    pub upper: Option<f64>,
    /// The only possible values, if they are separate.
    pub lattice: Option<Lattice>,
    /// Whether it only goes one way.
    pub monotone: Monotone,
}

/// A lattice finer than this share of the spread of the quantiles makes no difference.
const FINE: f64 = 0.02;

/// Values beyond this have no digit for a half, so that every one of them would look whole.
const WHOLE_MAX: f64 = 4_503_599_627_370_496.0;

impl Support {
    /// The support of `scale * value + shift`. A `scale` that is 0 or not finite, or a `shift` that is not
    /// finite, gives a support that excludes nothing.
    #[must_use]
    pub fn map(&self, scale: f64, shift: f64) -> Self {
        if scale == 0.0 || !scale.is_finite() || !shift.is_finite() {
            return Self::default();
        }
        let moved = |value: Option<f64>| value.map(|v| v * scale + shift).filter(|v| v.is_finite());
        let (lower, upper) = (moved(self.lower), moved(self.upper));
        let lattice = self.lattice.map(|lattice| Lattice {
            origin: lattice.origin * scale + shift,
            spacing: lattice.spacing * scale.abs(),
        });
        let turned = scale < 0.0;
        Self {
            lower: if turned { upper } else { lower },
            upper: if turned { lower } else { upper },
            lattice: lattice.filter(|l| l.spacing > 0.0 && (l.origin + l.spacing).is_finite()),
            monotone: match (self.monotone, turned) {
                (Monotone::Increasing { resets }, true) => Monotone::Decreasing { resets },
                (Monotone::Decreasing { resets }, true) => Monotone::Increasing { resets },
                (same, _) => same,
            },
        }
    }

    /// Whether a value is possible (after any other).
    pub fn contains(&self, value: f64) -> bool {
        value.is_finite()
            && self.lower.is_none_or(|lower| value >= lower)
            && self.upper.is_none_or(|upper| value <= upper)
            && self.lattice.is_none_or(|lattice| {
                let off = value - lattice.nearest(value);
                off.abs() <= 1e-9 * lattice.spacing.max(value.abs() * 1e-3)
            })
    }

    /// Keeps the quantiles (at [`LEVELS`], rising) of a forecast made when the value was `last` within
    /// what is possible. The result never crosses, is finite where the input is, and confining it again
    /// changes nothing.
    #[must_use]
    pub fn confine(&self, quantiles: [f64; LEVELS.len()], last: f64) -> [f64; LEVELS.len()] {
        let (lower, upper) = self.range_after(last);
        let clamp = |value: f64| {
            // In this order a support that contradicts itself yields to its lower end, and nothing panics.
            value
                .min(upper.unwrap_or(f64::MAX))
                .max(lower.unwrap_or(f64::MIN))
        };
        let is_bounded = lower.is_some() || upper.is_some();
        let mut confined = if is_bounded {
            quantiles.map(clamp)
        } else {
            quantiles
        };
        if let Some(lattice) = self.lattice_that_matters(&confined) {
            for (index, value) in confined.iter_mut().enumerate() {
                *value = clamp(match index.cmp(&MEDIAN) {
                    std::cmp::Ordering::Less => lattice.below(*value),
                    std::cmp::Ordering::Equal => lattice.nearest(*value),
                    std::cmp::Ordering::Greater => lattice.above(*value),
                });
            }
        }
        for index in 1..confined.len() {
            confined[index] = confined[index].max(confined[index - 1]);
        }
        confined
    }

    /// The range after `last`: what only rises does not fall below it, unless it may start anew.
    fn range_after(&self, last: f64) -> (Option<f64>, Option<f64>) {
        let last = Some(last).filter(|last| last.is_finite());
        match self.monotone {
            Monotone::Increasing { resets: false } => (larger(self.lower, last), self.upper),
            Monotone::Decreasing { resets: false } => (self.lower, smaller(self.upper, last)),
            Monotone::No
            | Monotone::Increasing { resets: true }
            | Monotone::Decreasing { resets: true } => (self.lower, self.upper),
        }
    }

    /// The lattice, unless it is tiny against the spread or against the digits of a float.
    fn lattice_that_matters(&self, quantiles: &[f64; LEVELS.len()]) -> Option<Lattice> {
        let spread = quantiles[LEVELS.len() - 1] - quantiles[0];
        let size = quantiles[0].abs().max(quantiles[LEVELS.len() - 1].abs());
        self.lattice.filter(|lattice| {
            lattice.spacing >= FINE * spread
                && (size - lattice.origin).abs() / lattice.spacing < WHOLE_MAX
                && lattice.origin.abs() / lattice.spacing < WHOLE_MAX
        })
    }
}

impl Lattice {
    fn at(&self, steps: f64) -> f64 {
        self.origin + steps * self.spacing
    }

    /// In spacings from the origin; what is on the lattice but for rounding is on it.
    fn steps(&self, value: f64) -> f64 {
        let steps = (value - self.origin) / self.spacing;
        let whole = steps.round();
        if (steps - whole).abs() <= 1e-9 * whole.abs().max(1.0) {
            whole
        } else {
            steps
        }
    }

    fn below(&self, value: f64) -> f64 {
        self.at(self.steps(value).floor())
    }

    fn nearest(&self, value: f64) -> f64 {
        self.at(self.steps(value).round())
    }

    fn above(&self, value: f64) -> f64 {
        self.at(self.steps(value).ceil())
    }
}

fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (one, None) | (None, one) => one,
    }
}

fn smaller(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    larger(a.map(|v| -v), b.map(|v| -v)).map(|v| -v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_rounded_outward_and_its_median_to_the_nearest() {
        let counts = Support {
            lower: Some(0.0),
            lattice: Some(Lattice {
                origin: 0.0,
                spacing: 1.0,
            }),
            ..Support::default()
        };
        let said = [
            -0.3, 0.1, 0.4, 0.6, 1.2, 1.4, 1.6, 1.8, 2.2, 2.4, 2.6, 2.8, 3.1,
        ];
        let expected = [
            0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 4.0,
        ];
        assert_eq!(counts.confine(said, 1.0), expected);
        let wide = said.map(|q| q * 1000.0);
        assert_eq!(counts.confine(wide, 1.0)[5], wide[5], "too fine to matter");
    }

    #[test]
    fn a_deviation_of_a_percentage_keeps_its_ends() {
        let percent = Support {
            lower: Some(0.0),
            upper: Some(100.0),
            monotone: Monotone::Increasing { resets: false },
            ..Support::default()
        };
        // (value - 60) / 20, and the same turned round.
        let deviation = percent.map(0.05, -3.0);
        assert_eq!((deviation.lower, deviation.upper), (Some(-3.0), Some(2.0)));
        let turned = percent.map(-0.05, 3.0);
        assert_eq!((turned.lower, turned.upper), (Some(-2.0), Some(3.0)));
        assert_eq!(turned.monotone, Monotone::Decreasing { resets: false });
        assert!(turned.confine([5.0; 13], 1.0).iter().all(|q| *q <= 1.0));
        assert_eq!(percent.map(0.0, 1.0), Support::default());
        assert_eq!(percent.map(f64::NAN, 1.0), Support::default());
    }
}
