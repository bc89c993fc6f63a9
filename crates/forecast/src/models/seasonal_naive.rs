//! The value of one season ago: the yardstick for every seasonal model.
//!
//! ```text
//! mean(n + h) = y(n + h - m k),     variance(n + h) = s2 k,     k = floor((h - 1) / m) + 1
//! ```
//!
//! with `s2` the mean squared difference of values one season apart. Source: Hyndman and Athanasopoulos,
//! "Forecasting: Principles and Practice" (third edition), sections 5.2 and 5.5. A season of one step is
//! the random walk.
//!
//! A gap leaves the last known value of its phase standing, one cycle older, and `k` counts from there; in
//! the history, differences over several cycles count for as much less. A phase that was never seen is
//! forecast by the mean of all others, with their spread. Invariants: those of [`Fitted`].

use serde::{Deserialize, Serialize};

use super::ets::units::{Units, phase_after};
use super::{Fitted, Moments};

/// The last value of a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    value: f64,
    /// Cycles from it to when the phase comes next; 0 for a phase that was never seen.
    cycles: u32,
}

/// A seasonal naive model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeasonalNaive {
    units: Units,
    phases: Vec<Seen>,
    /// Of the next value.
    phase: usize,
    /// Of a change over one cycle.
    variance: f64,
    /// Mean and variance of all that was seen.
    overall: (f64, f64),
}

impl SeasonalNaive {
    /// Takes the last cycle of `history` (gaps are NaN), and its changes from cycle to cycle.
    ///
    /// `None` where `season` is 0, or where no two values of one phase were seen.
    pub fn fit(history: &[f64], season: usize) -> Option<Self> {
        if season == 0 || season >= history.len() {
            return None;
        }
        let units = Units::of(history);
        let mut model = Self {
            units,
            phases: vec![Seen::default(); season],
            phase: 0,
            variance: 0.0,
            overall: (0.0, 0.0),
        };
        let (mut changes, mut squares) = (0.0, 0.0);
        let (mut count, mut sum, mut sum_squares) = (0.0, 0.0, 0.0);
        for value in history {
            let value = units.inner(*value);
            let before = model.phases[model.phase];
            model.step(value);
            let Some(value) = value else { continue };
            count += 1.0;
            sum += value;
            sum_squares += value * value;
            if before.cycles > 0 {
                changes += 1.0;
                squares += (value - before.value).powi(2) / f64::from(before.cycles);
            }
        }
        if changes == 0.0 {
            return None;
        }
        model.variance = squares / changes;
        let mean: f64 = sum / count;
        model.overall = (mean, (sum_squares / count - mean * mean).max(0.0));
        Some(model)
    }

    fn step(&mut self, inner: Option<f64>) {
        let seen = &mut self.phases[self.phase];
        match inner {
            Some(value) => *seen = Seen { value, cycles: 1 },
            None if seen.cycles > 0 => seen.cycles = seen.cycles.saturating_add(1),
            None => {}
        }
        self.phase = (self.phase + 1) % self.phases.len();
    }
}

impl Fitted for SeasonalNaive {
    fn describe(&self) -> String {
        format!("seasonal naive [{}]", self.phases.len())
    }

    fn update(&mut self, observed: Option<f64>) {
        self.step(observed.and_then(|value| self.units.inner(value)));
    }

    fn predict(&self, steps: &[u32], out: &mut [Moments]) {
        let season = self.phases.len();
        for (h, moments) in steps.iter().zip(out) {
            let (phase, further) = phase_after(self.phase, (*h).max(1) - 1, season);
            let Seen { value, cycles } = self.phases[phase];
            let further = f64::from(further);
            *moments = if cycles > 0 {
                let changes = f64::from(cycles) + further;
                self.units.outer(value, self.variance * changes)
            } else {
                let (mean, spread) = self.overall;
                self.units
                    .outer(mean, spread + self.variance * (1.0 + further))
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(model: &SeasonalNaive, steps: &[u32]) -> Vec<(f64, f64)> {
        let mut out = vec![Moments::default(); steps.len()];
        model.predict(steps, &mut out);
        out.iter().map(|m| (m.mean, m.variance)).collect()
    }

    #[test]
    fn the_last_cycle_comes_again_and_its_variance_grows_by_cycles() {
        let y = [1.0, 5.0, 3.0, 7.0, 2.0, 9.0];
        let model = SeasonalNaive::fit(&y, 2).unwrap();
        // The changes are 2, 2, -1, 2: a mean square of 13 / 4.
        let expected = [
            (2.0, 3.25),
            (9.0, 3.25),
            (2.0, 6.5),
            (9.0, 6.5),
            (2.0, 9.75),
        ];
        for (got, expected) in predictions(&model, &[1, 2, 3, 4, 5]).iter().zip(expected) {
            assert!((got.0 - expected.0).abs() < 1e-12, "{got:?} {expected:?}");
            assert!((got.1 - expected.1).abs() < 1e-12, "{got:?} {expected:?}");
        }
    }

    #[test]
    fn a_gap_leaves_the_phase_a_cycle_older() {
        let mut model = SeasonalNaive::fit(&[1.0, 5.0, 3.0, 7.0], 2).unwrap();
        model.update(None);
        model.update(Some(8.0));
        let [next, after] = predictions(&model, &[1, 2])[..] else {
            panic!()
        };
        assert!((next.0 - 3.0).abs() < 1e-12 && (after.0 - 8.0).abs() < 1e-12);
        assert!((next.1 - 2.0 * after.1).abs() < 1e-12, "{next:?} {after:?}");
    }

    #[test]
    fn a_phase_never_seen_is_like_the_others() {
        let model = SeasonalNaive::fit(&[f64::NAN, 4.0, f64::NAN, 6.0], 2).unwrap();
        let [never, seen] = predictions(&model, &[1, 2])[..] else {
            panic!()
        };
        assert!((never.0 - 5.0).abs() < 1e-12 && (seen.0 - 6.0).abs() < 1e-12);
        assert!(never.1 > seen.1);
    }

    #[test]
    fn two_values_of_one_phase_are_needed() {
        assert_eq!(SeasonalNaive::fit(&[1.0, 2.0], 0), None);
        assert_eq!(SeasonalNaive::fit(&[1.0, 2.0], 2), None);
        assert_eq!(SeasonalNaive::fit(&[1.0, f64::NAN, f64::NAN, 2.0], 2), None);
        assert!(SeasonalNaive::fit(&[1.0, 2.0, 1.5], 2).is_some());
    }

    #[test]
    fn a_step_far_ahead_is_a_number() {
        let mut model = SeasonalNaive::fit(&[1e300, -1e300, 5e-300, f64::MAX], 2).unwrap();
        model.update(Some(f64::INFINITY));
        for (mean, variance) in predictions(&model, &[1, u32::MAX]) {
            assert!(mean.is_finite() && variance.is_finite() && variance > 0.0);
        }
    }
}
