//! Episodes: one lasting cause is alerted on once, however often it comes and goes meanwhile.
//!
//! A forecast that lies near a threshold crosses it again and again. Each crossing is recorded; people are told
//! of the first. The episode is over when the cause was absent for as long as shared fate remembers a drift, or when
//! other clients, another instance or another baseline make it another matter.

use crate::fleet::remembered_for;
use crate::policy::Policy;
use crate::reason::{Course, Reason};
use crate::state::{State, Sustain};
use crate::time::Timestamp;

/// Begins the episode of a cause that is alerted on, or lets it go on.
pub(super) fn follow(policy: &Policy, state: &mut State, reason: &Reason, now: Timestamp) {
    if reason.course() != Course::Lasting || reason.alert().is_none() {
        return;
    }
    let rest = remembered_for(policy);
    let until = state.told.entry(reason.key()).or_insert(now + rest);
    // Not at every evaluation: each change of the state is written to disk.
    if *until - now < rest / 2 {
        *until = now + rest;
    }
}

/// What was seen and said before is another matter from here on.
pub(super) fn end_all(state: &mut State) {
    state.sustain = Sustain::default();
    state.watched = Sustain::default();
    state.told.clear();
}
