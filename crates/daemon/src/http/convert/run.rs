//! Sagas: a plan with what its journal says of each step.

use evenkeel_api::wire::{self, StepStatus};
use evenkeel_core::Timestamp;
use evenkeel_core::failover::{Event, Plan, Step};
use evenkeel_ports::RunRecord;

use super::{clone, words};

pub(in crate::http) fn view(record: &RunRecord) -> wire::RunView {
    let plan = &record.plan;
    // The journal says when its lines were written; the end is the last of them.
    let last = record.events.last().map_or(plan.at, |(at, _)| *at);
    wire::RunView {
        id: plan.run.to_string(),
        resource: plan.resource.to_string(),
        kind: words::plan_kind(plan.kind),
        at: plan.at.to_string(),
        why: plan.why.clone(),
        from: words::instance(plan.from),
        to: words::instance(plan.to),
        choice: plan.choice.as_ref().map(clone::choice),
        steps: plan
            .steps
            .iter()
            .map(|step| told(plan, *step, &record.events))
            .collect(),
        forward_from: plan.forward_from.map(|step| step.as_str().to_owned()),
        outcome: record.outcome.map(words::outcome),
        ended_at: record.outcome.map(|_| last.to_string()),
    }
}

/// One step, with what the journal tells of it.
fn told(plan: &Plan, step: Step, events: &[(Timestamp, Event)]) -> wire::RunStep {
    let mut told = wire::RunStep {
        name: step.as_str().to_owned(),
        what: step.describe(plan),
        status: StepStatus::Pending,
        attempts: 0,
        began_at: None,
        ended_at: None,
        took_ms: None,
        note: None,
    };
    for (at, event) in events.iter().filter(|(_, event)| step_of(event) == step) {
        take(&mut told, *at, event);
    }
    told
}

fn step_of(event: &Event) -> Step {
    match event {
        Event::Begun(step)
        | Event::Done(step, _)
        | Event::Failed(step, _)
        | Event::Skipped(step, _)
        | Event::UndoBegun(step)
        | Event::Undone(step)
        | Event::UndoFailed(step, _) => *step,
    }
}

fn take(told: &mut wire::RunStep, at: Timestamp, event: &Event) {
    let mut end = |status: StepStatus, note: Option<&str>| {
        told.status = status;
        told.ended_at = Some(at.to_string());
        if let Some(note) = note.filter(|note| !note.is_empty()) {
            told.note = Some(note.to_owned());
        }
    };
    match event {
        Event::Begun(_) => {
            told.status = StepStatus::Running;
            told.attempts += 1;
            told.began_at.get_or_insert_with(|| at.to_string());
            told.ended_at = None;
        }
        Event::Done(_, output) => {
            end(StepStatus::Done, Some(&output.note));
            told.took_ms = Some(output.took_ms);
        }
        Event::Failed(_, failure) => end(StepStatus::Failed, Some(&failure.what)),
        Event::Skipped(_, failure) => end(StepStatus::Skipped, Some(&failure.what)),
        Event::UndoBegun(_) => {
            told.status = StepStatus::Undoing;
            told.ended_at = None;
        }
        Event::Undone(_) => end(StepStatus::Undone, None),
        Event::UndoFailed(_, what) => end(StepStatus::UndoFailed, Some(what)),
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::failover::plan::Heading;
    use evenkeel_core::failover::{Effect, Failure, Outcome, Output};
    use evenkeel_core::{FencingToken, Instance, RunId};

    use super::*;

    fn record(events: Vec<(Timestamp, Event)>) -> RunRecord {
        let heading = Heading {
            run: RunId(3),
            resource: "web".into(),
            token: FencingToken(1),
            at: Timestamp::from_millis(0),
            why: "test".into(),
            from: Instance::A,
        };
        RunRecord {
            plan: Plan::reinstatement(heading, None),
            events,
            outcome: Some(Outcome::Stuck),
        }
    }

    #[test]
    fn a_step_tells_its_attempts_and_what_came_of_the_last() {
        let at = Timestamp::from_millis;
        let failure = Failure {
            what: "the disk is full".into(),
            effect: Effect::None,
        };
        let output = Output {
            took_ms: 7,
            note: "taken".into(),
            ..Output::default()
        };
        let view = view(&record(vec![
            (at(1000), Event::Begun(Step::Lease)),
            (at(2000), Event::Failed(Step::Lease, failure)),
            (at(3000), Event::Begun(Step::Lease)),
            (at(4000), Event::Done(Step::Lease, output)),
            (at(5000), Event::Begun(Step::FreezeSync)),
        ]));
        let lease = &view.steps[0];
        assert_eq!((lease.status, lease.attempts), (StepStatus::Done, 2));
        assert_eq!(lease.began_at.as_deref(), Some("1970-01-01T00:00:01.000Z"));
        assert_eq!(lease.ended_at.as_deref(), Some("1970-01-01T00:00:04.000Z"));
        assert_eq!(
            (lease.took_ms, lease.note.as_deref()),
            (Some(7), Some("taken"))
        );
        assert_eq!(view.steps[1].status, StepStatus::Running);
        assert_eq!(view.steps[2].status, StepStatus::Pending);
        assert_eq!(view.ended_at.as_deref(), Some("1970-01-01T00:00:05.000Z"));
    }

    #[test]
    fn an_undone_step_keeps_the_note_of_why_it_was_undone() {
        let at = Timestamp::from_millis(0);
        let failure = Failure {
            what: "no answer".into(),
            effect: Effect::Unknown,
        };
        let view = view(&record(vec![
            (at, Event::Begun(Step::Lease)),
            (at, Event::Failed(Step::Lease, failure)),
            (at, Event::UndoBegun(Step::Lease)),
            (at, Event::Undone(Step::Lease)),
        ]));
        let lease = &view.steps[0];
        assert_eq!(lease.status, StepStatus::Undone);
        assert_eq!(lease.note.as_deref(), Some("no answer"));
    }
}
