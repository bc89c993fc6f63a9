//! The fleet, and one resource of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Band, Breach, Event, GuardCheck, Id, Network, Rfc3339, Unreadable};

words! {
    /// What Evenkeel may do with a resource by itself.
    Mode {
        /// Watch, forecast, record.
        Observe = "observe",
        /// And say what it would do.
        Advise = "advise",
        /// And do it.
        Act = "act",
    }
}

words! {
    /// Where a resource stands.
    PhaseKind {
        /// Watched, but without a baseline yet.
        Settling = "settling",
        /// Its first full clone is being made.
        Seeding = "seeding",
        /// Baseline, clone, sync: a failover could be done.
        Guarded = "guarded",
        /// Clients are being moved.
        Moving = "moving",
        /// The old primary is diagnosed, reverted and made the standby.
        Reinstating = "reinstating",
        /// It serves, but there is no standby.
        Unprotected = "unprotected",
        /// A saga could go neither forward nor back: a person must look.
        Held = "held",
    }
}

words! {
    /// Which of a resource's two places.
    Instance {
        /// Where the resource was first found.
        A = "a",
        /// The place that Evenkeel made for the clone.
        B = "b",
    }
}

words! {
    /// How an instance answered when it was last asked whether it is well.
    InstanceHealth {
        /// It is.
        Well = "well",
        /// It runs, or should, and is not well.
        Unwell = "unwell",
        /// It does not run. For a standby that is as it should be.
        Down = "down",
        /// It was not asked, or could not be.
        Unknown = "unknown",
    }
}

/// All resources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetStatus {
    /// When this was said, by the daemon's clock.
    pub at: Rfc3339,
    /// In the order of the configuration.
    pub resources: Vec<ResourceStatus>,
    /// The networks that forecast all properties of a kind, by kind.
    #[serde(default)]
    pub networks: Vec<Network>,
}

/// One resource at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceStatus {
    /// Its name.
    pub name: String,
    /// The kind of its driver: `service`, `files`.
    pub kind: String,
    /// Labels from the configuration.
    pub labels: BTreeMap<String, String>,
    /// What Evenkeel may do with it.
    pub mode: Mode,
    /// Where it stands.
    pub phase: PhaseKind,
    /// Why it stands there, where that is not plain: what holds it, why it is unprotected.
    pub phase_why: Option<String>,
    /// The saga under way, or the one that it is held by.
    pub run: Option<Id>,
    /// The instance that serves.
    pub serving: Instance,
    /// The address at which clients come in, where there is one.
    pub entrance: Option<String>,
    /// The baseline in force; `None` while settling.
    pub baseline: Option<Id>,
    /// How many properties are watched.
    pub properties: u64,
    /// How many of them breach, now or by prediction.
    pub breaching: u64,
    /// When its properties were last read.
    pub probed_at: Option<Rfc3339>,
    /// Why they could not be read the last time.
    pub probe_problem: Option<String>,
    /// The property that needs attention most; `None` while nothing is known.
    pub worst: Option<WorstProperty>,
    /// Time until its breach, where one is seen: until the first horizon whose median is outside.
    pub lead_time_s: Option<f64>,
    /// The probability behind that breach, not that of its coming within the lead time: that is
    /// `worst.breach.path_bound`.
    pub confidence: Option<f64>,
    /// The standby copy; `None` before the first sync.
    pub clone: Option<CloneStatus>,
    /// The last rehearsal.
    pub rehearsal: Option<RehearsalStatus>,
    /// How long an activation took when it was last measured.
    pub activation_ms: Option<u64>,
    /// A person asked that nothing be done.
    pub pause: Option<Pause>,
    /// Change windows that are open or to come.
    pub windows: Vec<Window>,
    /// A person allowed one failover.
    pub approval: Option<ApprovalView>,
    /// In one sentence: how it is and what, if anything, is held back by what.
    pub sentence: String,
}

/// The property that needs attention most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorstProperty {
    /// Which.
    pub path: String,
    /// Its deviation now.
    pub deviation: f64,
    /// How far it may go.
    pub band: Band,
    /// Whether it goes too far.
    pub breach: Breach,
    /// The last deviations, oldest first, at most about 40; `None` is a gap.
    pub recent: Vec<Option<f64>>,
    /// The time between two of them.
    pub recent_step_s: f64,
}

/// The standby copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloneStatus {
    /// The newest generation whose configuration is good.
    pub newest_good: Option<Id>,
    /// How old that one is.
    pub newest_good_age_s: Option<f64>,
    /// When the last sync ended well.
    pub synced_at: Option<Rfc3339>,
    /// Why the last sync failed, if it did.
    pub sync_problem: Option<String>,
    /// How many generations are good.
    pub good: u64,
    /// How many are suspect.
    pub suspect: u64,
    /// How many are quarantined.
    pub quarantined: u64,
}

/// What the last rehearsal showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsalStatus {
    /// When.
    pub at: Rfc3339,
    /// The generation whose configuration was activated.
    pub generation: Id,
    /// Whether it became well.
    pub ok: bool,
    /// Why not.
    pub why: Option<String>,
    /// From start to the first good health check.
    pub activation_ms: u64,
}

/// A person asked that nothing be done for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// What for.
    pub why: String,
    /// Until when; `None` is until resumed.
    pub until: Option<Rfc3339>,
}

/// A time in which changes are expected and nothing is acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First instant inside.
    pub from: Rfc3339,
    /// First instant after.
    pub until: Rfc3339,
    /// Who asked for it; `None` for a recurring one of the configuration.
    pub by: Option<String>,
    /// What for.
    pub why: Option<String>,
}

/// A person allowed one failover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalView {
    /// Who.
    pub by: String,
    /// Void from then on.
    pub until: Rfc3339,
}

/// One resource in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceDetail {
    /// As in the fleet.
    #[serde(flatten)]
    pub status: ResourceStatus,
    /// Both places.
    pub instances: Vec<InstanceStatus>,
    /// What was asked for.
    pub policy: PolicyView,
    /// What could not be read the last time.
    pub unreadable: Vec<Unreadable>,
    /// What every guard says now.
    pub guards: Vec<GuardCheck>,
    /// The last events, newest first.
    pub events: Vec<Event>,
}

/// One of the two places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Which.
    pub instance: Instance,
    /// Whether clients are sent to it.
    pub serves: bool,
    /// Where it is found.
    pub endpoint: Option<String>,
    /// How it answered last.
    pub health: InstanceHealth,
    /// Why it is not well.
    pub health_why: Option<String>,
}

/// The policy's numbers that decisions depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyView {
    /// `early` or `latest-safe`.
    pub when: String,
    /// What a predicted breach is acted on for: `harm` (leaving the band on the way to the limit) or `band`.
    pub act_on: String,
    /// How long a property is watched before a prediction of it is acted on.
    pub warm_up_s: f64,
    /// How much risk is tolerated, 0 to 1.
    pub risk_tolerance: f64,
    /// The least confidence on which a prediction is acted.
    pub min_confidence: f64,
    /// A trigger counts when so many ...
    pub sustain_k: u8,
    /// ... of the last so many evaluations saw it.
    pub sustain_n: u8,
    /// How far ahead is forecast.
    pub horizon_s: f64,
    /// The time between two probes.
    pub sample_every_s: f64,
    /// After a failover, no other for this long.
    pub cool_down_s: f64,
    /// How old the clone's data may be at a failover.
    pub max_data_age_s: f64,
    /// Whether a person must approve each failover.
    pub approval_required: bool,
    /// Whether the old primary is put back to its baseline afterwards.
    pub revert: bool,
}
