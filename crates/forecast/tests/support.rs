//! Properties of the possible range: what is confined stays possible, in order, and as it is.

use evenkeel_forecast::support::{CounterUnwrap, Hints, Lattice, Monotone, Recogniser, Support};
use proptest::prelude::*;

fn supports() -> impl Strategy<Value = Support> {
    let end = || proptest::option::of(-50.0..50.0_f64);
    let lattice = proptest::option::of((-2.0..2.0_f64, 0.01..3.0_f64));
    let monotone = prop_oneof![
        Just(Monotone::No),
        any::<bool>().prop_map(|resets| Monotone::Increasing { resets }),
        any::<bool>().prop_map(|resets| Monotone::Decreasing { resets }),
    ];
    (end(), end(), lattice, monotone).prop_map(|(lower, upper, lattice, monotone)| Support {
        lower,
        upper: upper.filter(|upper| lower.is_none_or(|lower| lower <= *upper)),
        lattice: lattice.map(|(origin, spacing)| Lattice { origin, spacing }),
        monotone,
    })
}

fn quantiles(size: f64) -> impl Strategy<Value = [f64; 13]> {
    proptest::array::uniform13(-size..size).prop_map(|mut values| {
        values.sort_by(f64::total_cmp);
        values
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn confined_quantiles_are_possible_and_do_not_cross(
        support in supports(),
        said in quantiles(100.0),
        last in -60.0..60.0_f64,
    ) {
        let confined = support.confine(said, last);
        prop_assert!(confined.iter().all(|q| q.is_finite()));
        prop_assert!(confined.windows(2).all(|pair| pair[0] <= pair[1]), "{confined:?}");
        for q in confined {
            prop_assert!(support.lower.is_none_or(|lower| q >= lower));
            let contradictory = support.monotone == Monotone::Increasing { resets: false }
                && support.upper.is_some_and(|upper| upper < last)
                || support.monotone == Monotone::Decreasing { resets: false }
                    && support.lower.is_some_and(|lower| lower > last);
            prop_assert!(contradictory || support.upper.is_none_or(|upper| q <= upper));
            if support.monotone == (Monotone::Increasing { resets: false }) {
                prop_assert!(q >= last);
            }
        }
        prop_assert_eq!(support.confine(confined, last), confined, "confined twice");
    }

    #[test]
    fn what_excludes_nothing_changes_nothing(said in quantiles(1e12), last in -1e12..1e12_f64) {
        prop_assert_eq!(Support::default().confine(said, last), said);
    }

    #[test]
    fn confining_and_mapping_commute(
        support in supports(),
        said in quantiles(100.0),
        last in -60.0..60.0_f64,
        shift in -64..64_i32,
        power in -3..4_i32,
    ) {
        // Powers of two and whole shifts, lest rounding move a value over the edge of a lattice cell.
        let (scale, shift) = (2.0_f64.powi(power), f64::from(shift));
        let lattice = support.lattice.map(|l| Lattice {
            origin: l.origin.round(),
            spacing: (l.spacing * 4.0).ceil() / 4.0,
        });
        let support = Support { lattice, ..support };
        let map = |v: f64| v * scale + shift;
        let there = support.map(scale, shift).confine(said.map(map), map(last));
        let back = support.confine(said, last).map(map);
        for (a, b) in there.iter().zip(back) {
            prop_assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{a} {b}");
        }
    }

    #[test]
    fn the_outer_levels_of_a_lattice_cover_what_they_covered(
        said in quantiles(20.0),
        spacing in 0.5..3.0_f64,
    ) {
        let lattice = Some(Lattice { origin: 0.25, spacing });
        let confined = Support { lattice, ..Support::default() }.confine(said, 0.0);
        for level in 0..6 {
            prop_assert!(confined[level] <= said[level] + 1e-6);
            prop_assert!(confined[12 - level] >= said[12 - level] - 1e-6);
        }
    }

    #[test]
    fn a_recognised_support_contains_everything_seen(
        values in proptest::collection::vec(
            prop_oneof![(0..5_i32).prop_map(f64::from), 0.0..1.0_f64, -3.0..120.0_f64],
            1..200,
        ),
        whole in any::<bool>(),
        percent in any::<bool>(),
        counter in any::<bool>(),
    ) {
        let hints = Hints { percent, counter, ..Hints::default() };
        let mut recogniser = Recogniser::new(hints);
        let values: Vec<f64> = values.iter().map(|v| if whole { v.round() } else { *v }).collect();
        for (index, value) in values.iter().enumerate() {
            recogniser.observe(*value);
            let support = recogniser.support();
            prop_assert!(values[..=index].iter().all(|v| support.contains(*v)), "{support:?}");
        }
        let text = serde_json::to_string(&recogniser).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let back: Recogniser = serde_json::from_str(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(back.support(), recogniser.support());
    }

    #[test]
    fn nothing_seen_breaks_the_recogniser_or_the_unwrapping(values in proptest::collection::vec(any::<f64>(), 0..60)) {
        let (mut recogniser, mut unwrap) = (Recogniser::default(), CounterUnwrap::default());
        let mut total = 0.0;
        for value in values {
            recogniser.observe(value);
            let support = recogniser.support();
            prop_assert!(support.lower.unwrap_or(0.0).is_finite());
            let increment = unwrap.observe(value);
            prop_assert!(increment.is_none_or(|i| i >= 0.0 && !i.is_nan()));
            prop_assert!(unwrap.total() >= total && unwrap.total().is_finite());
            total = unwrap.total();
        }
    }

    #[test]
    fn an_unwrapped_total_is_the_sum_of_what_was_counted(
        increments in proptest::collection::vec((0..1000_u32, any::<bool>()), 1..80),
        start in prop_oneof![Just(0.0), Just(1e15)],
    ) {
        let (mut counter, mut counted) = (start, 0.0);
        let mut unwrap = CounterUnwrap::default();
        unwrap.observe(counter);
        for (increment, reset) in increments {
            // A restart is seen only if the counter shows less than before.
            if reset && f64::from(increment) < counter {
                counter = 0.0;
            }
            counter += f64::from(increment);
            counted += f64::from(increment);
            unwrap.observe(counter);
            prop_assert_eq!(unwrap.wrap(unwrap.total()), Some(counter));
        }
        prop_assert_eq!(unwrap.total(), counted);
    }
}
