//! The scale on which a smoothing model keeps its state.
//!
//! Values are counted from `zero` (the first one) in units of `unit` (their root mean square from there),
//! so that a fit neither loses digits on a counter near 1e15 nor overflows, and is the same whatever the
//! units of the property are. Invariant: what comes out of either direction is finite.

use serde::{Deserialize, Serialize};

use super::super::{Moments, VARIANCE_FLOOR};

/// No value counts for more than this: the engine's limit, too.
const VALUE_LIMIT: f64 = 1e30;

/// The same on the inner scale; its third power times a long horizon still is a number.
const INNER_LIMIT: f64 = 1e60;

/// No unit is finer: a series that lived below it may still rise to [`VALUE_LIMIT`].
const UNIT_LEAST: f64 = 1e-30;

/// An affine scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Units {
    zero: f64,
    unit: f64,
}

impl Units {
    /// The scale of `history`; gaps and infinities are left out. One where nothing varies.
    pub(crate) fn of(history: &[f64]) -> Self {
        let known = || history.iter().copied().filter(|v| v.is_finite());
        let limited = |v: f64| v.clamp(-VALUE_LIMIT, VALUE_LIMIT);
        let zero = limited(known().next().unwrap_or_default());
        let far = known()
            .map(|v| (limited(v) - zero).abs())
            .fold(0.0, f64::max);
        if far <= UNIT_LEAST {
            return Self { zero, unit: 1.0 };
        }
        // Relative to the farthest, so that no square underflows.
        let (sum, count) = known().fold((0.0, 0.0), |(sum, count), v| {
            (sum + ((limited(v) - zero) / far).powi(2), count + 1.0)
        });
        let unit = (far * (sum / f64::max(count, 1.0)).sqrt()).max(UNIT_LEAST);
        Self { zero, unit }
    }

    /// A value on the inner scale; `None` for what is no number.
    pub(crate) fn inner(&self, value: f64) -> Option<f64> {
        value.is_finite().then(|| {
            let from_zero = value.clamp(-VALUE_LIMIT, VALUE_LIMIT) - self.zero;
            (from_zero / self.unit).clamp(-INNER_LIMIT, INNER_LIMIT)
        })
    }

    /// A history on the inner scale, gaps as NaN.
    pub(crate) fn inner_all(&self, history: &[f64]) -> Vec<f64> {
        let inner = |v: &f64| self.inner(*v).unwrap_or(f64::NAN);
        history.iter().map(inner).collect()
    }

    /// A mean and a variance on the scale of the series.
    pub(crate) fn outer(&self, mean: f64, variance: f64) -> Moments {
        let spread = self.unit * variance.max(0.0).sqrt();
        Moments {
            mean: self.value(mean),
            variance: (spread * spread).clamp(VARIANCE_FLOOR, f64::MAX),
        }
    }

    /// A value on the scale of the series.
    pub(crate) fn value(&self, inner: f64) -> f64 {
        (self.zero + self.unit * inner).clamp(-f64::MAX, f64::MAX)
    }

    /// The size of one unit.
    pub(crate) fn unit(&self) -> f64 {
        self.unit
    }

    /// The variance that rounding alone makes on the inner scale: what is not more is nothing.
    pub(crate) fn rounding(&self) -> f64 {
        let digits = 4.0 * f64::EPSILON * (self.zero.abs() / self.unit).max(1.0);
        digits * digits
    }
}

/// Which of `season` >= 1 phases comes `ahead` steps after `phase`, and how many whole cycles later.
/// Divides once, in 32 bits where it can: forecasts ask this for every step.
#[inline]
pub(crate) fn phase_after(phase: usize, ahead: u32, season: usize) -> (usize, u32) {
    let (cycles, rest) = match u32::try_from(season) {
        Ok(season) => (ahead / season, (ahead % season) as usize),
        Err(_) => (0, ahead as usize),
    };
    let next = phase + rest;
    (if next >= season { next - season } else { next }, cycles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_same_value() {
        for history in [
            [1e15, 1e15 + 3.0, f64::NAN],
            [1e-29, 3e-29, 2e-29],
            [-5.0, -5.0, -5.0],
        ] {
            let units = Units::of(&history);
            for value in history.into_iter().filter(|v| v.is_finite()) {
                let inner = units.inner(value).unwrap();
                let back = units.value(inner);
                assert!(
                    (back - value).abs() <= 1e-15 * value.abs(),
                    "{value} {back}"
                );
            }
        }
    }

    #[test]
    fn phases_come_round() {
        assert_eq!(phase_after(0, 0, 1), (0, 0));
        assert_eq!(phase_after(3, 4, 5), (2, 0));
        assert_eq!(phase_after(3, 14, 5), (2, 2));
        assert_eq!(phase_after(0, u32::MAX, 1), (0, u32::MAX));
    }

    #[test]
    fn nothing_overflows() {
        let units = Units::of(&[0.0, 1e-300]);
        let inner = units.inner(f64::MAX).unwrap();
        assert!(inner.powi(3).is_finite());
        assert!(units.outer(inner, inner * inner).variance.is_finite());
        assert_eq!(units.inner(f64::INFINITY), None);
    }
}
