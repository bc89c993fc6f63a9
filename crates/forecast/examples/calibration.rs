//! Measures the online calibration: does coverage hold everywhere, and at what width?
//! Run with `cargo run --release -p evenkeel-forecast --example calibration -- [DIRECTORY]`; the
//! directory is searched for CSV files `timestamp,value`, without one the simulated processes are taken.
//!
//! Three forecasters are calibrated: the last value, simple exponential smoothing with 0.3 (both with
//! the root of a mean squared error of memory 48 as their deviation), and the mixture itself. The first
//! 100 points are not scored. For the 95 % interval: `cover` the share inside; `local` the mean of |share
//! inside of 200 in a row - 0.95| over all such windows; `worst` the least of them; MSIS the interval
//! score over the mean |difference| of the series, median and mean over series. For the 90 % and 99 %
//! intervals: the share inside over all points, and the greatest distance from nominal in any quarter
//! of any series (file names beginning with `art` are left out there: their quarters are made to differ).
#![allow(clippy::print_stdout)] // The numbers are the point.
#![allow(clippy::unwrap_used)] // A panic is the report.
#![allow(clippy::cast_precision_loss)] // Counts are small.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_core::forecast::{Forecaster, HorizonGrid, LEVELS};
use evenkeel_core::time::Timestamp;
use evenkeel_forecast::Mixture;
use evenkeel_forecast::conformal::{Calibrator, PerLevel};
use evenkeel_forecast::metrics::interval_score;

#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const BURN_IN: usize = 100;
const WINDOW: usize = 200;
const POINTS: usize = 4000;
/// Per step, the weight of the past in the squared error of a base forecaster.
const MEMORY: f64 = 1.0 - 1.0 / 48.0;
/// Index in [`LEVELS`] of the lower end of each interval looked at.
const AT_99: usize = 0;
const AT_95: usize = 2;
const AT_90: usize = 3;

struct Series {
    name: String,
    values: Vec<f64>,
}

/// What one forecaster did on one series.
struct Result {
    synthetic: bool,
    inside: [Vec<bool>; 3],
    msis: f64,
}

impl Result {
    fn share(&self, interval: usize) -> f64 {
        share(&self.inside[interval])
    }

    fn quarter_error(&self, interval: usize, nominal: f64) -> f64 {
        let inside = &self.inside[interval];
        (0..4)
            .map(|q| &inside[q * inside.len() / 4..(q + 1) * inside.len() / 4])
            .map(|quarter| (share(quarter) - nominal).abs())
            .fold(0.0, f64::max)
    }

    /// Mean |share - 0.95| over windows, and the least share.
    fn windows(&self) -> (f64, f64) {
        let shares: Vec<f64> = self.inside[1].windows(WINDOW).map(share).collect();
        let local = mean(shares.iter().map(|share| (share - 0.95).abs()));
        (local, shares.iter().copied().fold(1.0, f64::min))
    }
}

fn share(inside: &[bool]) -> f64 {
    inside.iter().filter(|inside| **inside).count() as f64 / inside.len() as f64
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    sum / count
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

/// Quantiles for every point that was forecast `ahead` steps before it.
type Forecasts = Vec<Option<PerLevel>>;

/// A smoother of weight `gain` with a calibrator; a gain of 1 is the last value.
fn smoothed(values: &[f64], gain: f64, ahead: usize) -> (Forecasts, Duration) {
    let mut calibrator = Calibrator::ahead(u32::try_from(ahead).unwrap());
    let mut waiting: VecDeque<(f64, f64, PerLevel)> = VecDeque::new();
    let (mut level, mut squares, mut weight) = (values[0], 0.0, 0.0);
    let mut forecasts = vec![None; values.len()];
    let mut spent = Duration::ZERO;
    for (index, value) in values.iter().enumerate() {
        #[allow(clippy::disallowed_methods)] // Measuring the machine is part of the example.
        let start = Instant::now();
        if waiting.len() == ahead {
            let (mean, deviation, issued) = waiting.pop_front().unwrap();
            forecasts[index] = Some(issued.map(|offset| mean + offset * deviation));
            if deviation > 0.0 {
                calibrator.learn_issued((value - mean) / deviation, &issued);
            }
            squares = MEMORY * squares + (value - mean).powi(2);
            weight = MEMORY * weight + 1.0;
        }
        level += gain * (value - level);
        let variance = if weight > 0.0 { squares / weight } else { 0.0 };
        waiting.push_back((level, variance.sqrt(), calibrator.offsets()));
        spent += start.elapsed();
    }
    (forecasts, spent)
}

fn mixture(values: &[f64], ahead: usize) -> (Forecasts, Duration) {
    let second = Duration::from_secs(1);
    let reach = u32::try_from(ahead).unwrap();
    let grid = HorizonGrid::new(second, second * reach);
    let mut mixture = Mixture::new(&grid);
    let mut forecasts = vec![None; values.len() + ahead];
    #[allow(clippy::disallowed_methods)] // Measuring the machine is part of the example.
    let start = Instant::now();
    for (index, value) in values.iter().enumerate() {
        let at = Timestamp::from_millis(i64::try_from(index).unwrap() * 1000);
        mixture.observe(at, *value);
        forecasts[index + ahead] = mixture
            .forecast()
            .map(|forecast| *forecast.quantiles.last().unwrap().values());
    }
    let spent = start.elapsed();
    forecasts.truncate(values.len());
    (forecasts, spent)
}

fn judge(series: &Series, forecasts: &Forecasts) -> Result {
    let values = &series.values;
    let scale = mean(values.windows(2).map(|pair| (pair[1] - pair[0]).abs()));
    let mut inside: [Vec<bool>; 3] = Default::default();
    let mut scores = Vec::new();
    for (value, quantiles) in values.iter().zip(forecasts).skip(BURN_IN) {
        let Some(quantiles) = quantiles else { continue };
        let interval = |lower: usize| (quantiles[lower], quantiles[LEVELS.len() - 1 - lower]);
        for (inside, lower) in inside.iter_mut().zip([AT_90, AT_95, AT_99]) {
            let (lower, upper) = interval(lower);
            inside.push((lower..=upper).contains(value));
        }
        let (lower, upper) = interval(AT_95);
        scores.push(interval_score(lower, upper, 0.95, *value) / scale);
    }
    Result {
        synthetic: series.name.starts_with("art"),
        inside,
        msis: mean(scores.into_iter()),
    }
}

fn report(name: &str, all: &[Series], run: impl Fn(&[f64]) -> (Forecasts, Duration)) {
    let mut results = Vec::new();
    let (mut spent, mut steps) = (Duration::ZERO, 0);
    for series in all {
        let (forecasts, time) = run(&series.values);
        spent += time;
        steps += series.values.len();
        results.push(judge(series, &forecasts));
    }
    let windows: Vec<(f64, f64)> = results.iter().map(Result::windows).collect();
    let pooled = |interval: usize| {
        let all = results.iter().flat_map(|r| r.inside[interval].iter());
        mean(all.map(|inside| f64::from(u8::from(*inside))))
    };
    let quarters = |interval: usize, nominal: f64| {
        let natural = results.iter().filter(|r| !r.synthetic);
        natural.fold(0.0_f64, |worst, r| {
            worst.max(r.quarter_error(interval, nominal))
        })
    };
    println!(
        "{name:18} {:.4} {:.4} {:.3} {:6.2} {:6.2} | {:.4} {:.3} | {:.4} {:.3} | {:.2}",
        mean(results.iter().map(|r| r.share(1))),
        mean(windows.iter().map(|w| w.0)),
        windows.iter().fold(1.0, |least, w| w.1.min(least)),
        median(results.iter().map(|r| r.msis).collect()),
        mean(results.iter().map(|r| r.msis)),
        pooled(0),
        quarters(0, 0.9),
        pooled(2),
        quarters(2, 0.99),
        spent.as_secs_f64() * 1e6 / f64::from(u32::try_from(steps).unwrap()),
    );
}

/// Every CSV file below `directory`; a value that is no number is left out, as is a constant series.
fn read(directory: &Path, all: &mut Vec<Series>) {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            #[allow(clippy::disallowed_methods)] // The library does no I/O; an example may.
            let text = std::fs::read_to_string(&path).unwrap();
            let values: Vec<f64> = text
                .lines()
                .filter_map(|line| line.rsplit(',').next()?.trim().parse().ok())
                .filter(|value: &f64| value.is_finite())
                .collect();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if values.windows(2).any(|pair| pair[0] != pair[1]) {
                all.push(Series { name, values });
            }
        }
    }
}

fn simulated() -> Vec<Series> {
    processes()
        .into_iter()
        .map(|(name, values)| Series {
            name: name.to_owned(),
            values,
        })
        .collect()
}

/// Processes of known nature, one of each kind that was thought of.
fn processes() -> Vec<(&'static str, Vec<f64>)> {
    let (mut garch, mut burst) = ((0.0_f64, 1.0_f64), false);
    let day = |i: usize| (std::f64::consts::TAU * i as f64 / 288.0).sin();
    vec![
        ("noise", series(1, |_, r, _| r.normal())),
        ("heavy noise", series(2, |_, r, _| heavy(r))),
        ("walk", series(3, |x, r, _| x + r.normal())),
        ("heavy walk", series(4, |x, r, _| x + heavy(r))),
        ("skewed walk", series(5, |x, r, _| x - r.uniform().ln())),
        ("autoregression", series(6, |x, r, _| 0.9 * x + r.normal())),
        (
            "volatility clusters",
            series(7, |x, r, _| {
                garch.1 = 0.02 + 0.1 * garch.0.powi(2) + 0.88 * garch.1;
                garch.0 = garch.1.sqrt() * r.normal();
                x + garch.0
            }),
        ),
        (
            "daily load",
            series(8, |_, r, i| {
                50.0 + 20.0 * day(i) + (1.2 * day(i)).exp() * r.normal()
            }),
        ),
        (
            "bursts",
            series(9, |_, r, _| {
                burst = (r.uniform() < if burst { 0.05 } else { 0.01 }) != burst;
                r.normal() * if burst { 6.0 } else { 0.5 }
            }),
        ),
        ("steps on noise", steps_on_noise()),
        (
            "spikes",
            series(11, |_, r, _| {
                let spike = r.uniform() < 0.02;
                0.5 * r.normal() - if spike { 20.0 * r.uniform().ln() } else { 0.0 }
            }),
        ),
        ("few counts", series(12, |_, r, _| poisson(r, 0.5))),
        ("counts", series(13, |_, r, _| poisson(r, 5.0))),
        (
            "mostly zero",
            series(14, |_, r, _| {
                if r.uniform() < 0.03 {
                    poisson(r, 8.0)
                } else {
                    0.0
                }
            }),
        ),
        (
            "scale jumps",
            series(15, |_, r, i| {
                r.normal() * if (i / 500) % 2 == 0 { 1.0 } else { 8.0 }
            }),
        ),
        (
            "rounded load",
            series(16, |_, r, i| {
                let peak = if r.uniform() < 0.01 { 50.0 } else { 0.0 };
                (30.0 + 10.0 * day(i) + 3.0 * r.normal() + peak)
                    .clamp(0.0, 100.0)
                    .round()
            }),
        ),
    ]
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

/// Student's t with three degrees of freedom.
fn heavy(random: &mut Random) -> f64 {
    let squares: f64 = (0..3).map(|_| random.normal().powi(2)).sum();
    random.normal() / (squares / 3.0).sqrt()
}

/// Knuth's method.
fn poisson(random: &mut Random, mean: f64) -> f64 {
    let (mut count, mut left) = (0.0, random.uniform());
    while left > (-mean).exp() {
        count += 1.0;
        left *= random.uniform();
    }
    count
}

fn steps_on_noise() -> Vec<f64> {
    let mut level = 0.0;
    series(10, |_, random, _| {
        if random.uniform() < 0.01 {
            level += 10.0 * random.normal();
        }
        level + 0.3 * random.normal()
    })
}

fn main() {
    let mut all = Vec::new();
    match std::env::args().nth(1) {
        Some(directory) => read(Path::new(&directory), &mut all),
        None => all = simulated(),
    }
    println!(
        "{} series\n{:18} cover  local  worst  MSIS median/mean |   90 % quarter |   99 % quarter | us per step",
        all.len(),
        ""
    );
    for ahead in [1, 12] {
        println!("{ahead} ahead");
        report("last value", &all, |values| smoothed(values, 1.0, ahead));
        report("smoothing 0.3", &all, |values| smoothed(values, 0.3, ahead));
        report("mixture", &all, |values| mixture(values, ahead));
    }
}
