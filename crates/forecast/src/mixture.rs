//! The forecaster that the core uses: a mixture of models with calibrated intervals, in front of it a
//! fast path for the many properties that never change.
//!
//! While all observations are equal the state is a value, two instants and a count, and the forecast is
//! that value, for certain: the best forecast of a constant is the constant, and an invented width
//! would only hide the first change. With the first other value the engine is made and told of the
//! constant run.
//!
//! Invariants: instants rise (others are ignored), values are finite (others are ignored) and limited
//! to ±[`VALUE_LIMIT`], so that no square overflows.

use std::time::Duration;

use evenkeel_core::forecast::{
    Change, Forecast, Forecaster, ForecasterFactory, HorizonGrid, LEVELS, MEDIAN, ModelWeight,
    Quantiles, Swing,
};
use evenkeel_core::measure::Measured;
use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::conformal::PerLevel;
use crate::engine::{Engine, prior_weights};
use crate::in_control::InControl;
use crate::lstm::SharedNetwork;
use crate::refit::{self, RefitSchedule};
use crate::season::Swings;
use crate::state;

/// No value counts for more: a deviation so many tolerances away is outside whatever its digits are.
pub const VALUE_LIMIT: f64 = 1e30;

/// Values that differ by less than this share are the same but for rounding. No interval is narrower.
pub(crate) const RESOLUTION: f64 = 4.0 * f64::EPSILON;

/// Makes [`Mixture`] forecasters.
#[derive(Clone, Debug, Default)]
pub struct MixtureFactory {
    /// The network that all of them may use, once there is one.
    pub network: SharedNetwork,
}

impl ForecasterFactory for MixtureFactory {
    /// The mixture has no randomness, so the seed is not used.
    fn forecaster(&self, grid: &HorizonGrid, _seed: u64) -> Box<dyn Forecaster> {
        Box::new(Mixture::with_network(grid, self.network.clone()))
    }

    fn restore(&self, grid: &HorizonGrid, state: &[u8]) -> Option<Box<dyn Forecaster>> {
        let mut mixture = state::read(state).filter(|mixture| mixture.grid == *grid)?;
        mixture.wake(self.network.clone());
        Some(Box::new(mixture))
    }
}

/// A run of equal values.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ConstantRun {
    pub(crate) value: f64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) count: u64,
}

impl ConstantRun {
    /// Whether `value` is the run's but for rounding. The run's first value stays the measure, so that
    /// nothing can creep away under it.
    fn holds(&self, value: f64) -> bool {
        (value - self.value).abs() <= RESOLUTION * self.value.abs()
    }

    /// The mean time between its observations; zero if there is only one.
    pub(crate) fn mean_gap(&self) -> Duration {
        let gaps = u32::try_from(self.count.saturating_sub(1)).unwrap_or(u32::MAX);
        self.last
            .since(self.first)
            .checked_div(gaps)
            .unwrap_or_default()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum State {
    Empty,
    Constant(ConstantRun),
    Varying(Box<Engine>),
}

/// Forecasts one series by a mixture of models.
///
/// In control until told otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mixture {
    grid: HorizonGrid,
    state: State,
    in_control: bool,
    control: InControl,
    refits: RefitSchedule,
    /// What was learned before the last restart.
    before: Option<Box<Engine>>,
    /// What it does day by day; followed from the first observation that was not in control. The last that is stored.
    swings: Option<Box<Swings>>,
    #[serde(skip)]
    network: SharedNetwork,
}

impl Mixture {
    /// A forecaster that has seen nothing.
    pub fn new(grid: &HorizonGrid) -> Self {
        Self::with_network(grid, SharedNetwork::default())
    }

    /// The same, which tries the network of all series too when it is fitted.
    pub fn with_network(grid: &HorizonGrid, network: SharedNetwork) -> Self {
        Self {
            grid: grid.clone(),
            state: State::Empty,
            in_control: true,
            control: InControl::default(),
            refits: RefitSchedule::default(),
            before: None,
            swings: None,
            network,
        }
    }

    /// Hands the network back to a mixture that was read from where it was stored. A member with the memory
    /// of another network is dismissed, and elected anew at the next refit if it is worth it.
    pub fn wake(&mut self, network: SharedNetwork) {
        let varying = match &mut self.state {
            State::Empty | State::Constant(_) => None,
            State::Varying(engine) => Some(engine),
        };
        let present = network.get();
        for engine in varying.into_iter().chain(&mut self.before) {
            engine.wake(present.as_ref());
        }
        self.network = network;
    }

    /// Fits the committee to `history`, whose seasons are known to be `seasons` (in steps of the grid,
    /// rising).
    pub fn refit_with_seasons(&mut self, history: &[(Timestamp, f64)], seasons: &[usize]) {
        self.refit_knowing(history, Some(seasons));
    }

    fn refit_knowing(&mut self, history: &[(Timestamp, f64)], seasons: Option<&[usize]>) {
        let State::Varying(engine) = &mut self.state else {
            return;
        };
        let network = self.network.get();
        let fingerprint = network.as_ref().map_or(0, |network| network.fingerprint());
        self.refits.done(engine.seen(), engine.onset(), fingerprint);
        let refit = refit::refit(
            history,
            seasons,
            engine.zero(),
            engine.possible(),
            &self.grid,
            network,
        );
        if let Some(refit) = refit {
            engine.adopt(refit);
        }
    }

    /// Whether all parts of it fit together.
    pub(crate) fn is_sound(&self) -> bool {
        let engine = match &self.state {
            State::Empty | State::Constant(_) => None,
            State::Varying(engine) => Some(engine),
        };
        let engines = [engine, self.before.as_ref()];
        engines
            .into_iter()
            .flatten()
            .all(|engine| engine.is_sound(&self.grid))
            && self.swings.iter().all(|swings| swings.is_sound())
    }

    fn take(&mut self, at: Timestamp, value: f64, measured: Option<&Measured>) {
        if !value.is_finite() || self.last_at().is_some_and(|last| at <= last) {
            return;
        }
        let value = value.clamp(-VALUE_LIMIT, VALUE_LIMIT);
        if self.in_control {
            let season = self.season(at, at).unwrap_or_default();
            self.control.observe(season.excess(value));
        } else if self.swings.is_none() {
            self.swings = Some(Box::new(Swings::new(self.grid.step())));
        }
        if let Some(swings) = &mut self.swings {
            swings.observe(at, value);
        }
        match &mut self.state {
            State::Empty => {
                let run = ConstantRun {
                    value,
                    first: at,
                    last: at,
                    count: 1,
                };
                self.state = State::Constant(run);
            }
            State::Constant(run) if run.holds(value) => {
                run.last = at;
                run.count += 1;
            }
            State::Constant(run) => {
                let mut engine = Box::new(Engine::after(run, &self.grid));
                if let Some(before) = self.before.take() {
                    engine.inherit(*before);
                }
                if run.count > 1 {
                    engine.surprised_by(value);
                }
                engine.observe(at, value, measured, &self.grid);
                self.state = State::Varying(engine);
            }
            State::Varying(engine) => engine.observe(at, value, measured, &self.grid),
        }
    }

    fn last_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Empty => None,
            State::Constant(run) => Some(run.last),
            State::Varying(engine) => Some(engine.last_at()),
        }
    }
}

impl Forecaster for Mixture {
    fn observe(&mut self, at: Timestamp, value: f64) {
        self.take(at, value, None);
    }

    fn observe_measured(&mut self, at: Timestamp, value: f64, measured: &Measured) {
        self.take(at, value, Some(measured));
    }

    fn forecast(&self) -> Option<Forecast> {
        let (origin, quantiles) = match &self.state {
            State::Constant(run) if run.count > 1 => (
                run.last,
                vec![Quantiles::certain(run.value); self.grid.len()],
            ),
            State::Empty | State::Constant(_) => return None,
            State::Varying(engine) => (engine.last_at(), engine.forecast(&self.grid)),
        };
        Some(Forecast {
            origin,
            grid: self.grid.clone(),
            quantiles,
        })
    }

    fn in_control_half_widths(&self, coverage: f64) -> Option<(f64, f64)> {
        self.control.half_widths(coverage)
    }

    fn season(&self, from: Timestamp, until: Timestamp) -> Option<Swing> {
        self.swings.as_ref()?.between(from, until)
    }

    fn set_in_control(&mut self, in_control: bool) {
        self.in_control = in_control;
    }

    fn onset(&self) -> Option<Timestamp> {
        match &self.state {
            State::Empty | State::Constant(_) => None,
            State::Varying(engine) => engine.onset(),
        }
    }

    fn last_change(&self) -> Option<Change> {
        match &self.state {
            State::Empty | State::Constant(_) => None,
            State::Varying(engine) => engine.last_change(),
        }
    }

    fn restart(&mut self) {
        self.refits = RefitSchedule::default();
        if let Some(swings) = &mut self.swings {
            swings.restart();
        }
        match std::mem::replace(&mut self.state, State::Empty) {
            State::Varying(engine) => self.before = Some(engine),
            State::Empty | State::Constant(_) => {}
        }
    }

    fn weights(&self) -> Vec<ModelWeight> {
        match &self.state {
            State::Empty | State::Constant(_) => prior_weights(),
            State::Varying(engine) => engine.shown_weights(),
        }
    }

    fn measured_coverage(&self, coverage: f64) -> Option<(f64, u64)> {
        match &self.state {
            State::Empty => None,
            State::Constant(run) => run
                .count
                .checked_sub(1)
                .filter(|n| *n > 0)
                .map(|n| (1.0, n)),
            State::Varying(engine) => engine.scoreboard().coverage(coverage),
        }
    }

    fn wants_refit(&self) -> Option<Timestamp> {
        match &self.state {
            State::Empty | State::Constant(_) => None,
            State::Varying(engine) => self
                .refits
                .is_due(engine.seen(), engine.onset(), self.network.fingerprint())
                .then(|| engine.first_at()),
        }
    }

    fn refit(&mut self, history: &[(Timestamp, f64)]) {
        self.refit_knowing(history, None);
    }

    fn fork(&self) -> Option<Box<dyn Forecaster>> {
        Some(Box::new(self.clone()))
    }

    fn state(&self) -> Option<Vec<u8>> {
        state::write(self)
    }
}

/// Counts, for each one-step quantile that was given out, how often the outcome lay beyond it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Scoreboard {
    scored: u64,
    /// Below the quantile for levels under the median, above it for those over.
    beyond: [u32; LEVELS.len()],
}

impl Scoreboard {
    /// Takes an outcome as a normalised score, and the offsets that were given out for it.
    pub(crate) fn score(&mut self, offsets: &PerLevel, score: f64) {
        self.scored += 1;
        for (index, (count, offset)) in self.beyond.iter_mut().zip(offsets).enumerate() {
            let beyond = if index < MEDIAN {
                score < *offset
            } else {
                score > *offset
            };
            *count = count.saturating_add(u32::from(beyond));
        }
    }

    /// A constant of `count` observations went by, each of which but the first was foreseen for certain.
    pub(crate) fn after_constant(count: u64) -> Self {
        Self {
            scored: count.saturating_sub(1),
            ..Self::default()
        }
    }

    /// A constant ended.
    pub(crate) fn score_surprise(&mut self, above: bool) {
        self.score(&[0.0; LEVELS.len()], if above { 1.0 } else { -1.0 });
    }

    /// The share of outcomes within the central interval at `coverage`, and how many there were.
    #[allow(clippy::cast_precision_loss)] // Counts stay far below 2^52.
    pub(crate) fn coverage(&self, coverage: f64) -> Option<(f64, u64)> {
        if self.scored == 0 {
            return None;
        }
        let tail = (1.0 - coverage.clamp(0.0, 1.0)) / 2.0;
        let beyond = self.beyond_at(tail, |index| index)
            + self.beyond_at(tail, |index| LEVELS.len() - 1 - index);
        Some((
            (1.0 - beyond / self.scored as f64).clamp(0.0, 1.0),
            self.scored,
        ))
    }

    /// The count beyond the quantile at `tail`, linear between the levels; `side` turns the index of a
    /// lower level into that of the side asked for.
    fn beyond_at(&self, tail: f64, side: impl Fn(usize) -> usize) -> f64 {
        let count = |index: usize| f64::from(self.beyond[side(index)]);
        let above = LEVELS.partition_point(|level| *level < tail).min(MEDIAN);
        if above == 0 {
            return count(0);
        }
        let (low, high) = (LEVELS[above - 1], LEVELS[above]);
        let share = ((tail - low) / (high - low)).clamp(0.0, 1.0);
        count(above - 1) + share * (count(above) - count(above - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn grid() -> HorizonGrid {
        HorizonGrid::new(Duration::from_secs(1), Duration::from_secs(30))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + second * 1000)
    }

    fn after(values: impl IntoIterator<Item = f64>) -> Mixture {
        let mut mixture = Mixture::new(&grid());
        for (second, value) in (0..).zip(values) {
            mixture.observe(at(second), value);
        }
        mixture
    }

    #[test]
    fn nothing_is_said_before_the_second_observation() {
        assert_eq!(after([]).forecast(), None);
        assert_eq!(after([1.0]).forecast(), None);
        assert_eq!(
            after([1.0, 1.0]).forecast().unwrap().quantiles.len(),
            grid().len()
        );
        assert!(after([1.0, 2.0]).forecast().is_some());
    }

    #[test]
    fn a_constant_is_forecast_for_certain_without_machinery() {
        let mixture = after(vec![0.25; 1000]);
        assert!(matches!(mixture.state, State::Constant(_)));
        let forecast = mixture.forecast().unwrap();
        assert_eq!(forecast.origin, at(999));
        assert!(
            forecast
                .quantiles
                .iter()
                .all(|q| *q == Quantiles::certain(0.25))
        );
        assert_eq!(mixture.onset(), None);
        assert_eq!(mixture.measured_coverage(0.9), Some((1.0, 999)));
        assert_eq!(mixture.in_control_half_widths(0.9), Some((0.0, 0.0)));
    }

    #[test]
    fn rounding_is_no_change() {
        let mixture = after((0..100).map(|i| if i % 2 == 0 { 0.3 } else { 0.1 + 0.2 }));
        assert!(matches!(mixture.state, State::Constant(_)));
    }

    #[test]
    fn the_first_change_is_dated_and_widens_the_forecast() {
        let mixture = after((0..1000).map(|_| 0.0).chain([0.5]));
        assert_eq!(mixture.onset(), Some(at(1000)));
        let far = *mixture.forecast().unwrap().quantiles.last().unwrap();
        let (lower, upper) = far.interval(0.9);
        assert!(lower < 0.0 && upper > 0.5, "{lower} {upper}");
        let (share, scored) = mixture.measured_coverage(0.9).unwrap();
        assert_eq!(scored, 1000);
        assert!(share < 1.0);
    }

    #[test]
    fn instants_that_do_not_rise_and_values_that_are_no_numbers_are_ignored() {
        let mut mixture = after([1.0, 2.0, 1.5]);
        let before = mixture.forecast();
        mixture.observe(at(2), 9.0);
        mixture.observe(at(0), 9.0);
        mixture.observe(at(3), f64::NAN);
        mixture.observe(at(3), f64::INFINITY);
        assert_eq!(mixture.forecast(), before);
    }

    #[test]
    fn a_gap_widens_the_forecast() {
        let mut random = Random::new(5);
        let mut walk = 0.0;
        let mut mixture = after((0..300).map(|_| {
            walk += random.normal();
            walk
        }));
        let span = |mixture: &Mixture, index: usize| {
            let (lower, upper) = mixture.forecast().unwrap().quantiles[index].interval(0.9);
            upper - lower
        };
        assert!(span(&mixture, grid().len() - 1) > 3.0 * span(&mixture, 0));
        // After a gap the same horizons are counted from the new observation on.
        let before = span(&mixture, 0);
        mixture.observe(at(400), walk);
        assert!(span(&mixture, 0) < 2.0 * before);
    }

    #[test]
    fn a_restart_forgets_all_but_the_in_control_half_widths() {
        let mut random = Random::new(6);
        let mut mixture = after((0..500).map(|i| random.normal() * 0.1 + f64::from(i / 400)));
        let widths = mixture.in_control_half_widths(0.9);
        assert!(mixture.onset().is_some());
        mixture.restart();
        assert_eq!(mixture.onset(), None);
        assert_eq!(mixture.forecast(), None);
        assert_eq!(mixture.measured_coverage(0.9), None);
        assert_eq!(mixture.in_control_half_widths(0.9), widths);
        mixture.observe(at(0), 1.0);
        mixture.observe(at(1), 1.0);
        assert!(mixture.forecast().is_some(), "time may start anew");
    }

    #[test]
    fn what_is_out_of_control_does_not_move_the_in_control_half_widths() {
        let mut random = Random::new(7);
        let mut mixture = after((0..500).map(|_| random.normal() * 0.1));
        let widths = mixture.in_control_half_widths(0.9);
        mixture.set_in_control(false);
        for second in 500..900 {
            mixture.observe(at(second), random.normal() * 5.0);
        }
        assert_eq!(mixture.in_control_half_widths(0.9), widths);
        mixture.set_in_control(true);
        mixture.observe(at(900), 0.3);
        assert_ne!(mixture.in_control_half_widths(0.9), widths);
    }

    #[test]
    fn weights_are_named_and_sum_to_one() {
        for mixture in [after([]), after([1.0, 1.0]), after((0..90).map(f64::from))] {
            let weights = mixture.weights();
            assert!((weights.iter().map(|w| w.weight).sum::<f64>() - 1.0).abs() < 1e-9);
            assert_eq!(weights[0].model, "last-value");
        }
    }

    #[test]
    fn a_trend_without_noise_is_given_to_the_trending_models() {
        let weights = after((0..90).map(f64::from)).weights();
        assert!(weights[2].weight + weights[3].weight > 0.9, "{weights:?}");
    }

    #[test]
    fn measured_coverage_is_read_between_the_levels() {
        let mut scoreboard = Scoreboard::default();
        for percent in 0..100 {
            let score = f64::from(percent) / 100.0 + 0.005;
            scoreboard.score(&LEVELS, score);
        }
        let (share, scored) = scoreboard.coverage(0.9).unwrap();
        assert_eq!(scored, 100);
        assert!((share - 0.9).abs() < 1e-9, "{share}");
        assert!((scoreboard.coverage(0.6).unwrap().0 - 0.6).abs() < 0.02);
    }
}
