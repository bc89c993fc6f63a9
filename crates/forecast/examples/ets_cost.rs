//! Measures the smoothing models: accuracy and cost on rows of series in the form of the M4 competition
//! (id, values...), and the cost of short series without season and of single steps.
//!
//! Run with `cargo run --release -p evenkeel-forecast --example ets_cost -- TRAIN TEST [SERIES [EVERY]]`; season
//! 24 and 168, horizon 48, 95 % intervals of the normal distribution.
#![allow(clippy::print_stdout)] // The numbers are the point.
#![allow(clippy::disallowed_methods)] // Reading files and the clock is what measuring takes.

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use evenkeel_forecast::models::ets::Ets;
use evenkeel_forecast::models::mstl::Mstl;
use evenkeel_forecast::models::seasonal_naive::SeasonalNaive;
use evenkeel_forecast::models::theta::{Theta, Variant};
use evenkeel_forecast::models::{Fitted, Moments};

#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const SEASON: usize = 24;
const HORIZON: u32 = 48;
const LEVEL: f64 = 0.95;
/// Deviations of a normal distribution that hold 95 %.
const DEVIATIONS: f64 = 1.959_964;

type Fit = fn(&[f64]) -> Option<Box<dyn Fitted>>;

const MODELS: &[(&str, Fit)] = &[
    ("seasonal naive", |y| {
        Some(Box::new(SeasonalNaive::fit(y, SEASON)?))
    }),
    ("ets", |y| Some(Box::new(Ets::auto(y, SEASON)?))),
    ("theta, standard", |y| {
        Some(Box::new(Theta::fit(y, SEASON, Variant::Standard)?))
    }),
    ("theta, dynamic", |y| {
        Some(Box::new(Theta::fit(y, SEASON, Variant::DynamicStandard)?))
    }),
    ("theta, auto", |y| Some(Box::new(Theta::auto(y, SEASON)?))),
    ("mstl", |y| Some(Box::new(Mstl::fit(y, &[SEASON, 168])?))),
];

fn rows(path: &str) -> Vec<Vec<f64>> {
    let text = fs::read_to_string(path).expect("a file of series");
    let row = |line: &str| {
        line.split(',')
            .skip(1)
            .map_while(|v| v.parse().ok())
            .collect()
    };
    text.lines().map(row).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    sum / n
}

/// sMAPE in percent, MASE, MSIS and coverage of one forecast.
fn scores(train: &[f64], test: &[f64], forecast: &[Moments]) -> [f64; 4] {
    let scale = mean(
        train
            .iter()
            .skip(SEASON)
            .zip(train)
            .map(|(now, then)| (now - then).abs()),
    );
    let pairs = || test.iter().zip(forecast);
    let bounds = |f: &Moments| {
        let half = DEVIATIONS * f.variance.sqrt();
        (f.mean - half, f.mean + half)
    };
    let smape = pairs().map(|(y, f)| 200.0 * (y - f.mean).abs() / (y.abs() + f.mean.abs()));
    let absolute = pairs().map(|(y, f)| (y - f.mean).abs() / scale);
    let interval = pairs().map(|(y, f)| {
        let (lower, upper) = bounds(f);
        let miss = (lower - y).max(0.0) + (y - upper).max(0.0);
        (upper - lower + 2.0 / (1.0 - LEVEL) * miss) / scale
    });
    let inside = pairs().map(|(y, f)| {
        let (lower, upper) = bounds(f);
        f64::from(u8::from((lower..=upper).contains(y)))
    });
    [mean(smape), mean(absolute), mean(interval), mean(inside)]
}

fn competition(train: &[Vec<f64>], test: &[Vec<f64>]) {
    println!("| model | sMAPE | MASE | MSIS | coverage | ms per series: mean, median | none |");
    println!("|---|---|---|---|---|---|---|");
    let steps: Vec<u32> = (1..=HORIZON).collect();
    for (name, fit) in MODELS {
        let mut out = vec![Moments::default(); steps.len()];
        let (mut totals, mut times, mut none) = (Vec::new(), Vec::new(), 0);
        for (train, test) in train.iter().zip(test) {
            // The least of a few: other programs run here, too.
            let once = |out: &mut Vec<Moments>| {
                let begun = Instant::now();
                fit(train)?.predict(&steps, out);
                Some(begun.elapsed().as_secs_f64() * 1e3)
            };
            let Some(time) = (0..5).filter_map(|_| once(&mut out)).reduce(f64::min) else {
                none += 1;
                continue;
            };
            times.push(time);
            totals.push(scores(train, test, &out));
        }
        let [smape, mase, msis, coverage] =
            [0, 1, 2, 3].map(|i| mean(totals.iter().map(|scores| scores[i])));
        times.sort_by(f64::total_cmp);
        println!(
            "| {name} | {smape:.2} | {mase:.2} | {msis:.1} | {coverage:.2} | {:.2}, {:.2} | {none} |",
            mean(times.iter().copied()),
            times[times.len() / 2]
        );
    }
}

/// 200 points: walks, autoregressions, trends and steps.
fn short_series() -> Vec<Vec<f64>> {
    let mut random = Random::new(5);
    let mut series = Vec::new();
    for kind in 0..100_u32 {
        let (mut level, mut noise) = (0.0, 0.0);
        let one = |t: u32| {
            noise = 0.7 * noise + random.normal();
            level += random.normal() * 0.3;
            match kind % 4 {
                0 => level,
                1 => noise,
                2 => 0.05 * f64::from(t) + noise,
                _ => noise + if t > 120 { 8.0 } else { 0.0 },
            }
        };
        series.push((0..200).map(one).collect());
    }
    series
}

fn short() {
    let mut times: Vec<f64> = short_series()
        .iter()
        .map(|y| {
            // The least of a few: other programs run here, too.
            let once = |_| {
                let begun = Instant::now();
                black_box(Ets::auto(black_box(y), 0));
                begun.elapsed().as_secs_f64() * 1e6
            };
            (0..10).map(once).fold(f64::INFINITY, f64::min)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "ets, 200 points without season: median {:.0} us, mean {:.0} us, greatest {:.0} us",
        times[times.len() / 2],
        mean(times.iter().copied()),
        times[times.len() - 1]
    );
}

/// An update, and a forecast at 24 steps.
fn steps(history: &[f64]) {
    const ROUNDS: u32 = 100_000;
    let steps: Vec<u32> = (1..=24).collect();
    let mut out = vec![Moments::default(); steps.len()];
    for (name, fit) in MODELS {
        let Some(mut model) = fit(history) else {
            continue;
        };
        let begun = Instant::now();
        for y in history.iter().cycle().take(ROUNDS as usize) {
            model.update(black_box(Some(*y)));
        }
        let update = begun.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS);
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            model.predict(black_box(&steps), &mut out);
            black_box(&out);
        }
        let predict = begun.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS);
        println!("{name}: {update:.0} ns to update, {predict:.0} ns to predict 24 steps");
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    short();
    let [train, test, rest @ ..] = arguments.as_slice() else {
        println!("usage: ets_cost TRAIN TEST [SERIES [EVERY]]");
        return;
    };
    let count = rest.first().and_then(|n| n.parse().ok()).unwrap_or(50);
    let every = rest.get(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    let chosen =
        |path: &String| -> Vec<_> { rows(path).into_iter().step_by(every).take(count).collect() };
    let (train, test) = (chosen(train), chosen(test));
    competition(&train, &test);
    steps(&train[0]);
}
