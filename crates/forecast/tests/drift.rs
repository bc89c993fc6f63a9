//! Does the forecast see a drift in time, and does it keep quiet when there is none? The question for
//! which the crate exists: the probability that the deviation leaves ±1.

#![allow(clippy::unwrap_used)] // In a test program a panic is the report.

use std::time::Duration;

use evenkeel_core::forecast::{Forecast, Forecaster, HorizonGrid};
use evenkeel_core::time::Timestamp;
use evenkeel_forecast::Mixture;

#[allow(dead_code)] // Shared by several test programs, each of which uses a part.
#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const STEP_MS: u64 = 250;

fn at(index: usize) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + i64::try_from(index).unwrap() * 250)
}

fn mixture(reach_steps: u64) -> Mixture {
    let step = Duration::from_millis(STEP_MS);
    Mixture::new(&HorizonGrid::new(
        step,
        step * u32::try_from(reach_steps).unwrap(),
    ))
}

/// The highest probability over the horizons of lying outside ±1.
fn risk(forecast: &Forecast) -> f64 {
    forecast
        .quantiles
        .iter()
        .map(|q| q.probability_outside(-1.0, 1.0))
        .fold(0.0, f64::max)
}

/// The first horizon, in steps, at which the median lies outside ±1.
fn median_leaves_at(forecast: &Forecast) -> Option<u32> {
    let outside = forecast
        .quantiles
        .iter()
        .position(|q| q.median().abs() > 1.0)?;
    Some(forecast.grid.steps()[outside])
}

/// From 0 to 1 in sixteen steps, one every `period` samples, after `calm` samples of nothing.
fn staircase(calm: usize, period: u32) -> impl Iterator<Item = f64> {
    let stairs = (0..17 * period).map(move |index| f64::from(1 + index / period) / 16.0);
    std::iter::repeat_n(0.0, calm).chain(stairs)
}

#[test]
fn a_staircase_is_foreseen_at_the_latest_half_way() {
    for (calm, period) in [(3, 4), (40, 4), (1000, 4), (1000, 1), (1000, 8)] {
        let mut mixture = mixture(u64::from(period) * 20);
        for (index, value) in staircase(calm, period).enumerate() {
            mixture.observe(at(index), value);
            let halfway = calm + 8 * period as usize;
            if index + 1 < halfway {
                continue;
            }
            let forecast = mixture.forecast().unwrap();
            let case = format!("calm {calm}, period {period}, sample {index}, value {value}");
            assert!(risk(&forecast) >= 0.9, "{case}: risk {}", risk(&forecast));
            // The first value above 1 comes with the seventeenth step.
            let truly = (calm + 16 * period as usize).saturating_sub(index).max(1);
            let foreseen = median_leaves_at(&forecast).expect("the median leaves within the reach");
            let latest = truly + truly / 4 + 2;
            assert!(
                foreseen as usize <= latest,
                "{case}: leaves in {truly}, foreseen in {foreseen}"
            );
        }
        // Three equal samples are too few to know a constant by.
        if calm > 3 {
            assert_eq!(mixture.onset(), Some(at(calm)));
        }
    }
}

/// As the daemon runs it: fitted anew whenever that is due. The season that a fit may see in regular stairs,
/// and the committee that it seats, must not keep the forecast where the series has been.
#[test]
fn a_slow_staircase_is_foreseen_before_its_last_steps() {
    for (calm, period) in [(40, 16), (300, 16), (300, 32), (300, 64)] {
        let mut mixture = mixture(u64::from(period) * 15);
        let mut known = Vec::new();
        for (index, value) in staircase(calm, period).enumerate() {
            mixture.observe(at(index), value);
            known.push((at(index), value));
            if mixture.wants_refit().is_some() {
                mixture.refit(&known);
            }
            // The first value above 1 comes with the seventeenth step.
            if index >= calm + 12 * period as usize {
                let risk = risk(&mixture.forecast().unwrap());
                let case = format!("calm {calm}, period {period}, value {value}");
                assert!(risk >= 0.85, "{case}: risk {risk}");
            }
        }
    }
}

#[test]
fn a_ramp_in_noise_is_foreseen_in_time() {
    let mut in_good_time = 0;
    for seed in 0..10 {
        let mut random = Random::new(seed);
        let mut mixture = mixture(64);
        for index in 0..590_u32 {
            let ramp = 0.01 * f64::from(index.saturating_sub(500));
            mixture.observe(at(index as usize), ramp + 0.03 * random.normal());
            if index == 580 {
                in_good_time += u32::from(risk(&mixture.forecast().unwrap()) >= 0.9);
            }
        }
        let forecast = mixture.forecast().unwrap();
        assert!(risk(&forecast) >= 0.9, "seed {seed}: {}", risk(&forecast));
        let foreseen = median_leaves_at(&forecast).unwrap();
        assert!(
            (3..=20).contains(&foreseen),
            "seed {seed}: leaves in 11, foreseen in {foreseen}"
        );
    }
    assert!(
        in_good_time >= 8,
        "{in_good_time} of 10 twenty steps before"
    );
}

#[test]
fn a_single_step_that_stays_is_not_carried_on() {
    for height in [0.1, 0.3, 0.5] {
        let mut mixture = mixture(64);
        for index in 0..340 {
            mixture.observe(at(index), if index < 300 { 0.0 } else { height });
            if index < 305 {
                continue;
            }
            let forecast = mixture.forecast().unwrap();
            let far = forecast.quantiles.last().unwrap().median();
            assert!((far - height).abs() < 0.02 * height, "{index}: {far}");
            assert!(risk(&forecast) < 0.5);
        }
    }
}

#[test]
fn a_staircase_that_stops_is_not_carried_on_for_long() {
    let mut mixture = mixture(64);
    let stopped = 500 + 32;
    let values = staircase(500, 4)
        .take(stopped)
        .chain(std::iter::repeat_n(0.5, 24));
    for (index, value) in values.enumerate() {
        mixture.observe(at(index), value);
        if index >= stopped + 12 {
            let risk = risk(&mixture.forecast().unwrap());
            assert!(
                risk < 0.9,
                "{} samples after the last stair: {risk}",
                index - stopped
            );
        }
    }
}

/// From the last value to the next.
type Kind = fn(f64, &mut Random) -> f64;

/// Series of `kind` that never leave ±0.5, and whether the forecast ever called for action in them.
fn false_alarms(kind: Kind) -> (u32, u32) {
    let (mut series, mut alarms) = (0, 0);
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut value = 0.0;
        let values: Vec<f64> = (0..200)
            .map(|_| {
                value = kind(value, &mut random);
                value
            })
            .collect();
        if values.iter().any(|value| value.abs() > 0.5) {
            continue;
        }
        let mut mixture = mixture(64);
        series += 1;
        let mut alarmed = false;
        for (index, value) in values.iter().enumerate() {
            mixture.observe(at(index), *value);
            if index % 4 == 3 {
                alarmed |= risk(&mixture.forecast().unwrap()) >= 0.9;
            }
        }
        alarms += u32::from(alarmed);
    }
    (series, alarms)
}

/// Measured at large (`examples/false_alarms.rs`): see the crate's README.
#[test]
fn what_stays_within_half_raises_no_alarm() {
    let kinds: [(&str, Kind); 5] = [
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
    for (name, kind) in kinds {
        let (series, alarms) = false_alarms(kind);
        assert!(series >= 10, "{name}: {series} series are too few to tell");
        assert!(alarms <= 1, "{name}: {alarms} of {series}");
    }
}
