//! Episodes: one lasting cause is alerted on once, however often it comes and goes meanwhile.
//!
//! A forecast that lies near a threshold crosses it again and again. Each crossing is recorded; people are told
//! of the first. The episode is over when the cause was absent for as long as shared fate remembers a drift, or when
//! other clients, another instance or another baseline make it another matter.

use super::terms::{Action, Decision};
use crate::fleet::remembered_for;
use crate::policy::Policy;
use crate::reason::Course;
use crate::state::State;
use crate::time::Timestamp;

/// Takes back the alert of a cause whose episode goes on, and begins the episode of one that is new.
pub(super) fn once(policy: &Policy, mut decision: Decision, now: Timestamp) -> Decision {
    let reason = &decision.explanation.reason;
    if reason.course() != Course::Lasting || reason.alert().is_none() {
        return decision;
    }
    let rest = remembered_for(policy);
    match decision.state.told.get_mut(&reason.key()) {
        None => {
            decision.state.told.insert(reason.key(), now + rest);
        }
        Some(until) => {
            // Not at every evaluation: each change of the state is written to disk.
            if *until - now < rest / 2 {
                *until = now + rest;
            }
            let is_alert = |action: &Action| matches!(action, Action::Alert { .. });
            decision.actions.retain(|action| !is_alert(action));
        }
    }
    decision
}

/// What was said before is another matter from here on.
pub(super) fn end_all(state: &mut State) {
    state.told.clear();
}
