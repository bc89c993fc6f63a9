//! How often the 90 % intervals hold what comes, on simulated processes of known nature.

#![allow(clippy::unwrap_used)] // In a test program a panic is the report.

use std::time::Duration;

use evenkeel_core::forecast::{Forecast, Forecaster, HorizonGrid};
use evenkeel_core::time::Timestamp;
use evenkeel_forecast::Mixture;
use evenkeel_forecast::metrics::Coverage;

#[allow(dead_code)] // Shared by several test programs, each of which uses a part.
#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const POINTS: usize = 4000;

fn at(index: usize) -> Timestamp {
    Timestamp::from_millis(i64::try_from(index).unwrap() * 1000)
}

/// Checks one-step coverage in 0.87..0.93 and eight-step coverage in 0.85..0.95 over the last 80 % of
/// the points, and that the forecaster's own count agrees.
fn check(name: &str, values: &[f64]) {
    let grid = HorizonGrid::new(Duration::from_secs(1), Duration::from_secs(10));
    let eighth = grid.steps().iter().position(|steps| *steps == 8).unwrap();
    let mut mixture = Mixture::new(&grid);
    let mut forecasts: Vec<Option<Forecast>> = Vec::new();
    let (mut one, mut eight) = (Coverage::default(), Coverage::default());
    for (index, value) in values.iter().enumerate() {
        for (coverage, horizon, steps) in [(&mut one, 0, 1), (&mut eight, eighth, 8)] {
            let made = index
                .checked_sub(steps)
                .filter(|_| index >= values.len() / 5);
            if let Some(forecast) = made.and_then(|made| forecasts[made].as_ref()) {
                coverage.score(forecast.quantiles[horizon].interval(0.9), *value);
            }
        }
        mixture.observe(at(index), *value);
        forecasts.push(mixture.forecast());
    }
    let (one, eight) = (one.share().unwrap(), eight.share().unwrap());
    assert!((0.87..=0.93).contains(&one), "{name}: one step {one}");
    assert!(
        (0.85..=0.95).contains(&eight),
        "{name}: eight steps {eight}"
    );
    let (measured, _) = mixture.measured_coverage(0.9).unwrap();
    assert!(
        (measured - one).abs() < 0.02,
        "{name}: measured {measured}, found {one}"
    );
}

fn series(seed: u64, mut next: impl FnMut(f64, &mut Random, usize) -> f64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let mut value = 0.0;
    (0..POINTS)
        .map(|index| {
            value = next(value, &mut random, index);
            value
        })
        .collect()
}

#[test]
fn noise_round_a_level() {
    check("white", &series(1, |_, random, _| random.normal()));
    check("skewed", &series(2, |_, random, _| -random.uniform().ln()));
}

#[test]
fn random_walks() {
    check("gaussian", &series(3, |x, random, _| x + random.normal()));
    check(
        "heavy-tailed",
        &series(4, |x, random, _| {
            let u = random.uniform() - 0.5;
            x + u.signum() * (-(1.0 - 2.0 * u.abs()).ln()).powf(1.5)
        }),
    );
}

#[test]
fn what_swings_back_to_a_mean() {
    check(
        "persistent",
        &series(5, |x, random, _| 0.9 * x + random.normal()),
    );
    check(
        "alternating",
        &series(6, |x, random, _| random.normal() - 0.5 * x),
    );
}

#[test]
#[allow(clippy::cast_precision_loss)] // Indexes are small.
fn noise_on_a_ramp_and_noise_that_swells() {
    check(
        "ramp",
        &series(7, |_, random, index| 0.05 * index as f64 + random.normal()),
    );
    check(
        "swelling",
        &series(8, |_, random, index| {
            (1.0 + 0.9 * (index as f64 / 150.0).sin()) * random.normal()
        }),
    );
}
