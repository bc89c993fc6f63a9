//! Measures what an observation and a forecast cost, and what a fleet of properties would.
//! Run with `cargo run --release -p evenkeel-forecast --example cost`.
#![allow(clippy::print_stdout)] // The numbers are the point.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_core::forecast::{Forecaster, HorizonGrid};
use evenkeel_core::time::Timestamp;
use evenkeel_forecast::Mixture;
use evenkeel_forecast::backtest::global;
use evenkeel_forecast::lstm::{Sequential, SharedNetwork};

#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const STEP: Duration = Duration::from_secs(10);
const ROUNDS: u32 = 50_000;

/// Observations that are timed together: short enough that another process seldom comes in between, so that
/// the median is the step's and not the neighbours'.
const TIMED: usize = 50;

/// A fleet: so many properties, one in ten of which varies.
const FLEET: usize = 100_000;
const FLEET_ROUNDS: i64 = 200;

#[allow(clippy::disallowed_methods)] // Measuring the machine is what this example is for.
fn now() -> Instant {
    Instant::now()
}

fn at(index: i64) -> Timestamp {
    Timestamp::from_millis(index * 10_000)
}

/// A network that has seen a little of `value`.
fn network(mut value: impl FnMut() -> f64) -> SharedNetwork {
    let history: Vec<f64> = (0..4000).map(|_| value()).collect();
    let known = global::Known {
        history: &history,
        seasons: &[],
        step: STEP,
        start: at(0),
    };
    let trained = global::train(&[known], 300, 1, &Sequential, &mut |_| {});
    let network = trained.and_then(|trained| trained.network().ok());
    network.map_or_else(SharedNetwork::default, |n| SharedNetwork::new(Arc::new(n)))
}

fn measure(name: &str, fitted: bool, forecasts: bool, value: impl FnMut() -> f64) {
    measure_with(&SharedNetwork::default(), name, fitted, forecasts, value);
}

fn measure_with(
    network: &SharedNetwork,
    name: &str,
    fitted: bool,
    forecasts: bool,
    mut value: impl FnMut() -> f64,
) {
    let grid = HorizonGrid::every_step(STEP, 24);
    let mut mixture = Mixture::with_network(&grid, network.clone());
    let known: Vec<(Timestamp, f64)> = (0..300).map(|i| (at(i), value())).collect();
    for (at, value) in &known {
        mixture.observe(*at, *value);
    }
    if fitted {
        mixture.refit(&known);
    }
    let values: Vec<f64> = (0..ROUNDS).map(|_| value()).collect();
    let mut index = 300;
    let mut batch = |values: &[f64]| {
        let start = now();
        for value in values {
            mixture.observe(at(index), *value);
            if forecasts {
                black_box(mixture.forecast());
            }
            index += 1;
        }
        start.elapsed().as_nanos() / values.len() as u128
    };
    let mut times: Vec<u128> = values.chunks(TIMED).map(&mut batch).collect();
    times.sort_unstable();
    let nanoseconds = times[times.len() / 2];
    let has_network = mixture
        .weights()
        .iter()
        .any(|w| w.model.starts_with("LSTM"));
    assert_eq!(
        has_network,
        network.get().is_some(),
        "{:?}",
        mixture.weights()
    );
    let state = mixture.state().map_or(0, |state| state.len());
    println!("{name}: {nanoseconds} ns (median), {state} bytes as stored");
}

/// All properties at once, so that their state does not stay in the cache.
fn measure_fleet() {
    let grid = HorizonGrid::new(STEP, Duration::from_secs(1800));
    let mut random = Random::new(2);
    let mut fleet: Vec<Mixture> = (0..FLEET).map(|_| Mixture::new(&grid)).collect();
    let mut busy = Duration::ZERO;
    for round in 0..FLEET_ROUNDS {
        let values: Vec<f64> = (0..FLEET / 10).map(|_| random.normal()).collect();
        let start = now();
        for (index, mixture) in fleet.iter_mut().enumerate() {
            if index % 10 == 0 {
                mixture.observe(at(round), values[index / 10]);
                black_box(mixture.forecast());
            } else {
                mixture.observe(at(round), 1.0);
            }
        }
        busy += start.elapsed();
    }
    let rounds = f64::from(u32::try_from(FLEET_ROUNDS).unwrap_or(1));
    let share = 100.0 * busy.as_secs_f64() / rounds / STEP.as_secs_f64();
    println!(
        "{FLEET} properties, nine in ten constant, every {STEP:?}, {} horizons: {share:.2} % of a core",
        grid.len()
    );
}

fn main() {
    let mut random = Random::new(1);
    measure("constant, observe", false, false, || 1.0);
    measure(
        "constant, observe and forecast 24 steps",
        false,
        true,
        || 1.0,
    );
    measure("varying, observe", false, false, || random.normal());
    measure(
        "varying, observe and forecast 24 steps",
        false,
        true,
        || random.normal(),
    );
    let mut value = 0.0;
    let mut persistent = || {
        value = 0.8 * value + random.normal();
        value
    };
    measure(
        "varying with a committee, observe and forecast 24 steps",
        true,
        true,
        &mut persistent,
    );
    let mut hour = 0_u32;
    measure("the same with a season of 24", true, true, || {
        hour += 1;
        5.0 * (std::f64::consts::TAU * f64::from(hour % 24) / 24.0).sin() + persistent()
    });
    let network = network(&mut persistent);
    let name = "without a season, a network in the committee";
    measure_with(&network, name, true, true, &mut persistent);
    measure_fleet();
}
