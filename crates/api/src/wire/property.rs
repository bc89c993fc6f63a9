//! Properties and their values, history and changes.

use serde::{Deserialize, Serialize};

use super::Rfc3339;

words! {
    /// What sort of value a property has.
    ValueKind {
        /// A number; `value` is a JSON number.
        Number = "number",
        /// On or off; `value` is a JSON boolean.
        Flag = "flag",
        /// One word out of a few; `value` is a string.
        Choice = "choice",
        /// Text; `value` is a string.
        Text = "text",
        /// Things without order; `value` is an array of strings, sorted.
        Set = "set",
        /// A tree; `value` is an object whose leaves are [`WireValue`]s.
        Document = "document",
        /// A secret; `value` is the text of its keyed hash: equal or not equal, never the secret.
        Redacted = "redacted",
    }
}

words! {
    /// How much a property matters.
    Severity {
        /// Recorded and forecast.
        Info = "info",
        /// And alerted on.
        Warn = "warn",
        /// And may start a failover.
        Critical = "critical",
    }
}

words! {
    /// Where a property comes from.
    Origin {
        /// Somebody wrote it: it is approved and pinned.
        Configuration = "configuration",
        /// It came about: it is watched.
        Capacity = "capacity",
    }
}

words! {
    /// Whether a deviation is, or will be, outside its band.
    BreachKind {
        /// Neither now nor within the horizon.
        None = "none",
        /// The median of the forecast leaves the band.
        Predicted = "predicted",
        /// The deviation has reached the ceiling.
        Observed = "observed",
    }
}

words! {
    /// Which of a property's series.
    Stream {
        /// The number itself.
        Value = "value",
        /// Its deviation from the baseline.
        Deviation = "deviation",
        /// The band's lower edge, a negative deviation.
        BandLower = "band_lower",
        /// The band's upper edge.
        BandUpper = "band_upper",
    }
}

words! {
    /// How the points of a step become one.
    Aggregation {
        /// The least.
        Min = "min",
        /// The greatest.
        Max = "max",
        /// The arithmetic mean.
        Mean = "mean",
        /// The latest.
        Last = "last",
        /// How many there are.
        Count = "count",
    }
}

/// A value with its kind. `value` is for programs, `text` for people; `kind` says how `value` is to
/// be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireValue {
    /// What sort of value.
    pub kind: ValueKind,
    /// As JSON; see [`ValueKind`].
    pub value: serde_json::Value,
    /// As people write it: `1,024`, `on`, `{a, b}`.
    pub text: String,
}

/// The line that a value stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file, relative to the resource's tree.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The interval `[-lower, upper]` of harmless deviation; both are positive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// How far below the approved value.
    pub lower: f64,
    /// How far above it.
    pub upper: f64,
}

impl Band {
    /// Whether `deviation` lies outside.
    pub fn is_breached_by(self, deviation: f64) -> bool {
        deviation > self.upper || deviation < -self.lower
    }
}

/// What is certain of the path of a deviation, whatever the dependence between its horizons is: the probability
/// that it leaves its band within a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathBound {
    /// From the forecast's origin.
    pub within_s: f64,
    /// No less probably than this.
    pub at_least: f64,
    /// At the horizons of the forecast no more probably than this.
    pub at_most: f64,
}

/// Whether and when a deviation leaves its band.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// Which.
    pub kind: BreachKind,
    /// Time until the first horizon whose median is outside; 0 for an observed breach.
    pub lead_time_s: Option<f64>,
    /// The calibrated probability behind it: 0 for none, 1 for an observed breach. Of a predicted one the
    /// greatest at the horizons whose median is outside, not that at the lead time; drifts that set in
    /// together raise it.
    pub confidence: f64,
    /// Of a predicted breach: within which time the path leaves the band with the confidence that the property
    /// has by itself.
    pub path_bound: Option<PathBound>,
    /// Time until the median reaches the ceiling, where it does within the horizon.
    pub harm_after_s: Option<f64>,
    /// Of a predicted breach: whether the deviation comes to its ceiling within the horizon.
    #[serde(default)]
    pub harm: Option<Harm>,
}

/// How probable it is that a deviation comes to its ceiling within the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Harm {
    /// In [0, 1], with what the property's own past tells.
    pub probability: f64,
    /// How often it came as far as now and turned back by itself.
    pub turned_back: u32,
}

impl Breach {
    /// No breach in sight.
    pub const NONE: Self = Self {
        kind: BreachKind::None,
        lead_time_s: None,
        confidence: 0.0,
        path_bound: None,
        harm_after_s: None,
        harm: None,
    };
}

/// What was forecast for a value that was found outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surprise {
    /// The lower bound of what was expected, as a deviation.
    pub expected_lower: f64,
    /// The upper bound.
    pub expected_upper: f64,
    /// The least value that was expected, in the property's unit; `None` where there was none, or it is no
    /// number.
    pub least: Option<f64>,
    /// The greatest.
    pub greatest: Option<f64>,
}

/// One property as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Property {
    /// Where it stands inside its resource.
    pub path: String,
    /// The value found; `None` where it vanished.
    pub value: Option<WireValue>,
    /// The approved value; `None` where it is not in the baseline.
    pub approved: Option<WireValue>,
    /// The value at its limit, in its unit, on the side where it is; `None` for what is no measured number.
    #[serde(default)]
    pub limit: Option<f64>,
    /// The signed distance from the approved value, in tolerances.
    pub deviation: f64,
    /// How far the deviation may go.
    pub band: Band,
    /// How much it matters.
    pub severity: Severity,
    /// Configuration or capacity.
    pub origin: Origin,
    /// The line it stands on.
    pub place: Option<Place>,
    /// Its unit.
    pub unit: Option<String>,
    /// Whether it goes too far.
    pub breach: Breach,
    /// When the drift that is running set in.
    pub onset: Option<Rfc3339>,
    /// What was forecast for it, where the value lies outside of that.
    pub surprise: Option<Surprise>,
    /// All of it in one sentence.
    pub sentence: String,
}

/// A place that could not be read: what stands there is unknown, not gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The property path, or a prefix of several.
    pub path: String,
    /// Why.
    pub why: String,
}

/// The properties of a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PropertyList {
    /// Which resource.
    pub resource: String,
    /// When they were read.
    pub at: Rfc3339,
    /// In order of paths.
    pub properties: Vec<Property>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// Which points are asked for: `from` inclusive to `until` exclusive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Of which property.
    pub property: String,
    /// Which series of it; the deviation where not said.
    pub stream: Option<Stream>,
    /// First instant; an hour before `until` where not said.
    pub from: Option<Rfc3339>,
    /// First instant after; now where not said.
    pub until: Option<Rfc3339>,
    /// One point per this time; every point where not said.
    pub step_s: Option<f64>,
    /// How the points of a step become one; the last where not said.
    pub aggregation: Option<Aggregation>,
}

/// One point of a series; after aggregation `at` is the start of its step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub at: Rfc3339,
    /// How much.
    pub value: f64,
}

/// Points of one series, in order of time. A gap is a gap: no point is made up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Of which resource.
    pub resource: String,
    /// Of which property.
    pub property: String,
    /// Which series of it.
    pub stream: Stream,
    /// The unit of the value; deviations and bands have none.
    pub unit: Option<String>,
    /// First instant asked for.
    pub from: Rfc3339,
    /// First instant after.
    pub until: Rfc3339,
    /// The step of aggregation.
    pub step_s: Option<f64>,
    /// How the points of a step became one.
    pub aggregation: Option<Aggregation>,
    /// The points.
    pub points: Vec<Point>,
    /// The band in force now, for deviations.
    pub band: Option<Band>,
}

/// Which changes are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeQuery {
    /// Of this property only.
    pub property: Option<String>,
    /// First instant; a day before `until` where not said.
    pub from: Option<Rfc3339>,
    /// First instant after; now where not said.
    pub until: Option<Rfc3339>,
}

/// A property's value changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which property.
    pub property: String,
    /// When it was seen.
    pub at: Rfc3339,
    /// Before; `None` if it was not there.
    pub old: Option<WireValue>,
    /// After; `None` if it is gone.
    pub new: Option<WireValue>,
    /// Where it stands.
    pub place: Option<Place>,
}

/// The changes of a resource, in order of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeList {
    /// Which resource.
    pub resource: String,
    /// Oldest first.
    pub changes: Vec<Change>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_reads_back_and_an_unknown_one_names_the_known() {
        for word in Stream::ALL {
            assert_eq!(word.as_str().parse(), Ok(*word));
            assert_eq!(serde_json::to_value(word).unwrap(), word.as_str());
        }
        let error = "loud".parse::<Severity>().unwrap_err();
        assert_eq!(error.to_string(), "`loud` is none of info, warn, critical");
    }

    #[test]
    fn a_query_with_an_unknown_field_is_refused() {
        let error = serde_json::from_str::<ChangeQuery>(r#"{"form":"x"}"#).unwrap_err();
        assert!(error.to_string().contains("form"), "{error}");
    }
}
