//! Numbers of twice the precision, as the unrounded sum of two (Dekker 1971), for what would lose its
//! digits to cancellation; and what is computed alike with both kinds of number.
//!
//! Good for about 31 digits. Not for anything in an inner loop: an operation costs about ten plain ones.

use std::ops::{Add, Div, Mul, Sub};

/// A number that lag polynomials and autocovariances can be computed with.
pub(super) trait Number:
    Copy
    + Default
    + From<f64>
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    /// Rounded to a plain number.
    fn rounded(self) -> f64;
}

impl Number for f64 {
    fn rounded(self) -> f64 {
        self
    }
}

/// `high + low`, where `low` is what rounding took from `high`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub(super) struct Double {
    high: f64,
    low: f64,
}

impl From<f64> for Double {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

impl Number for Double {
    fn rounded(self) -> f64 {
        self.high
    }
}

impl Double {
    /// `a + b` exactly, if `a` is the larger of both.
    fn of_sum(a: f64, b: f64) -> Self {
        let high = a + b;
        Self {
            high,
            low: b - (high - a),
        }
    }
}

impl Add for Double {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let high = self.high + other.high;
        let part = high - self.high;
        let lost = (self.high - (high - part)) + (other.high - part);
        Self::of_sum(high, lost + (self.low + other.low))
    }
}

impl Sub for Double {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + Self {
            high: -other.high,
            low: -other.low,
        }
    }
}

/// Upper and lower half of the digits.
fn split(a: f64) -> (f64, f64) {
    let spread = 134_217_729.0 * a; // 2^27 + 1
    let upper = spread - (spread - a);
    (upper, a - upper)
}

impl Mul for Double {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let high = self.high * other.high;
        let ((a, b), (c, d)) = (split(self.high), split(other.high));
        let lost = ((a * c - high) + a * d + b * c) + b * d;
        Self::of_sum(high, lost + (self.high * other.low + self.low * other.high))
    }
}

impl Div for Double {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let first = self.high / other.high;
        let rest = self - other * Self::from(first);
        Self::of_sum(first, rest.high / other.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plain_number_loses_is_kept() {
        let tiny = Double::from(1e-25);
        let one = Double::from(1.0);
        assert_eq!((one + tiny - one).rounded(), 1e-25);
        let third = one / Double::from(3.0);
        let rest = one - third * Double::from(3.0);
        assert!(rest.rounded().abs() < 1e-31, "{rest:?}");
        let (a, b) = (1.0 + 1e-9, 1.0 - 1e-9);
        let product = Double::from(a) * Double::from(b) - one;
        // To within what rounding took from a and b themselves.
        assert!((product.rounded() + 1e-18).abs() < 3e-16);
        let other = Double::from(a) * Double::from(b) - Double::from(b) * Double::from(a);
        assert_eq!(other.rounded(), 0.0);
        assert_ne!(product.rounded(), a * b - 1.0);
    }
}
