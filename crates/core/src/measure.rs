//! The measured quantity behind a deviation. Forecasts are made of deviations, but what is possible at all
//! (whole numbers, no more than 100 %, a counter that does not fall) is known of the quantity itself. A
//! [`Measure`] leads from one to the other.
//!
//! Invariants:
//! - `deviation(value)` is what `crate::deviation` says of the value, to the last bit.
//! - `value(deviation(v)) == v` for every whole `v`, and but for rounding for every other, on a side that has a
//!   tolerance. On a side without one all values are as good as approved: their deviation is 0, and 0 leads
//!   back to the approved value.
//! - Where the two do not determine each other (any change is at the limit, a tolerance that is lost in the
//!   digits of the approved value, anything but numbers) there is no measure.

use serde::{Deserialize, Serialize};

use crate::deviation::Scale;
use crate::property::Value;

/// What kind of quantity is measured, as far as its unit tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Any number.
    #[default]
    Any,
    /// Per cent (`%`): from 0 to 100 as long as nothing else is seen.
    Percent,
    /// A size in bytes (`B`, `MiB`, ...): not negative.
    Size,
}

impl Quantity {
    /// Read off a unit.
    pub fn of(unit: Option<&str>) -> Self {
        match unit.map(str::trim) {
            Some("%" | "percent" | "per cent") => Self::Percent,
            Some(
                "B" | "bytes" | "kB" | "KB" | "MB" | "GB" | "TB" | "KiB" | "MiB" | "GiB" | "TiB",
            ) => Self::Size,
            Some(_) | None => Self::Any,
        }
    }
}

/// How the deviation and the value of a measured quantity hang together:
/// `deviation = (value - approved) / side`, the side being the tolerance below or above.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    approved: f64,
    lower: f64,
    upper: f64,
    quantity: Quantity,
}

impl Measure {
    /// Of a number `approved`, and deviations by `scale`. `None` where a deviation says too little of the value.
    pub fn new(approved: f64, scale: Scale, quantity: Quantity) -> Option<Self> {
        match scale {
            Scale::AnyChange => None,
            Scale::Sides { lower, upper } => {
                let tells = |side: f64| side.is_infinite() || approved + side != approved;
                let some = lower.is_finite() || upper.is_finite();
                let measure = Self {
                    approved,
                    lower,
                    upper,
                    quantity,
                };
                (approved.is_finite() && some && tells(lower) && tells(upper)).then_some(measure)
            }
        }
    }

    /// The kind of quantity.
    pub fn quantity(&self) -> Quantity {
        self.quantity
    }

    /// The deviation of a value.
    pub fn deviation(&self, value: f64) -> f64 {
        let scale = Scale::Sides {
            lower: self.lower,
            upper: self.upper,
        };
        scale.deviation(value - self.approved)
    }

    /// Whether there is exactly one value of this deviation.
    pub fn tells(&self, deviation: f64) -> bool {
        deviation == 0.0 && self.lower.is_finite() && self.upper.is_finite()
            || deviation != 0.0 && self.side(deviation).is_finite()
    }

    /// The value of a deviation. On a side without a tolerance, where no deviation leads, the approved one.
    pub fn value(&self, deviation: f64) -> f64 {
        let side = self.side(deviation);
        if side.is_infinite() {
            return self.approved;
        }
        let distance = deviation * side;
        let value = self.approved + distance;
        // What went to a deviation and back lost digits: a whole number is one all the same.
        let lost = 4.0 * f64::EPSILON * (self.approved.abs() + distance.abs());
        let whole = value.round();
        if (value - whole).abs() <= lost {
            whole
        } else {
            value
        }
    }

    /// The least value of which the deviation is no less than this; `None` where there is none, for a side has
    /// no tolerance.
    pub fn least(&self, deviation: f64) -> Option<f64> {
        let side = if deviation > 0.0 {
            self.upper
        } else {
            self.lower
        };
        side.is_finite().then(|| self.value(deviation))
    }

    /// The greatest value of which the deviation is no more than this; `None` where there is none.
    pub fn greatest(&self, deviation: f64) -> Option<f64> {
        let side = if deviation < 0.0 {
            self.lower
        } else {
            self.upper
        };
        side.is_finite().then(|| self.value(deviation))
    }

    /// The value at which the deviation comes to `ceiling`, on the side where it is now; on the other where that
    /// side has no tolerance.
    pub fn limit(&self, deviation: f64, ceiling: f64) -> f64 {
        let (near, far) = if deviation < 0.0 {
            (-ceiling, ceiling)
        } else {
            (ceiling, -ceiling)
        };
        let has_limit = self.side(near).is_finite();
        self.value(if has_limit { near } else { far })
    }

    /// How far the value goes from one deviation to another. On a side without a tolerance it counts as approved.
    pub fn difference(&self, before: f64, after: f64) -> f64 {
        self.value(after) - self.value(before)
    }

    fn side(&self, deviation: f64) -> f64 {
        if deviation < 0.0 {
            self.lower
        } else {
            self.upper
        }
    }
}

/// One value of a measured quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The value, in the property's unit.
    pub value: f64,
    /// How its deviation comes from it.
    pub measure: Measure,
}

impl Measured {
    /// The number found, where both it and the approved value are numbers and have a measure.
    pub fn new(
        approved: Option<&Value>,
        found: Option<&Value>,
        scale: Scale,
        unit: Option<&str>,
    ) -> Option<Self> {
        let approved = approved.and_then(Value::as_number)?;
        let value = found.and_then(Value::as_number).filter(|v| v.is_finite())?;
        let measure = Measure::new(approved, scale, Quantity::of(unit))?;
        Some(Self { value, measure })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sides(lower: f64, upper: f64) -> Scale {
        Scale::Sides { lower, upper }
    }

    fn measure(approved: f64, lower: f64, upper: f64) -> Option<Measure> {
        Measure::new(approved, sides(lower, upper), Quantity::Any)
    }

    #[test]
    fn a_side_without_a_tolerance_leads_back_to_the_approved_value() {
        let upper = measure(400.0, f64::INFINITY, 600.0).unwrap();
        assert_eq!((upper.deviation(10.0), upper.value(-0.5)), (0.0, 400.0));
        assert_eq!(upper.difference(-0.1, 0.2), 120.0);
        assert_eq!((upper.deviation(700.0), upper.value(0.5)), (0.5, 700.0));
        let told = [-0.5, 0.0, 0.5].map(|deviation| upper.tells(deviation));
        assert_eq!(told, [false, false, true]);
    }

    #[test]
    fn with_a_tolerance_on_either_side_every_deviation_tells() {
        let both = Measure::new(50.0, sides(10.0, 20.0), Quantity::Percent).unwrap();
        assert!(
            [-0.5, 0.0, 0.5]
                .iter()
                .all(|deviation| both.tells(*deviation))
        );
        assert_eq!(both.quantity(), Quantity::Percent);
    }

    #[test]
    fn the_limit_is_on_the_side_where_it_is_if_that_has_one() {
        let both = measure(400.0, 100.0, 600.0).unwrap();
        let at = |deviation| both.limit(deviation, 1.0);
        assert_eq!((at(-0.1), at(0.0), at(0.2)), (300.0, 1000.0, 1000.0));
        assert_eq!(both.limit(0.2, 0.5), 700.0);
        let upper = measure(400.0, f64::INFINITY, 600.0).unwrap();
        assert_eq!(upper.limit(-0.1, 1.0), 1000.0);
        let lower = measure(400.0, 100.0, f64::INFINITY).unwrap();
        assert_eq!(lower.limit(0.0, 1.0), 300.0);
    }

    #[test]
    fn the_least_and_the_greatest_value_are_known_where_their_side_has_a_tolerance() {
        let both = measure(400.0, 100.0, 600.0).unwrap();
        let of =
            |measure: &Measure, deviation| (measure.least(deviation), measure.greatest(deviation));
        assert_eq!(of(&both, 0.5), (Some(700.0), Some(700.0)));
        assert_eq!(of(&both, -0.5), (Some(350.0), Some(350.0)));
        assert_eq!(of(&both, 0.0), (Some(400.0), Some(400.0)));
        let upper = measure(400.0, f64::INFINITY, 600.0).unwrap();
        assert_eq!(of(&upper, 0.5), (Some(700.0), Some(700.0)));
        assert_eq!(of(&upper, 0.0), (None, Some(400.0)));
        assert_eq!(of(&upper, -0.5), (None, None));
        let lower = measure(400.0, 100.0, f64::INFINITY).unwrap();
        assert_eq!(of(&lower, 0.0), (Some(400.0), None));
    }

    #[test]
    fn only_what_lost_digits_is_made_whole_again() {
        let hundred = measure(400.0, 100.0, 100.0).unwrap();
        assert_eq!(
            (hundred.value(0.005), hundred.value(-0.005)),
            (400.5, 399.5)
        );
        assert_eq!(hundred.value(1e-12), 400.0 + 1e-10);
        for side in [0.1, 0.3, 0.7, 3.0] {
            let from_nothing = measure(0.0, side, side).unwrap();
            for value in -1000..1000 {
                let value = f64::from(value);
                assert_eq!(from_nothing.value(from_nothing.deviation(value)), value);
            }
        }
    }

    #[test]
    fn where_a_deviation_says_too_little_there_is_no_measure() {
        assert_eq!(Measure::new(1.0, Scale::AnyChange, Quantity::Any), None);
        assert_eq!(measure(1.0, f64::INFINITY, f64::INFINITY), None);
        assert_eq!(measure(400.0, 0.0, 600.0), None, "approved at its limit");
        assert_eq!(measure(1e15, 1e-3, 1e-3), None, "lost in the digits");
        assert_eq!(measure(f64::NAN, 1.0, 1.0), None);
        let text = Value::Text("400".into());
        let number = Value::Number(400.0);
        let of = |a: &Value, b: &Value| Measured::new(Some(a), Some(b), sides(1.0, 1.0), None);
        assert!(of(&text, &number).is_none() && of(&number, &text).is_none());
        assert!(of(&number, &number).is_some());
    }

    #[test]
    fn units_tell_of_percentages_and_sizes() {
        let of = |unit| Quantity::of(Some(unit));
        assert_eq!((of("%"), of("MiB")), (Quantity::Percent, Quantity::Size));
        assert_eq!(
            (of("s"), Quantity::of(None)),
            (Quantity::Any, Quantity::Any)
        );
    }

    proptest! {
        #[test]
        fn whole_numbers_go_there_and_back(
            approved in -1e6_f64..1e6, value in -1_000_000_i32..1_000_000,
            lower in 1e-2_f64..1e6, upper in 1e-2_f64..1e6,
        ) {
            let value = f64::from(value);
            let measure = measure(approved, lower, upper).unwrap();
            let deviation = measure.deviation(value);
            prop_assume!(deviation.abs() < 1e6);
            prop_assert_eq!(measure.value(deviation), value);
        }

        #[test]
        fn values_keep_their_order(
            approved in -1e9_f64..1e9, lower in 1e-3_f64..1e6, upper in 1e-3_f64..1e6,
            a in -10.0_f64..10.0, b in -10.0_f64..10.0,
        ) {
            let measure = measure(approved, lower, upper).unwrap();
            prop_assert!(measure.value(a.min(b)) <= measure.value(a.max(b)));
        }
    }
}
