//! The theta method: exponential smoothing with a share of the slope of a line as drift.
//!
//! Source: Assimakopoulos and Nikolopoulos (2000), "The theta model: a decomposition approach to
//! forecasting"; as simple exponential smoothing with drift by Hyndman and Billah (2003); with the weight
//! of the line estimated, and the line learning as it goes, by Fiorucci, Pellegrini, Louzada, Petropoulos
//! and Koehler (2016). Equations are in `state`, seasonal adjustment in `seasonal`.
//!
//! Parameters and seasonal indices are estimated once. Invariants: those of [`Fitted`]. Forecasts follow a
//! change of scale; a shift can change whether the season is added or multiplied, else they follow it, too.

mod fit;
mod seasonal;
mod state;

use serde::{Deserialize, Serialize};

use super::ets::units::{Units, phase_after};
use super::{Fitted, Moments};
use fit::{LEARNING, Problem};
use seasonal::Indices;
use state::{Line, Parameters, State};

pub use seasonal::Effect;

/// Observations that a fit needs at least.
const OBSERVED_LEAST: usize = LEARNING + 5;

/// Which of the theta models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// `theta = 2`, the line through the whole history (STM).
    Standard,
    /// `theta` estimated, the line through the whole history (OTM).
    Optimised,
    /// `theta = 2`, the line through what was seen (DSTM).
    DynamicStandard,
    /// `theta` estimated, the line through what was seen (DOTM).
    DynamicOptimised,
}

impl Variant {
    fn dynamic(self) -> bool {
        match self {
            Self::Standard | Self::Optimised => false,
            Self::DynamicStandard | Self::DynamicOptimised => true,
        }
    }

    fn optimised(self) -> bool {
        match self {
            Self::Standard | Self::DynamicStandard => false,
            Self::Optimised | Self::DynamicOptimised => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Standard => "theta",
            Self::Optimised => "optimised theta",
            Self::DynamicStandard => "dynamic theta",
            Self::DynamicOptimised => "dynamic optimised theta",
        }
    }
}

/// A fitted theta model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Theta {
    variant: Variant,
    /// Of the seasonally adjusted series.
    units: Units,
    parameters: Parameters,
    state: State,
    season: Option<Indices>,
    phase: usize,
    /// Of an innovation, in inner units.
    variance: f64,
    mean_square: f64,
}

impl Theta {
    /// Estimates `variant` on `history` (gaps are NaN). A `season` of fewer than 4 steps, or one that
    /// the history does not show, is none.
    ///
    /// `None` where fewer than 8 values were seen.
    pub fn fit(history: &[f64], season: usize, variant: Variant) -> Option<Self> {
        let adjusted = Adjusted::of(history, season)?;
        Some(Self::estimate(&adjusted, variant))
    }

    /// Estimates both variants with a free `theta`, of which the others are special cases, and keeps the
    /// one that came closest one step ahead. `None` as for [`Self::fit`].
    pub fn auto(history: &[f64], season: usize) -> Option<Self> {
        let adjusted = Adjusted::of(history, season)?;
        let still = Self::estimate(&adjusted, Variant::Optimised);
        let dynamic = Self::estimate(&adjusted, Variant::DynamicOptimised);
        Some(if dynamic.mean_square < still.mean_square {
            dynamic
        } else {
            still
        })
    }

    /// The model with parameters as given, run over `history`: `level` is the one before the first
    /// value, in units of the series less its season. `None` as for [`Self::fit`].
    pub fn with(
        history: &[f64],
        season: usize,
        variant: Variant,
        (alpha, theta, level): (f64, f64, f64),
    ) -> Option<Self> {
        let adjusted = Adjusted::of(history, season)?;
        // What the line's height is counted from fades from the level at the rate of the start.
        let weight = 1.0 - 1.0 / theta;
        let zero = adjusted.units.value(0.0);
        let level = (level + weight * zero - zero) / adjusted.units.unit();
        let parameters = Parameters {
            alpha,
            weight,
            level,
        };
        Some(Self::run(&adjusted, variant, parameters))
    }

    fn estimate(adjusted: &Adjusted, variant: Variant) -> Self {
        let problem = Problem {
            y: &adjusted.y,
            line: adjusted.line(variant),
            weight: (!variant.optimised()).then_some(0.5),
        };
        let (parameters, _) = problem.solve();
        Self::run(adjusted, variant, parameters)
    }

    /// Runs over the history and takes stock.
    fn run(adjusted: &Adjusted, variant: Variant, parameters: Parameters) -> Self {
        let mut state = State::new(parameters.level, adjusted.line(variant));
        let (mut seen, mut squares) = (0, 0.0);
        for y in &adjusted.y {
            let Some(e) = state.step(&parameters, y.is_finite().then_some(*y)) else {
                continue;
            };
            seen += 1;
            if seen > LEARNING {
                squares += e * e;
            }
        }
        let counted = count(seen - LEARNING.min(seen)).max(1.0);
        let estimated = if variant.optimised() { 3.0 } else { 2.0 };
        let squares = squares.max(adjusted.units.rounding() * counted);
        let phases = adjusted
            .season
            .as_ref()
            .map_or(1, |season| season.by_phase.len());
        Self {
            variant,
            units: adjusted.units,
            parameters,
            state,
            season: adjusted.season.clone(),
            phase: adjusted.y.len() % phases,
            variance: squares / f64::max(counted - estimated, 1.0),
            mean_square: squares / counted,
        }
    }

    /// How the season works, if there is one.
    pub fn effect(&self) -> Option<Effect> {
        self.season.as_ref().map(|season| season.effect)
    }

    /// The weight of an innovation in the level.
    pub fn alpha(&self) -> f64 {
        self.parameters.alpha
    }

    /// How strongly curvature is enhanced; 2 is the classical model, infinity goes with the whole line.
    pub fn theta(&self) -> f64 {
        1.0 / (1.0 - self.parameters.weight)
    }

    /// The mean squared innovation of the adjusted history, in its squared units.
    pub fn mean_squared_error(&self) -> f64 {
        self.mean_square * self.units.unit() * self.units.unit()
    }
}

impl Fitted for Theta {
    fn describe(&self) -> String {
        match &self.season {
            None => self.variant.name().to_owned(),
            Some(season) => format!("{} [{}]", self.variant.name(), season.by_phase.len()),
        }
    }

    fn update(&mut self, observed: Option<f64>) {
        let adjusted = match &self.season {
            Some(season) => observed.map(|value| season.remove(value, self.phase)),
            None => observed,
        };
        let inner = adjusted.and_then(|value| self.units.inner(value));
        self.state.step(&self.parameters, inner);
        if let Some(season) = &self.season {
            self.phase = (self.phase + 1) % season.by_phase.len();
        }
    }

    fn predict(&self, steps: &[u32], out: &mut [Moments]) {
        for (h, moments) in steps.iter().zip(out) {
            let h = (*h).max(1);
            let (mean, growth) = self.state.predict(&self.parameters, h);
            *moments = self.units.outer(mean, self.variance * growth);
            if let Some(season) = &self.season {
                let phases = season.by_phase.len();
                let (phase, _) = phase_after(self.phase, h - 1, phases);
                *moments = season.restore(*moments, phase);
            }
        }
    }
}

/// A history without its season.
struct Adjusted {
    units: Units,
    y: Vec<f64>,
    season: Option<Indices>,
}

impl Adjusted {
    fn of(history: &[f64], season: usize) -> Option<Self> {
        if history.iter().filter(|v| v.is_finite()).count() < OBSERVED_LEAST {
            return None;
        }
        let season = Indices::of(history, season);
        let y = match &season {
            None => history.to_vec(),
            Some(season) => {
                let phases = season.by_phase.len();
                let plain = |(t, v): (usize, &f64)| season.remove(*v, t % phases);
                history.iter().enumerate().map(plain).collect()
            }
        };
        let units = Units::of(&y);
        let y = units.inner_all(&y);
        Some(Self { units, y, season })
    }

    /// The line through all of it, where the variant wants it.
    fn line(&self, variant: Variant) -> Option<Line> {
        (!variant.dynamic()).then(|| {
            let mut line = Line::default();
            for (t, y) in self.y.iter().enumerate().filter(|(_, y)| y.is_finite()) {
                line.add(count(t + 1), *y);
            }
            line
        })
    }
}

#[allow(clippy::cast_precision_loss)] // Lengths of series are far below 2^52.
fn count(n: usize) -> f64 {
    n as f64
}
