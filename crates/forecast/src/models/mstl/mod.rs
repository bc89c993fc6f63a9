//! Several seasons by repeated STL, and any model for what is left.
//!
//! ```text
//! y(t) = s1(t) + s2(t) + ... + x(t)
//! ```
//!
//! The seasons, shortest first, are taken off in turn by STL (Cleveland, Cleveland, McRae and Terpenning
//! 1990), then once more, each time from the series less all others: MSTL (Bandara, Hyndman and Bergmeir
//! 2021). The windows of the seasonal smoothers are 11, 15, 19... cycles, as there. STL itself is the crate
//! `stlrs`. The last cycle of each season is carried on as its profile, and trend and remainder together
//! are continued by a model without season: [`Ets`] unless told otherwise.
//!
//! One observation later the profiles are taken off, the inner model is updated, and each profile learns
//! a share of what was unforeseen ([`LEARNING`]), so that a season may change between two fits.
//!
//! Variance: that of the inner model, and for each season that of its profile's change from cycle to
//! cycle, as often as cycles go by: carrying the last cycle on is a random walk by cycles.
//!
//! Gaps are filled for the decomposition only (see `fill`); the inner model is fitted to, and updated by,
//! what was seen. Invariants: those of [`Fitted`]; forecasts are equivariant to shift and scale.

use serde::{Deserialize, Serialize};

use super::ets::Ets;
use super::ets::units::{Units, phase_after};
use super::{Fitted, Moments};

pub(crate) mod fill;

/// What a profile learns of an innovation that falls on it. Of eight shares from 0 to a half that were
/// tried on fifty hourly series, fitted to 400 values and updated by the rest, a tenth was best 24 steps
/// ahead (mean scaled error 0.906, against 0.925 without) and within 1 % of the best one step ahead
/// (0.524, against 0.582 without).
pub const LEARNING: f64 = 0.1;

/// The longest seasonal smoother of the shortest season, in cycles, and how much longer each next one is.
const WINDOW: usize = 11;
const WINDOW_MORE: usize = 4;

/// Rounds through all seasons.
const ROUNDS: usize = 2;

/// A series in parts, which sum to it where it was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Decomposition {
    /// The seasons that were taken off, in steps, rising.
    pub seasons: Vec<usize>,
    /// A component for each of `seasons`, as long as the series.
    pub seasonal: Vec<Vec<f64>>,
    /// The trend.
    pub trend: Vec<f64>,
    /// What is left; NaN where nothing was seen.
    pub remainder: Vec<f64>,
}

/// Decomposes `history` (gaps are NaN). Seasons of fewer than 2 steps, or of which the history does not
/// hold two cycles, are left out; `None` where none is left, or where nothing was seen.
pub fn decompose(history: &[f64], seasons: &[usize]) -> Option<Decomposition> {
    let units = Units::of(history);
    let mut parts = decompose_inner(&units.inner_all(history), seasons)?;
    let size = units.unit();
    for values in parts.seasonal.iter_mut().chain([&mut parts.remainder]) {
        values.iter_mut().for_each(|v| *v *= size);
    }
    parts.trend.iter_mut().for_each(|v| *v = units.value(*v));
    Some(parts)
}

fn decompose_inner(y: &[f64], seasons: &[usize]) -> Option<Decomposition> {
    let mut seasons: Vec<usize> = seasons.to_vec();
    seasons.retain(|m| *m > 1 && *m <= y.len() / 2);
    seasons.sort_unstable();
    seasons.dedup();
    let filled = fill::filled(y, *seasons.first()?);
    if !filled.iter().all(|v| v.is_finite()) {
        return None;
    }
    let windows: Vec<usize> = (0..seasons.len())
        .map(|i| WINDOW + WINDOW_MORE * i)
        .collect();
    let mut stl = stlrs::params();
    stl.inner_loops(2).outer_loops(0);
    let result = stlrs::MstlParams::new()
        .iterations(ROUNDS)
        .seasonal_lengths(&windows)
        .stl_params(stl)
        .fit(&filled, &seasons)
        .ok()?;
    let seasonal = result.seasonal().to_vec();
    let trend = result.trend().to_vec();
    let remainder = result.remainder().iter().zip(y);
    let remainder: Vec<f64> = remainder
        .map(|(left, y)| if y.is_nan() { f64::NAN } else { *left })
        .collect();
    let finite = seasonal
        .iter()
        .flatten()
        .chain(&trend)
        .all(|v| v.is_finite());
    finite.then_some(Decomposition {
        seasons,
        seasonal,
        trend,
        remainder,
    })
}

/// One season, as it goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Profile {
    by_phase: Vec<f64>,
    phase: usize,
    /// Of the change of a phase from one cycle to the next.
    variance: f64,
}

impl Profile {
    /// The last cycle of a component.
    fn of(component: &[f64], season: usize) -> Self {
        let changes = component[season..]
            .iter()
            .zip(component)
            .map(|(now, then)| now - then);
        let (sum, n) = changes.fold((0.0, 0.0), |(sum, n), d| (sum + d * d, n + 1.0));
        Self {
            by_phase: component[component.len() - season..].to_vec(),
            phase: 0,
            variance: if n > 0.0 { sum / n } else { 0.0 },
        }
    }

    /// What it adds `ahead` (0 for the next) steps later, and with which variance.
    fn at(&self, ahead: u32) -> (f64, f64) {
        let (phase, cycles) = phase_after(self.phase, ahead, self.by_phase.len());
        (
            self.by_phase[phase],
            (f64::from(cycles) + 1.0) * self.variance,
        )
    }
}

/// A model of several seasons, with `M` for trend and remainder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mstl<M = Ets> {
    units: Units,
    profiles: Vec<Profile>,
    inner: M,
    learning: f64,
}

impl Mstl<Ets> {
    /// Decomposes `history` (gaps are NaN) by `seasons` (in steps, any order) and fits exponential
    /// smoothing without season to the rest. Seasons that [`decompose`] leaves out are left out.
    ///
    /// `None` where exponential smoothing has too little to go by.
    pub fn fit(history: &[f64], seasons: &[usize]) -> Option<Self> {
        Self::fit_with(history, seasons, LEARNING, |rest| Ets::auto(rest, 0))
    }
}

impl<M: Fitted> Mstl<M> {
    /// As [`Mstl::fit`], with a model of one's own for the seasonally adjusted history (gaps are NaN, on
    /// a scale near 1) and a share in 0 to 1 that profiles learn of an innovation.
    pub fn fit_with(
        history: &[f64],
        seasons: &[usize],
        learning: f64,
        fit: impl FnOnce(&[f64]) -> Option<M>,
    ) -> Option<Self> {
        let units = Units::of(history);
        let mut rest = units.inner_all(history);
        let mut profiles = Vec::new();
        if let Some(parts) = decompose_inner(&rest, seasons) {
            for (component, season) in parts.seasonal.iter().zip(&parts.seasons) {
                rest.iter_mut().zip(component).for_each(|(y, s)| *y -= s);
                profiles.push(Profile::of(component, *season));
            }
        }
        let inner = fit(&rest)?;
        Some(Self {
            units,
            profiles,
            inner,
            learning,
        })
    }

    /// The model of trend and remainder.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    fn learn(&mut self, rest: f64) {
        let mut next = [Moments::default()];
        self.inner.predict(&[1], &mut next);
        let unforeseen = self.learning * (rest - next[0].mean);
        for profile in &mut self.profiles {
            profile.by_phase[profile.phase] += unforeseen;
        }
    }
}

impl<M: Fitted> Fitted for Mstl<M> {
    fn describe(&self) -> String {
        let seasons = self
            .profiles
            .iter()
            .map(|profile| profile.by_phase.len().to_string());
        let seasons: Vec<String> = seasons.collect();
        format!("MSTL[{}] + {}", seasons.join(","), self.inner.describe())
    }

    fn update(&mut self, observed: Option<f64>) {
        let season: f64 = self.profiles.iter().map(|profile| profile.at(0).0).sum();
        let inner = observed.and_then(|value| self.units.inner(value));
        let rest = inner.map(|y| y - season);
        if let Some(rest) = rest {
            self.learn(rest);
        }
        self.inner.update(rest);
        for profile in &mut self.profiles {
            profile.phase = (profile.phase + 1) % profile.by_phase.len();
        }
    }

    fn predict(&self, steps: &[u32], out: &mut [Moments]) {
        self.inner.predict(steps, out);
        for (h, moments) in steps.iter().zip(out) {
            let ahead = (*h).max(1) - 1;
            let (season, variance) = self
                .profiles
                .iter()
                .map(|profile| profile.at(ahead))
                .fold((0.0, 0.0), |(sum, variance), (s, v)| {
                    (sum + s, variance + v)
                });
            *moments = self
                .units
                .outer(moments.mean + season, moments.variance + variance);
        }
    }
}
