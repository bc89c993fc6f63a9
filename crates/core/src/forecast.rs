//! What a forecast is, and the trait that every forecaster keeps. The models live in
//! `evenkeel-forecast`; the core only reads what they say.
//!
//! A forecast is made of the *deviation* (see `crate::deviation`), not of the raw value. For each
//! horizon of a fixed grid it gives the predictive distribution as quantiles at [`LEVELS`].

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::Measured;
use crate::time::Timestamp;

pub use crate::passage::{FirstPassage, PathBound};

/// The probability levels at which a predictive distribution is given. Symmetric round the median,
/// so that every level `p < 0.5` with its mirror `1 - p` is a central interval.
pub const LEVELS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995,
];

/// Index of the median in [`LEVELS`].
pub const MEDIAN: usize = 6;

/// How fast the mass beyond the outermost quantiles decays: `e^-DECAY` over the distance from the median to
/// the outermost quantile.
const DECAY: f64 = 5.0;

/// A predictive distribution: its quantiles at [`LEVELS`], never crossing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantiles([f64; LEVELS.len()]);

impl Quantiles {
    /// Sorts the values, so that quantiles never cross. Values must be finite.
    pub fn new(mut values: [f64; LEVELS.len()]) -> Self {
        debug_assert!(
            values.iter().all(|v| v.is_finite()),
            "quantiles must be finite: {values:?}"
        );
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// All mass at one value.
    pub fn certain(value: f64) -> Self {
        Self([value; LEVELS.len()])
    }

    /// The values, in the order of [`LEVELS`].
    pub fn values(&self) -> &[f64; LEVELS.len()] {
        &self.0
    }

    /// The median.
    pub fn median(&self) -> f64 {
        self.0[MEDIAN]
    }

    /// The quantile at any `level` in (0, 1): linear between the grid's levels, flat outside them.
    pub fn at(&self, level: f64) -> f64 {
        let above = LEVELS.partition_point(|&l| l < level);
        match above {
            0 => self.0[0],
            i if i == LEVELS.len() => self.0[LEVELS.len() - 1],
            i => {
                let (l0, l1) = (LEVELS[i - 1], LEVELS[i]);
                let share = (level - l0) / (l1 - l0);
                self.0[i - 1] + share * (self.0[i] - self.0[i - 1])
            }
        }
    }

    /// `P(X <= x)`, the inverse of [`Quantiles::at`]. Beyond the outermost quantiles the mass left
    /// over decays exponentially with the distance in units of the outer quartile spread, so a value
    /// outside gets a probability ever nearer to 0 or 1.
    pub fn probability_at_most(&self, x: f64) -> f64 {
        let (first, last) = (self.0[0], self.0[LEVELS.len() - 1]);
        if first == last {
            return if x >= first { 1.0 } else { 0.0 };
        }
        if x < first {
            let scale = (self.median() - first).max(f64::MIN_POSITIVE);
            return LEVELS[0] * (-(first - x) / scale * DECAY).exp();
        }
        if x >= last {
            let scale = (last - self.median()).max(f64::MIN_POSITIVE);
            return 1.0 - (1.0 - LEVELS[LEVELS.len() - 1]) * (-(x - last) / scale * DECAY).exp();
        }
        // `partition_point` finds the first quantile above x; the one before it is at most x.
        let i = self.0.partition_point(|&q| q <= x);
        let (q0, q1) = (self.0[i - 1], self.0[i]);
        let share = if q1 > q0 { (x - q0) / (q1 - q0) } else { 1.0 };
        LEVELS[i - 1] + share * (LEVELS[i] - LEVELS[i - 1])
    }

    /// The quantile at a `level` in (0, 1) by the tail below the grid: the inverse of
    /// [`Quantiles::probability_at_most`], where [`Quantiles::at`] is flat. The other tail is that of
    /// [`Quantiles::mirrored`].
    pub fn in_tail(&self, level: f64) -> f64 {
        if level >= LEVELS[0] {
            return self.at(level);
        }
        let first = self.0[0];
        first - (self.median() - first) / DECAY * (LEVELS[0] / level).ln()
    }

    /// The distribution of `-X`.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        // What rises from one end falls from the other, negated: it is in order already.
        Self(std::array::from_fn(|i| -self.0[LEVELS.len() - 1 - i]))
    }

    /// `P(X < lower or X > upper)`.
    pub fn probability_outside(&self, lower: f64, upper: f64) -> f64 {
        let inside = self.probability_at_most(upper) - self.probability_at_most(lower);
        (1.0 - inside).clamp(0.0, 1.0)
    }

    /// The central interval that holds `coverage` of the mass.
    pub fn interval(&self, coverage: f64) -> (f64, f64) {
        let tail = (1.0 - coverage) / 2.0;
        (self.at(tail), self.at(1.0 - tail))
    }
}

/// The horizons at which forecasts are made, in steps of the sampling period: 1, 2, 3 and then
/// rising by a quarter, so that a long reach costs few evaluations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HorizonGrid {
    step: Duration,
    /// Shared, because every forecaster of a resource keeps the same.
    steps: Arc<[u32]>,
}

impl HorizonGrid {
    /// Every one of the next `count` steps (at least 1, at most 100,000): for evaluations that score each.
    pub fn every_step(step: Duration, count: u32) -> Self {
        Self {
            step: step.max(Duration::from_millis(1)),
            steps: (1..=count.clamp(1, 100_000)).collect(),
        }
    }

    /// Horizons up to and including `reach` (at least one step, at most 100,000 steps).
    pub fn new(step: Duration, reach: Duration) -> Self {
        let step = step.max(Duration::from_millis(1));
        let ratio = reach.as_secs_f64() / step.as_secs_f64();
        // The cast is exact enough: the value is clamped to 1..=100,000 first.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let last = ratio.round().clamp(1.0, 100_000.0) as u32;
        let mut steps = Vec::new();
        let mut next = 1_u32;
        while next < last {
            steps.push(next);
            next += (next / 4).max(1);
        }
        steps.push(last);
        Self {
            step,
            steps: steps.into(),
        }
    }

    /// The sampling period.
    pub fn step(&self) -> Duration {
        self.step
    }

    /// The horizons in steps, rising, the last being the reach.
    pub fn steps(&self) -> &[u32] {
        &self.steps
    }

    /// The time from the forecast's origin to horizon number `index`.
    pub fn span(&self, index: usize) -> Duration {
        self.step * self.steps[index]
    }

    /// How many horizons there are; never zero.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.steps.len()
    }
}

/// A forecast made at `origin` for every horizon of `grid`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The instant of the last observation it knows.
    pub origin: Timestamp,
    /// The horizons.
    pub grid: HorizonGrid,
    /// One distribution per horizon.
    pub quantiles: Vec<Quantiles>,
}

/// How a series changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// From one level to another.
    Step,
    /// In one direction, again and again.
    Trend,
}

/// The last change of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The observation at which it was noticed first.
    pub at: Timestamp,
    /// The observation with which it set in; not after `at`.
    pub onset: Timestamp,
    /// The level before it, in units of the series and without a season.
    pub before: f64,
    /// The present level less the level before, in units of the series. Surer with every observation; of
    /// a drift that goes on, what it has come to by now.
    pub size: f64,
    /// Whether it was done with one step.
    pub kind: ChangeKind,
}

/// How far a season takes a series, every time: the least and the greatest distance from its usual level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Swing {
    /// The least; not above 0.
    pub lower: f64,
    /// The greatest; not below 0.
    pub upper: f64,
}

impl Swing {
    /// What is left of a `value` that the season does not explain: how far it lies beyond the swing.
    pub fn excess(self, value: f64) -> f64 {
        value - value.clamp(self.lower, self.upper)
    }
}

/// The share of one model in a mixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelWeight {
    /// The model's name.
    pub model: String,
    /// In [0, 1]; all of a mixture's weights sum to 1.
    pub weight: f64,
}

/// Forecasts one series, updated by one observation at a time.
///
/// Contract: `observe` is called with rising instants (an instant that does not rise is ignored);
/// time that passes without a call is a gap and widens the intervals. Every value handed in is
/// finite, and every quantile given out is. The same calls give the same answers: no clock, no
/// randomness that is not seeded at construction.
pub trait Forecaster: Send + Sync + std::fmt::Debug {
    /// Takes one more observation.
    fn observe(&mut self, at: Timestamp, value: f64);

    /// The same of a `value` that is the deviation of a measured quantity. Of the quantity may be known what
    /// is possible at all; its measure may change from one observation to the next, when a baseline or a
    /// tolerance moves.
    fn observe_measured(&mut self, at: Timestamp, value: f64, measured: &Measured) {
        let _ = measured;
        self.observe(at, value);
    }

    /// The calibrated predictive distribution at every horizon, from the last observation on.
    /// `None` until there are enough observations to say anything (at least two).
    fn forecast(&self) -> Option<Forecast>;

    /// Half-widths `(below, above)` of the calibrated one-step prediction interval round its median
    /// at `coverage`, learned on in-control data only (see [`Forecaster::set_in_control`]).
    /// `None` until enough was seen.
    fn in_control_half_widths(&self, coverage: f64) -> Option<(f64, f64)>;

    /// How far what the series does at its time of every day (or week) takes it between two instants, `until`
    /// not before `from`. Only what was there time after time counts, a drift never. `None` where there is
    /// nothing of the kind.
    fn season(&self, from: Timestamp, until: Timestamp) -> Option<Swing> {
        let _ = (from, until);
        None
    }

    /// Says whether the series is in control now. While it is not, what is observed moves the
    /// forecast but not the in-control half-widths.
    fn set_in_control(&mut self, in_control: bool);

    /// When the present regime set in (a step, or the trend that is running now), where the
    /// forecaster saw a change; `None` while the series is what it always was.
    fn onset(&self) -> Option<Timestamp>;

    /// The change with which the present regime set in, with its size; `None` while there was none, or where
    /// sizes are not known.
    fn last_change(&self) -> Option<Change> {
        None
    }

    /// Forgets all but the in-control half-widths: the series was put back on purpose, and the
    /// past no longer tells of the future.
    fn restart(&mut self);

    /// Which models speak, with what weight.
    fn weights(&self) -> Vec<ModelWeight>;

    /// The measured coverage of past one-step intervals at `coverage`, and how many were scored.
    fn measured_coverage(&self, coverage: f64) -> Option<(f64, u64)>;

    /// Where there is reason to fit the parameters of its models (anew): from which instant on it wants the
    /// history for that. The reasons are enough history for the first time, much more than at the last
    /// fit, a new regime, or something new that its models share with others. Cheap to ask after every observation.
    fn wants_refit(&self) -> Option<Timestamp> {
        None
    }

    /// Fits the parameters of its models to `history` (rising instants, ending with the last observation).
    /// Takes milliseconds: it is called on a [`Forecaster::fork`] in the background. After it, whether it
    /// succeeded or not, no refit is wanted for a while.
    fn refit(&mut self, history: &[(Timestamp, f64)]) {
        let _ = history;
    }

    /// A copy that goes on by itself; `None` where there is nothing that could be refitted.
    fn fork(&self) -> Option<Box<dyn Forecaster>> {
        None
    }

    /// All that it knows, for [`ForecasterFactory::restore`]; `None` where nothing is worth keeping.
    fn state(&self) -> Option<Vec<u8>> {
        None
    }
}

/// Makes forecasters: the core's only way to get one.
pub trait ForecasterFactory: Send + Sync + std::fmt::Debug {
    /// A fresh forecaster for one series.
    fn forecaster(&self, grid: &HorizonGrid, seed: u64) -> Box<dyn Forecaster>;

    /// The forecaster whose [`Forecaster::state`] this is. `None` where the state cannot be read: it is of
    /// another version, damaged, or made for another grid. Then a fresh one learns anew.
    fn restore(&self, grid: &HorizonGrid, state: &[u8]) -> Option<Box<dyn Forecaster>> {
        let _ = (grid, state);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normal() -> Quantiles {
        Quantiles::new([
            -2.576, -2.326, -1.96, -1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645, 1.96, 2.326,
            2.576,
        ])
    }

    #[test]
    fn probabilities_read_off_a_normal_are_its_own() {
        assert!((normal().probability_at_most(0.0) - 0.5).abs() < 1e-9);
        assert!((normal().probability_at_most(1.645) - 0.95).abs() < 1e-9);
        assert!((normal().probability_outside(-1.96, 1.96) - 0.05).abs() < 1e-9);
        assert!(normal().probability_at_most(6.0) < 1.0);
        let (lower, upper) = normal().interval(0.9);
        assert!((lower + 1.645).abs() < 1e-9 && (upper - 1.645).abs() < 1e-9);
    }

    /// No two distances are the same, so that no term can stand in for another.
    fn lopsided() -> Quantiles {
        Quantiles::new([
            2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 29.0, 31.0, 37.0, 41.0, 43.0, 47.0,
        ])
    }

    #[track_caller]
    fn assert_is(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
    }

    #[test]
    fn quantiles_are_linear_between_levels_and_flat_beyond_them() {
        let at = |level| lopsided().at(level);
        assert_is(at(0.075), 9.0);
        assert_is(at(0.6), 21.8);
        assert_eq!((at(0.5), lopsided().median()), (17.0, 17.0));
        assert_eq!((at(0.005), at(0.001)), (2.0, 2.0));
        assert_eq!((at(0.995), at(0.999)), (47.0, 47.0));
        assert_eq!(lopsided().interval(0.5), (13.0, 29.0));
        let (lower, upper) = lopsided().interval(0.85);
        assert_is(lower, 9.0);
        assert_is(upper, 34.0);
        assert_eq!(lopsided().values()[1], 3.0);
    }

    #[test]
    fn probabilities_are_linear_between_quantiles_and_fade_beyond_them() {
        let below = |x| lopsided().probability_at_most(x);
        assert_is(below(9.0), 0.075);
        assert_is(below(21.8), 0.6);
        assert_is(below(2.0), 0.005);
        assert_is(below(47.0), 0.995);
        // One spread of that side away: 15 below, 30 above.
        assert_is(below(-13.0), 0.005 * (-5.0_f64).exp());
        assert_is(below(77.0), 1.0 - 0.005 * (-5.0_f64).exp());
        assert_is(lopsided().probability_outside(9.0, 21.8), 0.475);
        // Of quantiles that are the same the uppermost counts.
        let mut tied = *lopsided().values();
        tied[3] = 11.0;
        tied[2] = 11.0;
        assert_is(Quantiles::new(tied).probability_at_most(11.0), 0.1);
    }

    #[test]
    fn beyond_the_grid_a_tail_goes_on_and_its_mirror_is_the_other_one() {
        assert_eq!(lopsided().mirrored().median(), -17.0);
        assert_eq!(lopsided().mirrored().mirrored(), lopsided());
        assert_is(lopsided().in_tail(0.075), 9.0);
        assert_is(lopsided().in_tail(0.005), 2.0);
        assert_is(lopsided().in_tail(0.005 * (-5.0_f64).exp()), -13.0);
        let above = lopsided().mirrored().in_tail(0.005 * (-5.0_f64).exp());
        assert_is(above, -77.0);
    }

    #[test]
    fn grids_have_at_least_one_horizon_and_go_on_by_quarters() {
        let second = Duration::from_secs(1);
        let none = HorizonGrid::every_step(second, 0);
        assert_eq!(
            (none.steps(), none.len(), none.step()),
            (&[1][..], 1, second)
        );
        let some = HorizonGrid::new(2 * second, 26 * second);
        assert_eq!(some.steps(), [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13]);
        assert_eq!(some.span(8), 20 * second);
    }

    /// Does what it must and no more.
    #[derive(Debug)]
    struct Least(Vec<f64>);

    impl Forecaster for Least {
        fn observe(&mut self, _: Timestamp, value: f64) {
            self.0.push(value);
        }
        fn forecast(&self) -> Option<Forecast> {
            None
        }
        fn in_control_half_widths(&self, _: f64) -> Option<(f64, f64)> {
            None
        }
        fn set_in_control(&mut self, _: bool) {}
        fn onset(&self) -> Option<Timestamp> {
            None
        }
        fn restart(&mut self) {}
        fn weights(&self) -> Vec<ModelWeight> {
            Vec::new()
        }
        fn measured_coverage(&self, _: f64) -> Option<(f64, u64)> {
            None
        }
    }

    #[test]
    fn a_forecaster_that_only_forecasts_takes_measures_for_values_and_keeps_nothing() {
        use crate::deviation::Scale;
        use crate::property::Value;

        let mut least = Least(Vec::new());
        let scale = Scale::Sides {
            lower: 1.0,
            upper: 1.0,
        };
        let (approved, found) = (Value::Number(1.0), Value::Number(1.5));
        let measured = Measured::new(Some(&approved), Some(&found), scale, None).unwrap();
        least.observe_measured(Timestamp::from_millis(1), 0.5, &measured);
        assert_eq!(least.0, [0.5]);
        assert_eq!(least.wants_refit(), None);
        assert_eq!(least.state(), None);
        assert!(least.fork().is_none() && least.last_change().is_none());
    }

    #[test]
    fn a_certain_value_is_inside_or_outside() {
        let q = Quantiles::certain(0.5);
        assert_eq!(q.probability_outside(-1.0, 1.0), 0.0);
        assert_eq!(q.probability_outside(-0.4, 0.4), 1.0);
    }

    #[test]
    fn the_grid_ends_at_its_reach() {
        let grid = HorizonGrid::new(Duration::from_secs(10), Duration::from_secs(1800));
        assert_eq!(grid.steps().first(), Some(&1));
        assert_eq!(grid.span(grid.len() - 1), Duration::from_secs(1800));
        assert!(grid.len() < 25, "{}", grid.len());
    }

    proptest! {
        #[test]
        fn probability_never_falls(
            values in proptest::array::uniform13(-1e6_f64..1e6),
            x in -2e6_f64..2e6,
            dx in 0.0_f64..1e6,
        ) {
            let q = Quantiles::new(values);
            let (p, p2) = (q.probability_at_most(x), q.probability_at_most(x + dx));
            prop_assert!((0.0..=1.0).contains(&p));
            prop_assert!(p2 >= p);
        }

        #[test]
        fn grids_rise_strictly(step in 1_u64..100_000, reach in 1_u64..1_000_000_000) {
            let grid = HorizonGrid::new(Duration::from_millis(step), Duration::from_millis(reach));
            prop_assert!(grid.steps().windows(2).all(|w| w[0] < w[1]));
            prop_assert!(grid.len() < 60);
        }
    }
}
