//! History: everything that was observed, derived and believed, for as long as policy says.
//!
//! Contract: values come back exactly as they went in; a gap stays a gap; appending the same sample
//! again changes nothing; what `append` returned `Ok` for survives a crash of the process.

use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::forecast::Forecast;
use evenkeel_core::property::{Place, Value};
use evenkeel_core::{PropertyPath, ResourceId, Timestamp};
use serde::{Deserialize, Serialize};

/// Which of a property's series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// The number itself.
    Value,
    /// Its deviation from the baseline.
    Deviation,
    /// The band's lower edge (a negative deviation).
    BandLower,
    /// The band's upper edge.
    BandUpper,
}

impl Stream {
    /// All, in order.
    pub const ALL: [Self; 4] = [
        Self::Value,
        Self::Deviation,
        Self::BandLower,
        Self::BandUpper,
    ];

    /// The name in labels and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Deviation => "deviation",
            Self::BandLower => "band_lower",
            Self::BandUpper => "band_upper",
        }
    }
}

/// The name of one series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    /// Of which resource.
    pub resource: ResourceId,
    /// Of which property.
    pub property: PropertyPath,
    /// Which series of it.
    pub stream: Stream,
}

/// One point of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Whose.
    pub series: SeriesKey,
    /// When.
    pub at: Timestamp,
    /// How much; finite.
    pub value: f64,
}

/// A point that came back; after aggregation `at` is the start of its step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// How much.
    pub value: f64,
}

/// How the points of a step become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The arithmetic mean.
    Mean,
    /// The latest.
    Last,
    /// How many there are.
    Count,
}

/// Which points are asked for: `from` inclusive to `until` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First instant.
    pub from: Timestamp,
    /// First instant after.
    pub until: Timestamp,
    /// One point per this time; `None` for every point. A step without points gives none.
    pub step: Option<(Duration, Aggregation)>,
}

/// A property's value changed (numbers of configuration, and everything that is not a number).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PropertyChange {
    /// Of which resource.
    pub resource: ResourceId,
    /// Of which property.
    pub property: PropertyPath,
    /// When it was seen.
    pub at: Timestamp,
    /// Before; `None` if it was not there.
    pub old: Option<Value>,
    /// After; `None` if it is gone.
    pub new: Option<Value>,
    /// Where it stands.
    pub place: Option<Place>,
}

/// What is kept for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPolicy {
    /// Every point.
    pub raw: Duration,
    /// Minimum, maximum, mean, last and count per 5 minutes.
    pub five_minutes: Duration,
    /// The same per hour.
    pub hour: Duration,
    /// Changes, and forecasts as they were made.
    pub changes: Duration,
}

impl Default for RetentionPolicy {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            raw: 15 * DAY,
            five_minutes: 90 * DAY,
            hour: 730 * DAY,
            changes: 730 * DAY,
        }
    }
}

/// What retention removed, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPlan {
    /// Points of the raw tier.
    pub raw_points: u64,
    /// Points of the coarser tiers.
    pub coarse_points: u64,
    /// Change records.
    pub changes: u64,
    /// Stored forecasts.
    pub forecasts: u64,
    /// Points written to coarser tiers.
    pub downsampled: u64,
}

/// What was learned of one property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Of which property.
    pub property: PropertyPath,
    /// As bytes that only whoever wrote them understands.
    pub state: Vec<u8>,
}

/// What was found of what was learned of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearnedFound {
    /// What could be read, by property.
    pub states: Vec<Learned>,
    /// What could not, each with its place: to be reported, and learned again.
    pub damaged: Vec<HistoryError>,
}

/// Time series, changes, forecasts and what was learned; see the module's contract.
#[async_trait]
pub trait History: Send + Sync + std::fmt::Debug {
    /// Adds points. One call is all or nothing.
    async fn append(&self, samples: &[Sample]) -> Result<(), HistoryError>;

    /// Adds changes.
    async fn append_changes(&self, changes: &[PropertyChange]) -> Result<(), HistoryError>;

    /// Keeps forecasts of deviations as they were made.
    async fn append_forecasts(
        &self,
        resource: &ResourceId,
        forecasts: &[(PropertyPath, Forecast)],
    ) -> Result<(), HistoryError>;

    /// Points in order of time, from the finest tier that still has them.
    async fn range(&self, series: &SeriesKey, range: Range) -> Result<Vec<Point>, HistoryError>;

    /// The latest point.
    async fn latest(&self, series: &SeriesKey) -> Result<Option<Point>, HistoryError>;

    /// The series of a resource.
    async fn series(&self, resource: &ResourceId) -> Result<Vec<SeriesKey>, HistoryError>;

    /// Changes in order of time; of one property, or of all.
    async fn changes(
        &self,
        resource: &ResourceId,
        property: Option<&PropertyPath>,
        range: Range,
    ) -> Result<Vec<PropertyChange>, HistoryError>;

    /// The latest forecast made at or before `at`.
    async fn forecast_at(
        &self,
        resource: &ResourceId,
        property: &PropertyPath,
        at: Timestamp,
    ) -> Result<Option<Forecast>, HistoryError>;

    /// Keeps what was learned of a resource, each state in the place of the one before, and removes what
    /// is `forgotten`. One call is all or nothing.
    async fn save_learned(
        &self,
        resource: &ResourceId,
        states: &[Learned],
        forgotten: &[PropertyPath],
    ) -> Result<(), HistoryError>;

    /// All that was learned of a resource, as it was saved last. One damaged state hurts no other.
    async fn load_learned(&self, resource: &ResourceId) -> Result<LearnedFound, HistoryError>;

    /// What `retain` would remove.
    async fn plan_retention(
        &self,
        policy: &RetentionPolicy,
        now: Timestamp,
    ) -> Result<RetentionPlan, HistoryError>;

    /// Downsamples and removes what is past its age.
    async fn retain(
        &self,
        policy: &RetentionPolicy,
        now: Timestamp,
    ) -> Result<RetentionPlan, HistoryError>;
}

/// Why history could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// There is no room left.
    #[error("{place}: no space left: free some, or shorten `history` retention")]
    NoSpace {
        /// The file.
        place: String,
    },
    /// What is stored cannot be understood.
    #[error("{place}: damaged: {what}")]
    Damaged {
        /// The file, table and row.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// It did not work out.
    #[error("{place}: {what}")]
    Failed {
        /// The file.
        place: String,
        /// What went wrong.
        what: String,
    },
}
