//! Lost probes, late ones, restarts and refits: whatever is missing, what is said stays a distribution.

#![allow(clippy::unwrap_used)] // In a test program a panic is the report.

use std::f64::consts::TAU;
use std::time::Duration;

use evenkeel_core::forecast::{Forecaster, ForecasterFactory, HorizonGrid};
use evenkeel_core::time::Timestamp;
use evenkeel_forecast::{Mixture, MixtureFactory};
use proptest::prelude::*;

#[allow(dead_code)] // Shared by several test programs, each of which uses a part.
#[path = "../src/testing.rs"]
mod testing;
use testing::Random;

const STEP: Duration = Duration::from_secs(60);
const DAY: u16 = 12;

/// What the series does.
#[derive(Clone, Copy, Debug)]
enum Course {
    Noise,
    Walk,
    Season,
    Stairs,
    Counts,
    /// Mostly still, and then far away.
    Leaps,
}

/// What becomes of one step of it.
#[derive(Clone, Copy, Debug)]
enum Probe {
    Seen,
    Late,
    Lost,
    Outage(u16),
    NoNumber,
    PutBack,
    Refit,
    RefitKnowing,
}

fn course() -> impl Strategy<Value = Course> {
    prop_oneof![
        Just(Course::Noise),
        Just(Course::Walk),
        Just(Course::Season),
        Just(Course::Stairs),
        Just(Course::Counts),
        Just(Course::Leaps),
    ]
}

fn probe() -> impl Strategy<Value = Probe> {
    prop_oneof![
        60 => Just(Probe::Seen),
        8 => Just(Probe::Late),
        15 => Just(Probe::Lost),
        1 => (1..60_u16).prop_map(Probe::Outage),
        1 => (60..6000_u16).prop_map(Probe::Outage),
        2 => Just(Probe::NoNumber),
        1 => Just(Probe::PutBack),
        2 => Just(Probe::Refit),
        2 => Just(Probe::RefitKnowing),
    ]
}

/// The values of a course, one per step.
struct Values {
    course: Course,
    random: Random,
    level: f64,
}

impl Values {
    fn next(&mut self, step: u32) -> f64 {
        let noise = self.random.normal();
        let chance = self.random.uniform();
        match self.course {
            Course::Noise => noise,
            Course::Walk => {
                self.level += noise;
                self.level
            }
            Course::Season => 100.0 + 10.0 * (TAU * f64::from(step) / f64::from(DAY)).sin() + noise,
            Course::Stairs => f64::from(step / 8) / 16.0,
            Course::Counts => (4.0 * chance * chance).floor(),
            Course::Leaps if chance > 0.99 => noise * 1e29,
            Course::Leaps => 1e-12 * noise,
        }
    }
}

/// Whether what it says, and what it keeps, is all numbers and in order.
fn is_sound(mixture: &Mixture, grid: &HorizonGrid) -> Result<(), TestCaseError> {
    if let Some(forecast) = mixture.forecast() {
        for quantiles in &forecast.quantiles {
            let values = quantiles.values();
            prop_assert!(values.iter().all(|q| q.is_finite()), "{quantiles:?}");
            prop_assert!(values.is_sorted(), "{quantiles:?}");
        }
    }
    let weights = mixture.weights();
    let total: f64 = weights.iter().map(|w| w.weight).sum();
    prop_assert!((total - 1.0).abs() < 1e-4, "{weights:?}");
    // A state with something in it that is no number is refused.
    let state = mixture.state().unwrap();
    prop_assert!(MixtureFactory::default().restore(grid, &state).is_some());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_lost_makes_what_is_said_no_number(
        course in course(),
        seed in any::<u64>(),
        reach in 1..30_u32,
        probes in prop::collection::vec(probe(), 200..700),
    ) {
        let grid = HorizonGrid::new(STEP, STEP * reach);
        let mut values = Values { course, random: Random::new(seed), level: 0.0 };
        let mut mixture = Mixture::new(&grid);
        let mut history: Vec<(Timestamp, f64)> = Vec::new();
        let mut step = 0_u32;
        for probe in probes {
            step += 1;
            let value = values.next(step);
            let at = Timestamp::from_millis(0) + STEP * step;
            let mut seen = |at, value| {
                mixture.observe(at, value);
                history.push((at, value));
            };
            match probe {
                Probe::Seen => seen(at, value),
                Probe::Late => seen(at + STEP.mul_f64(0.7), value),
                Probe::Lost => {}
                Probe::Outage(steps) => step += u32::from(steps),
                Probe::NoNumber => mixture.observe(at, f64::NAN),
                Probe::PutBack => {
                    mixture.restart();
                    history.clear();
                }
                Probe::Refit => mixture.refit(&history),
                Probe::RefitKnowing => {
                    mixture.refit_with_seasons(&history, &[usize::from(DAY)]);
                }
            }
            if mixture.wants_refit().is_some() {
                mixture.refit(&history);
            }
            if step.is_multiple_of(4) {
                is_sound(&mixture, &grid)?;
            }
        }
        is_sound(&mixture, &grid)?;
    }
}
