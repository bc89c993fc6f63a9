//! Whatever is appended, in whatever order and however it is cut into calls, the history answers like
//! a sorted map would.

#![allow(clippy::unwrap_used, reason = "tests, with helpers of their own")]

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::Timestamp;
use evenkeel_ports::{Aggregation, History, Point, Range, Sample, SeriesKey, Stream};
use evenkeel_store::Store;
use proptest::prelude::*;

fn key(number: usize) -> SeriesKey {
    SeriesKey {
        resource: "web".into(),
        property: "p".into(),
        stream: Stream::ALL[number],
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => Just(65.0),
        1 => Just(-0.0),
        1 => (0_i32..1000).prop_map(|n| f64::from(n) / 100.0),
        1 => any::<f64>().prop_filter("finite", |v| v.is_finite() && v.abs() < 1e100),
    ]
}

/// A call: where it starts, and its points as (series, pace, value).
type Call = (i64, Vec<(usize, i64, f64)>);

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let point = (0_usize..3, 0_i64..3, value());
    let call = (0_i64..3000, proptest::collection::vec(point, 1..400));
    proptest::collection::vec(call, 1..12)
}

fn bits(points: &[Point]) -> Vec<(i64, u64)> {
    let pair = |point: &Point| (point.at.as_millis(), point.value.to_bits());
    points.iter().map(pair).collect()
}

/// The plain way to sum up `points` by steps counted from `from`.
fn steps(points: &[(i64, f64)], from: i64, step: i64, how: Aggregation) -> Vec<(i64, f64)> {
    let number = |at: i64| (at - from) / step;
    let sum_up = |points: &[(i64, f64)]| match how {
        Aggregation::Count => points.len() as f64,
        Aggregation::Last => points[points.len() - 1].1,
        Aggregation::Max => points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max),
        Aggregation::Min | Aggregation::Mean => unreachable!("not asked for here"),
    };
    points
        .chunk_by(|a, b| number(a.0) == number(b.0))
        .map(|points| (from + number(points[0].0) * step, sum_up(points)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_history_answers_like_a_sorted_map(
        calls in calls(),
        from in 0_i64..3000,
        length in 0_i64..3000,
        step in 1_u64..2000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut model: BTreeMap<(usize, i64), f64> = BTreeMap::new();
        for (number, (start, points)) in calls.iter().enumerate() {
            let mut at = *start;
            let samples: Vec<Sample> = points.iter().map(|(series, pace, value)| {
                at += pace;
                model.entry((*series, at)).or_insert(*value);
                Sample { series: key(*series), at: Timestamp::from_millis(at), value: *value }
            }).collect();
            runtime.block_on(store.append(&samples)).unwrap();
            if number % 5 == 4 {
                drop(store);
                store = Store::open(dir.path()).unwrap();
            }
        }
        let range = Range {
            from: Timestamp::from_millis(from),
            until: Timestamp::from_millis(from + length),
            step: None,
        };
        for series in 0..3 {
            let wanted: Vec<(i64, f64)> = model
                .range((series, from)..(series, from + length))
                .map(|((_, at), value)| (*at, *value))
                .collect();
            let found = runtime.block_on(store.range(&key(series), range)).unwrap();
            let wanted_bits: Vec<_> = wanted.iter().map(|(at, v)| (*at, v.to_bits())).collect();
            prop_assert_eq!(bits(&found), wanted_bits);
            let last = model.range((series, i64::MIN)..=(series, i64::MAX)).next_back();
            let latest = runtime.block_on(store.latest(&key(series))).unwrap();
            prop_assert_eq!(latest.map(|p| (p.at.as_millis(), p.value)), last.map(|(k, v)| (k.1, *v)));

            for aggregation in [Aggregation::Count, Aggregation::Last, Aggregation::Max] {
                let stepped = Range { step: Some((Duration::from_millis(step), aggregation)), ..range };
                let found = runtime.block_on(store.range(&key(series), stepped)).unwrap();
                let found: Vec<(i64, f64)> = found.iter().map(|p| (p.at.as_millis(), p.value)).collect();
                prop_assert_eq!(found, steps(&wanted, from, i64::try_from(step).unwrap(), aggregation));
            }
        }
    }
}
