//! Tests: at every point of a run, going forward and going back, just the events that follow are taken.

use super::event::{Effect, Event, Failure, Output};
use super::plan::Step;
use super::run::tests::{plan, well};
use super::run::{Next, Outcome, Run};

fn failure() -> Failure {
    Failure {
        what: "no".into(),
        effect: Effect::Unknown,
    }
}

/// Every event of this step.
fn events(step: Step) -> [Event; 7] {
    [
        Event::Begun(step),
        Event::Done(step, Output::default()),
        Event::Failed(step, failure()),
        Event::Skipped(step, failure()),
        Event::UndoBegun(step),
        Event::Undone(step),
        Event::UndoFailed(step, "no".into()),
    ]
}

/// Whether the rules let this event come now.
fn follows(run: &Run, event: &Event) -> bool {
    let begun = run.is_interrupted();
    match (run.next(), event) {
        (Next::Do(due), Event::Begun(step)) => *step == due,
        (Next::Do(due), Event::Done(step, _) | Event::Failed(step, _)) => *step == due && begun,
        (Next::Do(due), Event::Skipped(step, _)) => {
            let can_be_spared = [Step::PreSync, Step::Drain, Step::Diagnose].contains(step);
            *step == due && begun && can_be_spared
        }
        (Next::Undo(due), Event::UndoBegun(step)) => *step == due,
        (Next::Undo(due), Event::Undone(step) | Event::UndoFailed(step, _)) => {
            *step == due && begun
        }
        (Next::Do(_) | Next::Undo(_) | Next::Finished(_), _) => false,
    }
}

/// Offers every event of every step.
fn offer_all(run: &Run) {
    // One step that is in no plan of this kind too.
    let steps = run.plan().steps.iter().copied().chain([Step::Revert]);
    for event in steps.flat_map(events) {
        let mut other = run.clone();
        let taken = other.apply(&event);
        assert_eq!(
            taken.is_ok(),
            follows(run, &event),
            "{event:?} at {:?}",
            run.next()
        );
        if taken.is_err() {
            assert_eq!(&other, run, "a refused event changes nothing");
        }
    }
}

/// Goes through a run, and offers every event at every point of it.
fn go_through(answer: impl Fn(Next) -> Event) -> (Outcome, Run) {
    let mut run = Run::new(plan());
    for _ in 0..100 {
        offer_all(&run);
        let next = run.next();
        let begin = match next {
            Next::Do(step) => Event::Begun(step),
            Next::Undo(step) => Event::UndoBegun(step),
            Next::Finished(outcome) => return (outcome, run),
        };
        run.apply(&begin).unwrap();
        offer_all(&run);
        run.apply(&answer(next)).unwrap();
    }
    panic!("the run does not end");
}

#[test]
fn on_the_way_to_the_end_only_what_follows_is_taken() {
    assert_eq!(go_through(well).0, Outcome::Done);
}

#[test]
fn on_the_way_back_only_what_follows_is_taken() {
    let (outcome, run) = go_through(|next| match next {
        Next::Do(Step::HealthCheck) => Event::Failed(Step::HealthCheck, failure()),
        Next::Do(_) | Next::Undo(_) | Next::Finished(_) => well(next),
    });
    assert_eq!((outcome, run.done().len()), (Outcome::Undone, 0));
}

#[test]
fn an_undo_that_fails_as_often_as_is_allowed_is_stuck_and_says_at_what() {
    let (outcome, run) = go_through(|next| match next {
        Next::Do(Step::HealthCheck) => Event::Failed(Step::HealthCheck, failure()),
        Next::Undo(Step::Activate) => Event::UndoFailed(Step::Activate, "it stays up".into()),
        Next::Do(_) | Next::Undo(_) | Next::Finished(_) => well(next),
    });
    assert_eq!(outcome, Outcome::Stuck);
    let last = run.last_failure().unwrap();
    assert_eq!(last, &(Step::Activate, "it stays up".to_owned()));
}

#[test]
fn a_step_that_can_be_spared_may_be_skipped_at_its_place() {
    let (outcome, _) = go_through(|next| match next {
        Next::Do(Step::Drain) => Event::Skipped(Step::Drain, failure()),
        Next::Do(_) | Next::Undo(_) | Next::Finished(_) => well(next),
    });
    assert_eq!(outcome, Outcome::Done);
}

#[test]
fn a_step_is_tried_as_often_as_is_allowed_before_the_run_turns_back() {
    let mut run = Run::new(plan());
    let mut tried = 0;
    while let (Next::Do(step), true) = (run.next(), tried < 100) {
        run.apply(&Event::Begun(step)).unwrap();
        let event = if step == Step::HealthCheck {
            tried += 1;
            Event::Failed(step, failure())
        } else {
            Event::Done(step, Output::default())
        };
        run.apply(&event).unwrap();
    }
    assert_eq!((tried, run.plan().attempts_max), (3, 3));
    assert_eq!(
        run.next(),
        Next::Undo(Step::HealthCheck),
        "it may have had an effect"
    );
}
