//! What is possible, in terms of the series.
//!
//! Where the series is the deviation of a measured quantity, the values of the quantity are what the
//! recogniser sees, and forecasts are carried to that scale, confined there, and carried back. So a count is
//! whole and a percentage ends at 100 whatever the tolerance is. The recogniser's knowledge is not about
//! the deviation: it outlasts a baseline or a tolerance that moves.
//!
//! A forecast that is possible is not touched, not even by rounding.

use evenkeel_core::measure::{Measure, Measured, Quantity};
use serde::{Deserialize, Serialize};

use crate::conformal::PerLevel;
use crate::support::{Hints, Recogniser, Support};

/// Learns what is possible.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Possible {
    /// Of the series itself: nothing was measured so far.
    Series(Recogniser),
    /// Of a measured quantity.
    Quantity {
        recogniser: Recogniser,
        /// That of the last observation; `None` if this was none of the quantity (it vanished, say).
        measure: Option<Measure>,
    },
}

impl Default for Possible {
    fn default() -> Self {
        Self::Series(Recogniser::default())
    }
}

impl Possible {
    /// Takes one more value of the series.
    pub(crate) fn observe(&mut self, value: f64, measured: Option<&Measured>) {
        match (&mut *self, measured) {
            (Self::Series(recogniser), None) => recogniser.observe(value),
            (Self::Quantity { measure, .. }, None) => *measure = None,
            (Self::Series(_) | Self::Quantity { .. }, Some(measured)) => {
                let mut recogniser = self.recogniser_of(measured.measure.quantity());
                recogniser.observe(measured.value);
                *self = Self::Quantity {
                    recogniser,
                    measure: Some(measured.measure),
                };
            }
        }
    }

    /// The present recogniser, if it is of such a quantity, else a new one.
    fn recogniser_of(&self, quantity: Quantity) -> Recogniser {
        let hints = hints(quantity);
        match self {
            Self::Quantity { recogniser, .. } if recogniser.hints() == hints => *recogniser,
            Self::Quantity { .. } | Self::Series(_) => Recogniser::new(hints),
        }
    }

    /// Takes one more value of a replay: only the series was recorded.
    pub(super) fn replay(&mut self, value: f64) {
        match self {
            Self::Series(recogniser) => recogniser.observe(value),
            Self::Quantity { .. } => {}
        }
    }

    /// What a replay of the same series may know beforehand. A quantity's values are not in the history, so
    /// what was recognised by now counts from the beginning.
    pub(crate) fn for_replay(&self) -> Self {
        match self {
            Self::Series(_) => Self::default(),
            Self::Quantity { .. } => *self,
        }
    }

    /// What is certain enough by now.
    pub(super) fn bounds(&self) -> Bounds {
        match self {
            Self::Series(recogniser) => Bounds {
                support: recogniser.support(),
                measure: None,
            },
            Self::Quantity { measure: None, .. } => Bounds::default(),
            Self::Quantity {
                recogniser,
                measure: Some(measure),
            } => Bounds {
                support: recogniser.support(),
                measure: Some(*measure),
            },
        }
    }
}

fn hints(quantity: Quantity) -> Hints {
    match quantity {
        Quantity::Any => Hints::default(),
        Quantity::Percent => Hints {
            percent: true,
            ..Hints::default()
        },
        Quantity::Size => Hints {
            non_negative: true,
            ..Hints::default()
        },
    }
}

/// The possible values at one time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// On the scale of the quantity, if there is a measure.
    support: Support,
    measure: Option<Measure>,
}

impl Bounds {
    /// Keeps quantiles of the series, made when its value was `last`, within what is possible.
    pub(super) fn confine(&self, quantiles: PerLevel, last: f64) -> PerLevel {
        let Some(measure) = self.measure else {
            return self.support.confine(quantiles, last);
        };
        let free = quantiles.map(|quantile| measure.value(quantile));
        let confined = self.support.confine(free, measure.value(last));
        let mut result = quantiles;
        let mut least = f64::MIN;
        for (index, quantile) in result.iter_mut().enumerate() {
            // Exactly equal: what was not confined comes back as it went.
            if confined[index] != free[index] || !measure.tells(*quantile) {
                *quantile = measure.deviation(confined[index]);
            }
            least = least.max(*quantile);
            *quantile = least;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::deviation::Scale;
    use evenkeel_core::forecast::MEDIAN;
    use proptest::prelude::*;

    use super::*;

    fn measure(approved: f64, lower: f64, upper: f64, quantity: Quantity) -> Measure {
        Measure::new(approved, Scale::Sides { lower, upper }, quantity).unwrap()
    }

    fn after(measure: Measure, values: impl IntoIterator<Item = f64>) -> Possible {
        let mut possible = Possible::default();
        for value in values {
            let deviation = measure.deviation(value);
            possible.observe(deviation, Some(&Measured { value, measure }));
        }
        possible
    }

    fn spread(centre: f64, width: f64) -> PerLevel {
        std::array::from_fn(|i| {
            let offset = i32::try_from(i).unwrap() - i32::try_from(MEDIAN).unwrap();
            centre + width * f64::from(offset)
        })
    }

    #[test]
    fn a_percentage_ends_at_100_whatever_its_tolerance_is() {
        let percent = measure(80.0, 25.0, 10.0, Quantity::Percent);
        let bounds = after(percent, [81.5, 97.0]).bounds();
        let said = bounds.confine(spread(1.7, 1.0), 1.7);
        assert_eq!((said[0], said[12]), (80.0 / -25.0, 2.0));
        assert_eq!(said[MEDIAN], 1.7, "possible, and so untouched");
    }

    #[test]
    fn a_count_stays_whole_when_its_baseline_and_its_tolerance_move() {
        let counts = |n: u32| (0..n).map(|i| f64::from(392 + i * 7 % 17));
        let mut possible = after(measure(400.0, 7.0, 7.0, Quantity::Any), counts(40));
        let moved = measure(397.5, 3.0, 11.0, Quantity::Any);
        let measured = Measured {
            value: 401.0,
            measure: moved,
        };
        possible.observe(moved.deviation(401.0), Some(&measured));
        let said = possible.bounds().confine(spread(0.1, 0.2), 0.3);
        assert!(
            said.iter().all(|q| moved.value(*q).fract() == 0.0),
            "{said:?}"
        );
    }

    #[test]
    fn a_side_without_a_tolerance_has_no_deviations() {
        let upper = measure(400.0, f64::INFINITY, 600.0, Quantity::Any);
        let bounds = after(upper, [400.5, 380.0, 410.0]).bounds();
        let said = bounds.confine(spread(0.0, 0.1), 0.0);
        assert_eq!((said[0], said[MEDIAN]), (0.0, 0.0));
        assert_eq!(said[12], spread(0.0, 0.1)[12]);
    }

    #[test]
    fn what_vanished_is_not_confined_and_comes_back_as_what_it_was() {
        let percent = measure(60.0, 50.0, 50.0, Quantity::Percent);
        let mut possible = after(percent, [60.0, 61.5]);
        possible.observe(1.0, None); // 110 %, were it a percentage.
        assert_eq!(possible.bounds().confine([1.0; 13], 1.0), [1.0; 13]);
        let measured = Measured {
            value: 61.0,
            measure: percent,
        };
        possible.observe(percent.deviation(61.0), Some(&measured));
        assert_eq!(possible.bounds().confine([1.0; 13], 0.0), [0.8; 13]);
    }

    #[test]
    fn a_series_that_nobody_measures_is_judged_by_itself() {
        let mut possible = Possible::default();
        (0..40).for_each(|i| possible.observe(f64::from(i % 5), None));
        let said = possible.bounds().confine(spread(1.2, 0.3), 1.0);
        assert!(said.iter().all(|q| q.fract() == 0.0), "{said:?}");
    }

    proptest! {
        #[test]
        fn what_is_said_is_possible_in_order_and_stays(
            approved in 0_u32..1000, lower in 0.5_f64..500.0, upper in 0.5_f64..500.0,
            centre in -3.0_f64..3.0, width in 0.0_f64..0.5,
            values in proptest::collection::vec(0_u32..1000, 60..90),
        ) {
            let measure = measure(f64::from(approved), lower, upper, Quantity::Size);
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let last = measure.deviation(*values.last().unwrap());
            let bounds = after(measure, values).bounds();
            let said = bounds.confine(spread(centre, width), last);
            prop_assert!(said.windows(2).all(|pair| pair[0] <= pair[1]), "{said:?}");
            prop_assert!(said.iter().all(|q| measure.value(*q) >= 0.0), "{said:?}");
            let again = bounds.confine(said, last);
            let moved = said.iter().zip(again).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            prop_assert!(moved < 1e-9, "{said:?} {again:?}");
        }

        #[test]
        fn nothing_is_changed_where_all_is_possible(
            approved in -1e6_f64..1e6, lower in 1e-2_f64..1e6, upper in 1e-2_f64..1e6,
            centre in -1e3_f64..1e3, width in 0.0_f64..1e3,
        ) {
            let measure = measure(approved, lower, upper, Quantity::Any);
            let bounds = after(measure, [-0.5]).bounds();
            let said = spread(centre, width);
            prop_assert_eq!(bounds.confine(said, 0.0), said);
        }
    }
}
