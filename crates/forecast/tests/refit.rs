//! What a refit brings, and that a forecaster goes on from its state as if nothing had happened.

#![allow(clippy::unwrap_used)] // In a test program a panic is the report.

use std::f64::consts::TAU;
use std::time::Duration;

use evenkeel_core::forecast::{Forecaster, ForecasterFactory, HorizonGrid};
use evenkeel_core::time::Timestamp;
use evenkeel_forecast::{Mixture, MixtureFactory};

#[allow(dead_code)] // Shared by several test programs, each of which uses a part.
#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

type History = Vec<(Timestamp, f64)>;

const DAY: usize = 24;

fn grid() -> HorizonGrid {
    HorizonGrid::every_step(Duration::from_secs(3600), 24)
}

fn at(hour: usize) -> Timestamp {
    Timestamp::from_millis(i64::try_from(hour).unwrap() * 3_600_000)
}

/// A day's course with noise.
#[allow(clippy::cast_precision_loss)] // Hours are few.
fn days(count: usize) -> History {
    let mut random = Random::new(1);
    (0..count * DAY)
        .map(|hour| {
            let course = 10.0 * (TAU * hour as f64 / DAY as f64).sin();
            (at(hour), course + random.normal())
        })
        .collect()
}

fn after(history: &History) -> Mixture {
    let mut mixture = Mixture::new(&grid());
    for (at, value) in history {
        mixture.observe(*at, *value);
    }
    mixture
}

/// The mean width of the 90 % interval over a day, and how many of the day's values lie inside.
#[allow(clippy::cast_precision_loss)] // Hours are few.
fn widths_and_hits(mixture: &Mixture, day: &[(Timestamp, f64)]) -> (f64, usize) {
    let quantiles = mixture.forecast().unwrap().quantiles;
    let intervals: Vec<(f64, f64)> = quantiles.iter().map(|q| q.interval(0.9)).collect();
    let width = intervals.iter().map(|(low, high)| high - low).sum::<f64>();
    let hits = intervals
        .iter()
        .zip(day)
        .filter(|((low, high), (_, value))| (low..=high).contains(&value))
        .count();
    (width / intervals.len() as f64, hits)
}

#[test]
fn a_season_that_is_known_narrows_the_intervals_and_they_still_hold() {
    let all = days(31);
    let (history, tomorrow) = all.split_at(30 * DAY);
    let history = history.to_vec();
    let mut mixture = after(&history);
    let (before, _) = widths_and_hits(&mixture, tomorrow);
    mixture.refit_with_seasons(&history, &[DAY]);
    let (width, hits) = widths_and_hits(&mixture, tomorrow);
    assert!(width < before / 3.0, "{before} before, {width} after");
    assert!(width < 6.0, "the noise alone spans 3.3, not {width}");
    assert!(hits >= 19, "{hits} of 24 inside");
}

#[test]
fn a_refit_is_wanted_first_after_enough_and_then_after_twice_as_much() {
    let history = days(20);
    let mut mixture = Mixture::new(&grid());
    let mut wanted = Vec::new();
    for (seen, (at, value)) in history.iter().enumerate() {
        mixture.observe(*at, *value);
        if let Some(from) = mixture.wants_refit() {
            assert_eq!(from, history[0].0, "the series has had one life");
            wanted.push(seen + 1);
            mixture.refit(&history[..=seen]);
            assert_eq!(mixture.wants_refit(), None);
        }
    }
    assert_eq!(wanted[0], 64);
    assert!(wanted.len() <= 5, "{wanted:?}");
    assert!(wanted.contains(&128) && wanted.contains(&256), "{wanted:?}");
}

#[test]
fn gaps_and_samples_between_the_steps_do_not_lead_the_committee_astray() {
    let all = days(31);
    let (history, tomorrow) = all.split_at(30 * DAY);
    let mut history: History = history
        .iter()
        .enumerate()
        .filter(|(hour, _)| hour % 7 != 3)
        .map(|(_, observation)| *observation)
        .collect();
    let between = history[100].0 + Duration::from_secs(600);
    history.insert(101, (between, 0.0));
    let mut mixture = after(&history);
    mixture.refit_with_seasons(&history, &[DAY]);
    let (width, hits) = widths_and_hits(&mixture, tomorrow);
    assert!(width < 7.0 && hits >= 18, "{width} {hits}");
    // And it goes on by gaps: three hours later the same hours are still foreseen.
    mixture.observe(tomorrow[3].0, tomorrow[3].1);
    let (later, _) = widths_and_hits(&mixture, &tomorrow[4..]);
    assert!(later < 8.0, "{later}");
}

#[test]
fn a_forecaster_goes_on_from_its_state() {
    let history = days(30);
    let (known, rest) = history.split_at(25 * DAY);
    let known = known.to_vec();
    let mut first = after(&known);
    first.refit_with_seasons(&known, &[DAY]);
    let mut second = MixtureFactory::default()
        .restore(&grid(), &first.state().unwrap())
        .unwrap();
    for (at, value) in rest {
        first.observe(*at, *value);
        second.observe(*at, *value);
        assert_eq!(first.forecast(), second.forecast());
    }
    assert_eq!(first.weights(), second.weights());
    assert_eq!(first.onset(), second.onset());
    assert_eq!(first.measured_coverage(0.9), second.measured_coverage(0.9));
}

#[test]
fn counts_stay_whole_and_are_never_negative() {
    let mut random = Random::new(4);
    let mut mixture = Mixture::new(&grid());
    for hour in 0..300 {
        let count = (3.0 * random.uniform() * random.uniform()).round();
        mixture.observe(at(hour), count);
    }
    for quantiles in mixture.forecast().unwrap().quantiles {
        for value in quantiles.values() {
            assert!(*value >= 0.0 && value.fract() == 0.0, "{quantiles:?}");
        }
    }
}

#[test]
fn what_was_learned_returns_when_the_series_was_put_back() {
    let history = days(30);
    let mut mixture = after(&history);
    mixture.refit_with_seasons(&history, &[DAY]);
    // It drifts away for a day, is put back, and is what it was.
    for hour in 30 * DAY..31 * DAY {
        mixture.observe(at(hour), history[hour - DAY].1 + 40.0);
    }
    mixture.restart();
    assert_eq!(mixture.forecast(), None);
    let again = days(33);
    for (at, value) in &again[31 * DAY..32 * DAY] {
        mixture.observe(*at, *value);
    }
    let (width, hits) = widths_and_hits(&mixture, &again[32 * DAY..]);
    assert!(width < 9.0 && hits >= 18, "{width} {hits}");
    let members = mixture
        .weights()
        .into_iter()
        .filter(|w| w.model.contains("ar("));
    let believed: f64 = members.map(|member| member.weight).sum();
    assert!(
        believed > 0.3,
        "the season is known again: {:?}",
        mixture.weights()
    );
}

#[test]
fn a_state_that_cannot_be_read_is_refused() {
    let state = after(&days(3)).state().unwrap();
    let read =
        |grid: &HorizonGrid, bytes: &[u8]| MixtureFactory::default().restore(grid, bytes).is_some();
    assert!(read(&grid(), &state));
    assert!(!read(&grid(), &[]));
    assert!(!read(&grid(), &state[..state.len() / 2]));
    let mut other_version = state.clone();
    other_version[0] = 0;
    assert!(!read(&grid(), &other_version));
    for (place, flip) in (0..state.len()).zip((1..=255_u8).cycle()) {
        let mut damaged = state.clone();
        damaged[place] ^= flip;
        assert!(!read(&grid(), &damaged), "byte {place}");
    }
    let other_grid = HorizonGrid::every_step(Duration::from_secs(3600), 23);
    assert!(!read(&other_grid, &state));
}
