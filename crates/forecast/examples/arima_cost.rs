//! Measures what ARIMA costs: the search for an order with a forecast of 12 steps on 200 points without
//! a season, the same with a season of 24 on 700 points, and one update.
//! Run with `cargo run --release -p evenkeel-forecast --example arima_cost`. With the argument `series`
//! it prints what was found for each series instead, and the series: `tests/golden/compare_arima.py`
//! holds that against statsforecast's AutoARIMA.
#![allow(clippy::print_stdout)] // The numbers are the point.
#![allow(clippy::cast_precision_loss)] // Small counts.

use std::hint::black_box;
use std::time::Instant;

use evenkeel_forecast::models::arima::{Arima, Limits, Order};
use evenkeel_forecast::models::{Fitted, Moments};

#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

/// Each series is measured as often as this, and the least time taken: other programs only add.
const REPEATS: usize = 9;
const SERIES: usize = 240;
const UPDATES: u32 = 1_000_000;

/// Random walks, ARMA(1,1), trends, steps, and integrated ARMA(1,1), in turn.
fn mixed(random: &mut Random, kind: usize, length: usize) -> Vec<f64> {
    let (ar, ma) = (random.uniform() * 1.6 - 0.8, random.uniform() * 1.4 - 0.7);
    let (slope, height) = (random.uniform() * 0.6 - 0.3, 3.0 + 7.0 * random.uniform());
    let (mut value, mut shock, mut sum) = (0.0, 0.0, 0.0);
    (0..length)
        .map(|t| {
            let next = random.normal();
            value = ar * value + next + ma * shock;
            shock = next;
            match kind % 5 {
                0 => {
                    sum += next;
                    sum
                }
                1 => value,
                2 => slope * t as f64 + value,
                3 => height * f64::from(u8::from(2 * t > length)) + next,
                _ => {
                    sum += value;
                    sum
                }
            }
        })
        .collect()
}

/// A daily season with a level that wanders.
fn hourly(random: &mut Random, length: usize) -> Vec<f64> {
    let mut level = 0.0;
    (0..length)
        .map(|t| {
            level += 0.2 * random.normal();
            level + 5.0 * (t as f64 * std::f64::consts::TAU / 24.0).sin() + random.normal()
        })
        .collect()
}

#[allow(clippy::disallowed_methods)] // Measuring the machine is what this example is for.
fn seconds(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn report(name: &str, all: &[Vec<f64>], season: Option<usize>, ahead: u32) {
    let steps: Vec<u32> = (1..=ahead).collect();
    let mut out = vec![Moments::default(); steps.len()];
    let mut times: Vec<f64> = all
        .iter()
        .map(|series| {
            let mut search = || {
                if let Ok(model) = Arima::auto(series, season, &Limits::default()) {
                    model.predict(&steps, &mut out);
                    black_box(&out);
                }
            };
            let repeats = (0..REPEATS).map(|_| seconds(&mut search) * 1e3);
            repeats.fold(f64::INFINITY, f64::min)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    println!(
        "{name}: median {:.3} ms, mean {mean:.3}, 90 % {:.3}, most {:.3}",
        at(0.5),
        at(0.9),
        at(1.0)
    );
}

fn update(order: Order, series: &[f64]) {
    let Ok(mut model) = Arima::fit(series, order) else {
        return;
    };
    let taken = seconds(|| {
        for i in 0..UPDATES {
            model.update(Some(black_box(f64::from(i % 7))));
        }
    });
    let steps: Vec<u32> = (1..=24).collect();
    let mut out = [Moments::default(); 24];
    let foreseen = seconds(|| {
        for _ in 0..UPDATES / 100 {
            model.predict(black_box(&steps), &mut out);
            black_box(&out);
        }
    });
    println!(
        "{}: update {:.0} ns, 24 steps ahead {:.0} ns, {} bytes",
        model.describe(),
        taken * 1e9 / f64::from(UPDATES),
        foreseen * 1e11 / f64::from(UPDATES),
        model.bytes()
    );
}

/// One line: differences, criterion, order, and the values.
fn print_found(series: &[f64]) {
    if let Ok(model) = Arima::auto(series, None, &Limits::default()) {
        let (_, d, _) = model.order().regular();
        print!("{d} {} {}", model.aicc(), model.describe());
        series.iter().for_each(|value| print!(" {value}"));
        println!();
    }
}

fn main() {
    let mut random = Random::new(1);
    let short: Vec<_> = (0..SERIES)
        .map(|kind| mixed(&mut random, kind, 200))
        .collect();
    if std::env::args().nth(1).as_deref() == Some("series") {
        short.iter().for_each(|series| print_found(series));
        return;
    }
    report("200 points", &short, None, 12);
    let long: Vec<_> = (0..20).map(|_| hourly(&mut random, 700)).collect();
    report("700 points, season 24", &long, Some(24), 48);
    update(Order::new(0, 1, 1), &short[0]);
    update(Order::new(2, 1, 2), &short[4]);
    update(Order::new(1, 0, 1).seasonal(1, 1, 1, 24), &long[0]);
}
