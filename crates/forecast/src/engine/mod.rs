//! The full machinery for one series that varies: models, their weights, calibration, onset.
//!
//! One observation goes through it in this order: forecasts that are due are scored (weights and
//! offsets learn), the models take the observation, and new forecasts are put by for later scoring. So
//! no forecast is ever scored on what its models already knew.
//!
//! Values are counted from the series' first one: a level of 1e15 does not eat the digits of the
//! changes, and the result does not depend on where zero lies.

mod belief;
mod possible;
mod regimes;

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::forecast::{HorizonGrid, ModelWeight, Quantiles};
use evenkeel_core::measure::Measured;
use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use self::belief::{Belief, Place, calibrated};
pub(crate) use self::possible::Possible;
use self::regimes::Arrival;
use crate::changepoint::{Change, OnsetTracker};
use crate::committee::Committee;
use crate::experts::{COMMITTEE, EXPERTS, PRIOR, PerExpert, combine};
use crate::horizon::{Anchor, Said, anchors};
use crate::lstm::Network;
use crate::mixture::{ConstantRun, RESOLUTION, Scoreboard};
use crate::models::{Moments, POOL, Pool, VARIANCE_FLOOR};
use crate::refit::Refit;
use crate::regime::RegimeMemory;
use crate::season::Profile;
use crate::trend::TrendEvidence;

/// Of a constant run so many observations are played to the models: enough to know the level, few
/// enough that the first change shows in the variance.
const REPLAYED: u32 = 32;

/// Deviations are widened by the root of `1 + SHORT_HISTORY / n` after `n` observations: a variance
/// learned from few is itself uncertain (the variance of a Student distribution, to first order).
const SHORT_HISTORY: f64 = 4.0;

/// A committee that has not been given an observation for so many steps is dismissed.
const LONGEST_GAP: u32 = 4096;

/// Everything that is known of a varying series.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Engine {
    zero: f64,
    first_at: Timestamp,
    last_at: Timestamp,
    last_value: f64,
    seen: u64,
    /// The season that is taken off before the pool, the trend and the onset see an observation.
    profile: Option<Box<Profile>>,
    pool: Pool,
    committee: Option<Box<Seated>>,
    /// The committee as it was before the regime changed, until it was elected anew.
    left_committee: Option<Box<Seated>>,
    anchors: Vec<Anchor>,
    trend: TrendEvidence,
    onset: OnsetTracker,
    scoreboard: Scoreboard,
    possible: Possible,
    /// The weights at the anchors in regimes that were left.
    regimes: RegimeMemory<Vec<[f32; EXPERTS]>>,
    arriving: Option<Box<Arrival>>,
}

/// A committee, and where it stands in time.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Seated {
    committee: Committee,
    /// The instant of the step that it was last given.
    at: Timestamp,
}

impl Engine {
    /// Takes over a series that was constant so far.
    pub(crate) fn after(run: &ConstantRun, grid: &HorizonGrid) -> Self {
        let replayed = u32::try_from(run.count).unwrap_or(REPLAYED).min(REPLAYED);
        let mut engine = Self {
            zero: run.value,
            first_at: run.first,
            last_at: run.last,
            last_value: run.value,
            seen: run.count,
            profile: None,
            pool: Pool::default(),
            committee: None,
            left_committee: None,
            anchors: anchors(grid),
            trend: TrendEvidence::default(),
            onset: OnsetTracker::after_constant(0.0, u32::try_from(run.count).unwrap_or(u32::MAX)),
            scoreboard: Scoreboard::after_constant(run.count),
            possible: Possible::default(),
            regimes: RegimeMemory::default(),
            arriving: None,
        };
        engine.possible.observe(run.value, None);
        let elapsed = steps(run.mean_gap(), grid);
        for _ in 0..replayed {
            engine.pool.observe(elapsed, 0.0);
            engine.trend.observe(0.0);
        }
        engine
    }

    /// Knows nothing yet but that the season `profile` is to be taken off. Values are counted from `zero`.
    pub(crate) fn replaying(
        zero: f64,
        from: Timestamp,
        profile: Option<Profile>,
        possible: Possible,
        grid: &HorizonGrid,
    ) -> Self {
        let nothing = ConstantRun {
            value: zero,
            first: from,
            last: from,
            count: 0,
        };
        Self {
            profile: profile.map(Box::new),
            possible,
            onset: OnsetTracker::default(),
            ..Self::after(&nothing, grid)
        }
    }

    /// The constant that it took over ended with `value`: a miss on this side of every interval.
    pub(crate) fn surprised_by(&mut self, value: f64) {
        self.scoreboard.score_surprise(value > self.zero);
    }

    /// Takes an observation made after the last one.
    pub(crate) fn observe(
        &mut self,
        at: Timestamp,
        value: f64,
        measured: Option<&Measured>,
        grid: &HorizonGrid,
    ) {
        self.possible.observe(value, measured);
        self.learn(at, value, grid);
    }

    /// Takes an observation of a recorded series.
    pub(crate) fn replay(&mut self, at: Timestamp, value: f64, grid: &HorizonGrid) {
        self.possible.replay(value);
        self.learn(at, value, grid);
    }

    fn learn(&mut self, at: Timestamp, value: f64, grid: &HorizonGrid) {
        let gap = at.since(self.last_at);
        let shifted = value - self.zero;
        self.score(at, gap, shifted);

        let elapsed = steps(gap, grid);
        let adjusted = shifted - self.season(at).mean;
        self.pool.observe(elapsed, adjusted);
        self.observe_in_committee(at, value, grid);
        self.trend.observe(adjusted);
        let onset_before = self.onset.onset();
        let left = self.signature();
        self.onset.observe(at, adjusted);
        let is_new_regime = self.onset.onset() > onset_before;
        self.observe_season(at, value, is_new_regime);
        // An onset that moves back joins steps to one drift; nothing new has begun with it.
        if is_new_regime {
            self.leave(at, left);
            self.anchors.iter_mut().for_each(Anchor::begin_regime);
            self.pool.begin_regime(adjusted);
        }
        self.arrive(at, self.zero + adjusted);
        self.last_at = at;
        self.last_value = value;
        self.seen += 1;

        self.put_by(at, gap, grid);
    }

    /// Learns from every forecast whose outcome this observation is.
    fn score(&mut self, at: Timestamp, gap: Duration, shifted: f64) {
        let floor = self.floor();
        let onset = self.onset.onset();
        let bounds = self.possible.bounds();
        for (index, anchor) in self.anchors.iter_mut().enumerate() {
            while let Some(pending) = anchor.take_due(at, gap) {
                anchor
                    .experts
                    .learn(&pending.experts(), pending.is_awake(), shifted);
                anchor.count_outcome(&pending, onset);
                let mixture = pending.mixture();
                let centre = self.zero + mixture.mean;
                let score = (self.zero + shifted - centre) / mixture.variance.sqrt();
                // Judged is what is said in the end: kept within what is possible.
                let place = Place {
                    centre,
                    deviation: mixture.variance.sqrt(),
                    last: self.zero + pending.origin(),
                };
                let offsets = place.confined(&bounds, calibrated(anchor));
                if index == 0 {
                    self.scoreboard.score(&offsets, score);
                }
                // A deviation at the floor is arithmetic, no scale to learn from.
                if mixture.variance > floor {
                    anchor.calibrator.learn_issued(score, &offsets);
                }
            }
        }
    }

    /// The committee counts in steps: what came between two of them is not for it, and what is missing
    /// is a gap.
    fn observe_in_committee(&mut self, at: Timestamp, value: f64, grid: &HorizonGrid) {
        let Some(seated) = &mut self.committee else {
            return;
        };
        let passed = whole_steps(at.since(seated.at), grid);
        if passed == 0 {
            return;
        }
        if passed > LONGEST_GAP {
            self.committee = None;
            return;
        }
        for _ in 1..passed {
            seated.committee.update(None);
        }
        seated.committee.update(Some(value));
        seated.at = at;
    }

    /// The seasonal offset at an instant; nothing while there is no season.
    fn season(&self, at: Timestamp) -> Moments {
        self.profile
            .as_ref()
            .map(|profile| profile.offset(at))
            .unwrap_or_default()
    }

    fn observe_season(&mut self, at: Timestamp, value: f64, is_new_regime: bool) {
        let Some(profile) = &mut self.profile else {
            return;
        };
        if is_new_regime {
            // The day's course goes on at another level.
            profile.shift(value - profile.offset(at).mean - profile.level());
        }
        profile.observe(at, value);
    }

    fn put_by(&mut self, at: Timestamp, gap: Duration, grid: &HorizonGrid) {
        let wanted: Vec<usize> = (0..self.anchors.len())
            .filter(|index| self.anchors[*index].wants(at, gap))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let weights = self.weights_at_anchors();
        let ahead: Vec<u32> = wanted.iter().map(|i| self.anchors[*i].steps).collect();
        for (index, experts) in wanted
            .into_iter()
            .zip(self.say(&ahead, self.speaking(), grid))
        {
            let said = Said {
                origin: self.last_value - self.zero,
                awake: self.speaking().is_some(),
                experts,
                mixture: self.widened(combine(&weights[index], &experts)),
            };
            self.anchors[index].keep(at, &said);
        }
    }

    /// Quantiles for every horizon of the grid.
    pub(crate) fn forecast(&self, grid: &HorizonGrid) -> Vec<Quantiles> {
        let beliefs: Vec<Belief> = self
            .weights_at_anchors()
            .into_iter()
            .zip(&self.anchors)
            .map(|(weights, anchor)| Belief {
                weights,
                offsets: calibrated(anchor),
            })
            .collect();
        let bounds = self.possible.bounds();
        let mut result = Vec::with_capacity(grid.len());
        // Without a weight nobody would hear the committee.
        let asks = beliefs
            .iter()
            .any(|belief| belief.weights[COMMITTEE] != 0.0);
        let committee = self.speaking().filter(|_| asks);
        let said = self.say(grid.steps(), committee, grid);
        for (index, said) in said.into_iter().enumerate() {
            let belief = self.belief_at(index, &beliefs);
            let mixture = self.widened(combine(&belief.weights, &said));
            let place = Place {
                centre: self.zero + mixture.mean,
                deviation: mixture.variance.sqrt(),
                last: self.last_value,
            };
            result.push(Quantiles::new(place.quantiles(&bounds, belief.offsets)));
        }
        result
    }

    /// What every expert says at each of the steps `ahead` (rising), counted from zero's value; the committee if
    /// it is asked.
    fn say(
        &self,
        ahead: &[u32],
        committee: Option<&Committee>,
        grid: &HorizonGrid,
    ) -> Vec<[Moments; EXPERTS]> {
        let mut all: Vec<[Moments; EXPERTS]> = ahead
            .iter()
            .map(|steps| {
                let offset = self.season(self.last_at + grid.step() * *steps).mean;
                let [last, level, trend, drift] = self.pool.predict(f64::from(*steps));
                [last, level, trend, drift, Moments::default()].map(|said| Moments {
                    mean: said.mean + offset,
                    ..said
                })
            })
            .collect();
        if let Some(committee) = committee {
            let opened = self.opened_by_trend(ahead, &all, grid);
            let mut said = vec![Moments::default(); ahead.len()];
            committee.predict(ahead, &opened, &mut said);
            for (slot, moments) in all.iter_mut().zip(said) {
                slot[COMMITTEE] = Moments {
                    mean: moments.mean - self.zero,
                    ..moments
                };
            }
        }
        all
    }

    fn floor(&self) -> f64 {
        (RESOLUTION * self.last_value).powi(2).max(VARIANCE_FLOOR)
    }

    /// With the doubt of a short history, and no narrower than the arithmetic.
    #[allow(clippy::cast_precision_loss)] // Counts stay far below 2^52.
    fn widened(&self, moments: Moments) -> Moments {
        let doubt = 1.0 + SHORT_HISTORY / self.seen as f64;
        Moments {
            variance: (moments.variance * doubt).max(self.floor()),
            ..moments
        }
    }

    /// When the present regime set in.
    pub(crate) fn onset(&self) -> Option<Timestamp> {
        self.onset.onset()
    }

    /// The change with which it set in.
    pub(crate) fn last_change(&self) -> Option<Change> {
        let change = self.onset.last_change()?;
        Some(Change {
            before: self.zero + change.before,
            ..change
        })
    }

    /// The instant of the first observation.
    pub(crate) fn first_at(&self) -> Timestamp {
        self.first_at
    }

    /// The instant of the last observation.
    pub(crate) fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// The weights as they are shown: the mean over the anchors.
    pub(crate) fn shown_weights(&self) -> Vec<ModelWeight> {
        let all = self.weights_at_anchors();
        // Exact: there are a handful of anchors.
        #[allow(clippy::cast_precision_loss)]
        let count = all.len() as f64;
        let mean = std::array::from_fn(|model| all.iter().map(|w| w[model]).sum::<f64>() / count);
        name(
            &mean,
            self.committee.as_deref().map(|seated| &seated.committee),
        )
    }

    /// Seats a committee that knows everything up to the instant `at`. What was learned of how a former
    /// one did, and of how its intervals turned out, says nothing of this one.
    pub(crate) fn seat(&mut self, committee: Committee, at: Timestamp, grid: &HorizonGrid) {
        self.committee = Some(Box::new(Seated { committee, at }));
        self.anchors = anchors(grid);
    }

    /// The committee, if there is one that can speak.
    fn speaking(&self) -> Option<&Committee> {
        let committee = self.committee.as_deref().map(|seated| &seated.committee);
        committee.filter(|committee| committee.speaks())
    }

    /// Hands the network of all series back to an engine that was stored without it.
    pub(crate) fn wake(&mut self, network: Option<&Arc<Network>>) {
        for seated in self.committee.iter_mut().chain(&mut self.left_committee) {
            seated.committee.wake(network);
        }
    }

    /// Takes over what a refit found: the committee, and what its replay taught the anchors. What the
    /// running engine knows of level, trend and onset stays, unless it knew nothing of the season.
    pub(crate) fn adopt(&mut self, refit: Refit) {
        let Refit {
            committee,
            at,
            replayed,
        } = refit;
        self.committee = Some(Box::new(Seated { committee, at }));
        self.left_committee = None;
        self.anchors = replayed.anchors;
        let period = |profile: &Option<Box<Profile>>| profile.as_deref().map(Profile::period);
        if period(&self.profile) != period(&replayed.profile) {
            self.profile = replayed.profile;
            self.pool = replayed.pool;
            self.trend = replayed.trend;
            self.onset = replayed.onset;
        }
    }

    /// How often the one-step intervals held.
    pub(crate) fn scoreboard(&self) -> &Scoreboard {
        &self.scoreboard
    }

    /// Whether the anchors are those of `grid`, and the committee's parts fit together.
    pub(crate) fn is_sound(&self, grid: &HorizonGrid) -> bool {
        let expected = anchors(grid);
        let places = |anchors: &[Anchor]| -> Vec<(usize, u32)> {
            anchors.iter().map(|a| (a.grid_index, a.steps)).collect()
        };
        let committees = [&self.committee, &self.left_committee];
        places(&expected) == places(&self.anchors)
            && committees
                .into_iter()
                .flatten()
                .all(|seated| seated.committee.is_sound())
    }

    /// What is possible, for a replay of the series.
    pub(crate) fn possible(&self) -> Possible {
        self.possible.for_replay()
    }

    /// From where values are counted.
    pub(crate) fn zero(&self) -> f64 {
        self.zero
    }

    /// How many observations were seen.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }
}

/// Names the weights. The committee's is shared out among its members.
pub(crate) fn name(weights: &PerExpert, committee: Option<&Committee>) -> Vec<ModelWeight> {
    let pool = Pool::default();
    let named = pool.models().into_iter().zip(weights);
    let mut named: Vec<ModelWeight> = named
        .map(|(model, weight)| ModelWeight {
            model: model.name().to_owned(),
            weight: *weight,
        })
        .collect();
    let members = committee.map(Committee::weights).unwrap_or_default();
    named.extend(members.into_iter().map(|(model, share)| ModelWeight {
        model,
        weight: share * weights[COMMITTEE],
    }));
    named
}

/// The weights before anything was seen, when there is no committee.
pub(crate) fn prior_weights() -> Vec<ModelWeight> {
    let awake: f64 = PRIOR[..POOL].iter().sum();
    let weights = std::array::from_fn(|i| {
        if i == COMMITTEE {
            0.0
        } else {
            PRIOR[i] / awake
        }
    });
    name(&weights, None)
}

/// `span` in steps of the grid; at least a thousandth, so that it can be divided by.
fn steps(span: Duration, grid: &HorizonGrid) -> f64 {
    (span.as_secs_f64() / grid.step().as_secs_f64()).max(1e-3)
}

/// `span` in whole steps of the grid, to the nearest.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Limited first.
fn whole_steps(span: Duration, grid: &HorizonGrid) -> u32 {
    let steps = span.as_secs_f64() / grid.step().as_secs_f64();
    steps.round().min(f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    /// An engine that saw `calm` seconds of 0 and then `values`.
    pub(super) fn engine(
        calm: u32,
        grid: &HorizonGrid,
        values: impl IntoIterator<Item = f64>,
    ) -> Engine {
        let last = at(i64::from(calm) - 1);
        let run = ConstantRun {
            value: 0.0,
            first: at(0),
            last,
            count: u64::from(calm),
        };
        let mut engine = Engine::after(&run, grid);
        for (second, value) in (i64::from(calm)..).zip(values) {
            engine.observe(at(second), value, None, grid);
        }
        engine
    }

    #[test]
    fn a_varying_series_takes_less_than_four_kilobytes() {
        let grid = HorizonGrid::new(SECOND, SECOND * 1800);
        let engine = engine(5, &grid, (0..300).map(|i| f64::from(i % 7)));
        let anchors: usize = engine.anchors.iter().map(Anchor::bytes).sum();
        let bytes = size_of::<Engine>() + anchors;
        assert!(
            bytes < 4 * 1024,
            "{bytes}: {} {anchors}",
            size_of::<Engine>()
        );
    }
}
