//! The committee: models fitted to a stretch of history, and how much each is believed at which horizon.
//!
//! It is elected ([`Election`]) by trial: every candidate is fitted to the older part of the history and
//! forecasts the newer part from rolling origins; those that did well at some horizon are seated and fitted
//! anew to all of it. From then on each is updated by one observation at a time, and to the mixture
//! (`crate::engine`) the committee is one model among others, which it may prefer or not.
//!
//! A committee does not go where the series has never been (with a season: not much further). A fit that
//! saw a stretch of a random walk extrapolates it with confidence; going on in a direction is for the
//! trending models of the pool, which first ask for evidence (`crate::trend`).
//!
//! Invariants: weights at every anchor sum to 1; there are at most [`election::SEATS`] seats.

mod election;
mod member;

use serde::{Deserialize, Serialize};

use crate::models::sparse_ar::Past;
use crate::models::{Moments, VARIANCE_FLOOR};

pub use election::{Election, SHORTEST_HISTORY};
pub use member::Member;

/// One member and how much it is believed at each anchor.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Seat {
    member: Member,
    weights: Vec<f32>,
}

/// Fitted models that forecast together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Committee {
    past: Past,
    seats: Vec<Seat>,
    /// The horizons, in steps, at which weights are held; rising.
    anchors: Vec<u32>,
    /// Where the series has been.
    range: (f64, f64),
    /// How far beyond that a mean may go, in ranges.
    beyond: f64,
}

impl Committee {
    /// Lets one step go by, with its observation or with none.
    pub fn update(&mut self, observed: Option<f64>) {
        let observed = observed.filter(|v| v.is_finite());
        if let Some(value) = observed {
            self.range = (self.range.0.min(value), self.range.1.max(value));
        }
        let value = observed.unwrap_or_else(|| self.expected_next());
        for seat in &mut self.seats {
            seat.member.update(observed);
        }
        self.past.push(value);
    }

    /// Mean and variance at each of `steps` (rising) after the last update. Disagreement between members
    /// is part of the variance.
    pub fn predict(&self, steps: &[u32], out: &mut [Moments]) {
        let mut path = Vec::new();
        let mut said = vec![Moments::default(); steps.len()];
        let beyond = self.beyond * (self.range.1 - self.range.0);
        let (low, high) = (self.range.0 - beyond, self.range.1 + beyond);
        // Means, and second moments round the first member's mean: no digits are lost to a far level.
        let mut first = Vec::with_capacity(steps.len());
        for (index, seat) in self.seats.iter().enumerate() {
            seat.member.predict(&self.past, steps, &mut path, &mut said);
            said.iter_mut()
                .for_each(|m| m.mean = m.mean.clamp(low, high));
            if index == 0 {
                first.extend(said.iter().map(|m| m.mean));
                out.fill(Moments::default());
            }
            for (slot, step) in steps.iter().enumerate() {
                let weight = self.weight(&seat.weights, *step);
                let distance = said[slot].mean - first[slot];
                out[slot].mean += weight * distance;
                out[slot].variance += weight * (said[slot].variance + distance * distance);
            }
        }
        for (slot, first) in out.iter_mut().zip(first) {
            slot.variance = (slot.variance - slot.mean * slot.mean).max(VARIANCE_FLOOR);
            slot.mean += first;
        }
    }

    /// The members' descriptions with their weights, means over the anchors.
    pub fn weights(&self) -> Vec<(String, f64)> {
        let describe = |seat: &Seat| {
            let total: f64 = seat.weights.iter().map(|w| f64::from(*w)).sum();
            // Exact: a handful of anchors.
            #[allow(clippy::cast_precision_loss)]
            let count = seat.weights.len().max(1) as f64;
            (seat.member.describe(), total / count)
        };
        self.seats.iter().map(describe).collect()
    }

    fn expected_next(&self) -> f64 {
        let mut next = [Moments::default()];
        self.predict(&[1], &mut next);
        next[0].mean
    }

    /// A seat's weight at `step`: between two anchors in proportion.
    fn weight(&self, weights: &[f32], step: u32) -> f64 {
        let above = self.anchors.partition_point(|anchor| *anchor < step);
        match above {
            0 => f64::from(weights[0]),
            above if above == self.anchors.len() => f64::from(weights[above - 1]),
            above => {
                let (from, to) = (self.anchors[above - 1], self.anchors[above]);
                let share = f64::from(step - from) / f64::from(to - from);
                let (a, b) = (f64::from(weights[above - 1]), f64::from(weights[above]));
                a + share * (b - a)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    const STEPS: [u32; 4] = [1, 6, 12, 24];

    /// A day's course of 24 steps with noise.
    #[allow(clippy::cast_precision_loss)] // Steps are few.
    fn days(count: usize, noise: f64) -> Vec<f64> {
        let mut random = Random::new(11);
        (0..24 * count)
            .map(|i| {
                5.0 + (std::f64::consts::TAU * i as f64 / 24.0).sin() + noise * random.normal()
            })
            .collect()
    }

    fn predict(committee: &Committee) -> Vec<Moments> {
        let mut out = vec![Moments::default(); STEPS.len()];
        committee.predict(&STEPS, &mut out);
        out
    }

    #[test]
    fn weights_sum_to_one_and_seats_are_few() {
        let history = days(30, 0.2);
        let committee = Election::hold(&history, &[24], &STEPS, &STEPS)
            .unwrap()
            .committee();
        let total: f64 = committee.weights().iter().map(|(_, weight)| weight).sum();
        assert!((total - 1.0).abs() < 1e-5, "{:?}", committee.weights());
        assert!(committee.seats.len() <= election::SEATS);
    }

    #[test]
    fn without_the_season_the_day_is_not_foreseen_and_with_it_it_is() {
        let history = days(30, 0.2);
        let error = |seasons: &[usize]| {
            let election = Election::hold(&history[..700], seasons, &STEPS, &STEPS).unwrap();
            let said = predict(&election.committee());
            said[2].variance.sqrt()
        };
        assert!(error(&[24]) < 0.3, "{}", error(&[24]));
        assert!(error(&[]) > error(&[24]));
    }

    #[test]
    fn updated_hour_by_hour_it_still_foresees_the_day() {
        let history = days(40, 0.2);
        let (known, rest) = history.split_at(700);
        let election = Election::hold(known, &[24], &STEPS, &STEPS).unwrap();
        let mut committee = election.committee();
        let (mut squares, mut count) = (0.0, 0.0);
        for (index, value) in rest.iter().enumerate() {
            if let Some(outcome) = rest.get(index + 11) {
                squares += (predict(&committee)[2].mean - outcome).powi(2);
                count += 1.0;
            }
            committee.update(Some(*value));
        }
        let error: f64 = (squares / count).sqrt();
        assert!(
            error < 0.25,
            "the noise is 0.2, the error twelve hours ahead {error}"
        );
    }

    #[test]
    fn what_is_missing_is_expected_and_not_made_up() {
        let history = days(30, 0.05);
        let mut committee = Election::hold(&history[..696], &[24], &STEPS, &STEPS)
            .unwrap()
            .committee();
        for _ in 0..6 {
            committee.update(None);
        }
        // Six hours on, the next hours of the day are still the day's.
        let expected = 5.0 + (std::f64::consts::TAU * 7.0 / 24.0).sin();
        assert!((predict(&committee)[0].mean - expected).abs() < 0.2);
    }

    #[test]
    fn a_short_history_elects_nobody() {
        assert!(Election::hold(&days(1, 0.1), &[24], &STEPS, &STEPS).is_none());
        assert!(Election::hold(&[], &[], &STEPS, &STEPS).is_none());
        assert!(Election::hold(&[f64::NAN; 500], &[], &STEPS, &STEPS).is_none());
    }
}
