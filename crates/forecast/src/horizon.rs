//! The anchors: a few horizons of the grid at which weights and offsets are learned. The horizons in
//! between take theirs by interpolation, so that memory does not grow with the grid.
//!
//! Each anchor keeps the forecasts it made until their outcome is due. An outcome is the observation
//! nearest to the due instant; where a gap left none near enough, the forecast is dropped unscored.
//! At most [`PENDING`] forecasts wait per anchor: at long horizons only one in several is kept, and those
//! overlap so much that little is lost.

use std::collections::VecDeque;
use std::time::Duration;

use evenkeel_core::forecast::HorizonGrid;
use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::conformal::Calibrator;
use crate::experts::{COMMITTEE, EXPERTS, Experts, PerExpert};
use crate::models::{Moments, VARIANCE_FLOOR};

/// Anchors per grid, at most.
const ANCHORS: usize = 5;

/// Forecasts that wait for their outcome, per anchor.
const PENDING: usize = 3;

/// Outcomes since the onset of a regime that weigh as much as the belief taken over from the shorter
/// horizon.
const INHERITED_COUNTS_FOR: f64 = 4.0;

/// Weights that were recalled count as if learned from so many outcomes.
const RECALLED_COUNTS_FOR: u32 = 16;

/// Below the limit of single precision, and beyond anything that is believed.
const PACKED_LIMIT: f64 = 1e37;

/// A forecast waiting for its outcome. What was said is kept in single precision, as distances from the
/// value at its origin: seven digits of a change are more than a loss can use.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) due: Timestamp,
    origin: f64,
    /// Of the committee NaN where it did not speak.
    experts: [(f32, f32); EXPERTS],
    mixture: (f32, f32),
}

impl Pending {
    /// What every expert said.
    pub(crate) fn experts(&self) -> [Moments; EXPERTS] {
        self.experts.map(|said| unpacked(self.origin, said))
    }

    /// The value at its origin.
    pub(crate) fn origin(&self) -> f64 {
        self.origin
    }

    /// Whether the committee spoke.
    pub(crate) fn is_awake(&self) -> bool {
        !self.experts[COMMITTEE].0.is_nan()
    }

    /// What the mixture of them said.
    pub(crate) fn mixture(&self) -> Moments {
        unpacked(self.origin, self.mixture)
    }
}

/// As distance and deviation.
#[allow(clippy::cast_possible_truncation)] // Rounding is meant, and values are limited.
fn packed(origin: f64, said: Moments) -> (f32, f32) {
    let limited = |value: f64| value.clamp(-PACKED_LIMIT, PACKED_LIMIT) as f32;
    (limited(said.mean - origin), limited(said.variance.sqrt()))
}

fn unpacked(origin: f64, (distance, deviation): (f32, f32)) -> Moments {
    Moments {
        mean: origin + f64::from(distance),
        variance: f64::from(deviation).powi(2).max(VARIANCE_FLOOR),
    }
}

/// What is said at one horizon when a forecast is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    /// The value at the forecast's origin.
    pub(crate) origin: f64,
    /// Whether there is a committee.
    pub(crate) awake: bool,
    pub(crate) experts: [Moments; EXPERTS],
    pub(crate) mixture: Moments,
}

/// What is learned at one horizon.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Anchor {
    /// Its place in the grid.
    pub(crate) grid_index: usize,
    /// Its horizon in steps.
    pub(crate) steps: u32,
    pub(crate) experts: Experts,
    pub(crate) calibrator: Calibrator,
    span: Duration,
    pending: VecDeque<Pending>,
    issued_at: Option<Timestamp>,
    /// Outcomes of forecasts that were made within the present regime.
    regime_outcomes: u32,
}

/// The anchors of a grid: evenly spread over its indexes, the first and the last among them. The
/// horizons of a grid grow geometrically, and so do those of the anchors.
pub(crate) fn anchors(grid: &HorizonGrid) -> Vec<Anchor> {
    let last = grid.len() - 1;
    let count = grid.len().min(ANCHORS);
    let mut indexes: Vec<usize> = (0..count).map(|i| i * last / (count - 1).max(1)).collect();
    indexes.dedup();
    indexes
        .into_iter()
        .map(|index| Anchor::new(grid, index))
        .collect()
}

impl Anchor {
    fn new(grid: &HorizonGrid, grid_index: usize) -> Self {
        let span = grid.span(grid_index);
        Self {
            grid_index,
            steps: grid.steps()[grid_index],
            experts: Experts::default(),
            calibrator: Calibrator::ahead(grid.steps()[grid_index]),
            span,
            pending: VecDeque::with_capacity(PENDING.min(grid.steps()[grid_index] as usize)),
            issued_at: None,
            regime_outcomes: 0,
        }
    }

    /// How far from its due instant an outcome may lie.
    fn tolerance(&self) -> Duration {
        let step = self.span / self.steps.max(1);
        (step / 2).max(self.span / 16)
    }

    /// Its horizon as a span of time.
    pub(crate) fn span(&self) -> Duration {
        self.span
    }

    /// Takes out the next forecast whose outcome is the observation at `at`, `gap` after the one
    /// before it. Forecasts whose outcome was missed are dropped on the way.
    pub(crate) fn take_due(&mut self, at: Timestamp, gap: Duration) -> Option<Pending> {
        // The next observation is expected a gap later; this one is the nearer if it is within half.
        let reach = at + (gap / 2).min(self.tolerance());
        while self.pending.front()?.due <= reach {
            let pending = self.pending.pop_front()?;
            if at.since(pending.due) <= self.tolerance() {
                return Some(pending);
            }
        }
        None
    }

    /// Whether a forecast made at `at` is to be kept.
    pub(crate) fn wants(&self, at: Timestamp, gap: Duration) -> bool {
        let rested = self
            .issued_at
            .is_none_or(|issued| at.since(issued) + gap / 2 >= self.rest(issued));
        self.pending.len() < PENDING && rested
    }

    /// How long after the forecast made at `issued` the next is wanted: a part of the span, and up to half as
    /// much again by a hash of the instant. At equal distances only some phases of a season would ever be
    /// scored, and the others would never be covered.
    fn rest(&self, issued: Timestamp) -> Duration {
        let every = self.span / u32::try_from(PENDING).unwrap_or(1);
        // Fibonacci hashing (Knuth 1973, 6.4); the upper bits are the well mixed ones.
        let hash = issued
            .as_millis()
            .cast_unsigned()
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            >> 56;
        every + every.mul_f64(f64::from(u32::try_from(hash).unwrap_or_default()) / 512.0)
    }

    /// Keeps a forecast made at `at` until its outcome is due.
    pub(crate) fn keep(&mut self, at: Timestamp, said: &Said) {
        self.issued_at = Some(at);
        let mut experts = said.experts.map(|m| packed(said.origin, m));
        if !said.awake {
            experts[COMMITTEE].0 = f32::NAN;
        }
        self.pending.push_back(Pending {
            due: at + self.span,
            origin: said.origin,
            experts,
            mixture: packed(said.origin, said.mixture),
        });
    }

    /// What it takes of memory.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.pending.capacity() * size_of::<Pending>()
    }

    /// Counts the outcome of `pending` for the regime that began at `onset`.
    pub(crate) fn count_outcome(&mut self, pending: &Pending, onset: Option<Timestamp>) {
        let made = pending.due.before(self.span);
        if onset.is_none_or(|onset| made >= onset) {
            self.regime_outcomes = self.regime_outcomes.saturating_add(1);
        }
    }

    /// The weights as they are kept for a regime that is left.
    pub(crate) fn remembered(&self) -> [f32; EXPERTS] {
        self.experts.narrow_weights()
    }

    /// A regime is back in which the weights were these.
    pub(crate) fn recall(&mut self, weights: [f32; EXPERTS]) {
        self.experts.recall(weights.map(f64::from));
        self.regime_outcomes = RECALLED_COUNTS_FOR;
    }

    /// The series was put back: what waits for its outcome will not be scored, and the weights start
    /// anew. What intervals are worth is still known.
    pub(crate) fn restart(&mut self) {
        self.pending.clear();
        self.issued_at = None;
        self.experts = Experts::default();
        self.regime_outcomes = 0;
    }

    /// A new regime has set in: what was learned before says nothing of it.
    pub(crate) fn begin_regime(&mut self) {
        self.experts.begin_regime();
        self.regime_outcomes = 0;
    }

    /// The weights here, where `shorter` are those of the next shorter anchor: its own so far as they
    /// come from the present regime, for the rest the shorter one's, which learns sooner.
    pub(crate) fn weights(&self, shorter: Option<&PerExpert>) -> PerExpert {
        let own = self.experts.weights();
        let Some(shorter) = shorter else {
            return own;
        };
        let outcomes = f64::from(self.regime_outcomes);
        let share = outcomes.powi(2) / (outcomes.powi(2) + INHERITED_COUNTS_FOR.powi(2));
        std::array::from_fn(|i| share * own[i] + (1.0 - share) * shorter[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn grid(reach: u64) -> HorizonGrid {
        HorizonGrid::new(STEP, Duration::from_secs(reach))
    }

    #[test]
    fn anchors_rise_from_the_first_horizon_to_the_reach() {
        for reach in [1, 2, 3, 7, 64, 100_000] {
            let grid = grid(reach);
            let steps: Vec<u32> = anchors(&grid).iter().map(|anchor| anchor.steps).collect();
            assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
            assert_eq!(steps[0], 1);
            assert_eq!(steps.last(), grid.steps().last());
        }
    }

    #[test]
    fn an_outcome_is_matched_by_time_and_a_missed_one_is_dropped() {
        let mut anchor = anchors(&grid(1)).remove(0);
        anchor.keep(at(0), &Said::default());
        assert!(anchor.take_due(at(1), STEP).is_some());
        anchor.keep(at(1), &Said::default());
        assert!(anchor.take_due(at(9), STEP * 8).is_none());
        assert!(anchor.wants(at(9), STEP), "nothing is left waiting");
    }

    #[test]
    fn few_forecasts_wait_however_far_the_horizon() {
        let mut anchor = anchors(&grid(1000)).pop().unwrap();
        let mut matched = 0;
        for second in 0..10_000 {
            matched += usize::from(anchor.take_due(at(second), STEP).is_some());
            if anchor.wants(at(second), STEP) {
                anchor.keep(at(second), &Said::default());
            }
            assert!(anchor.pending.len() <= PENDING);
        }
        assert!((20..=30).contains(&matched), "{matched}");
    }
}
