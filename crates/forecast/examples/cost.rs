//! Measures roughly what an observation and a forecast cost.
//! Run with `cargo run --release -p evenkeel-forecast --example cost`.
#![allow(clippy::print_stdout)] // The numbers are the point.

use std::hint::black_box;
use std::time::{Duration, Instant};

use evenkeel_core::forecast::{Forecaster, HorizonGrid};
use evenkeel_core::time::Timestamp;
use evenkeel_forecast::Mixture;

#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const ROUNDS: u32 = 100_000;

fn measure(name: &str, forecasts: bool, mut value: impl FnMut() -> f64) {
    let grid = HorizonGrid::new(Duration::from_secs(10), Duration::from_secs(1800));
    let mut mixture = Mixture::new(&grid);
    let values: Vec<f64> = (0..ROUNDS).map(|_| value()).collect();
    #[allow(clippy::disallowed_methods)] // Measuring the machine is what this example is for.
    let start = Instant::now();
    for (index, value) in (0_i64..).zip(values) {
        mixture.observe(Timestamp::from_millis(index * 10_000), value);
        if forecasts {
            black_box(mixture.forecast());
        }
    }
    let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS);
    println!("{name}: {nanoseconds:.0} ns ({} horizons)", grid.len());
}

fn main() {
    let mut random = Random::new(1);
    measure("constant, observe", false, || 1.0);
    measure("constant, observe and forecast", true, || 1.0);
    measure("varying, observe", false, || random.normal());
    measure("varying, observe and forecast", true, || random.normal());
}
