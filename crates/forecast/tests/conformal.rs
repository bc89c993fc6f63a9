//! What the calibration promises: coverage in the long run for any sequence, coverage in short windows for
//! ordinary ones, and tails that are found in a few hundred outcomes.

#![allow(clippy::unwrap_used)] // In a test program a panic is the report.
#![allow(clippy::cast_precision_loss)] // Counts are small.

use std::collections::VecDeque;

use evenkeel_core::forecast::LEVELS;
use evenkeel_forecast::conformal::{Calibrator, PerLevel};
use proptest::prelude::*;

#[allow(dead_code)] // Shared by several test programs, each of which uses a part.
#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

/// Index in [`LEVELS`] of the lower end of each interval looked at.
const AT_99: usize = 0;
const AT_95: usize = 2;
const AT_90: usize = 3;

/// Lets `next` choose each score from the offsets it will be judged by, and counts per level the share of
/// scores at or below the offset.
fn shares_below(count: usize, mut next: impl FnMut(usize, &PerLevel) -> f64) -> PerLevel {
    let mut calibrator = Calibrator::default();
    let mut below = [0.0; LEVELS.len()];
    for index in 0..count {
        let offsets = calibrator.offsets();
        let score = next(index, &offsets);
        for (below, offset) in below.iter_mut().zip(offsets) {
            *below += f64::from(u8::from(score <= offset));
        }
        calibrator.learn(score);
    }
    below.map(|below| below / count as f64)
}

fn check(name: &str, count: usize, next: impl FnMut(usize, &PerLevel) -> f64) {
    let shares = shares_below(count, next);
    for (share, level) in shares.iter().zip(LEVELS) {
        assert!((share - level).abs() < 0.015, "{name}: {share} for {level}");
    }
}

/// Whether each of `scores` lay inside the interval that was given out for it.
fn inside(interval: usize, scores: impl IntoIterator<Item = f64>) -> Vec<bool> {
    let mut calibrator = Calibrator::default();
    let upper = LEVELS.len() - 1 - interval;
    let judge = |score: f64| {
        let offsets = calibrator.offsets();
        calibrator.learn(score);
        (offsets[interval]..=offsets[upper]).contains(&score)
    };
    scores.into_iter().map(judge).collect()
}

fn share(inside: &[bool]) -> f64 {
    inside.iter().filter(|inside| **inside).count() as f64 / inside.len() as f64
}

/// Student's t with three degrees of freedom.
fn heavy(random: &mut Random) -> f64 {
    let squares: f64 = (0..3).map(|_| random.normal().powi(2)).sum();
    random.normal() / (squares / 3.0).sqrt()
}

#[test]
fn an_adversary_who_sees_the_interval_cannot_stay_out_of_it() {
    // Just above the upper end, as far as it may go; just inside; on both sides in turn.
    check("above", 6000, |_, offsets| (offsets[9] + 1e-3).min(30.0));
    check("below", 6000, |_, offsets| (offsets[1] - 1e-3).max(-30.0));
    check("in turn", 6000, |index, offsets| {
        if index % 2 == 0 {
            (offsets[12] + 1.0).min(30.0)
        } else {
            (offsets[0] - 1.0).max(-30.0)
        }
    });
}

#[test]
fn counts_are_covered_as_often_as_promised() {
    let mut random = Random::new(1);
    for rare in [0.02, 0.2, 0.5] {
        let scores = (0..4000).map(|_| f64::from(u8::from(random.uniform() < rare)));
        let share = share(&inside(AT_90, scores));
        assert!((share - 0.9).abs() < 0.01, "{rare}: {share}");
    }
}

#[test]
fn coverage_holds_in_every_window() {
    let mut random = Random::new(2);
    let mut volatility = 1.0_f64;
    let mut last = 0.0_f64;
    let clusters = (0..4000).map(|_| {
        volatility = 0.02 + 0.15 * last.powi(2) + 0.83 * volatility;
        last = volatility.sqrt() * random.normal();
        last
    });
    let clusters: Vec<f64> = clusters.collect();
    let normal: Vec<f64> = (0..4000).map(|_| random.normal()).collect();
    for (name, scores) in [("clusters", clusters), ("normal", normal)] {
        let inside = inside(AT_95, scores);
        let windows: Vec<f64> = inside[100..].windows(200).map(share).collect();
        let local = windows.iter().map(|s| (s - 0.95).abs()).sum::<f64>() / windows.len() as f64;
        // Independent misses would have 0.0123.
        assert!(local < 0.009, "{name}: {local}");
        assert!(windows.iter().all(|share| *share >= 0.9), "{name}");
    }
}

#[test]
fn heavy_tails_are_covered_after_a_few_hundred_outcomes() {
    let (mut first, mut then) = (0.0, 0.0);
    for seed in 0..10 {
        let mut random = Random::new(seed);
        let inside = inside(AT_99, (0..1000).map(|_| heavy(&mut random)));
        first += share(&inside[..300]) / 10.0;
        then += share(&inside[300..]) / 10.0;
    }
    assert!((0.98..=0.997).contains(&first), "{first}");
    assert!((0.987..=0.993).contains(&then), "{then}");
}

#[test]
fn outcomes_that_come_late_are_covered_by_what_was_given_out() {
    const AHEAD: usize = 8;
    let mut random = Random::new(4);
    let mut calibrator = Calibrator::ahead(8);
    let mut waiting: VecDeque<PerLevel> = VecDeque::new();
    let mut noise: VecDeque<f64> = VecDeque::new();
    let mut inside = Vec::new();
    for _ in 0..8000 {
        noise.push_back(random.normal());
        if waiting.len() == AHEAD {
            // The error of a random walk eight steps ahead, said to be a third of what it is.
            let score = noise.iter().sum::<f64>();
            let issued = waiting.pop_front().unwrap();
            inside.push((issued[AT_90]..=issued[LEVELS.len() - 1 - AT_90]).contains(&score));
            calibrator.learn_issued(score, &issued);
            noise.pop_front();
        }
        waiting.push_back(calibrator.offsets());
    }
    let share = share(&inside[1000..]);
    assert!((share - 0.9).abs() < 0.01, "{share}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Regimes of any scale and place, one after the other.
    #[test]
    fn the_long_run_share_is_the_level_for_any_sequence(
        seed in any::<u64>(),
        regimes in proptest::collection::vec((-3.0_f64..2.0, -3.0_f64..3.0), 20),
    ) {
        let mut random = Random::new(seed);
        let shares = shares_below(6000, |index, _| {
            let (magnitude, place) = regimes[index / 300];
            10.0_f64.powf(magnitude) * (place + random.normal())
        });
        for (share, level) in shares.iter().zip(LEVELS) {
            prop_assert!((share - level).abs() < 0.02, "{} for {}", share, level);
        }
    }
}
