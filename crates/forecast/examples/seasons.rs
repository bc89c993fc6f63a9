//! Measures season detection: how often it sees one where there is none, how often it finds one that is
//! there, and what it costs.
//! Run with `cargo run --release -p evenkeel-forecast --example seasons`.
#![allow(clippy::print_stdout)] // The numbers are the point.
#![allow(clippy::cast_precision_loss)] // Indices of short series.

use std::f64::consts::TAU;
use std::time::{Duration, Instant};

use evenkeel_forecast::season::{Limits, detect};

#[allow(dead_code)] // Shared by several programs, each of which uses a part.
#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Without a season: what autoregressions of the first and second order make of shocks.
fn series(kind: &str, points: usize, random: &mut Random) -> Vec<f64> {
    let (mut x, mut before) = (0.0, 0.0);
    (0..points)
        .map(|i| {
            let shock = random.normal();
            let next = match kind {
                "white noise" => shock,
                "AR(1) 0.5" => 0.5 * x + shock,
                "AR(1) 0.95" => 0.95 * x + shock,
                "AR(1) -0.7" => -0.7 * x + shock,
                // A pseudo-cycle of 20 steps which keeps its phase for about as long.
                "AR(2) cycle" => 2.0 * 0.95 * (TAU / 20.0).cos() * x - 0.95 * 0.95 * before + shock,
                "random walk" => x + shock,
                "heavy-tailed walk" => x + shock / random.uniform().sqrt(),
                "walk, trend" => x + shock + 0.3,
                "noise, steps" => {
                    return shock + 8.0 * ((i * 7 / points) % 3) as f64;
                }
                "noise, outliers" => {
                    return shock
                        + if random.uniform() < 0.01 {
                            50.0 * shock
                        } else {
                            0.0
                        };
                }
                "rare steps" => x + if random.uniform() < 0.05 { shock } else { 0.0 },
                other => unreachable!("{other}"),
            };
            (before, x) = (x, next);
            x
        })
        .collect()
}

fn false_positives() {
    println!("false positives: share of 1,000 series with any season");
    for kind in [
        "white noise",
        "AR(1) 0.5",
        "AR(1) 0.95",
        "AR(1) -0.7",
        "AR(2) cycle",
        "random walk",
        "heavy-tailed walk",
        "walk, trend",
        "noise, steps",
        "noise, outliers",
        "rare steps",
    ] {
        let share = |points: usize, step: Duration, seeds: u64| {
            let false_ones = (0..seeds).filter(|seed| {
                let values = series(kind, points, &mut Random::new(*seed));
                !detect(&values, step, &Limits::default()).is_empty()
            });
            100.0 * false_ones.count() as f64 / seeds as f64
        };
        println!(
            "  {kind:18} 60 h {:.1} %, 350 h {:.1} %, 1,000 h {:.1} %, 3,000 min {:.1} %, 10,000 min {:.1} %",
            share(60, HOUR, 1000),
            share(350, HOUR, 1000),
            share(1000, HOUR, 1000),
            share(3000, MINUTE, 300),
            share(10_000, MINUTE, 100),
        );
    }
}

type Shape = fn(usize, &mut Random) -> f64;

fn found() {
    println!("found: share of 200 series in which exactly these periods are found");
    let cases: [(&str, usize, Duration, &[usize], Shape); 10] = [
        ("sine 24 + noise 0.5, 72 h", 72, HOUR, &[24], |i, r| {
            (TAU * i as f64 / 24.0).sin() + 0.5 * r.normal()
        }),
        ("sine 24 + noise 1.0, 336 h", 336, HOUR, &[24], |i, r| {
            (TAU * i as f64 / 24.0).sin() + r.normal()
        }),
        ("pulse 24 + noise 0.2, 240 h", 240, HOUR, &[24], |i, r| {
            f64::from(u8::from(i % 24 == 3)) + 0.2 * r.normal()
        }),
        (
            "day x week + noise 0.2, 700 h",
            700,
            HOUR,
            &[24, 168],
            |i, r| {
                let weekend = i / 24 % 7 >= 5;
                (TAU * i as f64 / 24.0).sin() * if weekend { 0.4 } else { 1.0 } + 0.2 * r.normal()
            },
        ),
        ("period 17 + noise 0.5, 200", 200, HOUR, &[17], |i, r| {
            (TAU * i as f64 / 17.0).sin() + 0.5 * r.normal()
        }),
        ("alternation, 60", 60, HOUR, &[2], |i, r| {
            (i % 2) as f64 + 0.1 * r.normal()
        }),
        (
            "day at 1 min, noise 1, 4 d",
            5760,
            MINUTE,
            &[1440],
            |i, r| (TAU * i as f64 / 1440.0).sin() + r.normal(),
        ),
        (
            "cron 30 min of the day, 10 d",
            14_400,
            MINUTE,
            &[1440],
            |i, r| f64::from(u8::from((120..150).contains(&(i % 1440)))) + 0.3 * r.normal(),
        ),
        (
            "day at 10 s, noise 1, 3 d",
            25_920,
            Duration::from_secs(10),
            &[8640],
            |i, r| (TAU * i as f64 / 8640.0).sin() + r.normal(),
        ),
        ("cron each 15 min, 1 d", 1440, MINUTE, &[15], |i, r| {
            f64::from(u8::from(i % 15 == 0)) + 0.2 * r.normal()
        }),
    ];
    for (name, points, step, periods, shape) in cases {
        let mut hits = 0;
        let mut other = String::new();
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let values: Vec<f64> = (0..points).map(|i| shape(i, &mut random)).collect();
            let seasons = detect(&values, step, &Limits::default());
            let found: Vec<usize> = seasons.iter().map(|s| s.period_steps).collect();
            if found == periods {
                hits += 1;
            } else {
                other = format!("{seasons:?}");
            }
        }
        println!("  {name:32} {:.1} %  {other}", f64::from(hits) / 2.0);
    }
}

fn cost() {
    for points in [200, 1000, 5000, 20_000, 120_000] {
        let mut random = Random::new(1);
        let values: Vec<f64> = (0..points)
            .map(|i| {
                (TAU * i as f64 / 24.0).sin() + (TAU * i as f64 / 168.0).sin() + random.normal()
            })
            .collect();
        let rounds = (200_000 / points).max(1) as u32;
        #[allow(clippy::disallowed_methods)] // Measuring the machine is what this example is for.
        let start = Instant::now();
        let mut count = 0;
        for _ in 0..rounds {
            count = detect(std::hint::black_box(&values), HOUR, &Limits::default()).len();
        }
        let ms = start.elapsed().as_secs_f64() * 1e3 / f64::from(rounds);
        println!("cost: {points} points, {count} seasons found: {ms:.2} ms");
    }
}

fn main() {
    cost();
    if std::env::args().any(|a| a == "--cost") {
        return;
    }
    found();
    false_positives();
}
