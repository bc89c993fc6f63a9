//! One property's forecast.

use serde::{Deserialize, Serialize};

use super::{Band, Breach, Point, Rfc3339, Severity, WireValue};

/// Which forecast is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastQuery {
    /// Of which property.
    pub property: String,
}

/// The predictive distribution of the deviation at one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HorizonForecast {
    /// Time from the forecast's origin.
    pub after_s: f64,
    /// Quantiles at the levels that stand beside, never crossing.
    pub quantiles: Vec<f64>,
}

/// The share of one model in the mixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelWeight {
    /// The model's name.
    pub model: String,
    /// From 0 to 1; all of them sum to 1.
    pub weight: f64,
}

/// How well past intervals held what they promised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The coverage promised.
    pub nominal: f64,
    /// The coverage measured.
    pub measured: f64,
    /// On how many one-step intervals.
    pub scored: u64,
}

/// A property's outlook with its forecast fan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastView {
    /// Of which resource.
    pub resource: String,
    /// Of which property.
    pub property: String,
    /// The property's unit.
    pub unit: Option<String>,
    /// How much the property matters.
    pub severity: Severity,
    /// The instant of the last observation known to it.
    pub origin: Rfc3339,
    /// The value then.
    pub value: Option<WireValue>,
    /// The approved value.
    pub approved: Option<WireValue>,
    /// The deviation then.
    pub deviation: f64,
    /// The last deviations up to the origin, oldest first.
    pub recent: Vec<Point>,
    /// The sampling period.
    pub step_s: f64,
    /// The probability levels of every `quantiles`.
    pub levels: Vec<f64>,
    /// In order of time; empty for a property that never moved or too short a history.
    pub horizons: Vec<HorizonForecast>,
    /// How far the deviation may go.
    pub band: Band,
    /// The deviation that no band passes.
    pub ceiling: f64,
    /// Whether it goes too far.
    pub breach: Breach,
    /// When the drift that is running set in.
    pub onset: Option<Rfc3339>,
    /// Which models speak.
    pub models: Vec<ModelWeight>,
    /// Measured against promised coverage, once something was scored.
    pub coverage: Option<Coverage>,
    /// In one sentence: the outlook, or why there is no forecast.
    pub sentence: String,
}
