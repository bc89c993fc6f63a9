//! The decision. One pure function, [`decide`]: `(policy, state, input, now) -> decision`. The same
//! one runs in the daemon, in `simulate` and in the tests.
//!
//! A failover by itself needs a *trigger* — a critical property has reached its ceiling, or is
//! predicted, sustained over `k` of the last `n` evaluations and with at least the policy's
//! confidence, to leave its band — and no *guard* that holds it back. A *surprise* (found outside its band, and
//! outside what was forecast for it) is alerted on and counts as one evaluation. Every decision says why it
//! came out so, in a [`Reason`], and shows everything it was made on, in an [`Explanation`].

mod episodes;
mod people;
mod sagas;
mod surprises;
mod terms;

pub use terms::{Action, Command, Decision, Explanation, Facts, Input, RehearsalFacts};

use std::collections::BTreeSet;

use crate::failover::PlanKind;
use crate::generation::choose;
use crate::guard::{Guard, GuardCheck};
use crate::guards::{self, Subject};
use crate::harm;
use crate::ids::PropertyPath;
use crate::outlook::{Breach, PropertyOutlook};
use crate::policy::{ActOn, Mode, Policy};
use crate::property::Severity;
use crate::reason::{Course, Reason};
use crate::state::{Phase, State, Sustain};
use crate::time::Timestamp;

use people::commanded;
use sagas::{move_clients, run_ended};

/// How many outlooks a record keeps.
const OUTLOOKS_KEPT: usize = 10;

/// Decides. Total: every input has an answer in every state.
pub fn decide(policy: &Policy, state: &State, input: &Input<'_>, now: Timestamp) -> Decision {
    let state = expire(state, now);
    match input {
        Input::Assessed { outlooks, facts } => {
            let lasting = state.alerted.clone();
            let decision = assessed(policy, state, outlooks, facts, now);
            let decision = followed(policy, decision, now);
            surprises::say(policy, lasting, outlooks, decision, now)
        }
        Input::ProbeLost { since, why } => {
            let decision = probe_lost(policy, state, *since, why, now);
            followed(policy, decision, now)
        }
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

/// With the episode of what it was decided for.
fn followed(policy: &Policy, mut decision: Decision, now: Timestamp) -> Decision {
    let reason = &decision.explanation.reason;
    episodes::follow(policy, &mut decision.state, reason, now);
    decision
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
    // A surprise counts as one of the evaluations, but calls for nothing by itself.
    let counts = trigger.is_some() || surprises::counts(outlooks);
    state.sustain = state.sustain.push(counts);
    let worth_saying = worth_saying(policy, outlooks);
    state.watched = state.watched.push(worth_saying.is_some());
    let kept = kept(outlooks);

    let Some(trigger) = trigger else {
        return untriggered(policy, state, worth_saying, kept);
    };

    let path = trigger.path.clone();
    if !is_sustained(policy, state.sustain, trigger) {
        let (k, n) = (policy.sustain_k, policy.sustain_n);
        let seen = state.sustain.count(n);
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

/// Nothing is to be acted on. What people are told of begins when it is sustained, and is over when none of the
/// last evaluations saw it: else it would come and go with every wink of the forecast.
fn untriggered(
    policy: &Policy,
    state: State,
    worth_saying: Option<&PropertyOutlook>,
    kept: Vec<PropertyOutlook>,
) -> Decision {
    let goes_on = state.alerted.as_deref().is_some_and(Reason::is_watched_key)
        && state.watched.count(policy.sustain_n) > 0;
    match worth_saying {
        Some(outlook) if goes_on || is_sustained(policy, state.watched, outlook) => {
            let reason = Reason::Watched {
                path: outlook.path.clone(),
                sentence: watched(policy, outlook),
            };
            conclude(state, reason, kept, Vec::new(), Vec::new())
        }
        None if goes_on => quiet_for_a_moment(state, kept),
        Some(_) | None => conclude(state, Reason::Quiet, kept, Vec::new(), Vec::new()),
    }
}

/// Nothing is seen just now, which ends nothing that lasts.
fn quiet_for_a_moment(state: State, kept: Vec<PropertyOutlook>) -> Decision {
    let lasting = state.alerted.clone();
    let mut decision = conclude(state, Reason::Quiet, kept, Vec::new(), Vec::new());
    decision.state.alerted = lasting;
    decision.notable = false;
    decision
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
            Breach::Predicted { confidence, .. } => {
                confidence >= policy.min_confidence.get() && heads_for_harm(policy, outlook)
            }
        })
        .min_by_key(|outlook| outlook.breach.lead_time())
}

/// What people are told of first: it leaves its band with enough confidence.
fn worth_saying<'a>(
    policy: &Policy,
    outlooks: &'a [PropertyOutlook],
) -> Option<&'a PropertyOutlook> {
    outlooks.iter().find(|outlook| {
        outlook.severity >= Severity::Warn
            && outlook.breach.confidence() >= policy.min_confidence.get()
    })
}

/// Whether it was seen often enough. What is observed is no prediction that could be mistaken.
fn is_sustained(policy: &Policy, seen: Sustain, outlook: &PropertyOutlook) -> bool {
    outlook.breach == Breach::Observed
        || seen.count(policy.sustain_n) >= u32::from(policy.sustain_k)
}

/// Whether what is predicted is worth a failover: to leave the band is a deviation, to come to the limit is harm.
fn heads_for_harm(policy: &Policy, outlook: &PropertyOutlook) -> bool {
    match policy.act_on {
        ActOn::Harm => outlook
            .harm
            .is_some_and(|harm| harm.probability >= harm::acted_on_at(policy.risk_tolerance)),
        ActOn::Band => true,
    }
}

/// What is alerted on, and why it is not acted on if it could be.
fn watched(policy: &Policy, outlook: &PropertyOutlook) -> String {
    let sentence = outlook.sentence();
    if outlook.severity < Severity::Critical || heads_for_harm(policy, outlook) {
        return sentence;
    }
    let asked = harm::acted_on_at(policy.risk_tolerance);
    format!("{sentence}; acted on from {asked:.2}")
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
        return quiet_for_a_moment(state, Vec::new());
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
    episodes::end_all(&mut state);
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

/// The state without what time has made void.
fn expire(state: &State, now: Timestamp) -> State {
    const FAILOVERS_KEPT: usize = 64;
    let mut state = state.clone();
    state.pause = state
        .pause
        .filter(|pause| pause.until.is_none_or(|until| now < until));
    state.approval = state.approval.filter(|approval| now < approval.until);
    state.windows.retain(|window| now < window.until);
    state.surprised.retain(|_, until| now < *until);
    state.told.retain(|_, until| now < *until);
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

/// Adds the alert that goes with the reason, once for as long as the reason lasts and its episode goes on.
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
    let is_told = state.told.contains_key(&key);
    if let (true, false, Some(severity)) = (is_new, is_told, reason.alert()) {
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
        Course::Aside => {}
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
