//! Surprises: what was found outside its band and outside what was forecast for it.
//!
//! Each is said once an episode, which lasts until the property was back in its band for as long as shared fate
//! remembers a drift. A decision that alerts for the same property has said it; one that acts or alerts for
//! another is not replaced, but gets a further alert.

use super::terms::{Action, Decision};
use crate::fleet::remembered_for;
use crate::ids::PropertyPath;
use crate::outlook::PropertyOutlook;
use crate::policy::Policy;
use crate::property::Severity;
use crate::reason::Reason;
use crate::time::Timestamp;

/// Whether one of a property that may be acted on is among them.
pub(super) fn counts(outlooks: &[PropertyOutlook]) -> bool {
    outlooks
        .iter()
        .any(|o| o.severity == Severity::Critical && o.surprises())
}

/// Says what surprises for the first time in its episode. `lasting` is what was alerted on before the decision.
pub(super) fn say(
    policy: &Policy,
    lasting: Option<String>,
    outlooks: &[PropertyOutlook],
    mut decision: Decision,
    now: Timestamp,
) -> Decision {
    let news = begin_or_go_on(policy, outlooks, &mut decision, now);
    let told = told_of(&decision).cloned();
    let mut news = news.into_iter().filter(|o| Some(&o.path) != told.as_ref());
    let Some(outlook) = news.next() else {
        return decision;
    };
    let reason = Reason::Surprised {
        path: outlook.path.clone(),
        sentence: outlook.sentence(),
        more: u32::try_from(news.count()).unwrap_or(u32::MAX),
    };
    let alert = Action::Alert {
        severity: Severity::Warn,
        sentence: reason.sentence(),
    };
    if decision.actions.is_empty() {
        decision.explanation.reason = reason;
        // What lasted goes on; what is new is recorded at the next evaluation.
        decision.state.alerted = lasting;
    }
    decision.actions.push(alert);
    decision.notable = true;
    decision
}

/// Moves the ends of episodes, and gives those that begin.
fn begin_or_go_on<'a>(
    policy: &Policy,
    outlooks: &'a [PropertyOutlook],
    decision: &mut Decision,
    now: Timestamp,
) -> Vec<&'a PropertyOutlook> {
    let rest = remembered_for(policy);
    let mut news = Vec::new();
    let worth_saying = outlooks.iter().filter(|o| o.severity >= Severity::Warn);
    for outlook in worth_saying {
        let episode = decision.state.surprised.get_mut(&outlook.path);
        match episode {
            // Not at every evaluation: each change of the state is written to disk.
            Some(until)
                if outlook.band.is_breached_by(outlook.deviation) && *until - now < rest / 2 =>
            {
                *until = now + rest;
            }
            Some(_) => {}
            None if outlook.surprises() => {
                let path = outlook.path.clone();
                decision.state.surprised.insert(path, now + rest);
                news.push(outlook);
            }
            None => {}
        }
    }
    news
}

/// The property that the decision alerts for, in a sentence that tells of its surprise too.
fn told_of(decision: &Decision) -> Option<&PropertyPath> {
    let reason = &decision.explanation.reason;
    reason.path().filter(|_| decision.alerts())
}
