//! Counts false alarms on simulated series that never leave ±0.5, for the README's numbers.
//! Run with `cargo run --release -p evenkeel-forecast --example false_alarms`.
#![allow(clippy::print_stdout)] // The numbers are the point.

use std::time::Duration;

use evenkeel_core::forecast::{Forecast, Forecaster, HorizonGrid};
use evenkeel_core::time::Timestamp;
use evenkeel_forecast::Mixture;

#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const SEEDS: u64 = 2000;
const POINTS: i64 = 300;
const STEP: Duration = Duration::from_millis(250);

type Kind = (&'static str, fn(f64, &mut Random) -> f64);

const KINDS: [Kind; 5] = [
    ("noise", |_, random| 0.15 * random.normal()),
    ("mean-reverting", |x, random| {
        0.95 * x + 0.04 * random.normal()
    }),
    ("slow random walk", |x, random| x + 0.01 * random.normal()),
    ("fast random walk", |x, random| x + 0.03 * random.normal()),
    ("rare steps", |x, random| {
        let jumps = random.uniform() < 0.05;
        x + if jumps { 0.08 * random.normal() } else { 0.0 }
    }),
];

/// The rule of the decision: at one horizon the median is outside and the probability at least 0.9.
fn alarms(forecast: &Forecast) -> bool {
    forecast
        .quantiles
        .iter()
        .any(|q| q.median().abs() > 1.0 && q.probability_outside(-1.0, 1.0) >= 0.9)
}

/// Whether an alarm was raised at all, and three times in a row.
fn watch(values: &[f64], reach: u32) -> (bool, bool) {
    let mut mixture = Mixture::new(&HorizonGrid::new(STEP, STEP * reach));
    let (mut row, mut any, mut sustained) = (0, false, false);
    let mut history = Vec::new();
    for (index, value) in (0_i64..).zip(values) {
        let at = Timestamp::from_millis(index * 250);
        mixture.observe(at, *value);
        history.push((at, *value));
        if mixture.wants_refit().is_some() {
            mixture.refit(&history);
        }
        let alarm = mixture.forecast().is_some_and(|forecast| alarms(&forecast));
        row = if alarm { row + 1 } else { 0 };
        any |= alarm;
        sustained |= row >= 3;
    }
    (any, sustained)
}

fn main() {
    for reach in [64, 240] {
        for (name, kind) in KINDS {
            let (mut series, mut any, mut sustained) = (0_u32, 0_u32, 0_u32);
            for seed in 0..SEEDS {
                let mut random = Random::new(seed);
                let mut value = 0.0;
                let values: Vec<f64> = (0..POINTS)
                    .map(|_| {
                        value = kind(value, &mut random);
                        value
                    })
                    .collect();
                if values.iter().all(|value| value.abs() <= 0.5) {
                    let (once, thrice) = watch(&values, reach);
                    series += 1;
                    any += u32::from(once);
                    sustained += u32::from(thrice);
                }
            }
            println!(
                "reach {reach}, {name}: {series} series, {any} with an alarm, {sustained} with three in a row"
            );
        }
    }
}
