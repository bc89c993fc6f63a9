//! One property's forecast.

use serde::{Deserialize, Serialize};

use super::{Band, Breach, PathBound, Point, Rfc3339, Severity, WireValue};

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

/// When the path of the deviation first leaves its band.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FirstPassage {
    /// The confidence that is asked for: the policy's least one for acting.
    pub confidence: f64,
    /// The first horizon by which it has left the band with at least that confidence; `None` if it does not by
    /// any.
    pub leaves: Option<PathBound>,
    /// At the horizons before this one it stays inside with at least that confidence; `None` if it does at all of
    /// them.
    pub stays_before_s: Option<f64>,
    /// By the last horizon.
    pub reach: PathBound,
}

/// How a series changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShiftKind {
    /// From one level to another.
    Step,
    /// In one direction, again and again.
    Trend,
}

/// The change with which the drift that is running set in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// When it set in.
    pub onset: Rfc3339,
    /// When it was noticed.
    pub noticed_at: Rfc3339,
    /// Whether it was done with one step.
    pub kind: ShiftKind,
    /// The level now less the level before, in tolerances.
    pub size: f64,
    /// The same in the property's unit; `None` for what is no measured number. On a side without a limit the
    /// level counts as approved.
    pub size_in_unit: Option<f64>,
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
    /// The value at its limit, in its unit, on the side where it is; `None` for what is no measured number.
    #[serde(default)]
    pub limit: Option<f64>,
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
    /// When the path first leaves the band; `None` without a forecast.
    pub first_passage: Option<FirstPassage>,
    /// When the drift that is running set in.
    pub onset: Option<Rfc3339>,
    /// The change with which it did, with its size.
    pub shift: Option<Shift>,
    /// Which models speak.
    pub models: Vec<ModelWeight>,
    /// Measured against promised coverage, once something was scored.
    pub coverage: Option<Coverage>,
    /// In one sentence: the outlook, or why there is no forecast.
    pub sentence: String,
}
