//! What a change is reported as, and what a series that wanders by nature is not reported for.

#![allow(clippy::unwrap_used)] // In a test program a panic is the report.

use evenkeel_core::time::Timestamp;
use evenkeel_forecast::changepoint::{ChangeKind, OnsetTracker};

#[allow(dead_code)] // Shared by several test programs, each of which uses a part.
#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

fn at(index: usize) -> Timestamp {
    Timestamp::from_millis(i64::try_from(index).unwrap() * 250)
}

fn track(values: impl IntoIterator<Item = f64>) -> OnsetTracker {
    let mut tracker = OnsetTracker::default();
    for (index, value) in values.into_iter().enumerate() {
        tracker.observe(at(index), value);
    }
    tracker
}

#[test]
fn a_change_is_reported_with_time_size_and_kind() {
    let mut random = Random::new(7);
    let mut noisy = |i: usize| 5.0 + random.normal() + if i < 300 { 0.0 } else { -8.0 };
    let step = track((0..400).map(&mut noisy)).last_change().unwrap();
    assert_eq!(step.kind, ChangeKind::Step);
    assert!((at(296)..=at(300)).contains(&step.onset));
    assert!((at(300)..at(305)).contains(&step.at));
    assert!((step.size + 8.0).abs() < 0.5, "{}", step.size);

    let stairs = (0..200).chain((0..40).map(|i| 200 + 3 * (1 + i / 8)));
    let stairs = stairs.map(|v| f64::from(v.max(200)));
    let trend = track(stairs).last_change().unwrap();
    assert_eq!((trend.onset, trend.kind), (at(200), ChangeKind::Trend));
    assert_eq!((trend.at, trend.size), (at(200), 15.0));

    let far = (0..100).chain((0..1500).map(|i| 100 + i / 500));
    let row = track(far.map(|v| f64::from(v.max(99))))
        .last_change()
        .unwrap();
    assert_eq!((row.kind, row.size), (ChangeKind::Trend, 3.0));
    assert_eq!(track([1.0; 50]).last_change(), None);
}

#[test]
fn what_wanders_by_nature_rarely_has_an_onset() {
    for memory in [0.6, 0.9, 1.0] {
        let mut onsets = 0;
        for seed in 0..100 {
            let (mut random, mut level) = (Random::new(seed), 0.0);
            let mut tracker = OnsetTracker::default();
            for index in 0..1000 {
                level = memory * level + random.normal();
                let before = tracker.onset();
                tracker.observe(at(index), level);
                onsets += i32::from(tracker.onset() != before);
            }
        }
        // It were 570 to 1,840 before correlation was allowed for.
        assert!(
            onsets <= 50,
            "{onsets} in 100,000 observations, memory {memory}"
        );
    }
}

#[test]
fn a_walk_has_an_onset_when_it_jumps_or_takes_to_drifting() {
    for seed in 0..50 {
        let walk = |step: f64, slope: f64| {
            let (mut random, mut level) = (Random::new(seed), 0.0);
            let mut next = move |i: usize| {
                let changed = if i == 400 { step } else { 0.0 };
                let drift = if i >= 400 { slope } else { 0.0 };
                level += random.normal() + changed + drift;
                level
            };
            track((0..460).map(&mut next)).last_change()
        };
        let jumped = walk(25.0, 0.0).expect("a jump of 25 strides");
        assert_eq!(jumped.onset, at(400), "seed {seed}");
        assert!(walk(0.0, 1.5).is_some_and(|c| c.size > 0.0), "seed {seed}");
    }
}

#[test]
fn a_spike_in_a_walk_is_taken_back_and_no_change() {
    let (mut random, mut level) = (Random::new(3), 0.0);
    let values = (0..500).map(|i| {
        level += random.normal();
        if i % 100 == 50 { level + 60.0 } else { level }
    });
    assert_eq!(track(values).onset(), None);
}

#[test]
fn the_state_survives_a_restart() {
    let mut random = Random::new(9);
    let values: Vec<f64> = (0..300)
        .map(|i| random.normal() + if i > 200 { 9.0 } else { 0.0 })
        .collect();
    let mut whole = OnsetTracker::default();
    for (index, value) in values.iter().enumerate() {
        let text = serde_json::to_string(&whole).unwrap();
        let back: OnsetTracker = serde_json::from_str(&text).unwrap();
        assert_eq!(back, whole);
        whole.observe(at(index), *value);
    }
    assert!(whole.last_change().is_some());
}

#[test]
fn onset_and_kind_do_not_depend_on_unit_or_zero() {
    let mut random = Random::new(11);
    let values: Vec<f64> = (0..400)
        .map(|i| random.normal() + if i > 300 { 4.0 } else { 0.0 })
        .collect();
    let change = track(values.iter().copied()).last_change().unwrap();
    for (scale, shift) in [(-8.0, 0.0), (1.0 / 1024.0, 0.0), (16.0, 4096.0)] {
        let moved = track(values.iter().map(|v| v * scale + shift))
            .last_change()
            .unwrap();
        assert_eq!(
            (moved.onset, moved.kind, moved.at),
            (change.onset, change.kind, change.at)
        );
        assert!((moved.size - scale * change.size).abs() < 1e-6 * moved.size.abs());
    }
}
