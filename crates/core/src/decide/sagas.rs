//! Sagas: the plans that decisions start, and what follows when one ends.

use super::{Action, Decision, Facts, conclude, episodes};
use crate::failover::plan::Heading;
use crate::failover::{Outcome, Plan, PlanKind};
use crate::generation::{Choice, Verdict, choose};
use crate::ids::Instance;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::state::{Phase, State};
use crate::time::Timestamp;

pub(super) fn run_ended(
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
    episodes::end_all(&mut state);
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

pub(super) fn move_clients(
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

pub(super) fn reinstate(
    state: &mut State,
    choice: Option<Choice>,
    facts: &Facts,
    now: Timestamp,
) -> Plan {
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
