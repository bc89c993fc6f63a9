//! From a seed to a run: commands, drifts, sick standbys, syncs and writes, with faults all the while,
//! and checks after everything that ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::decide::Command;
use evenkeel_core::failover::{Capabilities, Outcome, PlanKind, Run, Step};
use evenkeel_core::policy::{Mode, Policy};
use evenkeel_core::property::{Observed, Value};
use evenkeel_core::state::{Phase, State};
use evenkeel_core::{Instance, RunId};
use evenkeel_forecast::MixtureFactory;
use evenkeel_ports::fake::{Call, FakeStore, NoFaults, poll_once};
use evenkeel_ports::saga::{Ended, ExecuteError, Executor};
use evenkeel_ports::{Commit, ControlStore, Journal, Redirector, Revision, RunRecord, StoreError};
use evenkeel_scenario::random::Seeded;

use crate::controller::{Controller, RunEnd, SimHooks, stored_state};
use crate::script::{Rates, Script};
use crate::world::World;

/// How often runs ended how, and how often processes died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that did everything.
    pub done: u32,
    /// Runs that left everything as it was.
    pub undone: u32,
    /// Runs that needed a person.
    pub stuck: u32,
    /// Processes that died, or gave up on the store.
    pub deaths: u32,
    /// Late executors that were turned away.
    pub late: u32,
}

/// The process dies this often in one schedule before the faults are switched off: so that every
/// schedule ends.
const DEATHS_MAX: u32 = 200;

/// What may not work for a whole round.
const NEVER_WORKS: [Option<Call>; 6] = [
    Some("driver.fence"),
    Some("driver.activate"),
    Some("driver.deactivate"),
    Some("driver.sync"),
    Some("redirector.point"),
    Some("redirector.reached"),
];

/// Runs the schedule of `seed`.
///
/// # Errors
/// What must never be, and was; the seed reproduces it.
pub fn simulate(seed: u64) -> Result<Tally, String> {
    let mut random = Seeded::new(seed ^ 0x5EED);
    let world = world(seed, &mut random).map_err(|error| error.to_string())?;
    let mut schedule = Schedule {
        world: &world,
        random,
        tally: Tally::default(),
        ended: Vec::new(),
        holder: "one",
    };
    let rounds = 4 + schedule.random.below(8);
    for _ in 0..rounds {
        schedule
            .round()
            .map_err(|what| format!("seed {seed}: {what}"))?;
    }
    Ok(schedule.tally)
}

fn world(seed: u64, random: &mut Seeded) -> Result<World, StoreError> {
    let capabilities = Capabilities {
        single_writer: random.permille(500),
        has_traffic: random.permille(750),
        has_data: random.permille(750),
        can_rehearse: true,
    };
    let rates = Rates {
        failure: random.pick(&[0, 30, 150]),
        death: random.pick(&[0, 10, 60]),
        slow: random.pick(&[0, 5]),
        write: 300,
    };
    let policy = Policy {
        mode: Mode::Act,
        cool_down: Duration::ZERO,
        max_data_age: Duration::from_secs(1_000_000_000),
        ..Policy::default()
    };
    let workers = Observed::configuration(Value::Number(4.0));
    let properties = BTreeMap::from([("workers".into(), workers)]);
    World::new(Script::new(seed, rates), capabilities, policy, properties)
}

/// One schedule under way.
struct Schedule<'w> {
    world: &'w World,
    random: Seeded,
    tally: Tally,
    /// Runs that ended, for late executors to take up again.
    ended: Vec<RunId>,
    /// The process that lived last.
    holder: &'static str,
}

/// What happens in one round.
#[derive(Clone, Debug)]
enum Happening {
    Command(Command),
    Drift,
    Sick,
    Healed,
    Sync,
    Late,
}

impl Schedule<'_> {
    fn round(&mut self) -> Result<(), String> {
        // Now and then one thing never works, so that a step uses up all its attempts.
        let broken = self.random.pick(&NEVER_WORKS);
        let broken = broken.filter(|_| self.random.permille(300));
        self.world.script.fail(broken);
        let happening = self.random.pick(&[
            Happening::Command(Command::Failover),
            Happening::Command(Command::Switchover),
            Happening::Command(Command::Failback),
            Happening::Command(Command::Reinstate),
            Happening::Drift,
            Happening::Sick,
            Happening::Healed,
            Happening::Sync,
            Happening::Late,
        ]);
        let state = self.state()?;
        match happening {
            Happening::Command(command) => {
                self.live(Some(Work::Sync))?;
                self.live(Some(Work::Command(command)))?;
            }
            Happening::Drift => {
                let more = Observed::configuration(Value::Number(9.0));
                self.world.view.driver.alter(state.serving, |place| {
                    place.properties.insert("workers".into(), more);
                });
            }
            Happening::Sick => self.world.view.driver.alter(state.standby(), |place| {
                place.sick = Some("answers 503".to_owned());
            }),
            Happening::Healed => {
                let driver = &self.world.view.driver;
                driver.alter(state.standby(), |place| place.sick = None);
            }
            Happening::Sync => self.live(Some(Work::Sync))?,
            Happening::Late => self.late()?,
        }
        self.release_if_held()
    }

    fn state(&self) -> Result<State, String> {
        let state = poll_once(stored_state(self.world));
        state.ok_or("reading died")?.map_err(|e| e.to_string())
    }

    /// Lives as many lives as it takes for the work to be done and nothing to be left open.
    fn live(&mut self, mut work: Option<Work>) -> Result<(), String> {
        for life in 0.. {
            if life == DEATHS_MAX {
                self.world.script.set_rates(Rates::default());
            }
            self.choose_holder();
            let mut ends = Vec::new();
            let lived = self.one_life(work.as_ref(), &mut ends);
            for end in ends {
                self.check_end(&end)?;
            }
            if let Some(what) = self.world.script.broken().first() {
                return Err(what.clone());
            }
            match lived {
                Some(Ok(())) => break,
                Some(Err(ExecuteError::Illegal(error))) => return Err(error.to_string()),
                Some(Err(ExecuteError::Store(_))) | None => self.tally.deaths += 1,
            }
            // What was asked of a process that died is asked again only if nothing came of it.
            if self.state()?.phase.run().is_some() || life > 10 {
                work = None;
            }
        }
        let open = poll_once(self.world.store.open_runs()).ok_or("reading died")?;
        match open.map_err(|e| e.to_string())?.len() {
            0 => Ok(()),
            n => Err(format!("{n} runs are left open")),
        }
    }

    /// Now and then it is another process that goes on, once the lease of the one before is void.
    fn choose_holder(&mut self) {
        let holder = if self.random.permille(800) {
            "one"
        } else {
            "two"
        };
        if holder != self.holder {
            self.holder = holder;
            self.world.view.clock.advance(Duration::from_secs(3600));
        }
    }

    fn one_life(
        &self,
        work: Option<&Work>,
        ends: &mut Vec<RunEnd>,
    ) -> Option<Result<(), ExecuteError>> {
        let forecasters = MixtureFactory::default();
        let mut controller = Controller::new(self.world, &forecasters, self.holder);
        let mut seen = |end| ends.push(end);
        poll_once(async {
            controller.recover(&mut seen).await?;
            match work {
                Some(Work::Sync) => controller.sync().await,
                Some(Work::Command(command)) => controller.command(command, "ann", &mut seen).await,
                None => Ok(()),
            }
        })
    }

    /// What must hold when a run has ended.
    fn check_end(&mut self, end: &RunEnd) -> Result<(), String> {
        let plan = end.run.plan();
        let at = |what: &str| {
            let (run, kind, outcome) = (plan.run, plan.kind, end.outcome);
            format!("{kind} {run} ended {outcome:?}, but {what}")
        };
        let record = self.journalled(plan.run)?;
        let events = record.events.iter().map(|(_, event)| event);
        let replayed = Run::replay(record.plan.clone(), events).map_err(|e| e.to_string())?;
        if replayed != end.run {
            return Err(at("memory is not what the journal says"));
        }
        if !self.ended.contains(&plan.run) {
            self.ended.push(plan.run);
        }
        match end.outcome {
            Outcome::Done => self.tally.done += 1,
            Outcome::Undone => self.tally.undone += 1,
            Outcome::Stuck => {
                self.tally.stuck += 1;
                return Ok(());
            }
        }
        self.check_places(end).map_err(|what| at(&what))?;
        self.settle_writes(end).map_err(|what| at(&what))
    }

    fn check_places(&self, end: &RunEnd) -> Result<(), String> {
        let (plan, driver) = (end.run.plan(), &self.world.view.driver);
        let (from, to) = (driver.place(plan.from), driver.place(plan.to));
        let moves = plan.kind != PlanKind::Reinstatement;
        let done = end.outcome == Outcome::Done;
        let (serving, resting, serves) = match (moves, done) {
            (true, true) | (false, _) => (&to, &from, plan.to),
            (true, false) => (&from, &to, plan.from),
        };
        if !serving.running || serving.fenced {
            return Err(format!("{serves}, which serves, does not run"));
        }
        if resting.running {
            return Err(format!("{} runs beside it", serves.other()));
        }
        let found = self.world.view.served_by();
        if found != Some(serves) {
            return Err(format!("clients reach {found:?}, not {serves}"));
        }
        let approved = Some(&Value::Number(4.0));
        let workers = |i: Instance| {
            let properties = driver.place(i).properties;
            properties.get(&"workers".into()).map(|p| p.value.clone())
        };
        let restored = if moves { plan.to } else { plan.from };
        if done && workers(restored).as_ref() != approved {
            return Err(format!("{restored} is not as approved"));
        }
        Ok(())
    }

    /// No write that a client was told is done may be lost, where the plan promises that.
    fn settle_writes(&self, end: &RunEnd) -> Result<(), String> {
        let plan = end.run.plan();
        let view = &self.world.view;
        let serving = view.served_by().ok_or("nobody serves")?;
        let kept = view.driver.place(serving).writes;
        let promised = plan.steps.contains(&Step::FinalSync) || end.outcome == Outcome::Undone;
        let acknowledged = view.acknowledged();
        if promised && plan.kind != PlanKind::Reinstatement && kept != acknowledged {
            return Err(format!(
                "{acknowledged} writes were acknowledged, {kept} kept"
            ));
        }
        view.acknowledge_only(kept);
        Ok(())
    }

    fn journalled(&self, run: RunId) -> Result<RunRecord, String> {
        let record = poll_once(self.world.store.run(run)).ok_or("reading died")?;
        let record = record.map_err(|e| e.to_string())?;
        record.ok_or_else(|| format!("{run} was never journalled"))
    }

    /// A person looks after what is held, and lets it go.
    fn release_if_held(&mut self) -> Result<(), String> {
        let state = self.state()?;
        if let Phase::Held { .. } = state.phase {
            self.world.repair(state.serving);
            let view = &self.world.view;
            view.acknowledge_only(view.driver.place(state.serving).writes);
            self.live(Some(Work::Command(Command::Release)))?;
        }
        Ok(())
    }

    /// An executor that slept through its own end wakes up, with a journal of its own that knows
    /// nothing of what came after, at any of its steps: it must change nothing.
    fn late(&mut self) -> Result<(), String> {
        let Some(run) = self.pick_ended() else {
            return Ok(());
        };
        let record = self.journalled(run)?;
        let length = u64::try_from(record.events.len()).unwrap_or(u64::MAX);
        let upto = usize::try_from(self.random.below(length + 1)).unwrap_or(0);
        let events = record.events.iter().take(upto).map(|(_, event)| event);
        let mut late = Run::replay(record.plan.clone(), events).map_err(|e| e.to_string())?;
        // Staging carries no token: the driver contract does not turn a late one away.
        let may_stage = late.output(Step::Revert).is_some();
        if record.plan.token >= self.world.view.driver.seen() || may_stage {
            return Ok(());
        }
        let rates = self.world.script.set_rates(Rates::default());
        self.world.script.fail(None);
        let before = self.world.snapshot();
        let before_failure = late.last_failure().map(|(step, _)| *step);
        let ended = poll_once(self.wake(&record, &mut late)).ok_or("the late one died")?;
        if self.world.snapshot() != before {
            return Err(format!(
                "a late {run} changed the world, and ended {ended:?}"
            ));
        }
        // A step that acts carries the token: there it has to notice that it is late, and not only
        // to fail.
        let acts = |step: &Step| [Step::Fence, Step::Activate, Step::Redirect].contains(step);
        let failed_at = late.last_failure().map(|(step, _)| *step).filter(acts);
        let stuck = Ok(Ended::Finished(Outcome::Stuck));
        if let (true, Some(step), None) = (ended == stuck, failed_at, before_failure) {
            return Err(format!(
                "a late {run} failed at {step}, and did not notice why"
            ));
        }
        self.world.script.set_rates(rates);
        self.tally.late += 1;
        Ok(())
    }

    fn pick_ended(&mut self) -> Option<RunId> {
        (!self.ended.is_empty()).then(|| self.random.pick(&self.ended))
    }

    async fn wake(&self, record: &RunRecord, late: &mut Run) -> Result<Ended, ExecuteError> {
        let own = FakeStore::new(Arc::new(NoFaults));
        let view = &self.world.view;
        let commit = Commit {
            state: Some(State::new(crate::world::START)),
            plan: Some(record.plan.clone()),
            generations: self.world.store.generations(&self.world.resource).await?,
            ..Commit::default()
        };
        own.commit(&self.world.resource, Revision(0), commit)
            .await?;
        let executor = Executor {
            driver: &view.driver,
            redirector: view.redirector.as_ref().map(|r| r as &dyn Redirector),
            journal: &own,
            store: &own,
            clock: &view.clock,
            hooks: &SimHooks::new(self.world),
            holder: "late",
        };
        executor.execute(late).await
    }
}

/// What a life is for, beside finishing what the one before left open.
#[derive(Clone, Debug)]
enum Work {
    Sync,
    Command(Command),
}
