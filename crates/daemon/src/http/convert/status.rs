//! Resources at a glance: what the snapshot of each says, as it stands at an instant.

use std::time::Duration;

use evenkeel_api::wire;
use evenkeel_core::generation::{Generation, Verdict};
use evenkeel_core::outlook::Breach;
use evenkeel_core::policy::{Policy, RecurringWindow};
use evenkeel_core::state::{Phase, State};
use evenkeel_core::{ResourceId, Timestamp};
use evenkeel_ports::{Health, Rehearsal};

use super::{count, millis, property, words};
use crate::engine::Snapshot;

const DAY: Duration = Duration::from_secs(86_400);

/// `entrance` is the address at which clients come in.
pub(in crate::http) fn resource(
    name: &ResourceId,
    snapshot: &Snapshot,
    entrance: Option<String>,
    now: Timestamp,
) -> wire::ResourceStatus {
    let Snapshot {
        settings, state, ..
    } = snapshot;
    let policy = &settings.policy;
    let breach = snapshot.worst().map_or(Breach::None, |worst| worst.breach);
    let properties = match (snapshot.outlooks.len(), &snapshot.probe) {
        (0, Some(probe)) => probe.properties.len(),
        (assessed, _) => assessed,
    };
    let rehearsal = snapshot.rehearsal.as_ref();
    wire::ResourceStatus {
        name: name.to_string(),
        kind: settings.kind.clone(),
        labels: settings.labels.clone(),
        mode: words::mode(policy.mode),
        phase: words::phase(&state.phase),
        phase_why: phase_why(&state.phase),
        run: run(&state.phase),
        serving: words::instance(state.serving),
        entrance,
        baseline: snapshot
            .baseline
            .as_ref()
            .map(|baseline| baseline.version.to_string()),
        properties: count(properties),
        breaching: count(
            snapshot
                .outlooks
                .iter()
                .filter(|o| o.breach != Breach::None)
                .count(),
        ),
        probed_at: snapshot.probe.as_ref().map(|probe| probe.at.to_string()),
        probe_problem: snapshot.probe_lost.as_ref().map(|(_, why)| why.clone()),
        worst: worst(snapshot),
        lead_time_s: breach.lead_time().map(|span| span.as_secs_f64()),
        confidence: (breach != Breach::None).then(|| breach.confidence()),
        clone: clone(snapshot, now),
        rehearsal: rehearsal.map(rehearsal_status),
        activation_ms: rehearsal
            .filter(|r| r.result.is_ok())
            .map(|r| millis(r.activation)),
        pause: pause(state, now),
        windows: windows(policy, state, now),
        approval: approval(state, now),
        sentence: sentence(snapshot),
    }
}

fn phase_why(phase: &Phase) -> Option<String> {
    match phase {
        Phase::Settling { .. }
        | Phase::Seeding
        | Phase::Guarded
        | Phase::Moving { .. }
        | Phase::Reinstating { .. } => None,
        Phase::Unprotected { why } | Phase::Held { why, .. } => Some(why.clone()),
    }
}

/// The saga under way, or the one that the resource is held by.
fn run(phase: &Phase) -> Option<String> {
    match phase {
        Phase::Moving { run } | Phase::Reinstating { run } | Phase::Held { run, .. } => {
            Some(run.to_string())
        }
        Phase::Settling { .. } | Phase::Seeding | Phase::Guarded | Phase::Unprotected { .. } => {
            None
        }
    }
}

fn sentence(snapshot: &Snapshot) -> String {
    let properties = &snapshot.sentence;
    match &snapshot.state.phase {
        Phase::Settling { .. } | Phase::Guarded => properties.clone(),
        Phase::Seeding => format!("the first full clone is being made; {properties}"),
        Phase::Moving { run } => format!("{run} is moving clients"),
        Phase::Reinstating { run } => format!("{run} is reinstating the standby; {properties}"),
        Phase::Unprotected { why } => format!("there is no standby ({why}); {properties}"),
        Phase::Held { run, why } => format!("held since {run}, a person must look: {why}"),
    }
}

fn worst(snapshot: &Snapshot) -> Option<wire::WorstProperty> {
    let worst = snapshot.worst()?;
    if worst.deviation == 0.0 && worst.breach == Breach::None {
        return None; // the first of many that are all as approved
    }
    Some(wire::WorstProperty {
        path: worst.path.to_string(),
        deviation: worst.deviation,
        band: property::band(worst.band),
        breach: property::breach(worst),
        recent: snapshot.recent.iter().copied().map(Some).collect(),
        recent_step_s: snapshot.settings.policy.sample_every.as_secs_f64(),
    })
}

fn clone(snapshot: &Snapshot, now: Timestamp) -> Option<wire::CloneStatus> {
    let sync_problem = snapshot.sync_problem.clone();
    let generations = &snapshot.generations;
    if generations.is_empty() && sync_problem.is_none() {
        return None;
    }
    let good = |generation: &&Generation| generation.verdict == Verdict::Good;
    let newest_good = generations
        .iter()
        .filter(good)
        .max_by_key(|generation| generation.id);
    let with = |verdict: wire::Verdict| {
        count(
            generations
                .iter()
                .filter(|g| words::verdict(&g.verdict) == verdict)
                .count(),
        )
    };
    Some(wire::CloneStatus {
        newest_good: newest_good.map(|generation| generation.id.to_string()),
        newest_good_age_s: newest_good.map(|generation| (now - generation.at).as_secs_f64()),
        synced_at: snapshot.synced_at.map(|at| at.to_string()),
        sync_problem,
        good: with(wire::Verdict::Good),
        suspect: with(wire::Verdict::Suspect),
        quarantined: with(wire::Verdict::Quarantined),
    })
}

fn rehearsal_status(rehearsal: &Rehearsal) -> wire::RehearsalStatus {
    wire::RehearsalStatus {
        at: rehearsal.at.to_string(),
        generation: rehearsal.choice.config_from.to_string(),
        ok: rehearsal.result.is_ok(),
        why: rehearsal.result.clone().err(),
        activation_ms: millis(rehearsal.activation),
    }
}

/// The state drops what is over with its next decision; here it is over at once.
fn pause(state: &State, now: Timestamp) -> Option<wire::Pause> {
    let pause = state.pause.as_ref()?;
    pause
        .until
        .is_none_or(|until| now < until)
        .then(|| wire::Pause {
            by: pause.by.clone(),
            why: pause.why.clone(),
            until: pause.until.map(|until| until.to_string()),
        })
}

fn approval(state: &State, now: Timestamp) -> Option<wire::ApprovalView> {
    let approval = state.approval.as_ref()?;
    (now < approval.until).then(|| wire::ApprovalView {
        by: approval.by.clone(),
        until: approval.until.to_string(),
    })
}

/// The windows that are open or to come: one-off ones, and the next of each recurring one.
fn windows(policy: &Policy, state: &State, now: Timestamp) -> Vec<wire::Window> {
    let once = state
        .windows
        .iter()
        .filter(|window| now < window.until)
        .map(|window| wire::Window {
            from: window.from.to_string(),
            until: window.until.to_string(),
            by: Some(window.by.clone()),
            why: (!window.why.is_empty()).then(|| window.why.clone()),
        });
    let recurring = policy.windows.iter().filter_map(|window| {
        let (from, until) = next_occurrence(window, now)?;
        Some(wire::Window {
            from: from.to_string(),
            until: until.to_string(),
            by: None,
            why: None,
        })
    });
    let mut windows: Vec<wire::Window> = once.chain(recurring).collect();
    windows.sort_by(|a, b| a.from.cmp(&b.from));
    windows
}

/// When a recurring window is open now, or opens next.
fn next_occurrence(window: &RecurringWindow, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let midnight = now.before(now.time_of_day());
    // Yesterday's may still be open; every weekday comes within a week.
    (0..=8_u32)
        .map(|day| midnight.before(DAY) + DAY * day)
        .find_map(|day| {
            let starts = window.weekdays.is_empty() || window.weekdays.contains(&day.weekday());
            let from = day + window.start;
            let until = from + window.length;
            (starts && now < until).then_some((from, until))
        })
}

pub(in crate::http) fn policy(policy: &Policy) -> wire::PolicyView {
    wire::PolicyView {
        when: policy.when.as_str().to_owned(),
        act_on: policy.act_on.as_str().to_owned(),
        warm_up_s: policy.warm_up().as_secs_f64(),
        risk_tolerance: policy.risk_tolerance.get(),
        min_confidence: policy.min_confidence.get(),
        sustain_k: policy.sustain_k,
        sustain_n: policy.sustain_n,
        horizon_s: policy.horizon.as_secs_f64(),
        sample_every_s: policy.sample_every.as_secs_f64(),
        cool_down_s: policy.cool_down.as_secs_f64(),
        max_data_age_s: policy.max_data_age.as_secs_f64(),
        approval_required: policy.approval_required,
        revert: policy.revert,
    }
}

/// How an instance answered; `Err` if it could not be asked.
pub(in crate::http) fn health(
    answer: Result<Health, String>,
) -> (wire::InstanceHealth, Option<String>) {
    match answer {
        Ok(Health::Well) => (wire::InstanceHealth::Well, None),
        Ok(Health::Unwell(why)) => (wire::InstanceHealth::Unwell, Some(why)),
        Ok(Health::Down) => (wire::InstanceHealth::Down, None),
        Err(why) => (wire::InstanceHealth::Unknown, Some(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_recurring_window_is_shown_while_open_and_before_it_opens() {
        // Monday 23:00 for two hours; 2026-11-23 was a Monday.
        let window = RecurringWindow {
            weekdays: vec![0],
            start: 23 * HOUR,
            length: 2 * HOUR,
        };
        let monday = Timestamp::from_millis(1_795_392_000_000);
        let from = monday + 23 * HOUR;
        let next = |now| next_occurrence(&window, now).unwrap().0;
        assert_eq!(next(monday), from);
        assert_eq!(
            next(monday + 24 * HOUR + HOUR / 2),
            from,
            "still open after midnight"
        );
        assert_eq!(next(monday + 25 * HOUR), from + 7 * DAY);
        let never = RecurringWindow {
            weekdays: vec![9],
            ..window
        };
        assert_eq!(next_occurrence(&never, monday), None);
    }
}
