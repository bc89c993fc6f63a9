//! Replay: recorded or made-up observations in, decisions out, days in moments. It drives the same
//! [`Watch`] and [`decide`] as the daemon, with the entries' own time as its clock. `simulate` and the
//! tuning of a policy are this.
//!
//! [`replay`] goes through a whole record of one resource; [`Replay`] takes it entry by entry and shows what
//! each was answered with; [`Fleet`] replays several resources side by side, so that the same drift on many of
//! them is seen for what it is.
//!
//! What a record cannot tell is assumed, and kept small:
//! - The clone follows well: each probe whose configuration is approved gives a good generation, any
//!   other a suspect one.
//! - A saga takes as long, and ends, as [`Assumed`] says.
//! - A record knows only the instance that was really there. What a failover healed (configuration
//!   that differed, and the property that called for it) counts as approved from then on, until the
//!   record itself has come at least half of the way back; then the record speaks again.

mod fleet;

pub use fleet::Fleet;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::baseline::Baseline;
use crate::decide::{Action, Command, Decision, Facts, Input, RehearsalFacts, decide};
use crate::failover::{Capabilities, Outcome, Plan, PlanKind};
use crate::forecast::ForecasterFactory;
use crate::generation::{ContentHash, Generation, Verdict};
use crate::ids::{GenerationId, PropertyPath, ResourceId, RunId};
use crate::outlook::{Breach, PropertyOutlook};
use crate::policy::Policy;
use crate::property::{Probe, Severity, Value};
use crate::reason::Reason;
use crate::state::{Phase, State};
use crate::time::Timestamp;
use crate::watch::refit::Course;
use crate::watch::{InTurn, Watch, Workers};

/// What is replayed against.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The resource's name.
    pub resource: &'a ResourceId,
    /// What was asked for. Its mode counts too: `advise` starts nothing.
    pub policy: &'a Policy,
    /// The approved values.
    pub baseline: &'a Baseline,
    /// Where forecasts come from.
    pub factory: &'a dyn ForecasterFactory,
    /// What the record cannot tell.
    pub assumed: Assumed,
}

/// What a record cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumed {
    /// What the resource can do.
    pub capabilities: Capabilities,
    /// How long an activation takes, as a rehearsal would have measured it.
    pub activation: Duration,
    /// How long moving clients takes in all.
    pub moving: Duration,
    /// How moving clients ends.
    pub outcome: Outcome,
    /// How long a reinstatement takes; it succeeds.
    pub reinstating: Duration,
}

/// One thing that happened, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// The resource was probed.
    Probed(Probe),
    /// It could not be probed.
    Lost {
        /// When this was noticed.
        at: Timestamp,
        /// Since when.
        since: Timestamp,
        /// Why.
        why: String,
    },
    /// A person asked for something.
    Commanded {
        /// When.
        at: Timestamp,
        /// What.
        command: Command,
        /// Who.
        by: String,
    },
    /// A person approved what was found by the last probe.
    Accepted {
        /// When.
        at: Timestamp,
        /// Of which properties; empty means of all.
        paths: BTreeSet<PropertyPath>,
        /// Who.
        by: String,
    },
}

/// A decision with its instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// When.
    pub at: Timestamp,
    /// What.
    pub decision: Decision,
}

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// The notable decisions, in order.
    pub decisions: Vec<Decided>,
    /// How often the resource was assessed.
    pub evaluations: u64,
    /// How many moves of clients were started.
    pub moves: u64,
    /// How many of them were by a prediction, before any critical property had reached its limit.
    pub in_time: u64,
    /// Alerts by severity.
    pub alerts: BTreeMap<Severity, u64>,
}

/// Replays `entries`, which must come in order of time; one that does not is passed over.
pub fn replay(setting: &Setting<'_>, entries: impl IntoIterator<Item = Entry>) -> Replayed {
    let mut replay = Replay::new(setting);
    for entry in entries {
        replay.take(entry);
    }
    replay.finish()
}

/// What one entry was answered with.
#[derive(Clone, Copy, Debug)]
pub struct Step<'r> {
    /// How every watched property stands, most urgent first; empty for an entry that is no probe.
    pub outlooks: &'r [PropertyOutlook],
    /// The decision on it.
    pub decision: &'r Decision,
}

impl Entry {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Probed(probe) => probe.at,
            Self::Lost { at, .. } | Self::Commanded { at, .. } | Self::Accepted { at, .. } => *at,
        }
    }
}

/// A replay under way.
#[derive(Debug)]
pub struct Replay<'a> {
    setting: &'a Setting<'a>,
    workers: &'a dyn Workers,
    /// The approved values, as they stand now.
    baseline: Baseline,
    /// The instant of the last entry, or of a saga's end since; `None` before the first.
    now: Option<Timestamp>,
    watch: Watch,
    course: Course,
    state: State,
    generations: Vec<Generation>,
    synced_at: Option<Timestamp>,
    last_run: RunId,
    /// The saga under way, and when it ends.
    under_way: Option<(Plan, Timestamp)>,
    /// What a failover healed, with the value from which the record has to come back.
    healed: BTreeMap<PropertyPath, Option<Value>>,
    /// What the move under way will have healed, if it succeeds.
    healing: BTreeMap<PropertyPath, Option<Value>>,
    /// The configuration that differed at the last probe.
    differing: BTreeMap<PropertyPath, Option<Value>>,
    /// How many other resources drift in each property.
    elsewhere: BTreeMap<PropertyPath, u32>,
    last_probe: Option<Probe>,
    outlooks: Vec<PropertyOutlook>,
    decision: Option<Decision>,
    out: Replayed,
}

/// Is told how the properties of a resource stand, and says on how many others each drifts.
type Elsewhere<'e> = dyn FnMut(&[PropertyOutlook]) -> BTreeMap<PropertyPath, u32> + 'e;

impl<'a> Replay<'a> {
    /// A replay that has seen nothing yet.
    pub fn new(setting: &'a Setting<'a>) -> Self {
        Self {
            setting,
            workers: &InTurn,
            baseline: setting.baseline.clone(),
            now: None,
            watch: Watch::new(setting.policy),
            course: Course::default(),
            state: State {
                phase: Phase::Guarded,
                ..State::new(setting.baseline.at)
            },
            generations: Vec::new(),
            synced_at: None,
            last_run: RunId(0),
            under_way: None,
            healed: BTreeMap::new(),
            healing: BTreeMap::new(),
            differing: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            last_probe: None,
            outlooks: Vec::new(),
            decision: None,
            out: Replayed::default(),
        }
    }

    /// The same, whoever does the work: what comes of it does not depend on that.
    #[must_use]
    pub fn by(self, workers: &'a dyn Workers) -> Self {
        Self { workers, ..self }
    }

    /// Takes the next entry. `None` for one that does not come in order of time: it is passed over.
    pub fn take(&mut self, entry: Entry) -> Option<Step<'_>> {
        if self.take_among(entry, &mut |_| BTreeMap::new()) {
            self.step()
        } else {
            None
        }
    }

    /// What came of all that was taken.
    pub fn finish(self) -> Replayed {
        self.out
    }

    /// The approved values as they stand now.
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// The state as it stands now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How the last entry was answered.
    fn step(&self) -> Option<Step<'_>> {
        Some(Step {
            outlooks: &self.outlooks,
            decision: self.decision.as_ref()?,
        })
    }

    /// Takes the next entry of one resource among others: `elsewhere` is told the outlooks, and says on how
    /// many others each property drifts. Says whether it came in order.
    fn take_among(&mut self, entry: Entry, elsewhere: &mut Elsewhere<'_>) -> bool {
        let at = entry.at();
        if self.now.is_some_and(|now| at < now) {
            return false;
        }
        self.advance(at);
        self.outlooks.clear();
        let decision = match entry {
            Entry::Probed(probe) => self.probed(probe, at, elsewhere),
            Entry::Lost { since, why, .. } => {
                self.decide(&Input::ProbeLost { since, why: &why }, at)
            }
            Entry::Commanded { command, by, .. } => {
                let facts = self.facts(at);
                let input = Input::Commanded {
                    command: &command,
                    by: &by,
                    facts: &facts,
                };
                self.decide(&input, at)
            }
            Entry::Accepted { paths, by, .. } => self.accepted(&paths, &by, at),
        };
        self.decision = Some(decision);
        true
    }

    /// Lets time pass until `at`, with the sagas that end on the way.
    fn advance(&mut self, at: Timestamp) {
        while let Some((plan, ends)) = self.under_way.take_if(|(_, ends)| *ends <= at) {
            let (outcome, why) = match (plan.kind, self.setting.assumed.outcome) {
                (PlanKind::Reinstatement, _) | (_, Outcome::Done) => (Outcome::Done, None),
                (_, outcome) => (outcome, Some("assumed to fail")),
            };
            let healing = std::mem::take(&mut self.healing);
            if outcome == Outcome::Done {
                self.healed.extend(healing);
            }
            let facts = self.facts(ends);
            let moved = plan.kind == PlanKind::Reinstatement || outcome == Outcome::Done;
            let input = Input::RunEnded {
                plan: &plan,
                outcome,
                serving: if moved { plan.to } else { plan.from },
                why,
                facts: &facts,
            };
            self.decide(&input, ends);
        }
        self.now = Some(at);
    }

    fn probed(
        &mut self,
        mut probe: Probe,
        at: Timestamp,
        elsewhere: &mut Elsewhere<'_>,
    ) -> Decision {
        self.heal(&mut probe);
        let differences = self.baseline.diff(&probe);
        let verdict = if differences.is_empty() {
            Verdict::Good
        } else {
            Verdict::Suspect
        };
        self.sync(at, verdict);
        self.differing = differences.into_iter().map(|d| (d.path, d.found)).collect();
        let Setting {
            policy, factory, ..
        } = *self.setting;
        let outlooks =
            (self.watch).assess_by(self.workers, policy, &self.baseline, &probe, factory);
        self.course.push(at, &outlooks);
        // In a record there is no background: what the daemon does within seconds is done at once.
        self.watch.refit_now(&self.course);
        self.out.evaluations += 1;
        self.elsewhere = elsewhere(&outlooks);
        let facts = self.facts(at);
        let input = Input::Assessed {
            outlooks: &outlooks,
            facts: &facts,
        };
        let decision = self.decide(&input, at);
        if let Reason::FailOver { path, .. } = &decision.explanation.reason {
            let found = probe.properties.get(path).map(|p| p.value.clone());
            self.healing.insert(path.clone(), found);
            let is_late = |o: &PropertyOutlook| {
                o.severity == Severity::Critical && o.breach == Breach::Observed
            };
            self.out.in_time += u64::from(!outlooks.iter().any(is_late));
        }
        self.outlooks = outlooks;
        self.last_probe = Some(probe);
        decision
    }

    /// Moves the baseline to what the last probe found, as the daemon does when a person accepts that.
    fn accepted(&mut self, paths: &BTreeSet<PropertyPath>, by: &str, at: Timestamp) -> Decision {
        let mut moved = BTreeSet::new();
        if let Some(probe) = &self.last_probe {
            let wanted = |path: &PropertyPath, _| paths.is_empty() || paths.contains(path);
            let next = self.baseline.accept(probe, wanted, by, "", at);
            moved = self.baseline.moved(&next);
            self.baseline = next;
        }
        self.decide(&Input::BaselineTaken { moved: &moved }, at)
    }

    /// Puts the approved value in place of what a failover healed.
    fn heal(&mut self, probe: &mut Probe) {
        let approved = &self.baseline.properties;
        self.healed.retain(|path, left_at| {
            let found = probe.properties.get(path).map(|p| &p.value);
            let wanted = approved.get(path);
            if has_come_back(left_at.as_ref(), found, wanted.map(|p| &p.value)) {
                return false;
            }
            match wanted {
                Some(observed) => probe.properties.insert(path.clone(), observed.clone()),
                None => probe.properties.remove(path),
            };
            true
        });
    }

    /// The clone follows: one generation per change of verdict, and the newest is always current.
    fn sync(&mut self, at: Timestamp, verdict: Verdict) {
        self.synced_at = Some(at);
        let last = self.generations.last();
        if last.is_some_and(|generation| generation.verdict == verdict) {
            return;
        }
        let good = verdict == Verdict::Good;
        let baseline = good.then_some(self.baseline.version);
        let id = last.map_or(GenerationId(1), |generation| generation.id.next());
        self.generations.push(Generation {
            id,
            at,
            from: self.state.serving,
            verdict,
            config: ContentHash(id.to_string()),
            data: None,
            baseline,
            torn: false,
            files: 0,
            bytes: 0,
            bytes_moved: 0,
        });
    }

    fn facts(&self, at: Timestamp) -> Facts {
        Facts {
            resource: self.setting.resource.clone(),
            capabilities: self.setting.assumed.capabilities,
            next_run: self.last_run.next(),
            has_redirector: true,
            may_lease: true,
            generations: self.generations.clone(),
            synced_at: self.synced_at,
            rehearsal: Some(RehearsalFacts {
                at,
                activation: self.setting.assumed.activation,
                result: Ok(()),
            }),
            shared_by_clone: Vec::new(),
            drifting_elsewhere: self.elsewhere.clone(),
        }
    }

    fn decide(&mut self, input: &Input<'_>, at: Timestamp) -> Decision {
        let decision = decide(self.setting.policy, &self.state, input, at);
        self.state = decision.state.clone();
        for action in &decision.actions {
            self.act(action, at);
        }
        if decision.notable {
            self.out.decisions.push(Decided {
                at,
                decision: decision.clone(),
            });
        }
        decision
    }

    fn act(&mut self, action: &Action, at: Timestamp) {
        match action {
            Action::Start(plan) => {
                let takes = match plan.kind {
                    PlanKind::Reinstatement => self.setting.assumed.reinstating,
                    PlanKind::Failover | PlanKind::Switchover | PlanKind::Failback => {
                        self.out.moves += 1;
                        self.healing = self.differing.clone();
                        self.setting.assumed.moving
                    }
                };
                self.last_run = plan.run;
                self.under_way = Some((plan.clone(), at + takes));
            }
            // Suspect generations are never chosen for their configuration anyway.
            Action::Quarantine { .. } => {}
            Action::Alert { severity, .. } => {
                *self.out.alerts.entry(*severity).or_default() += 1;
            }
            Action::RestartWatch => self.watch.restart(),
            Action::Judge { path, judgement } => {
                self.watch.judge(path, *judgement);
            }
            Action::Recentre(moved) => self.watch.restart_where(|path| moved.contains(path)),
        }
    }
}

/// Whether a recorded value is at least half of the way back from where the failover left it.
fn has_come_back(left_at: Option<&Value>, found: Option<&Value>, approved: Option<&Value>) -> bool {
    let number = |value: Option<&Value>| value.and_then(Value::as_number);
    match (number(left_at), number(found), number(approved)) {
        (Some(left_at), Some(found), Some(approved)) => {
            (found - approved).abs() <= (left_at - approved).abs() / 2.0
        }
        (_, _, _) => found == approved,
    }
}
