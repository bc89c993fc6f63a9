//! Compares the onset tracker with Bayesian online change-point detection (Adams and MacKay 2007; normal
//! with unknown mean and variance, hazard 1/250): how long until a change is seen, how well it is dated,
//! how often there is an alarm without one.
//! Run with `cargo run --release -p evenkeel-forecast --example changepoints`.
#![allow(clippy::print_stdout)] // The numbers are the point.
#![allow(clippy::cast_precision_loss)] // Indices of short series.

use std::f64::consts::PI;

use evenkeel_core::time::Timestamp;
use evenkeel_forecast::changepoint::OnsetTracker;

#[allow(dead_code)] // Shared by several programs, each of which uses a part.
#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const POINTS: usize = 1000;
const CHANGE: usize = 500;
const SERIES: u64 = 300;

/// One hypothesis of Bayesian detection: the run began at `start`, with these normal-gamma sums.
#[derive(Clone, Copy)]
struct Run {
    start: usize,
    log_weight: f64,
    mean: f64,
    kappa: f64,
    alpha: f64,
    beta: f64,
}

fn log_gamma(x: f64) -> f64 {
    // Stirling's series, shifted to where it is good.
    if x < 8.0 {
        return log_gamma(x + 1.0) - x.ln();
    }
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
}

impl Run {
    fn log_likelihood(&self, y: f64) -> f64 {
        let freedom = 2.0 * self.alpha;
        let scale = self.beta * (self.kappa + 1.0) / (self.alpha * self.kappa);
        let z = (y - self.mean).powi(2) / (freedom * scale);
        log_gamma((freedom + 1.0) / 2.0)
            - log_gamma(freedom / 2.0)
            - 0.5 * (freedom * PI * scale).ln()
            - (freedom + 1.0) / 2.0 * z.ln_1p()
    }

    fn updated(mut self, y: f64) -> Self {
        self.beta += self.kappa * (y - self.mean).powi(2) / (2.0 * (self.kappa + 1.0));
        self.mean = (self.kappa * self.mean + y) / (self.kappa + 1.0);
        self.kappa += 1.0;
        self.alpha += 0.5;
        self
    }
}

/// (observation, dated at) of every alarm: when the likeliest run starts later than it did.
fn bayesian(values: &[f64]) -> Vec<(usize, usize)> {
    const HAZARD: f64 = 1.0 / 250.0;
    let prior = |start| Run {
        start,
        log_weight: 0.0,
        mean: values[0],
        kappa: 0.1,
        alpha: 1.0,
        beta: 1.0,
    };
    let (mut runs, mut alarms, mut likeliest) = (vec![prior(0)], Vec::new(), 0);
    for (now, y) in values.iter().enumerate() {
        for run in &mut runs {
            run.log_weight += run.log_likelihood(*y);
        }
        let top = runs.iter().map(|r| r.log_weight).fold(f64::MIN, f64::max);
        let total = runs.iter().map(|r| (r.log_weight - top).exp()).sum::<f64>();
        for run in &mut runs {
            *run = run.updated(*y);
            run.log_weight += -top - total.ln() + (1.0 - HAZARD).ln();
        }
        runs.retain(|r| r.log_weight > -25.0);
        let best = runs
            .iter()
            .max_by(|a, b| a.log_weight.total_cmp(&b.log_weight));
        let start = best.map_or(now, |run| run.start);
        if start > likeliest + 5 {
            alarms.push((now, start));
        }
        likeliest = start;
        runs.push(Run {
            log_weight: HAZARD.ln(),
            ..prior(now + 1)
        });
    }
    alarms
}

/// The same of the tracker: when the onset moves on.
fn tracked(values: &[f64]) -> Vec<(usize, usize)> {
    let mut tracker = OnsetTracker::default();
    let (mut alarms, mut onset) = (Vec::new(), None);
    for (now, y) in values.iter().enumerate() {
        tracker.observe(Timestamp::from_millis(now as i64), *y);
        if tracker.onset() > onset {
            onset = tracker.onset();
            let dated = onset.map_or(0, |at| usize::try_from(at.as_millis()).unwrap_or(0));
            alarms.push((now, dated));
        }
    }
    alarms
}

/// Noise remembered at `memory`, of unit innovations, plus a change of `step` and then `slope`.
fn series(memory: f64, step: f64, slope: f64, seed: u64) -> Vec<f64> {
    let (mut noise, mut random) = (0.0, Random::new(seed));
    (0..POINTS)
        .map(|i| {
            noise = memory * noise + random.normal();
            let after = (i + 1).saturating_sub(CHANGE) as f64;
            noise
                + if i >= CHANGE {
                    step + slope * after
                } else {
                    0.0
                }
        })
        .collect()
}

fn report(name: &str, values: impl Fn(u64) -> Vec<f64>) {
    for (method, detect) in [
        ("tracker", tracked as fn(&[f64]) -> Vec<(usize, usize)>),
        ("BOCPD", bayesian),
    ] {
        let (mut false_alarms, mut delays, mut errors) = (0, Vec::new(), Vec::new());
        for seed in 0..SERIES {
            let alarms = detect(&values(seed));
            false_alarms += alarms.iter().filter(|(now, _)| *now < CHANGE).count();
            let first = alarms
                .iter()
                .find(|(now, _)| (CHANGE..CHANGE + 150).contains(now));
            if let Some((now, dated)) = first {
                delays.push(now - CHANGE);
                errors.push(dated.abs_diff(CHANGE));
            }
        }
        delays.sort_unstable();
        errors.sort_unstable();
        let median = |sorted: &[usize]| sorted.get(sorted.len() / 2).copied();
        println!(
            "{name:34} {method:8} false alarms per 1,000: {:6.2}   alarm within 150: {:5.1} %  delay {:?}  dated off by {:?}",
            false_alarms as f64 * 1000.0 / (CHANGE as f64 * SERIES as f64),
            100.0 * delays.len() as f64 / SERIES as f64,
            median(&delays),
            median(&errors),
        );
    }
}

fn main() {
    report("white noise, no change", |seed| series(0.0, 0.0, 0.0, seed));
    report("white noise, step 1", |seed| series(0.0, 1.0, 0.0, seed));
    report("white noise, step 2", |seed| series(0.0, 2.0, 0.0, seed));
    report("white noise, step 5", |seed| series(0.0, 5.0, 0.0, seed));
    report("white noise, slope 0.1", |seed| series(0.0, 0.0, 0.1, seed));
    report("AR(1) 0.6, no change", |seed| series(0.6, 0.0, 0.0, seed));
    report("AR(1) 0.6, step 5", |seed| series(0.6, 5.0, 0.0, seed));
    report("AR(1) 0.9, no change", |seed| series(0.9, 0.0, 0.0, seed));
    report("AR(1) 0.9, step 15", |seed| series(0.9, 15.0, 0.0, seed));
    report("random walk, no change", |seed| series(1.0, 0.0, 0.0, seed));
    report("random walk, step 20", |seed| series(1.0, 20.0, 0.0, seed));
    report("random walk, slope 1", |seed| series(1.0, 0.0, 1.0, seed));
}
