//! What the tests of fitted models share: series to try them on, and a shorter way to ask.

use std::ops::Range;

use evenkeel_forecast::models::{Fitted, Moments};
use proptest::prelude::*;

/// The predictions at `steps`.
pub(crate) fn predictions(model: &dyn Fitted, steps: &[u32]) -> Vec<Moments> {
    let mut out = vec![Moments::default(); steps.len()];
    model.predict(steps, &mut out);
    out
}

/// Series of moderate values, some of them missing.
pub(crate) fn gappy(length: Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![9 => -10.0..10.0_f64, 1 => Just(f64::NAN)];
    prop::collection::vec(value, length)
}

/// Series that models choke on: huge and tiny values, no numbers, steps, alternation, constants,
/// counters with resets.
pub(crate) fn adversarial() -> impl Strategy<Value = Vec<f64>> {
    let wild = prop_oneof![
        4 => any::<f64>(),
        4 => -1.0..1.0_f64,
        1 => Just(0.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::MAX),
        1 => Just(f64::MIN_POSITIVE),
    ];
    let counter = (1_usize..40, 1e12..1e15_f64).prop_map(|(resets, step)| {
        (0..60)
            .map(|t| f64::from(u32::try_from(t % (resets + 1)).expect("a small number")) * step)
            .collect()
    });
    let step = (any::<f64>(), any::<f64>())
        .prop_map(|(a, b)| (0..50).map(|t| if t < 25 { a } else { b }).collect());
    let alternating = (any::<f64>(), any::<f64>())
        .prop_map(|(a, b)| (0..50).map(|t| if t % 2 == 0 { a } else { b }).collect());
    prop_oneof![
        prop::collection::vec(wild, 0..60),
        counter,
        step,
        alternating
    ]
}
