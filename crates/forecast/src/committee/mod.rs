//! The committee: models fitted to a stretch of history, and how much each is believed at which horizon.
//!
//! It is elected ([`Election`]) by trial: every candidate is fitted to the older part of the history and
//! forecasts the newer part from rolling origins; those that did well at some horizon are seated and fitted
//! anew to all of it. From then on each is updated by one observation at a time, and to the mixture
//! (`crate::engine`) the committee is one model among others, which it may prefer or not.
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
}

impl Committee {
    /// Lets one step go by, with its observation or with none.
    pub fn update(&mut self, observed: Option<f64>) {
        let observed = observed.filter(|v| v.is_finite());
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
        // Means, and second moments round the first member's mean: no digits are lost to a far level.
        let mut first = Vec::with_capacity(steps.len());
        for (index, seat) in self.seats.iter().enumerate() {
            seat.member.predict(&self.past, steps, &mut path, &mut said);
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

    /// What it takes of memory, in bytes, apart from what is shared.
    pub fn bytes(&self) -> usize {
        let seats: usize = self
            .seats
            .iter()
            .map(|seat| size_of::<Seat>() + 4 * seat.weights.len() + seat.member.heap_bytes())
            .sum();
        size_of::<Self>() + self.past.bytes() + 4 * self.anchors.len() + seats
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
