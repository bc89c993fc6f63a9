//! What Evenkeel holds of one resource between two decisions. It is journalled with every change.
//!
//! ```text
//!             baseline + first clone          trigger, or a person
//!  Settling ─────────▶ Seeding ──▶ Guarded ─────────────▶ Moving{run}
//!                                   ▲  ▲                   │   │   │ stuck
//!                          undone:  │  └───────────────────┘   │   └─▶ Held
//!                          as it was│                     done │
//!                                   │                          ▼
//!                                   └──── done ─── Reinstating{run} ──▶ Unprotected (failed,
//!                                                                       or not asked for)
//! ```
//! `Unprotected` leads back to `Reinstating`, `Held` back to `Guarded` or `Unprotected`, both by a
//! person's word.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{FencingToken, Instance, PropertyPath, RunId};
use crate::policy::Window;
use crate::time::Timestamp;

/// Where a resource stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Watched, but without a baseline yet.
    Settling {
        /// When watching began.
        since: Timestamp,
    },
    /// It has a baseline; its first full clone is being made.
    Seeding,
    /// Baseline, clone, sync: a failover could be done.
    Guarded,
    /// Clients are being moved.
    Moving {
        /// The saga.
        run: RunId,
    },
    /// The instance that no longer serves is diagnosed, reverted and made the standby.
    Reinstating {
        /// The saga.
        run: RunId,
    },
    /// It serves, but there is no standby to fail over to.
    Unprotected {
        /// Why.
        why: String,
    },
    /// A saga could go neither forward nor back. Nothing is done until a person has looked.
    Held {
        /// The saga.
        run: RunId,
        /// What stopped it.
        why: String,
    },
}

impl Phase {
    /// One word for tables.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Settling { .. } => "settling",
            Self::Seeding => "seeding",
            Self::Guarded => "guarded",
            Self::Moving { .. } => "moving",
            Self::Reinstating { .. } => "reinstating",
            Self::Unprotected { .. } => "unprotected",
            Self::Held { .. } => "held",
        }
    }

    /// The saga under way, if one is.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::Moving { run } | Self::Reinstating { run } => Some(*run),
            Self::Settling { .. }
            | Self::Seeding
            | Self::Guarded
            | Self::Unprotected { .. }
            | Self::Held { .. } => None,
        }
    }
}

/// A person asked that nothing be done for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// What for.
    pub why: String,
    /// Until when; `None` is until resumed.
    pub until: Option<Timestamp>,
}

/// A person allowed one failover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// The approval is void from then on.
    pub until: Timestamp,
}

/// The last evaluations, newest in the lowest bit: which of them saw a trigger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sustain(u64);

impl Sustain {
    /// With one more evaluation.
    #[must_use]
    pub fn push(self, triggered: bool) -> Self {
        Self(self.0 << 1 | u64::from(triggered))
    }

    /// Whether none of the evaluations that are remembered saw anything.
    pub fn is_quiet(&self) -> bool {
        self.0 == 0
    }

    /// How many of the last `n` (at most 64) evaluations saw a trigger.
    pub fn count(self, n: u8) -> u32 {
        let mask = if n >= 64 { u64::MAX } else { (1 << n) - 1 };
        (self.0 & mask).count_ones()
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The highest token given to a plan so far.
    pub token: FencingToken,
    /// Which instance serves clients.
    pub serving: Instance,
    /// Where the resource stands.
    pub phase: Phase,
    /// Which of the last evaluations saw a trigger.
    pub sustain: Sustain,
    /// Which of the last evaluations saw a breach that people are told of, whether it is acted on or not.
    #[serde(default, skip_serializing_if = "Sustain::is_quiet")]
    pub watched: Sustain,
    /// When the last failovers were started, oldest first; bounded.
    pub failovers: Vec<Timestamp>,
    /// A pause, while there is one.
    pub pause: Option<Pause>,
    /// One-off windows that are not over.
    pub windows: Vec<Window>,
    /// An approval that was not used up.
    pub approval: Option<Approval>,
    /// What lasts at present.
    pub alerted: Option<String>,
    /// What was alerted on, each with the end of its episode as things stand: until then it is not alerted on
    /// again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<String, Timestamp>,
    /// Properties that surprised, each with the end of its episode as things stand: until then nothing more is
    /// said of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub surprised: BTreeMap<PropertyPath, Timestamp>,
}

impl State {
    /// A resource seen for the first time.
    pub fn new(now: Timestamp) -> Self {
        Self {
            token: FencingToken(0),
            serving: Instance::A,
            phase: Phase::Settling { since: now },
            sustain: Sustain::default(),
            watched: Sustain::default(),
            failovers: Vec::new(),
            pause: None,
            windows: Vec::new(),
            approval: None,
            alerted: None,
            told: BTreeMap::new(),
            surprised: BTreeMap::new(),
        }
    }

    /// The instance that does not serve.
    pub fn standby(&self) -> Instance {
        self.serving.other()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_called_as_they_are_stored_and_name_their_saga() {
        let (since, run, why) = (Timestamp::from_millis(0), RunId(3), "it broke".to_owned());
        let why = || why.clone();
        for (phase, under_way) in [
            (Phase::Settling { since }, None),
            (Phase::Seeding, None),
            (Phase::Guarded, None),
            (Phase::Moving { run }, Some(run)),
            (Phase::Reinstating { run }, Some(run)),
            (Phase::Unprotected { why: why() }, None),
            (Phase::Held { run, why: why() }, None),
        ] {
            let stored = serde_json::to_string(&phase).unwrap();
            assert!(
                stored.contains(&format!("\"{}\"", phase.as_str())),
                "{stored}"
            );
            assert_eq!(phase.run(), under_way);
        }
        let state = State::new(since);
        assert_eq!((state.serving, state.standby()), (Instance::A, Instance::B));
    }

    #[test]
    fn only_the_last_n_evaluations_count() {
        let seen = [true, true, false, true]
            .into_iter()
            .fold(Sustain::default(), Sustain::push);
        assert_eq!(
            (seen.count(1), seen.count(2), seen.count(4), seen.count(64)),
            (1, 1, 3, 3)
        );
    }
}
