//! The observed-surprise check: the value found against the bounds that were forecast for it.
//!
//! From the observation before, a distribution was forecast for this instant (at the horizon nearest to the time
//! that has passed). With `F` its distribution function,
//!
//! ```text
//! p(x)     = 2 min(P(X <= x), P(X >= x))         how probable something at least as far out is, both sides together
//! every(r) = 10^r years                          how seldom chance may surprise: the average run length
//! tail(r)  = min(step / every(r), 0.001)         the same per observation
//! expected = [F^-1(tail / 2), F^-1(1 - tail / 2)]
//! surprise:  x lies outside it, which is p(x) < tail(r)
//! ```
//!
//! A run length, as for a control chart, and no fixed coverage, because this is asked about at every observation:
//! what is one in a thousand comes nine times a day at one in 10 s. The bounds cover 1 - tail(r), far more than
//! the interval of the band does (`band::coverage`). They lie beyond the outermost quantiles of a forecast; there `F` is
//! what [`Quantiles::probability_at_most`] says, whose tails are exponential and so heavier than a normal's.
//! Who tolerates more risk is surprised less.
//!
//! A property that has never moved is expected where it always was. Nothing is expected before [`ENOUGH`]
//! forecasts could be held against what came, beyond the last horizon, or after a restart of the course.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::forecast::{Forecast, HorizonGrid, Quantiles};
use crate::measure::Measure;
use crate::policy::RiskTolerance;
use crate::property::number_text;
use crate::time::Timestamp;

/// Forecasts that came to their end, before anything surprises.
pub const ENOUGH: u64 = 32;

/// What lies outside its bounds by no more than this share is outside by rounding.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// How seldom chance may surprise at a risk tolerance of 0.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Where observations are so rare that the run length would allow more, no more than this is left out.
const TAIL_MAX: f64 = 1e-3;

/// The probability that the bounds leave out, both sides together, of a property that is observed every `step`.
pub fn tail(r: RiskTolerance, step: Duration) -> f64 {
    let every = YEAR.as_secs_f64() * 10.0_f64.powf(r.get());
    (step.as_secs_f64() / every).min(TAIL_MAX)
}

/// `p(x)`: the probability of something at least as far out on its side, times two.
pub fn probability(quantiles: &Quantiles, value: f64) -> f64 {
    let below = quantiles.probability_at_most(value);
    // The mirror keeps the digits that `1 - below` loses.
    let above = quantiles.mirrored().probability_at_most(-value);
    (2.0 * below.min(above)).min(1.0)
}

/// The bounds that leave out `tail`, both sides together.
pub fn bounds(quantiles: &Quantiles, tail: f64) -> (f64, f64) {
    let lower = |quantiles: &Quantiles| quantiles.in_tail(tail / 2.0);
    (lower(quantiles), -lower(&quantiles.mirrored()))
}

/// The bounds of one forecast at each of its horizons.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expected {
    origin: Timestamp,
    grid: HorizonGrid,
    bounds: Vec<(f64, f64)>,
}

impl Expected {
    pub(crate) fn new(forecast: &Forecast, r: RiskTolerance) -> Self {
        let tail = tail(r, forecast.grid.step());
        Self {
            origin: forecast.origin,
            grid: forecast.grid.clone(),
            bounds: forecast.quantiles.iter().map(|q| bounds(q, tail)).collect(),
        }
    }

    /// The bounds for an instant: those of the nearest horizon, `None` a step and more beyond the last one.
    pub(crate) fn at(&self, at: Timestamp) -> Option<(f64, f64)> {
        let gap = at.since(self.origin);
        if gap >= self.grid.span(self.grid.len() - 1) + self.grid.step() {
            return None;
        }
        let nearest = (0..self.grid.len()).min_by_key(|i| self.grid.span(*i).abs_diff(gap))?;
        self.bounds.get(nearest).copied()
    }
}

/// The value found lies outside the bounds that were forecast for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surprise {
    /// The lower bound, as a deviation.
    pub expected_lower: f64,
    /// The upper bound, as a deviation.
    pub expected_upper: f64,
    /// The least value within them, in the property's unit; `None` where there is none, or it is no measured
    /// number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// The greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greatest: Option<f64>,
}

impl Surprise {
    /// Holds `deviation` against the bounds.
    pub(crate) fn of(
        deviation: f64,
        (lower, upper): (f64, f64),
        measure: Option<&Measure>,
    ) -> Option<Self> {
        let outside = deviation > upper + ROUNDING * upper.abs()
            || deviation < lower - ROUNDING * lower.abs();
        outside.then(|| Self {
            expected_lower: lower,
            expected_upper: upper,
            least: measure.and_then(|measure| measure.least(lower)),
            greatest: measure.and_then(|measure| measure.greatest(upper)),
        })
    }

    /// What was expected, for people: `between 395 and 430`. Bounds are rounded inwards, so that what
    /// was found never looks as if it were within them.
    pub fn expected_text(&self, unit: Option<&str>) -> String {
        let unit = unit.map(|unit| format!(" {unit}")).unwrap_or_default();
        let width = match (self.least, self.greatest) {
            (Some(least), Some(greatest)) => greatest - least,
            (None, None) => self.expected_upper - self.expected_lower,
            (Some(one), None) | (None, Some(one)) => one.abs(),
        };
        let lower = |value: f64| number_text(rounded(value, width, f64::ceil));
        let upper = |value: f64| number_text(rounded(value, width, f64::floor));
        match (self.least, self.greatest) {
            (Some(least), Some(greatest)) => {
                let (least, greatest) = (lower(least), upper(greatest));
                if least == greatest {
                    format!("{least}{unit}")
                } else {
                    format!("between {least} and {greatest}{unit}")
                }
            }
            (None, Some(greatest)) => format!("at most {}{unit}", upper(greatest)),
            (Some(least), None) => format!("at least {}{unit}", lower(least)),
            (None, None) => format!(
                "at {:+.2} to {:+.2} of its tolerance",
                self.expected_lower, self.expected_upper
            ),
        }
    }
}

/// To three digits of the width.
fn rounded(value: f64, width: f64, round: fn(f64) -> f64) -> f64 {
    if width <= 0.0 || !width.is_finite() {
        return value;
    }
    let unit = 10.0_f64.powf(width.log10().floor() - 2.0);
    // Dividing by a power of ten first would leave 4.300000000000001.
    let rounded = if unit < 1.0 {
        let per = (1.0 / unit).round();
        round(value * per) / per
    } else {
        round(value / unit) * unit
    };
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deviation::Scale;
    use crate::measure::Quantity;

    const SECOND: Duration = Duration::from_secs(1);

    fn normal() -> Quantiles {
        Quantiles::new([
            -2.576, -2.326, -1.96, -1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645, 1.96, 2.326,
            2.576,
        ])
    }

    fn tolerance(r: f64) -> RiskTolerance {
        RiskTolerance::new(r).unwrap()
    }

    #[test]
    fn both_tails_keep_their_digits() {
        assert!((probability(&normal(), 0.0) - 1.0).abs() < 1e-9);
        assert!((probability(&normal(), 1.96) - 0.05).abs() < 1e-9);
        let (below, above) = (probability(&normal(), -50.0), probability(&normal(), 50.0));
        assert!(below > 0.0 && (below / above - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_run_length_of_a_year_grows_tenfold_over_the_risk_tolerances() {
        let step = YEAR / 10_000;
        for (r, expected) in [(0.0, 1e-4), (0.5, 1e-4 / 10.0_f64.sqrt()), (1.0, 1e-5)] {
            assert!((tail(tolerance(r), step) / expected - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn each_bound_leaves_out_half_of_the_tail() {
        let quantiles = Quantiles::new([
            2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 29.0, 31.0, 37.0, 41.0, 43.0, 47.0,
        ]);
        // Beyond the outermost quantiles, whose levels are 0.005, by one spread of their side: 15 and 30.
        let tail = 2.0 * 0.005 * (-5.0_f64).exp();
        let (lower, upper) = bounds(&quantiles, tail);
        assert!((lower + 13.0).abs() < 1e-9 && (upper - 77.0).abs() < 1e-9);
        assert!((probability(&quantiles, 77.0) / tail - 1.0).abs() < 1e-9);
        assert!((probability(&quantiles, -13.0) / tail - 1.0).abs() < 1e-9);
        let (lower, upper) = bounds(&quantiles, 0.15);
        assert!((lower - 9.0).abs() < 1e-9 && (upper - 34.0).abs() < 1e-9);
    }

    #[test]
    fn either_side_surprises_from_more_than_rounding_on() {
        let surprises = |deviation| Surprise::of(deviation, (-0.2, 0.1), None).is_some();
        let told = [-0.200_001, -0.2, 0.0, 0.1, 0.100_001].map(surprises);
        assert_eq!(told, [true, false, false, false, true]);
        assert_eq!(Surprise::of(0.0, (0.0, 0.0), None), None, "it never moved");
        let rounding = 4.0 * f64::EPSILON;
        assert!(!surprises(0.1 * (1.0 + rounding)) && !surprises(-0.2 * (1.0 + rounding)));
        assert!(surprises(0.1 * (1.0 + 4.0 * rounding)));
        assert!(surprises(-0.2 * (1.0 + 4.0 * rounding)));
    }

    #[test]
    fn bounds_are_told_to_three_digits_of_what_lies_between_them() {
        let told = |least, greatest| {
            let surprise = Surprise {
                expected_lower: -0.5,
                expected_upper: 0.25,
                least,
                greatest,
            };
            surprise.expected_text(None)
        };
        let both = |least: f64, greatest: f64| told(Some(least), Some(greatest));
        assert_eq!(both(123_456.0, 234_567.0), "between 124,000 and 234,000");
        assert_eq!(both(400.123_45, 401.678_91), "between 400.13 and 401.67");
        assert_eq!(both(0.012_345, 0.098_765), "between 0.0124 and 0.0987");
        assert_eq!(both(400.0, 500.0), "between 400 and 500");
        assert_eq!(both(400.0, 400.0), "400");
        assert_eq!(told(Some(-123_456.0), None), "at least -123,000");
        assert_eq!(told(None, Some(-0.012_345)), "at most -0.0124");
        assert_eq!(told(None, None), "at -0.50 to +0.25 of its tolerance");
    }

    #[test]
    fn the_bounds_lie_beyond_those_of_a_normal() {
        let of = |step| bounds(&normal(), tail(tolerance(0.0), step));
        let (lower, upper) = of(3600 * SECOND);
        assert!((lower + upper).abs() < 1e-9);
        // A normal's would be 3.86 for one in 8,760, and 5.11 for one in 3,153,600.
        assert!((3.86..5.11).contains(&upper), "{upper}");
        assert!(
            (5.11..8.0).contains(&of(10 * SECOND).1),
            "{:?}",
            of(10 * SECOND)
        );
        assert_eq!(tail(tolerance(0.0), 30 * 86_400 * SECOND), TAIL_MAX);
    }

    #[test]
    fn what_is_expected_is_that_of_the_horizon_nearest_to_the_time_passed() {
        let grid = HorizonGrid::new(SECOND, 4 * SECOND);
        let forecast = Forecast {
            origin: Timestamp::from_millis(0),
            quantiles: [1.0, 2.0, 3.0, 4.0].map(Quantiles::certain).to_vec(),
            grid,
        };
        let expected = Expected::new(&forecast, tolerance(0.3));
        let at = |millis| expected.at(Timestamp::from_millis(millis)).map(|b| b.0);
        assert_eq!(
            [at(10), at(1100), at(1900)],
            [Some(1.0), Some(1.0), Some(2.0)]
        );
        assert_eq!([at(4900), at(5000)], [Some(4.0), None]);
    }

    #[test]
    fn what_was_expected_is_told_in_the_propertys_unit() {
        let told = |approved: f64, lower, upper, found: f64, bounds| {
            let measure =
                Measure::new(approved, Scale::Sides { lower, upper }, Quantity::Any).unwrap();
            let surprise = Surprise::of(measure.deviation(found), bounds, Some(&measure));
            surprise.map(|surprise| surprise.expected_text(Some("MiB")))
        };
        let both = |bounds| told(400.0, 1000.0, 1000.0, 812.0, bounds).unwrap();
        assert_eq!(both((-0.005_12, 0.030_19)), "between 394.9 and 430.1 MiB");
        assert_eq!(both((0.0, 0.0)), "400 MiB");
        let upper_only = |bounds| told(400.0, f64::INFINITY, 1000.0, 812.0, bounds).unwrap();
        assert_eq!(upper_only((-0.02, 0.25)), "at most 650 MiB");
        assert_eq!(upper_only((0.0, 0.0)), "at most 400 MiB");
        assert_eq!(told(400.0, 1000.0, 1000.0, 420.0, (0.0, 0.03)), None);
        let unmeasured = Surprise::of(0.7, (0.0, 0.1), None).unwrap();
        assert_eq!(
            unmeasured.expected_text(None),
            "at +0.00 to +0.10 of its tolerance"
        );
        assert_eq!(Surprise::of(0.1 + 1e-17, (0.1, 0.1), None), None);
    }

    proptest! {
        #[test]
        fn what_lies_outside_the_bounds_is_less_probable_than_their_tail(
            values in proptest::array::uniform13(-10.0_f64..10.0),
            x in -100.0_f64..100.0,
            r in 0.0_f64..1.0,
        ) {
            let quantiles = Quantiles::new(values);
            let tail = tail(tolerance(r), 60 * SECOND);
            let (lower, upper) = bounds(&quantiles, tail);
            prop_assert!(lower <= upper);
            let near = (x - lower).abs().min((x - upper).abs()) < 1e-9;
            let outside = x < lower || x > upper;
            prop_assert!(near || outside == (probability(&quantiles, x) < tail));
        }

        #[test]
        fn who_tolerates_more_is_surprised_less(
            values in proptest::array::uniform13(-10.0_f64..10.0),
            r in 0.0_f64..1.0,
            more in 0.0_f64..1.0,
        ) {
            let quantiles = Quantiles::new(values);
            let of = |r: f64| bounds(&quantiles, tail(tolerance(r.min(1.0)), 60 * SECOND));
            let (narrow, wide) = (of(r), of(r + more));
            prop_assert!(wide.0 <= narrow.0 + 1e-9 && wide.1 >= narrow.1 - 1e-9);
        }
    }
}
