//! A small daemon over the fakes: probe, assess, decide, commit, execute, and recover after death.
//! It keeps nothing in memory that it needs after a restart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::baseline::{Baseline, Difference};
use evenkeel_core::decide::{Action, Command, Decision, Facts, Input, RehearsalFacts, decide};
use evenkeel_core::failover::{Outcome, Plan, Run};
use evenkeel_core::forecast::ForecasterFactory;
use evenkeel_core::generation::{Generation, Verdict};
use evenkeel_core::property::{Observed, Probe};
use evenkeel_core::record::NewEvent;
use evenkeel_core::state::State;
use evenkeel_core::watch::Watch;
use evenkeel_core::{Instance, PropertyPath, RunId};
use evenkeel_ports::saga::{Ended, ExecuteError, Executor, Hooks, Performed, Work};
use evenkeel_ports::{
    ChangeHint, Clock, Commit, ControlStore, Driver, DriverError, Journal, Redirector,
    ResourceRecord, StoreError, Synced,
};

use crate::world::World;

/// One life of the small daemon.
#[derive(Debug)]
pub struct Controller<'w> {
    world: &'w World,
    factory: &'w dyn ForecasterFactory,
    watch: Watch,
    hooks: SimHooks<'w>,
    holder: String,
    /// The number of the next plan, asked for once per plan.
    next_run: Option<RunId>,
    /// What was said in this life, with its instant.
    pub said: Vec<String>,
}

/// How a run ended in this life, for the checks.
#[derive(Debug)]
pub struct RunEnd {
    /// The run as memory has it.
    pub run: Run,
    /// Its end.
    pub outcome: Outcome,
}

impl<'w> Controller<'w> {
    /// A process that has just started.
    pub fn new(world: &'w World, factory: &'w dyn ForecasterFactory, holder: &str) -> Self {
        Self {
            world,
            factory,
            watch: Watch::new(&world.policy),
            hooks: SimHooks {
                world,
                frozen: AtomicBool::new(false),
            },
            holder: holder.to_owned(),
            next_run: None,
            said: Vec::new(),
        }
    }

    /// Finishes what a life before left open. What ended is given to `seen`.
    ///
    /// # Errors
    /// When the store or a journal cannot be written: the process is to be started anew.
    pub async fn recover(
        &mut self,
        seen: &mut (dyn FnMut(RunEnd) + Send),
    ) -> Result<(), ExecuteError> {
        let record = self.record().await?;
        for open in self.world.store.open_runs().await? {
            self.say(format!("recovering {}", open.plan.run));
            let events = open.events.iter().map(|(_, event)| event);
            let run = Run::replay(open.plan.clone(), events)?;
            if record.state.phase.run() != Some(open.plan.run) {
                // It ended, and what follows from that is committed: only the line is missing.
                self.settle(run).await?;
                continue;
            }
            self.drive(run, seen).await?;
        }
        Ok(())
    }

    /// Reads the resource, and decides on it.
    ///
    /// # Errors
    /// As [`Controller::recover`].
    pub async fn evaluate(
        &mut self,
        seen: &mut (dyn FnMut(RunEnd) + Send),
    ) -> Result<(), ExecuteError> {
        let record = self.record().await?;
        let now = self.now();
        let probed = self
            .world
            .view
            .driver
            .probe(record.state.serving, now)
            .await;
        let probe = match probed {
            Ok(probe) => probe,
            Err(error) => {
                let why = error.to_string();
                let input = Input::ProbeLost {
                    since: now,
                    why: &why,
                };
                return self.take(&input, seen).await;
            }
        };
        let baseline = self.baseline().await?;
        let policy = &self.world.policy;
        let outlooks = self.watch.assess(policy, &baseline, &probe, self.factory);
        let facts = self.facts(&record).await?;
        let input = Input::Assessed {
            outlooks: &outlooks,
            facts: &facts,
        };
        self.take(&input, seen).await
    }

    /// Does what `by` asks.
    ///
    /// # Errors
    /// As [`Controller::recover`].
    pub async fn command(
        &mut self,
        command: &Command,
        by: &str,
        seen: &mut (dyn FnMut(RunEnd) + Send),
    ) -> Result<(), ExecuteError> {
        let record = self.record().await?;
        let facts = self.facts(&record).await?;
        let input = Input::Commanded {
            command,
            by,
            facts: &facts,
        };
        self.take(&input, seen).await
    }

    /// One round of the clone's reconciler, which rests while a saga is under way.
    ///
    /// # Errors
    /// As [`Controller::recover`]. That a sync fails is no error: the next round tries again.
    pub async fn sync(&mut self) -> Result<(), ExecuteError> {
        let record = self.record().await?;
        if record.state.phase == evenkeel_core::state::Phase::Guarded {
            // The next round tries again.
            let _synced = self.hooks.sync_now(record.state.serving).await;
        }
        Ok(())
    }

    /// Decides, commits, and does what was decided, until nothing more follows.
    async fn take(
        &mut self,
        input: &Input<'_>,
        seen: &mut (dyn FnMut(RunEnd) + Send),
    ) -> Result<(), ExecuteError> {
        if let Some(plan) = self.decide(input).await? {
            self.drive(Run::new(plan), seen).await?;
        }
        Ok(())
    }

    /// Drives a run to its end, and the runs that follow from it.
    async fn drive(
        &mut self,
        run: Run,
        seen: &mut (dyn FnMut(RunEnd) + Send),
    ) -> Result<(), ExecuteError> {
        let mut next = Some(run);
        while let Some(mut run) = next.take() {
            let outcome = match self.executor().execute(&mut run).await? {
                Ended::Finished(outcome) => outcome,
                Ended::Superseded { what } => {
                    self.say(format!("{} is given up: {what}", run.plan().run));
                    return Ok(());
                }
            };
            seen(RunEnd {
                run: run.clone(),
                outcome,
            });
            let record = self.record().await?;
            let facts = self.facts(&record).await?;
            let why = run
                .last_failure()
                .map(|(step, what)| format!("{step}: {what}"));
            let input = Input::RunEnded {
                plan: run.plan(),
                outcome,
                serving: run.serving(),
                why: why.as_deref(),
                facts: &facts,
            };
            next = self.decide(&input).await?.map(Run::new);
            self.close(run.plan(), outcome).await?;
        }
        Ok(())
    }

    /// Closes a run whose end was committed by a life before.
    async fn settle(&mut self, mut run: Run) -> Result<(), ExecuteError> {
        match self.executor().execute(&mut run).await? {
            Ended::Finished(outcome) => self.close(run.plan(), outcome).await,
            Ended::Superseded { .. } => Ok(()),
        }
    }

    async fn close(&self, plan: &Plan, outcome: Outcome) -> Result<(), ExecuteError> {
        let now = self.now();
        Ok(self.world.store.close(plan.run, now, outcome).await?)
    }

    /// One decision, committed; the plan that it starts.
    async fn decide(&mut self, input: &Input<'_>) -> Result<Option<Plan>, ExecuteError> {
        let record = self.record().await?;
        let now = self.now();
        let decision = decide(&self.world.policy, &record.state, input, now);
        if decision.notable {
            self.say(decision.explanation.reason.sentence());
        }
        let commit = self.commit_of(&decision).await?;
        let plan = commit.plan.clone();
        let store = &self.world.store;
        store
            .commit(&self.world.resource, record.revision, commit)
            .await?;
        for action in &decision.actions {
            match action {
                Action::RestartWatch => self.watch.restart(),
                Action::Judge { path, judgement } => {
                    self.watch.judge(path, *judgement);
                }
                Action::Recentre(moved) => self.watch.restart_where(|path| moved.contains(path)),
                Action::Start(_) => self.next_run = None,
                Action::Quarantine { .. } | Action::Alert { .. } => {}
            }
        }
        Ok(plan)
    }

    async fn commit_of(&self, decision: &Decision) -> Result<Commit, StoreError> {
        let mut commit = Commit {
            state: Some(decision.state.clone()),
            ..Commit::default()
        };
        for action in &decision.actions {
            match action {
                Action::Start(plan) => commit.plan = Some(plan.clone()),
                Action::Quarantine { since, why } => {
                    let all = self.world.store.generations(&self.world.resource).await?;
                    let drifted = all
                        .into_iter()
                        .filter(|g| g.at >= *since && g.verdict == Verdict::Suspect);
                    let verdict = Verdict::Quarantined { why: why.clone() };
                    commit.generations.extend(drifted.map(|g| Generation {
                        verdict: verdict.clone(),
                        ..g
                    }));
                }
                Action::Alert { .. }
                | Action::RestartWatch
                | Action::Recentre(_)
                | Action::Judge { .. } => {}
            }
        }
        Ok(commit)
    }

    fn executor(&self) -> Executor<'_> {
        let view = &self.world.view;
        Executor {
            driver: &view.driver,
            redirector: view.redirector.as_ref().map(|r| r as &dyn Redirector),
            journal: &self.world.store,
            store: &self.world.store,
            clock: &view.clock,
            hooks: &self.hooks,
            holder: &self.holder,
        }
    }

    async fn facts(&mut self, record: &ResourceRecord) -> Result<Facts, StoreError> {
        let store = &self.world.store;
        let next_run = match self.next_run {
            Some(run) => run,
            None => store.next_run().await?,
        };
        self.next_run = Some(next_run);
        let rehearsal = record.rehearsal.as_ref().map(|r| RehearsalFacts {
            at: r.at,
            activation: r.activation,
            result: r.result.clone(),
        });
        Ok(Facts {
            resource: self.world.resource.clone(),
            capabilities: self.world.view.driver.capabilities(),
            next_run,
            has_redirector: true,
            may_lease: true,
            generations: store.generations(&self.world.resource).await?,
            synced_at: Some(self.now()),
            rehearsal,
            shared_by_clone: Vec::new(),
            drifting_elsewhere: BTreeMap::new(),
        })
    }

    async fn record(&self) -> Result<ResourceRecord, StoreError> {
        record(self.world).await
    }

    async fn baseline(&self) -> Result<Baseline, StoreError> {
        baseline(self.world).await
    }

    fn now(&self) -> evenkeel_core::Timestamp {
        self.world.view.clock.now()
    }

    fn say(&mut self, what: String) {
        let time = self.now().to_string();
        let time = time.get(11..19).unwrap_or_default();
        self.said.push(format!("{time} {what}"));
    }
}

async fn record(world: &World) -> Result<ResourceRecord, StoreError> {
    let record = world.store.load(&world.resource).await?;
    record.ok_or_else(|| missing("the record"))
}

async fn baseline(world: &World) -> Result<Baseline, StoreError> {
    record(world)
        .await?
        .baseline
        .ok_or_else(|| missing("the baseline"))
}

fn missing(what: &str) -> StoreError {
    StoreError::Damaged {
        place: "memory".to_owned(),
        what: format!("{what} is missing"),
    }
}

/// The state that is stored.
///
/// # Errors
/// When there is none.
pub async fn stored_state(world: &World) -> Result<State, StoreError> {
    Ok(record(world).await?.state)
}

/// What the executor needs of the small daemon.
#[derive(Debug)]
pub struct SimHooks<'w> {
    world: &'w World,
    frozen: AtomicBool,
}

impl<'w> SimHooks<'w> {
    /// Hooks of a process that has just started.
    pub fn new(world: &'w World) -> Self {
        Self {
            world,
            frozen: AtomicBool::new(false),
        }
    }

    /// The configuration in which properties differ from the baseline.
    async fn differing(
        &self,
        at: evenkeel_core::Timestamp,
        instance: Instance,
        properties: BTreeMap<PropertyPath, Observed>,
    ) -> Result<Vec<Difference>, DriverError> {
        let baseline = baseline(self.world).await.map_err(|error| {
            let what = error.to_string();
            DriverError::without_effect(what)
        })?;
        Ok(baseline.diff(&Probe {
            at,
            instance,
            properties,
            unreadable: BTreeMap::new(),
        }))
    }
}

#[async_trait]
impl Hooks for SimHooks<'_> {
    async fn freeze_sync(&self) -> Result<(), DriverError> {
        self.frozen.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn thaw_sync(&self) -> Result<(), DriverError> {
        self.frozen.store(false, Ordering::Relaxed);
        Ok(())
    }

    async fn sync_now(&self, from: Instance) -> Result<Synced, DriverError> {
        let world = self.world;
        let now = world.view.clock.now();
        let hint = ChangeHint::Everything;
        let synced = world.view.driver.sync(from, hint, now, &|_| ()).await?;
        let properties = synced.configuration.clone().unwrap_or_default();
        let good = self.differing(now, from, properties).await?.is_empty();
        let generation = Generation {
            id: synced.id,
            at: synced.at,
            from,
            verdict: if good {
                Verdict::Good
            } else {
                Verdict::Suspect
            },
            config: synced.config.clone(),
            data: synced.data.clone(),
            baseline: None,
            torn: !synced.torn.is_empty(),
            files: synced.files,
            bytes: synced.bytes,
            bytes_moved: synced.bytes_moved,
        };
        let kept = async {
            let known = world.store.generations(&world.resource).await?;
            if known.iter().any(|g| g.id == generation.id) {
                return Ok(());
            }
            let commit = Commit {
                generations: vec![generation],
                ..Commit::default()
            };
            let revision = record(world).await?.revision;
            world
                .store
                .commit(&world.resource, revision, commit)
                .await?;
            Ok::<(), StoreError>(())
        };
        kept.await
            .map_err(|error| DriverError::maybe_effect(error.to_string()))?;
        Ok(synced)
    }

    async fn differences(&self, instance: Instance) -> Result<Vec<Difference>, DriverError> {
        let now = self.world.view.clock.now();
        let probe = self.world.view.driver.probe(instance, now).await?;
        self.differing(now, instance, probe.properties).await
    }

    async fn record(&self, event: NewEvent) -> Result<(), StoreError> {
        self.world.store.record(vec![event]).await?;
        Ok(())
    }

    async fn within<'f>(&self, limit: Duration, work: Work<'f>) -> Option<Performed> {
        let clock = &self.world.view.clock;
        let started = clock.monotonic();
        let performed = work.await;
        (clock.monotonic().saturating_sub(started) <= limit).then_some(performed)
    }

    async fn pause(&self, span: Duration) {
        self.world.view.clock.advance(span);
    }
}
