//! What the configuration file comes to for one resource: policy, rhythm, labels. The driver and the
//! redirector are built beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::ResourceId;
use evenkeel_core::policy::Policy;

/// When syncs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncRhythm {
    /// Whenever something changes, as far as the kind can tell.
    pub on_change: bool,
    /// And in any case this often: the net under it.
    pub every: Duration,
}

/// Which generations are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepGenerations {
    /// At least this many of the newest.
    pub newest: usize,
    /// And all that are younger than this ...
    pub younger_than: Duration,
    /// ... but never more than this many.
    pub at_most: usize,
}

/// The settings of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Its name.
    pub name: ResourceId,
    /// Its kind.
    pub kind: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What may be done with it.
    pub policy: Policy,
    /// When syncs are made.
    pub sync: SyncRhythm,
    /// How often its clone is rehearsed; `None` for never by itself.
    pub rehearse_every: Option<Duration>,
    /// Which generations are kept.
    pub keep: KeepGenerations,
}
