//! The models of the pool: what one is, and which there are.
//!
//! A model knows one series and is updated by one observation at a time. Time is counted in steps of
//! the sampling period and may be any positive number, so that an irregular sample or a gap is taken
//! exactly as it is. Left out on purpose: calibration (`crate::conformal`) and the choice between
//! models (`crate::experts`); a model says honestly what it believes and no more.

pub mod adaptive_ar;
pub mod arima;
pub mod ets;
pub mod mstl;
pub mod seasonal_naive;
pub mod theta;

mod bank;
mod drift;
mod filter;
mod fitted;
mod last_value;
mod local_level;
mod local_linear_trend;
pub mod sparse_ar;
mod stairs;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use drift::Drift;
pub use fitted::Fitted;
pub use last_value::LastValue;
pub use local_level::LocalLevel;
pub use local_linear_trend::LocalLinearTrend;

/// The least variance that a model states. It only keeps divisions and logarithms finite.
pub(crate) const VARIANCE_FLOOR: f64 = 1e-60;

/// Mean and variance of a predictive distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// The expected value.
    pub mean: f64,
    /// The expected squared distance from the mean; never negative.
    pub variance: f64,
}

/// How a model continues a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// The mean forecast is the same at every horizon.
    Flat,
    /// The mean forecast goes on in the direction found; believed only on evidence of a trend
    /// (see [`crate::trend`]).
    Trending,
}

/// Forecasts one series from its own past.
///
/// Values handed in are finite. Nothing may be asked before the first observation.
pub trait Model: Send + Sync + fmt::Debug {
    /// The name under which its weight is shown.
    fn name(&self) -> &'static str;

    /// How it continues the series.
    fn continuation(&self) -> Continuation;

    /// Takes one more observation, made `elapsed_steps` (> 0) after the last one. The first call's
    /// `elapsed_steps` has no meaning and is not used.
    fn observe(&mut self, elapsed_steps: f64, value: f64);

    /// The last observation, `value`, showed that a new regime has set in. By default that is nothing
    /// to a model.
    fn begin_regime(&mut self, value: f64) {
        let _ = value;
    }

    /// The predictive distribution of an observation `ahead_steps` after the last one.
    fn predict(&self, ahead_steps: f64) -> Moments;
}

/// How many models are in the pool.
pub const POOL: usize = 4;

/// The models that every varying series has, in the order in which weights are shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pool {
    last_value: LastValue,
    local_level: LocalLevel,
    local_linear_trend: LocalLinearTrend,
    drift: Drift,
}

impl Pool {
    /// The models, in order.
    pub fn models(&self) -> [&dyn Model; POOL] {
        [
            &self.last_value,
            &self.local_level,
            &self.local_linear_trend,
            &self.drift,
        ]
    }

    /// Every model takes one more observation.
    pub fn observe(&mut self, elapsed_steps: f64, value: f64) {
        self.last_value.observe(elapsed_steps, value);
        self.local_level.observe(elapsed_steps, value);
        self.local_linear_trend.observe(elapsed_steps, value);
        self.drift.observe(elapsed_steps, value);
    }

    /// A new regime has set in.
    pub fn begin_regime(&mut self, value: f64) {
        self.last_value.begin_regime(value);
        self.local_level.begin_regime(value);
        self.local_linear_trend.begin_regime(value);
        self.drift.begin_regime(value);
    }

    /// What every model says of an observation `ahead_steps` after the last one.
    pub fn predict(&self, ahead_steps: f64) -> [Moments; POOL] {
        [
            self.last_value.predict(ahead_steps),
            self.local_level.predict(ahead_steps),
            self.local_linear_trend.predict(ahead_steps),
            self.drift.predict(ahead_steps),
        ]
    }
}
