//! The baseline: what is approved, how the resource differs from it, and how it came about.

use serde::{Deserialize, Serialize};

use super::{Id, Origin, Place, Rfc3339, Unreadable, WireValue};

/// The baseline in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineView {
    /// Of which resource.
    pub resource: String,
    /// Its version, when, by whom, what for.
    #[serde(flatten)]
    pub summary: BaselineSummary,
    /// The approved values, in order of paths.
    pub values: Vec<BaselineProperty>,
}

/// One version of a baseline at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineSummary {
    /// Rises with every approval.
    pub version: Id,
    /// When it was approved.
    pub at: Rfc3339,
    /// By whom.
    pub by: String,
    /// What was said with it.
    pub note: String,
    /// How many properties it has.
    pub properties: u64,
    /// The generation whose configuration is the approved one, once a sync has made it.
    pub pinned: Option<Id>,
}

/// One approved value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineProperty {
    /// Which property.
    pub path: String,
    /// Its approved value.
    pub value: WireValue,
    /// Configuration or capacity.
    pub origin: Origin,
    /// Its unit.
    pub unit: Option<String>,
    /// The line it stood on.
    pub place: Option<Place>,
    /// The tolerance learned while settling, where one was.
    pub learned_tolerance: Option<f64>,
}

/// One property that is not as approved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Which property.
    pub path: String,
    /// Its approved value; `None` if it is not in the baseline.
    pub approved: Option<WireValue>,
    /// Its value now; `None` if it vanished.
    pub found: Option<WireValue>,
    /// Where it stands, or stood.
    pub place: Option<Place>,
}

/// How a resource's configuration differs from its baseline now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineDiff {
    /// Which resource.
    pub resource: String,
    /// The baseline it is compared with.
    pub version: Id,
    /// When the resource was read.
    pub at: Rfc3339,
    /// In order of paths.
    pub differences: Vec<Difference>,
    /// What could not be read, and so was not compared.
    pub unreadable: Vec<Unreadable>,
}

/// All versions of a baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineHistory {
    /// Of which resource.
    pub resource: String,
    /// Newest first.
    pub versions: Vec<BaselineSummary>,
}
