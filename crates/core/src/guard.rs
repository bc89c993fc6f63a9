//! Guards: the reasons to hold a failover back although a breach is seen. Every guard is asked every
//! time, and what each said is in the record.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a guard is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The policy's mode allows acting.
    Mode,
    /// Nobody paused the resource.
    Pause,
    /// No maintenance or change window is open.
    Window,
    /// What is predicted rests on enough history.
    WarmUp,
    /// The last failover is long enough ago.
    CoolDown,
    /// There were not too many failovers lately.
    RateLimit,
    /// A person approved, where that is asked for.
    Approval,
    /// There is a good generation to activate.
    GoodGeneration,
    /// The clone is known to be activatable.
    CloneHealth,
    /// The clone's data is new enough.
    CloneLag,
    /// The clone would not carry the same drift.
    CloneDrift,
    /// Other resources do not drift in the same way at the same time.
    SharedFate,
    /// Something moves the resource's clients, where it has any.
    Redirector,
    /// This process holds the resource's lease.
    Lease,
    /// The resource stands where a failover can start.
    Phase,
    /// With `when = "latest-safe"`: it is time.
    Timing,
}

impl Guard {
    /// The guard's name in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Pause => "pause",
            Self::Window => "window",
            Self::WarmUp => "warm-up",
            Self::CoolDown => "cool-down",
            Self::RateLimit => "rate limit",
            Self::Approval => "approval",
            Self::GoodGeneration => "good generation",
            Self::CloneHealth => "clone health",
            Self::CloneLag => "clone lag",
            Self::CloneDrift => "clone drift",
            Self::SharedFate => "shared fate",
            Self::Redirector => "redirector",
            Self::Lease => "lease",
            Self::Phase => "phase",
            Self::Timing => "timing",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one guard said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardCheck {
    /// Which.
    pub guard: Guard,
    /// Whether it holds the failover back.
    pub holds: bool,
    /// Why, or why not, in one sentence.
    pub sentence: String,
}
