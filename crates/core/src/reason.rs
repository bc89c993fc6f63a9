//! Why a decision came out as it did: an enum for programs and tests, a sentence for people.

use serde::{Deserialize, Serialize};

use crate::failover::PlanKind;
use crate::guard::Guard;
use crate::ids::{Instance, PropertyPath, RunId};
use crate::property::Severity;

/// The reason of one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing breaches.
    Quiet,
    /// A property breaches that is alerted on, but not acted on.
    Watched {
        /// Which.
        path: PropertyPath,
        /// Its outlook.
        sentence: String,
    },
    /// A property was found outside its band and outside what was forecast for it. It is said once an episode, and
    /// moves no clients by itself.
    Surprised {
        /// Which.
        path: PropertyPath,
        /// Its outlook.
        sentence: String,
        /// How many more surprised at the same time.
        more: u32,
    },
    /// A breach is predicted, but was not seen often enough yet.
    NotSustained {
        /// Which property.
        path: PropertyPath,
        /// Its outlook.
        sentence: String,
        /// How often it was seen.
        seen: u32,
        /// How often it must be ...
        k: u8,
        /// ... within so many evaluations.
        n: u8,
    },
    /// A failover was called for, and a guard held it back.
    HeldBack {
        /// The first guard that did.
        guard: Guard,
        /// Which property.
        path: PropertyPath,
        /// Its outlook.
        sentence: String,
        /// What the guard said.
        why: String,
    },
    /// A failover begins.
    FailOver {
        /// For which property.
        path: PropertyPath,
        /// Its outlook.
        sentence: String,
        /// The saga.
        run: RunId,
    },
    /// The resource cannot be probed: unknown, which is no reason to act.
    Unknown {
        /// Why it cannot.
        why: String,
    },
    /// There is a baseline now.
    BaselineTaken,
    /// There is a clone now.
    Seeded,
    /// Clients were moved.
    Moved {
        /// The saga.
        run: RunId,
        /// Of which kind.
        kind: PlanKind,
        /// Who serves now.
        to: Instance,
    },
    /// Clients were not moved, and everything is as it was.
    MoveUndone {
        /// The saga.
        run: RunId,
        /// Of which kind.
        kind: PlanKind,
        /// What failed.
        why: String,
    },
    /// A saga can go neither forward nor back.
    Stuck {
        /// The saga.
        run: RunId,
        /// Of which kind.
        kind: PlanKind,
        /// What failed.
        why: String,
    },
    /// The old primary is the standby now.
    Reinstated {
        /// The saga.
        run: RunId,
        /// Which instance stands by.
        standby: Instance,
    },
    /// The old primary could not be made the standby.
    ReinstatementFailed {
        /// The saga.
        run: RunId,
        /// What failed.
        why: String,
    },
    /// A person asked, and it is done (or begins).
    Commanded {
        /// Who.
        by: String,
        /// What.
        what: String,
    },
    /// What was asked cannot be.
    Refused {
        /// Why.
        what: String,
    },
}

impl Reason {
    /// The property that it is about, where it is about one.
    pub fn path(&self) -> Option<&PropertyPath> {
        match self {
            Self::Watched { path, .. }
            | Self::Surprised { path, .. }
            | Self::NotSustained { path, .. }
            | Self::HeldBack { path, .. }
            | Self::FailOver { path, .. } => Some(path),
            Self::Quiet
            | Self::Unknown { .. }
            | Self::BaselineTaken
            | Self::Seeded
            | Self::Moved { .. }
            | Self::MoveUndone { .. }
            | Self::Stuck { .. }
            | Self::Reinstated { .. }
            | Self::ReinstatementFailed { .. }
            | Self::Commanded { .. }
            | Self::Refused { .. } => None,
        }
    }

    /// In one sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Quiet => "nothing that is alerted or acted on leaves its band".into(),
            Self::Watched { sentence, .. } => sentence.clone(),
            Self::Surprised {
                sentence, more: 0, ..
            } => sentence.clone(),
            Self::Surprised { sentence, more, .. } => {
                format!("{sentence}; {more} more of its properties surprise too")
            }
            Self::NotSustained {
                sentence,
                seen,
                k,
                n,
                ..
            } => format!("{sentence}; seen in {seen} of the last {n} evaluations, acted on at {k}"),
            Self::HeldBack {
                guard,
                sentence,
                why,
                ..
            } => {
                format!("not failing over ({guard}: {why}): {sentence}")
            }
            Self::FailOver { sentence, run, .. } => format!("failing over as {run}: {sentence}"),
            Self::Unknown { why } => {
                format!("the resource cannot be probed ({why}): nothing is done until it can")
            }
            Self::BaselineTaken => "the baseline is taken".into(),
            Self::Seeded => "the first full clone is made: the resource is guarded".into(),
            Self::Moved { run, kind, to } => format!("{kind} {run} is done: {to} serves"),
            Self::MoveUndone { run, kind, why } => {
                format!("{kind} {run} was undone, everything is as it was: {why}")
            }
            Self::Stuck { run, kind, why } => {
                format!("{kind} {run} is stuck, a person must look (then: evenkeel release): {why}")
            }
            Self::Reinstated { run, standby } => {
                format!("reinstatement {run} is done: {standby} stands by")
            }
            Self::ReinstatementFailed { run, why } => format!(
                "reinstatement {run} failed, there is no standby (then: evenkeel reinstate): {why}"
            ),
            Self::Commanded { by, what } => format!("{what} (by {by})"),
            Self::Refused { what } => format!("refused: {what}"),
        }
    }

    /// The same for as long as the reason is the same in kind: numbers that move do not matter.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Quiet => "quiet".into(),
            Self::Watched { path, .. } => format!("watched {path}"),
            Self::Surprised { path, .. } => format!("surprised {path}"),
            Self::NotSustained { path, .. } => format!("not sustained {path}"),
            Self::HeldBack { guard, path, .. } => format!("held back {guard} {path}"),
            Self::FailOver { run, .. } => format!("fail over {run}"),
            Self::Unknown { .. } => "unknown".into(),
            Self::BaselineTaken => "baseline".into(),
            Self::Seeded => "seeded".into(),
            Self::Moved { run, .. }
            | Self::MoveUndone { run, .. }
            | Self::Stuck { run, .. }
            | Self::Reinstated { run, .. }
            | Self::ReinstatementFailed { run, .. } => format!("ended {run}"),
            Self::Commanded { what, .. } => format!("commanded {what}"),
            Self::Refused { what } => format!("refused {what}"),
        }
    }

    /// Whether a key is that of something watched.
    pub(crate) fn is_watched_key(key: &str) -> bool {
        key.starts_with("watched ")
    }

    /// Whether people are told, and how urgently.
    pub fn alert(&self) -> Option<Severity> {
        match self {
            Self::Watched { .. } | Self::Surprised { .. } => Some(Severity::Warn),
            Self::HeldBack { guard, .. } => match guard {
                // A saga is under way and speaks for itself; waiting for the time is the policy.
                Guard::Phase | Guard::Timing => None,
                Guard::Pause | Guard::Window | Guard::WarmUp | Guard::CoolDown => {
                    Some(Severity::Warn)
                }
                Guard::Mode
                | Guard::RateLimit
                | Guard::Approval
                | Guard::GoodGeneration
                | Guard::CloneHealth
                | Guard::CloneLag
                | Guard::CloneDrift
                | Guard::SharedFate
                | Guard::Redirector
                | Guard::Lease => Some(Severity::Critical),
            },
            Self::FailOver { .. } | Self::MoveUndone { .. } | Self::Stuck { .. } => {
                Some(Severity::Critical)
            }
            Self::Unknown { .. } | Self::ReinstatementFailed { .. } => Some(Severity::Critical),
            Self::Moved { .. } | Self::Reinstated { .. } => Some(Severity::Info),
            Self::Quiet
            | Self::NotSustained { .. }
            | Self::BaselineTaken
            | Self::Seeded
            | Self::Commanded { .. }
            | Self::Refused { .. } => None,
        }
    }

    /// How it stands in the course of things, by which it is recorded and alerted on.
    pub(crate) fn course(&self) -> Course {
        match self {
            Self::Quiet => Course::Quiet,
            Self::Watched { .. }
            | Self::NotSustained { .. }
            | Self::HeldBack { .. }
            | Self::Unknown { .. } => Course::Lasting,
            Self::FailOver { .. }
            | Self::BaselineTaken
            | Self::Seeded
            | Self::Moved { .. }
            | Self::MoveUndone { .. }
            | Self::Stuck { .. }
            | Self::Reinstated { .. }
            | Self::ReinstatementFailed { .. } => Course::Passing,
            Self::Surprised { .. } | Self::Commanded { .. } | Self::Refused { .. } => Course::Aside,
        }
    }
}

/// How a reason stands in the course of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Nothing is the matter: worth a record only where it ends something that lasted.
    Quiet,
    /// It goes on until something else is the case, so it is said once.
    Lasting,
    /// It happened, and is over with being said.
    Passing,
    /// It is said beside what lasts, which goes on: the answer to a person, a surprise.
    Aside,
}
