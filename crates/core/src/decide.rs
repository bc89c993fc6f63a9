//! The decision. One pure function, [`decide`]: `(policy, state, input, now) -> decision`. The same
//! one runs in the daemon, in `simulate` and in the tests.
//!
//! A failover by itself needs a *trigger* — a critical property has reached its ceiling, or is
//! predicted, sustained over `k` of the last `n` evaluations and with at least the policy's
//! confidence, to leave its band — and no *guard* that holds it back. Every decision says why it
//! came out so, in a [`Reason`], and shows everything it was made on, in an [`Explanation`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failover::plan::Heading;
use crate::failover::{Capabilities, Outcome, Plan, PlanKind};
use crate::generation::{Choice, Generation, Verdict, choose};
use crate::guard::{Guard, GuardCheck};
use crate::guards::{self, Subject};
use crate::ids::{Instance, PropertyPath, ResourceId, RunId};
use crate::outlook::{Breach, PropertyOutlook};
use crate::policy::{Mode, Policy, Window};
use crate::property::Severity;
use crate::reason::{Course, Reason};
use crate::state::{Approval, Pause, Phase, State, Sustain};
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
    /// The plan that it starts, if it starts one: never more, for a run that ends may start its
    /// reinstatement and no more.
    pub fn plan(&self) -> Option<&Plan> {
        self.actions.iter().find_map(|action| match action {
            Action::Start(plan) => Some(plan),
            Action::Quarantine { .. }
            | Action::Alert { .. }
            | Action::RestartWatch
            | Action::Recentre(_) => None,
        })
    }
}

/// How many outlooks a record keeps.
const OUTLOOKS_KEPT: usize = 10;

/// Decides. Total: every input has an answer in every state.
pub fn decide(policy: &Policy, state: &State, input: &Input<'_>, now: Timestamp) -> Decision {
    let state = expire(state, now);
    match input {
        Input::Assessed { outlooks, facts } => assessed(policy, state, outlooks, facts, now),
        Input::ProbeLost { since, why } => probe_lost(policy, state, *since, why, now),
        Input::BaselineTaken { moved } => baseline_taken(state, moved),
        Input::Seeded => seeded(state),
        Input::RunEnded {
            plan,
            outcome,
            serving,
            why,
            facts,
        } => run_ended(policy, state, (plan, *outcome, *serving), *why, facts, now),
        Input::Commanded { command, by, facts } => {
            commanded(policy, state, command, by, facts, now)
        }
    }
}

/// The checks of the request, in order of priority: nothing to see; seen but not sustained; held
/// back by a guard; acted on.
fn assessed(
    policy: &Policy,
    mut state: State,
    outlooks: &[PropertyOutlook],
    facts: &Facts,
    now: Timestamp,
) -> Decision {
    let trigger = trigger(policy, outlooks);
    state.sustain = state.sustain.push(trigger.is_some());
    let kept = kept(outlooks);

    let Some(trigger) = trigger else {
        let worth_saying = outlooks.iter().find(|o| {
            o.severity >= Severity::Warn && o.breach.confidence() >= policy.min_confidence.get()
        });
        let reason = match worth_saying {
            Some(outlook) => Reason::Watched {
                path: outlook.path.clone(),
                sentence: outlook.sentence(),
            },
            None => Reason::Quiet,
        };
        return conclude(state, reason, kept, Vec::new(), Vec::new());
    };

    let path = trigger.path.clone();
    let seen = state.sustain.count(policy.sustain_n);
    let observed = trigger.breach == Breach::Observed;
    if !observed && seen < u32::from(policy.sustain_k) {
        let (k, n) = (policy.sustain_k, policy.sustain_n);
        let reason = Reason::NotSustained {
            path,
            sentence: trigger.sentence(),
            seen,
            k,
            n,
        };
        return conclude(state, reason, kept, Vec::new(), Vec::new());
    }

    let choice = choose(&facts.generations, trigger.onset);
    let subject = Subject {
        trigger: Some(trigger),
        choice: choice.as_ref(),
        facts,
        now,
    };
    let checks = guards::automatic(policy, &state, &subject);
    let held = checks.iter().find(|check| check.holds);
    let (None, Some(choice)) = (held, choice) else {
        let guard = held.map_or(Guard::GoodGeneration, |check| check.guard);
        let why = held.map(|check| check.sentence.clone()).unwrap_or_default();
        let reason = Reason::HeldBack {
            guard,
            path,
            sentence: trigger.sentence(),
            why,
        };
        return conclude(state, reason, kept, checks, Vec::new());
    };

    let sentence = trigger.sentence();
    let mut actions = Vec::new();
    if let Some(onset) = trigger.onset {
        let why = format!("made since the drift of {path} set in");
        // The change came between the probe that saw the onset and the one before it.
        let since = onset.before(policy.sample_every);
        actions.push(Action::Quarantine { since, why });
    }
    let plan = move_clients(
        &mut state,
        PlanKind::Failover,
        choice,
        facts,
        sentence.clone(),
        now,
    );
    state.failovers.push(now);
    state.approval = None;
    let reason = Reason::FailOver {
        path,
        sentence,
        run: plan.run,
    };
    actions.push(Action::Start(plan));
    conclude(state, reason, kept, checks, actions)
}

/// The critical property that most urgently asks for a failover: observed beyond its ceiling, or
/// predicted beyond its band with enough confidence.
fn trigger<'a>(policy: &Policy, outlooks: &'a [PropertyOutlook]) -> Option<&'a PropertyOutlook> {
    outlooks
        .iter()
        .filter(|outlook| outlook.severity == Severity::Critical)
        .filter(|outlook| match outlook.breach {
            Breach::None => false,
            Breach::Observed => true,
            Breach::Predicted { confidence, .. } => confidence >= policy.min_confidence.get(),
        })
        .min_by_key(|outlook| outlook.breach.lead_time())
}

/// Uncertain means safe: a resource that cannot be probed is unknown, and never failed over for
/// that alone.
fn probe_lost(
    policy: &Policy,
    state: State,
    since: Timestamp,
    why: &str,
    now: Timestamp,
) -> Decision {
    let lost_for = now - since;
    if lost_for < policy.probe_lost_after {
        // A moment without a view is no news: what lasted before it is not over.
        let lasting = state.alerted.clone();
        let mut decision = conclude(state, Reason::Quiet, vec![], vec![], vec![]);
        decision.state.alerted = lasting;
        decision.notable = false;
        return decision;
    }
    let reason = Reason::Unknown {
        why: why.to_owned(),
    };
    conclude(state, reason, Vec::new(), Vec::new(), Vec::new())
}

fn baseline_taken(mut state: State, moved: &BTreeSet<PropertyPath>) -> Decision {
    if let Phase::Settling { .. } = state.phase {
        state.phase = Phase::Seeding;
    }
    state.sustain = Sustain::default();
    conclude(
        state,
        Reason::BaselineTaken,
        Vec::new(),
        Vec::new(),
        vec![Action::Recentre(moved.clone())],
    )
}

fn seeded(mut state: State) -> Decision {
    if state.phase == Phase::Seeding {
        state.phase = Phase::Guarded;
    }
    conclude(state, Reason::Seeded, Vec::new(), Vec::new(), Vec::new())
}

fn run_ended(
    policy: &Policy,
    mut state: State,
    (plan, outcome, serving): (&Plan, Outcome, Instance),
    why: Option<&str>,
    facts: &Facts,
    now: Timestamp,
) -> Decision {
    if state.phase.run() != Some(plan.run) {
        let reason = Reason::Refused {
            what: format!("{} is not the run under way", plan.run),
        };
        return conclude(state, reason, Vec::new(), Vec::new(), Vec::new());
    }
    state.sustain = Sustain::default();
    state.serving = serving;
    let why = why.unwrap_or("no failure was recorded").to_owned();
    let (run, kind) = (plan.run, plan.kind);
    let mut actions = Vec::new();
    let reinstating = kind == PlanKind::Reinstatement;
    let reason = match (outcome, reinstating) {
        (Outcome::Done, false) => {
            actions.push(Action::RestartWatch);
            if policy.revert {
                let choice = still_good(plan.choice.as_ref(), facts);
                actions.push(Action::Start(reinstate(&mut state, choice, facts, now)));
            } else {
                state.phase = Phase::Unprotected {
                    why: "the policy says not to revert".into(),
                };
            }
            Reason::Moved {
                run,
                kind,
                to: plan.to,
            }
        }
        (Outcome::Done, true) => {
            state.phase = Phase::Guarded;
            Reason::Reinstated {
                run,
                standby: plan.from,
            }
        }
        (Outcome::Undone, false) => {
            state.phase = Phase::Guarded;
            Reason::MoveUndone { run, kind, why }
        }
        (Outcome::Stuck, false) => {
            state.phase = Phase::Held {
                run,
                why: why.clone(),
            };
            Reason::Stuck { run, kind, why }
        }
        (Outcome::Undone | Outcome::Stuck, true) => {
            state.phase = Phase::Unprotected { why: why.clone() };
            Reason::ReinstatementFailed { run, why }
        }
    };
    conclude(state, reason, Vec::new(), Vec::new(), actions)
}

fn commanded(
    policy: &Policy,
    mut state: State,
    command: &Command,
    by: &str,
    facts: &Facts,
    now: Timestamp,
) -> Decision {
    let done = |what: String| Reason::Commanded {
        by: by.to_owned(),
        what,
    };
    if let Some(until) = ends(command).filter(|until| *until <= now) {
        let what = format!("{until} is past: name an instant to come");
        return conclude(state, Reason::Refused { what }, vec![], vec![], vec![]);
    }
    let reason = match command {
        Command::Failover => {
            return move_by_hand(policy, state, PlanKind::Failover, by, facts, now);
        }
        Command::Switchover => {
            return move_by_hand(policy, state, PlanKind::Switchover, by, facts, now);
        }
        Command::Failback if state.serving == Instance::A => Reason::Refused {
            what: "instance a serves already: there is nothing to go back to".into(),
        },
        Command::Failback => {
            return move_by_hand(policy, state, PlanKind::Failback, by, facts, now);
        }
        Command::Reinstate => return reinstate_by_hand(state, by, facts, now),
        Command::Pause { why, until } => {
            state.pause = Some(Pause {
                by: by.to_owned(),
                why: why.clone(),
                until: *until,
            });
            done("paused: nothing is done by itself".to_owned())
        }
        Command::Resume => {
            let was_paused = state.pause.take().is_some();
            done(
                if was_paused {
                    "resumed"
                } else {
                    "was not paused"
                }
                .to_owned(),
            )
        }
        Command::Approve { until } => {
            state.approval = Some(Approval {
                by: by.to_owned(),
                until: *until,
            });
            done(format!("approved one failover until {until}"))
        }
        Command::OpenWindow { from, until, .. } if until <= from => Reason::Refused {
            what: "the window ends before it begins".into(),
        },
        Command::OpenWindow { from, until, why } => {
            let (by, why) = (by.to_owned(), why.clone());
            state.windows.push(Window {
                from: *from,
                until: *until,
                by,
                why,
            });
            done(format!("opened a window from {from} until {until}"))
        }
        Command::Release => match &state.phase {
            Phase::Held { .. } => {
                let why = "released after a stuck run: reinstate the standby".to_owned();
                state.phase = Phase::Unprotected { why };
                done("released".to_owned())
            }
            Phase::Settling { .. }
            | Phase::Seeding
            | Phase::Guarded
            | Phase::Moving { .. }
            | Phase::Reinstating { .. }
            | Phase::Unprotected { .. } => Reason::Refused {
                what: format!("it is {}, not held", state.phase.as_str()),
            },
        },
    };
    conclude(state, reason, Vec::new(), Vec::new(), Vec::new())
}

/// When what is asked for would end by itself.
fn ends(command: &Command) -> Option<Timestamp> {
    match command {
        Command::Pause { until, .. } => *until,
        Command::Approve { until } | Command::OpenWindow { until, .. } => Some(*until),
        Command::Failover
        | Command::Switchover
        | Command::Failback
        | Command::Reinstate
        | Command::Resume
        | Command::Release => None,
    }
}

fn move_by_hand(
    policy: &Policy,
    mut state: State,
    kind: PlanKind,
    by: &str,
    facts: &Facts,
    now: Timestamp,
) -> Decision {
    let choice = choose(&facts.generations, None);
    let subject = Subject {
        trigger: None,
        choice: choice.as_ref(),
        facts,
        now,
    };
    let checks = guards::by_hand(policy, &state, &subject);
    let held = checks.iter().find(|check| check.holds);
    let (None, Some(choice)) = (held, choice) else {
        let why = held.map_or_else(|| "no good generation".to_owned(), |c| c.sentence.clone());
        let reason = Reason::Refused {
            what: format!("{kind}: {why}"),
        };
        return conclude(state, reason, Vec::new(), checks, Vec::new());
    };
    let plan = move_clients(
        &mut state,
        kind,
        choice,
        facts,
        format!("{kind} asked for by {by}"),
        now,
    );
    if kind == PlanKind::Failover {
        state.failovers.push(now);
    }
    let reason = Reason::Commanded {
        by: by.to_owned(),
        what: format!("{kind} as {}", plan.run),
    };
    conclude(state, reason, Vec::new(), checks, vec![Action::Start(plan)])
}

fn reinstate_by_hand(mut state: State, by: &str, facts: &Facts, now: Timestamp) -> Decision {
    let Phase::Unprotected { .. } = state.phase else {
        let what = format!("reinstate: it is {}, not unprotected", state.phase.as_str());
        return conclude(
            state,
            Reason::Refused { what },
            Vec::new(),
            Vec::new(),
            Vec::new(),
        );
    };
    let choice = choose(&facts.generations, None);
    let plan = reinstate(&mut state, choice, facts, now);
    let what = format!("reinstatement as {}", plan.run);
    let reason = Reason::Commanded {
        by: by.to_owned(),
        what,
    };
    conclude(
        state,
        reason,
        Vec::new(),
        Vec::new(),
        vec![Action::Start(plan)],
    )
}

fn move_clients(
    state: &mut State,
    kind: PlanKind,
    choice: Choice,
    facts: &Facts,
    why: String,
    now: Timestamp,
) -> Plan {
    state.phase = Phase::Moving {
        run: facts.next_run,
    };
    let heading = heading(state, facts, state.serving, why, now);
    Plan::move_clients(kind, heading, choice, facts.capabilities)
}

fn reinstate(state: &mut State, choice: Option<Choice>, facts: &Facts, now: Timestamp) -> Plan {
    state.phase = Phase::Reinstating {
        run: facts.next_run,
    };
    let why = format!("instance {} no longer serves", state.standby());
    let heading = heading(state, facts, state.standby(), why, now);
    Plan::reinstatement(heading, choice)
}

/// What was activated is what the old primary is put back to, whatever was synced since; unless its
/// verdict has changed meanwhile.
fn still_good(activated: Option<&Choice>, facts: &Facts) -> Option<Choice> {
    let is_good = |choice: &&Choice| {
        let config = facts
            .generations
            .iter()
            .find(|g| g.id == choice.config_from);
        config.is_some_and(|generation| generation.verdict == Verdict::Good)
    };
    activated
        .filter(is_good)
        .cloned()
        .or_else(|| choose(&facts.generations, None))
}

/// Raises the token: whoever still acts with the one before is refused from now on.
fn heading(
    state: &mut State,
    facts: &Facts,
    from: Instance,
    why: String,
    now: Timestamp,
) -> Heading {
    state.token = state.token.next();
    Heading {
        run: facts.next_run,
        resource: facts.resource.clone(),
        token: state.token,
        at: now,
        why,
        from,
    }
}

/// The state without what time has made void.
fn expire(state: &State, now: Timestamp) -> State {
    const FAILOVERS_KEPT: usize = 64;
    let mut state = state.clone();
    state.pause = state
        .pause
        .filter(|pause| pause.until.is_none_or(|until| now < until));
    state.approval = state.approval.filter(|approval| now < approval.until);
    state.windows.retain(|window| now < window.until);
    let surplus = state.failovers.len().saturating_sub(FAILOVERS_KEPT);
    state.failovers.drain(..surplus);
    state
}

/// The outlooks worth keeping with a decision: those that deviate or breach.
fn kept(outlooks: &[PropertyOutlook]) -> Vec<PropertyOutlook> {
    outlooks
        .iter()
        .filter(|outlook| outlook.deviation != 0.0 || outlook.breach != Breach::None)
        .take(OUTLOOKS_KEPT)
        .cloned()
        .collect()
}

/// Adds the alert that goes with the reason, once for as long as the reason lasts.
fn conclude(
    mut state: State,
    reason: Reason,
    outlooks: Vec<PropertyOutlook>,
    guards: Vec<GuardCheck>,
    mut actions: Vec<Action>,
) -> Decision {
    let acts = !actions.is_empty();
    let key = reason.key();
    let is_new = state.alerted.as_deref() != Some(key.as_str());
    if let (true, Some(severity)) = (is_new, reason.alert()) {
        actions.push(Action::Alert {
            severity,
            sentence: reason.sentence(),
        });
    }
    let worth_a_record = reason.course() != Course::Quiet || state.alerted.is_some();
    let notable = acts || is_new && worth_a_record;
    match reason.course() {
        Course::Lasting => state.alerted = Some(key),
        Course::Quiet | Course::Passing => state.alerted = None,
        Course::Answer => {}
    }
    Decision {
        state,
        actions,
        explanation: Explanation {
            reason,
            outlooks,
            guards,
        },
        notable,
    }
}

/// Whether the mode allows what was asked.
pub(crate) fn mode_allows(mode: Mode) -> bool {
    match mode {
        Mode::Act => true,
        Mode::Observe | Mode::Advise => false,
    }
}
