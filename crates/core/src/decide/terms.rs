//! What a decision is made on, and what it is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::band::Judgement;
use crate::failover::{Capabilities, Outcome, Plan};
use crate::generation::Generation;
use crate::guard::GuardCheck;
use crate::ids::{EventId, Instance, PropertyPath, ResourceId, RunId};
use crate::outlook::PropertyOutlook;
use crate::property::Severity;
use crate::reason::Reason;
use crate::state::State;
use crate::time::Timestamp;

/// What is known of the resource beside its properties.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The resource's name.
    pub resource: ResourceId,
    /// What its kind can do.
    pub capabilities: Capabilities,
    /// The number the next plan's run will have.
    pub next_run: RunId,
    /// Whether something was configured that moves its clients.
    pub has_redirector: bool,
    /// Whether this process holds the resource's lease, or could take it.
    pub may_lease: bool,
    /// The clone's generations.
    pub generations: Vec<Generation>,
    /// When a sync last found (or made) the newest generation to be as the primary is.
    pub synced_at: Option<Timestamp>,
    /// The last rehearsal.
    pub rehearsal: Option<RehearsalFacts>,
    /// Properties whose drift the clone would carry with it.
    pub shared_by_clone: Vec<PropertyPath>,
    /// How many *other* resources drift in the same property at the same time.
    pub drifting_elsewhere: BTreeMap<PropertyPath, u32>,
}

/// What the last rehearsal showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsalFacts {
    /// When.
    pub at: Timestamp,
    /// How long the activation took.
    pub activation: Duration,
    /// Why it failed, if it did.
    pub result: Result<(), String>,
}

/// Everything that can make Evenkeel decide something.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A probe was assessed; outlooks come most urgent first.
    Assessed {
        /// Every watched property.
        outlooks: &'a [PropertyOutlook],
        /// All else.
        facts: &'a Facts,
    },
    /// The resource could not be probed.
    ProbeLost {
        /// Since when.
        since: Timestamp,
        /// Why, as the driver says.
        why: &'a str,
    },
    /// A baseline was taken: the first, or the next.
    BaselineTaken {
        /// The properties that it approves otherwise than the one before.
        moved: &'a BTreeSet<PropertyPath>,
    },
    /// The first full clone is there.
    Seeded,
    /// A saga ended.
    RunEnded {
        /// Its plan.
        plan: &'a Plan,
        /// How.
        outcome: Outcome,
        /// Where clients are now ([`crate::failover::Run::serving`]).
        serving: Instance,
        /// What failed last, if anything did.
        why: Option<&'a str>,
        /// All else.
        facts: &'a Facts,
    },
    /// A person asked for something.
    Commanded {
        /// What.
        command: &'a Command,
        /// Who.
        by: &'a str,
        /// All else.
        facts: &'a Facts,
    },
}

/// What a person can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Move clients to the standby now, in the order of an unplanned failover.
    Failover,
    /// Move clients to the standby, planned: nothing written is left behind.
    Switchover,
    /// Move clients back to instance `a`, planned.
    Failback,
    /// Diagnose, revert and re-protect the instance that no longer serves.
    Reinstate,
    /// Do nothing by yourself.
    Pause {
        /// What for.
        why: String,
        /// Until when; `None` is until resumed.
        until: Option<Timestamp>,
    },
    /// Go on.
    Resume,
    /// One failover is allowed.
    Approve {
        /// The approval is void from then on.
        until: Timestamp,
    },
    /// Changes are expected for a while.
    OpenWindow {
        /// First instant inside.
        from: Timestamp,
        /// First instant after.
        until: Timestamp,
        /// What for.
        why: String,
    },
    /// A person has looked at a resource that was held.
    Release,
    /// A person says whether an alarm was right.
    Judge {
        /// The event that they judge.
        event: EventId,
        /// The property that it was about.
        path: PropertyPath,
        /// What they say.
        judgement: Judgement,
    },
}

/// What is to be done, once the decision is journalled.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Run this plan.
    Start(Plan),
    /// The generations made since then belong to the drift.
    Quarantine {
        /// The drift's onset.
        since: Timestamp,
        /// What it is.
        why: String,
    },
    /// Tell people.
    Alert {
        /// How much it matters.
        severity: Severity,
        /// What it is.
        sentence: String,
    },
    /// What was learned of the properties' course no longer holds: another instance serves now, or
    /// it was put back.
    RestartWatch,
    /// Other values of these properties are approved now: their course is measured from there.
    Recentre(BTreeSet<PropertyPath>),
    /// The property's band is to follow what an operator says of an alarm.
    Judge {
        /// Which property.
        path: PropertyPath,
        /// What they say.
        judgement: Judgement,
    },
}

/// Everything a decision was made on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// How it came out.
    pub reason: Reason,
    /// The properties that mattered, most urgent first.
    pub outlooks: Vec<PropertyOutlook>,
    /// What every guard said.
    pub guards: Vec<GuardCheck>,
}

/// The outcome of one call of [`decide`].
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The state from now on.
    pub state: State,
    /// What is to be done, in order.
    pub actions: Vec<Action>,
    /// Why.
    pub explanation: Explanation,
    /// It differs from the decision before, or acts: worth a record of its own.
    pub notable: bool,
}

impl Decision {
    /// Whether people are told of it.
    pub fn alerts(&self) -> bool {
        (self.actions.iter()).any(|action| matches!(action, Action::Alert { .. }))
    }

    /// The plan that it starts, if it starts one: never more, for a run that ends may start its
    /// reinstatement and no more.
    pub fn plan(&self) -> Option<&Plan> {
        self.actions.iter().find_map(|action| match action {
            Action::Start(plan) => Some(plan),
            Action::Quarantine { .. }
            | Action::Alert { .. }
            | Action::RestartWatch
            | Action::Recentre(_)
            | Action::Judge { .. } => None,
        })
    }
}
