//! What each [`Guard`] asks. All are asked every time, so that a record shows all of them.

use std::time::Duration;

use crate::decide::{Facts, mode_allows};
use crate::generation::Choice;
use crate::guard::{Guard, GuardCheck};
use crate::outlook::{Breach, PropertyOutlook};
use crate::policy::{Policy, When};
use crate::state::{Phase, State};
use crate::time::{Brief, Timestamp};

/// What the guards are asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The breach that calls for a failover; `None` when a person does.
    pub(crate) trigger: Option<&'a PropertyOutlook>,
    /// What would be activated.
    pub(crate) choice: Option<&'a Choice>,
    /// All else.
    pub(crate) facts: &'a Facts,
    /// The present.
    pub(crate) now: Timestamp,
}

/// All guards, in the order in which their word counts: for a failover that Evenkeel itself wants.
pub(crate) fn automatic(policy: &Policy, state: &State, subject: &Subject<'_>) -> Vec<GuardCheck> {
    let mut checks = vec![
        phase(state),
        mode(policy),
        pause(state),
        window(policy, state, subject),
        warm_up(policy, subject),
        shared_fate(policy, subject),
        clone_drift(subject),
    ];
    checks.extend(clone(policy, subject));
    checks.extend([
        cool_down(policy, state, subject),
        rate_limit(policy, state, subject),
        redirector(subject),
        lease(subject),
        timing(policy, subject),
        approval(policy, state),
    ]);
    checks
}

/// The guards that hold even when a person asks: what would break, not what is unwise.
pub(crate) fn by_hand(policy: &Policy, state: &State, subject: &Subject<'_>) -> Vec<GuardCheck> {
    let mut checks = vec![phase(state)];
    checks.extend(clone(policy, subject));
    checks.extend([redirector(subject), lease(subject)]);
    checks
}

fn clone(policy: &Policy, subject: &Subject<'_>) -> [GuardCheck; 3] {
    [
        good_generation(subject),
        clone_health(policy, subject),
        clone_lag(policy, subject),
    ]
}

fn check(guard: Guard, holds: bool, sentence: impl Into<String>) -> GuardCheck {
    GuardCheck {
        guard,
        holds,
        sentence: sentence.into(),
    }
}

fn phase(state: &State) -> GuardCheck {
    let guarded = state.phase == Phase::Guarded;
    let sentence = match &state.phase {
        Phase::Guarded => "the resource is guarded".to_owned(),
        Phase::Settling { .. } => "there is no baseline yet".to_owned(),
        Phase::Seeding => "the first full clone is not made yet".to_owned(),
        Phase::Moving { run } => format!("{run} is moving clients already"),
        Phase::Reinstating { run } => format!("{run} is reinstating the standby"),
        Phase::Unprotected { why } => format!("there is no standby: {why}"),
        Phase::Held { run, why } => format!("held since {run}: {why}"),
    };
    check(Guard::Phase, !guarded, sentence)
}

fn mode(policy: &Policy) -> GuardCheck {
    let sentence = format!("mode is {}", policy.mode.as_str());
    check(Guard::Mode, !mode_allows(policy.mode), sentence)
}

fn pause(state: &State) -> GuardCheck {
    match &state.pause {
        None => check(Guard::Pause, false, "not paused"),
        Some(pause) => {
            let until = pause
                .until
                .map_or("until resumed".into(), |t| format!("until {t}"));
            check(
                Guard::Pause,
                true,
                format!("paused by {} {until}: {}", pause.by, pause.why),
            )
        }
    }
}

/// A forecast cannot know how far drifts go before it has seen as much time as it speaks of, twice.
fn warm_up(policy: &Policy, subject: &Subject<'_>) -> GuardCheck {
    let Some(trigger) = subject.trigger else {
        return check(Guard::WarmUp, false, "no prediction is acted on");
    };
    if trigger.breach == Breach::Observed {
        return check(Guard::WarmUp, false, "the breach is observed");
    }
    let watched = (trigger.since).map_or(Duration::ZERO, |since| subject.now - since);
    let sentence = format!(
        "{} is watched for {} (a prediction is acted on after {})",
        trigger.path,
        Brief(watched),
        Brief(policy.warm_up())
    );
    check(Guard::WarmUp, watched < policy.warm_up(), sentence)
}

fn window(policy: &Policy, state: &State, subject: &Subject<'_>) -> GuardCheck {
    if let Some(window) = state.windows.iter().find(|w| w.contains(subject.now)) {
        let sentence = format!(
            "window of {} until {}: {}",
            window.by, window.until, window.why
        );
        return check(Guard::Window, true, sentence);
    }
    let recurring = policy.windows.iter().any(|w| w.contains(subject.now));
    let sentence = if recurring {
        "a recurring maintenance window is open"
    } else {
        "no window is open"
    };
    check(Guard::Window, recurring, sentence)
}

fn cool_down(policy: &Policy, state: &State, subject: &Subject<'_>) -> GuardCheck {
    let Some(last) = state.failovers.last() else {
        return check(Guard::CoolDown, false, "no failover before");
    };
    let (ago, needed) = (subject.now - *last, policy.cool_down);
    let sentence = format!(
        "the last failover was {} ago, cool-down is {}",
        Brief(ago),
        Brief(needed)
    );
    check(Guard::CoolDown, ago < needed, sentence)
}

fn rate_limit(policy: &Policy, state: &State, subject: &Subject<'_>) -> GuardCheck {
    let since = subject.now.before(policy.max_failovers_within);
    let count = state.failovers.iter().filter(|at| **at > since).count();
    let max = policy.max_failovers;
    let sentence = format!(
        "{count} failovers in the last {}, at most {max} are allowed",
        Brief(policy.max_failovers_within)
    );
    check(
        Guard::RateLimit,
        u32::try_from(count).unwrap_or(u32::MAX) >= max,
        sentence,
    )
}

fn approval(policy: &Policy, state: &State) -> GuardCheck {
    match (policy.approval_required, &state.approval) {
        (false, _) => check(Guard::Approval, false, "no approval is needed"),
        (true, Some(approval)) => {
            let sentence = format!("approved by {} until {}", approval.by, approval.until);
            check(Guard::Approval, false, sentence)
        }
        (true, None) => check(
            Guard::Approval,
            true,
            "a person must approve (evenkeel approve)",
        ),
    }
}

fn good_generation(subject: &Subject<'_>) -> GuardCheck {
    match subject.choice {
        None => check(
            Guard::GoodGeneration,
            true,
            "no generation of the clone is good",
        ),
        Some(choice) => {
            let (config, data) = (choice.config_from, choice.data_from);
            let sentence = format!("configuration of {config}, data of {data}");
            check(Guard::GoodGeneration, false, sentence)
        }
    }
}

fn clone_health(policy: &Policy, subject: &Subject<'_>) -> GuardCheck {
    let held = |sentence: String| check(Guard::CloneHealth, true, sentence);
    match (&subject.facts.rehearsal, policy.rehearsal_max_age) {
        (None, None) => check(
            Guard::CloneHealth,
            false,
            "not rehearsed, and no rehearsal is asked for",
        ),
        (None, Some(_)) => held("the clone was never rehearsed (evenkeel clone rehearse)".into()),
        (Some(rehearsal), max_age) => {
            let ago = subject.now - rehearsal.at;
            match (&rehearsal.result, max_age) {
                (Err(why), _) => held(format!("the last rehearsal failed: {why}")),
                (Ok(()), Some(max_age)) if ago > max_age => held(format!(
                    "the last rehearsal is {} old, {} is allowed",
                    Brief(ago),
                    Brief(max_age)
                )),
                (Ok(()), _) => {
                    let (ago, took) = (Brief(ago), Brief(rehearsal.activation));
                    check(
                        Guard::CloneHealth,
                        false,
                        format!("rehearsed {ago} ago, up in {took}"),
                    )
                }
            }
        }
    }
}

fn clone_lag(policy: &Policy, subject: &Subject<'_>) -> GuardCheck {
    if !subject.facts.capabilities.has_data {
        return check(Guard::CloneLag, false, "there is no data to lag behind");
    }
    let Some(choice) = subject.choice else {
        return check(Guard::CloneLag, false, "there is no generation to be old");
    };
    let newest = subject.facts.generations.iter().map(|g| g.id).max();
    // A sync that found nothing changed makes no generation, but says that the newest is current.
    let is_newest = newest == Some(choice.data_from);
    let current = subject
        .facts
        .synced_at
        .filter(|_| is_newest)
        .unwrap_or(choice.data_at);
    let age = subject.now - current.max(choice.data_at);
    let (data, max) = (choice.data_from, policy.max_data_age);
    let sentence = format!(
        "data of {data} is {} old, {} is allowed",
        Brief(age),
        Brief(max)
    );
    check(Guard::CloneLag, age > max, sentence)
}

fn clone_drift(subject: &Subject<'_>) -> GuardCheck {
    let carried = subject
        .trigger
        .filter(|t| subject.facts.shared_by_clone.contains(&t.path));
    match carried {
        Some(trigger) => {
            let sentence = format!("the clone follows {} and would drift with it", trigger.path);
            check(Guard::CloneDrift, true, sentence)
        }
        None => check(
            Guard::CloneDrift,
            false,
            "the clone does not carry this drift",
        ),
    }
}

fn shared_fate(policy: &Policy, subject: &Subject<'_>) -> GuardCheck {
    let elsewhere = subject
        .trigger
        .and_then(|t| subject.facts.drifting_elsewhere.get(&t.path));
    let count = elsewhere.copied().unwrap_or(0);
    let holds = policy.shared_fate_at > 0 && count >= policy.shared_fate_at;
    let sentence = format!(
        "{count} other resources drift in the same property, {} make it a rollout",
        policy.shared_fate_at
    );
    check(Guard::SharedFate, holds, sentence)
}

/// Without a redirector a failover would take the primary from its clients and give them nothing.
fn redirector(subject: &Subject<'_>) -> GuardCheck {
    let facts = subject.facts;
    match (facts.capabilities.has_traffic, facts.has_redirector) {
        (true, false) => {
            let sentence = "nothing moves its clients: configure a redirector";
            check(Guard::Redirector, true, sentence)
        }
        (true, true) => check(Guard::Redirector, false, "its clients can be moved"),
        (false, _) => check(Guard::Redirector, false, "it has no clients to be moved"),
    }
}

fn lease(subject: &Subject<'_>) -> GuardCheck {
    let may = subject.facts.may_lease;
    let sentence = if may {
        "the lease can be had"
    } else {
        "another process holds the lease"
    };
    check(Guard::Lease, !may, sentence)
}

fn timing(policy: &Policy, subject: &Subject<'_>) -> GuardCheck {
    let go = |sentence: String| check(Guard::Timing, false, sentence);
    let Some(trigger) = subject.trigger else {
        return go("asked for by a person".into());
    };
    match (policy.when, trigger.breach, &subject.facts.rehearsal) {
        (When::Early, _, _) => go("acts at the first sustained trigger".into()),
        (When::LatestSafe, Breach::None | Breach::Observed, _) => {
            go("the breach is there already".into())
        }
        (When::LatestSafe, Breach::Predicted { .. }, None) => {
            go("how long an activation takes is unknown, so it is not waited".into())
        }
        (When::LatestSafe, Breach::Predicted { lead_time, .. }, Some(rehearsal)) => {
            let needed = rehearsal.activation.as_secs_f64() * policy.safety_factor;
            let needed = Duration::try_from_secs_f64(needed).unwrap_or(Duration::MAX);
            let sentence = format!(
                "{} are left, an activation takes {} x {}",
                Brief(lead_time),
                Brief(rehearsal.activation),
                policy.safety_factor
            );
            check(Guard::Timing, lead_time > needed, sentence)
        }
    }
}
