//! What people ask for: done at once, refused with the reason, or begun as a saga.

use super::sagas::{move_clients, reinstate};
use super::{Command, Decision, Facts, conclude};
use crate::decide::Action;
use crate::failover::PlanKind;
use crate::generation::choose;
use crate::guards::{self, Subject};
use crate::ids::Instance;
use crate::policy::{Policy, Window};
use crate::reason::Reason;
use crate::state::{Approval, Pause, Phase, State};
use crate::time::Timestamp;

pub(super) fn commanded(
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
    let mut actions = Vec::new();
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
        Command::Release => match release(&mut state) {
            Ok(()) => done("released".to_owned()),
            Err(what) => Reason::Refused { what },
        },
        Command::Judge {
            event,
            path,
            judgement,
        } => {
            let (path, judgement) = (path.clone(), *judgement);
            let what = format!(
                "judged {event} about {path} to be {}: its band follows",
                judgement.as_str()
            );
            actions.push(Action::Judge { path, judgement });
            done(what)
        }
    };
    conclude(state, reason, Vec::new(), Vec::new(), actions)
}

/// Lets go of what is held: it is to be reinstated next.
fn release(state: &mut State) -> Result<(), String> {
    match &state.phase {
        Phase::Held { .. } => {
            let why = "released after a stuck run: reinstate the standby".to_owned();
            state.phase = Phase::Unprotected { why };
            Ok(())
        }
        Phase::Settling { .. }
        | Phase::Seeding
        | Phase::Guarded
        | Phase::Moving { .. }
        | Phase::Reinstating { .. }
        | Phase::Unprotected { .. } => Err(format!("it is {}, not held", state.phase.as_str())),
    }
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
        | Command::Release
        | Command::Judge { .. } => None,
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
