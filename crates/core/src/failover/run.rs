//! A run: the state of a plan, got by replaying its events. The same [`Run::apply`] serves live and
//! after a crash, so what was journalled is what happened.
//!
//! Rules, which the simulation at the foot checks over many seeds:
//! - A step's `Begun` is durable before its effect. A second `Begun` without an end between means a
//!   crash: the effect may have happened.
//! - Before [`Plan::forward_from`], or at it while surely without effect, too many failures unwind
//!   everything that was done, last first. Past it the run only goes forward.
//! - A run ends [`Outcome::Done`], [`Outcome::Undone`] (no trace) or [`Outcome::Stuck`], which is
//!   never silent: a person must look.

use serde::{Deserialize, Serialize};

use super::event::{Effect, Event, Output};
use super::plan::{Plan, PlanKind, Step};
use crate::ids::Instance;

/// What the executor is to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Journal `Begun`, do the step, journal what came of it.
    Do(Step),
    /// Journal `UndoBegun`, undo the step, journal what came of it.
    Undo(Step),
    /// Nothing more.
    Finished(Outcome),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every step was done (or could be skipped).
    Done,
    /// It failed before clients moved, and everything is as it was.
    Undone,
    /// It can go neither forward nor back.
    Stuck,
}

/// The event does not follow from the run's state: a torn or foreign journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal of {run} says {event:?} where {expected:?} was to come")]
pub struct IllegalEvent {
    run: crate::ids::RunId,
    event: Event,
    expected: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// A plan with what came of it so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    plan: Plan,
    direction: Direction,
    /// What was done and not undone, in order; a skipped step counts as done, with its note.
    done: Vec<(Step, Output)>,
    /// How often the current step (or undo) was begun.
    attempts: u32,
    /// An attempt is under way: a begin without its end.
    begun: bool,
    /// The current step may have had an effect although it never ended well.
    tainted: bool,
    last_failure: Option<(Step, String)>,
}

impl Run {
    /// A run of which nothing has happened yet.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            direction: Direction::Forward,
            done: Vec::new(),
            attempts: 0,
            begun: false,
            tainted: false,
            last_failure: None,
        }
    }

    /// The run that `events` tell of.
    ///
    /// # Errors
    /// When the events do not follow from one another.
    pub fn replay<'a>(
        plan: Plan,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Self, IllegalEvent> {
        let mut run = Self::new(plan);
        events.into_iter().try_for_each(|event| run.apply(event))?;
        Ok(run)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What was done so far and stands, with what each step left.
    pub fn done(&self) -> &[(Step, Output)] {
        &self.done
    }

    /// The last failure, for people.
    pub fn last_failure(&self) -> Option<&(Step, String)> {
        self.last_failure.as_ref()
    }

    /// What `step` left, if it was done.
    pub fn output(&self, step: Step) -> Option<&Output> {
        self.done
            .iter()
            .find(|(s, _)| *s == step)
            .map(|(_, output)| output)
    }

    /// Where clients are, as far as the run knows: moved once they were redirected, or, where a plan
    /// redirects nobody, once all was done.
    pub fn serving(&self) -> Instance {
        let moves = self.plan.steps.contains(&Step::Redirect);
        let turning_point = if moves {
            Some(&Step::Redirect)
        } else {
            self.plan.steps.last()
        };
        let is_move = self.plan.kind != PlanKind::Reinstatement;
        let moved = turning_point.is_some_and(|step| self.output(*step).is_some());
        // A reinstatement's `from` is the instance that does not serve.
        if is_move && !moved {
            self.plan.from
        } else {
            self.plan.to
        }
    }

    /// Which attempt at the current step the next begin would be, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempts + 1
    }

    /// An attempt was begun and never ended: the process died inside it.
    pub fn is_interrupted(&self) -> bool {
        self.begun
    }

    /// What is to be done now.
    pub fn next(&self) -> Next {
        let exhausted = self.attempts >= self.plan.attempts_max && !self.begun;
        match self.direction {
            Direction::Forward => match self.plan.steps.get(self.done.len()) {
                None => Next::Finished(Outcome::Done),
                Some(_) if exhausted => Next::Finished(Outcome::Stuck),
                Some(&step) => Next::Do(step),
            },
            Direction::Backward => match self.to_undo() {
                None => Next::Finished(Outcome::Undone),
                Some(_) if exhausted => Next::Finished(Outcome::Stuck),
                Some(step) => Next::Undo(step),
            },
        }
    }

    /// Takes one event.
    ///
    /// # Errors
    /// When it does not follow from the run's state; the state is then unchanged.
    pub fn apply(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        let expected = self.next();
        match (event, expected) {
            (Event::Begun(step), Next::Do(due)) if *step == due => self.begin(),
            (Event::Done(step, output), Next::Do(due)) if *step == due && self.begun => {
                self.end_step(*step, output.clone());
            }
            (Event::Skipped(step, failure), Next::Do(due))
                if *step == due && self.begun && step.can_be_skipped() =>
            {
                self.last_failure = Some((*step, failure.what.clone()));
                let note = format!("skipped: {}", failure.what);
                self.end_step(
                    *step,
                    Output {
                        note,
                        ..Output::default()
                    },
                );
            }
            (Event::Failed(step, failure), Next::Do(due)) if *step == due && self.begun => {
                self.begun = false;
                self.tainted |= failure.effect == Effect::Unknown;
                self.last_failure = Some((*step, failure.what.clone()));
                self.turn_back_if_hopeless(*step);
            }
            (Event::UndoBegun(step), Next::Undo(due)) if *step == due => self.begin(),
            (Event::Undone(step), Next::Undo(due)) if *step == due && self.begun => self.end_undo(),
            (Event::UndoFailed(step, what), Next::Undo(due)) if *step == due && self.begun => {
                self.begun = false;
                self.last_failure = Some((*step, what.clone()));
            }
            (
                Event::Begun(_)
                | Event::Done(..)
                | Event::Skipped(..)
                | Event::Failed(..)
                | Event::UndoBegun(_)
                | Event::Undone(_)
                | Event::UndoFailed(..),
                Next::Do(_) | Next::Undo(_) | Next::Finished(_),
            ) => {
                return Err(IllegalEvent {
                    run: self.plan.run,
                    event: event.clone(),
                    expected,
                });
            }
        }
        Ok(())
    }

    fn begin(&mut self) {
        // A begin on top of a begin: the process died in between, the effect may have happened. An
        // undo is repeated until it ends, so there this says nothing new.
        self.tainted |= self.begun && self.direction == Direction::Forward;
        self.begun = true;
        self.attempts += 1;
    }

    fn end_step(&mut self, step: Step, output: Output) {
        self.done.push((step, output));
        self.settle();
    }

    fn end_undo(&mut self) {
        // A tainted step stands before the done ones in the order of undoing.
        if !self.tainted {
            self.done.pop();
        }
        self.settle();
    }

    fn settle(&mut self) {
        self.attempts = 0;
        self.begun = false;
        self.tainted = false;
    }

    fn turn_back_if_hopeless(&mut self, step: Step) {
        let hopeless = self.attempts >= self.plan.attempts_max;
        let first_past_return = self.plan.forward_from == Some(step);
        let way_back = !self.plan.is_past_return(step) || first_past_return && !self.tainted;
        if hopeless && way_back {
            self.direction = Direction::Backward;
            self.attempts = 0;
        }
    }

    fn to_undo(&self) -> Option<Step> {
        if self.tainted_in_hand() {
            return self.plan.steps.get(self.done.len()).copied();
        }
        self.done.last().map(|(step, _)| *step)
    }

    /// Going back, and the step that made the run turn back may have had an effect.
    fn tainted_in_hand(&self) -> bool {
        self.direction == Direction::Backward && self.tainted
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::event::Failure;
    use super::super::plan::Capabilities;
    use super::super::plan::tests::{choice, heading};
    use super::*;
    use std::collections::BTreeSet;

    pub(crate) fn plan() -> Plan {
        Plan::move_clients(
            PlanKind::Failover,
            heading(),
            choice(),
            Capabilities::STATELESS,
        )
    }

    fn failed(step: Step, effect: Effect) -> Event {
        Event::Failed(
            step,
            Failure {
                what: "no".into(),
                effect,
            },
        )
    }

    /// Drives `run` until it ends, with `answer` saying what comes of each step and undo.
    fn drive(run: &mut Run, mut answer: impl FnMut(Next) -> Event) -> Outcome {
        for _ in 0..1000 {
            let next = run.next();
            let begin = match next {
                Next::Do(step) => Event::Begun(step),
                Next::Undo(step) => Event::UndoBegun(step),
                Next::Finished(outcome) => return outcome,
            };
            run.apply(&begin).unwrap();
            run.apply(&answer(next)).unwrap();
        }
        panic!("the run does not end");
    }

    pub(crate) fn well(next: Next) -> Event {
        match next {
            Next::Do(step) => Event::Done(step, Output::default()),
            Next::Undo(step) => Event::Undone(step),
            Next::Finished(_) => unreachable!("nothing is asked then"),
        }
    }

    #[test]
    fn a_run_without_trouble_does_every_step_in_order() {
        let mut run = Run::new(plan());
        assert_eq!(drive(&mut run, well), Outcome::Done);
        let done: Vec<Step> = run.done().iter().map(|(s, _)| *s).collect();
        assert_eq!(done, plan().steps);
    }

    #[test]
    fn a_clone_that_fails_its_health_check_is_taken_down_and_nothing_else_moves() {
        let mut undone = Vec::new();
        let mut run = Run::new(plan());
        let outcome = drive(&mut run, |next| match next {
            Next::Do(Step::HealthCheck) => failed(Step::HealthCheck, Effect::None),
            Next::Undo(step) => {
                undone.push(step);
                Event::Undone(step)
            }
            Next::Do(_) | Next::Finished(_) => well(next),
        });
        assert_eq!(outcome, Outcome::Undone);
        assert_eq!(undone, [Step::Activate, Step::FreezeSync, Step::Lease]);
        assert_eq!(run.last_failure().unwrap().0, Step::HealthCheck);
    }

    #[test]
    fn a_step_that_may_have_had_its_effect_is_undone_too() {
        let mut undone = Vec::new();
        let outcome = drive(&mut Run::new(plan()), |next| match next {
            Next::Do(Step::Activate) => failed(Step::Activate, Effect::Unknown),
            Next::Undo(step) => {
                undone.push(step);
                Event::Undone(step)
            }
            Next::Do(_) | Next::Finished(_) => well(next),
        });
        assert_eq!(outcome, Outcome::Undone);
        assert_eq!(undone, [Step::Activate, Step::FreezeSync, Step::Lease]);
    }

    #[test]
    fn once_clients_may_have_moved_there_is_no_way_back() {
        let stuck = |step: Step, effect| {
            drive(&mut Run::new(plan()), |next| match next {
                Next::Do(due) if due == step => failed(step, effect),
                Next::Do(_) | Next::Undo(_) | Next::Finished(_) => well(next),
            })
        };
        assert_eq!(stuck(Step::Redirect, Effect::None), Outcome::Undone);
        assert_eq!(stuck(Step::Redirect, Effect::Unknown), Outcome::Stuck);
        assert_eq!(stuck(Step::FenceOld, Effect::None), Outcome::Stuck);
    }

    #[test]
    fn a_run_that_is_stuck_knows_where_the_clients_are() {
        let stuck_at = |step: Step| {
            let mut run = Run::new(plan());
            drive(&mut run, |next| match next {
                Next::Do(due) if due == step => failed(step, Effect::Unknown),
                Next::Do(_) | Next::Undo(_) | Next::Finished(_) => well(next),
            });
            run.serving()
        };
        assert_eq!(stuck_at(Step::Redirect), Instance::A);
        assert_eq!(stuck_at(Step::FenceOld), Instance::B);
        let mut reinstatement = Run::new(Plan::reinstatement(heading(), Some(choice())));
        assert_eq!(
            reinstatement.serving(),
            Instance::B,
            "`from` is the one that does not serve"
        );
        drive(&mut reinstatement, well);
        assert_eq!(reinstatement.serving(), Instance::B);
    }

    #[test]
    fn a_run_goes_on_without_a_step_that_can_be_spared_and_says_why() {
        let mut run = Run::new(plan());
        let outcome = drive(&mut run, |next| match next {
            Next::Do(Step::Drain) => Event::Skipped(
                Step::Drain,
                Failure {
                    what: "clients stay".into(),
                    effect: Effect::Unknown,
                },
            ),
            Next::Do(_) | Next::Undo(_) | Next::Finished(_) => well(next),
        });
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(
            run.output(Step::Drain).unwrap().note,
            "skipped: clients stay"
        );
        assert_eq!(run.output(Step::Fence), None, "it is not in the plan");
        assert_eq!(run.last_failure().unwrap().1, "clients stay");
    }

    #[test]
    fn a_run_knows_its_attempt_and_whether_it_was_interrupted() {
        let mut run = Run::new(plan());
        assert_eq!((run.attempt(), run.is_interrupted()), (1, false));
        run.apply(&Event::Begun(Step::Lease)).unwrap();
        assert_eq!((run.attempt(), run.is_interrupted()), (2, true));
        run.apply(&failed(Step::Lease, Effect::None)).unwrap();
        assert_eq!((run.attempt(), run.is_interrupted()), (2, false));
        run.apply(&Event::Begun(Step::Lease)).unwrap();
        let done = Event::Done(Step::Lease, Output::default());
        run.apply(&done).unwrap();
        assert_eq!((run.attempt(), run.is_interrupted()), (1, false));
    }

    #[test]
    fn a_crash_after_begun_counts_as_maybe() {
        let mut run = Run::new(plan());
        for event in [
            Event::Begun(Step::Lease),
            Event::Done(Step::Lease, Output::default()),
            Event::Begun(Step::FreezeSync),
            Event::Begun(Step::FreezeSync),
        ] {
            run.apply(&event).unwrap();
        }
        assert!(run.tainted);
    }

    #[test]
    fn an_event_out_of_order_is_refused_and_changes_nothing() {
        let mut run = Run::new(plan());
        let before = run.clone();
        let error = run
            .apply(&Event::Done(Step::Redirect, Output::default()))
            .unwrap_err();
        assert!(error.to_string().contains("r1"), "{error}");
        assert_eq!(run, before);
        assert!(
            run.apply(&Event::Done(Step::Lease, Output::default()))
                .is_err(),
            "not begun"
        );
        let skipped = Event::Skipped(
            Step::Lease,
            Failure {
                what: "x".into(),
                effect: Effect::None,
            },
        );
        run.apply(&Event::Begun(Step::Lease)).unwrap();
        assert!(run.apply(&skipped).is_err(), "a lease cannot be skipped");
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    struct Seeded(u64);

    impl Seeded {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (z ^ (z >> 31)) % n
        }

        fn percent(&mut self, p: u64) -> bool {
            self.below(100) < p
        }
    }

    /// A world that crashes and fails, with its durable journal.
    struct World {
        rng: Seeded,
        effects: BTreeSet<Step>,
        journal: Vec<Event>,
    }

    impl World {
        /// Does what `next` says; `None` is a crash before or after the effect.
        fn perform(&mut self, next: Next) -> Option<Event> {
            if self.rng.percent(5) {
                return None;
            }
            let event = match next {
                Next::Do(step) => match self.rng.below(10) {
                    0 => failed(step, Effect::None),
                    1 => {
                        if self.rng.percent(50) {
                            self.effects.insert(step);
                        }
                        failed(step, Effect::Unknown)
                    }
                    _ => {
                        self.effects.insert(step);
                        Event::Done(step, Output::default())
                    }
                },
                Next::Undo(step) => {
                    assert!(
                        !self.effects.contains(&Step::Redirect),
                        "undoing under clients"
                    );
                    if self.rng.percent(10) {
                        Event::UndoFailed(step, "no".into())
                    } else {
                        self.effects.remove(&step);
                        Event::Undone(step)
                    }
                }
                Next::Finished(_) => unreachable!("the loop ends there"),
            };
            (!self.rng.percent(5)).then_some(event)
        }
    }

    fn simulate(seed: u64, plan: &Plan) -> Outcome {
        let mut world = World {
            rng: Seeded(seed),
            effects: BTreeSet::new(),
            journal: Vec::new(),
        };
        let mut run = Run::new(plan.clone());
        for _ in 0..10_000 {
            let next = run.next();
            let begin = match next {
                Next::Do(step) => Event::Begun(step),
                Next::Undo(step) => Event::UndoBegun(step),
                Next::Finished(outcome) => {
                    check_end(&world, &run, outcome, seed);
                    return outcome;
                }
            };
            run.apply(&begin).unwrap();
            world.journal.push(begin);
            match world.perform(next) {
                Some(event) => {
                    run.apply(&event).unwrap();
                    world.journal.push(event);
                }
                None => {
                    run = Run::replay(plan.clone(), &world.journal).unwrap();
                }
            }
        }
        panic!("seed {seed}: the run does not end");
    }

    fn check_end(world: &World, run: &Run, outcome: Outcome, seed: u64) {
        let replayed = Run::replay(run.plan().clone(), &world.journal).unwrap();
        assert_eq!(
            &replayed, run,
            "seed {seed}: memory is not what the journal says"
        );
        let all: BTreeSet<Step> = run.plan().steps.iter().copied().collect();
        match outcome {
            Outcome::Done => assert_eq!(world.effects, all, "seed {seed}"),
            Outcome::Undone => assert!(world.effects.is_empty(), "seed {seed}"),
            Outcome::Stuck => {}
        }
    }

    #[test]
    fn over_many_seeds_a_run_is_all_or_nothing_or_says_that_it_is_stuck() {
        let writer = Capabilities {
            single_writer: true,
            has_data: true,
            ..Capabilities::STATELESS
        };
        let plans = [
            plan(),
            Plan::move_clients(PlanKind::Failover, heading(), choice(), writer),
        ];
        let mut counts = [0_u32; 3];
        for seed in 0..20_000 {
            let outcome = simulate(seed, &plans[usize::from(seed % 2 == 1)]);
            counts[outcome as usize] += 1;
        }
        assert!(
            counts.iter().all(|&n| n > 0),
            "every outcome occurs: {counts:?}"
        );
    }
}
