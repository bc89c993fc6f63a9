//! What each [`Step`] is, in calls on the ports, and what its undo is. One table, no choice: the
//! order and the right to act are the plan's.

use std::time::Duration;

use evenkeel_core::failover::{Output, Plan, Run, Step};
use evenkeel_core::generation::Choice;
use evenkeel_core::property::Severity;
use evenkeel_core::record::{EventKind, NewEvent};
use evenkeel_core::{Brief, GenerationId, Instance};

use super::{Executor, Performed, StepError, key};
use crate::driver::{Health, StepKey, Synced};
use crate::redirector::{Endpoint, Redirector};

/// How often something that needs a moment to come true is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Something that needs a moment to come true.
enum Question<'q> {
    /// Is the instance well?
    IsWell(Instance),
    /// Do clients reach the endpoint?
    Reaches(&'q dyn Redirector, Endpoint),
}

/// What asking once showed.
enum Answer {
    /// It is so.
    Yes(String),
    /// It is not, or not yet; why.
    NotYet(String),
}

impl Executor<'_> {
    /// Does one step.
    pub(super) async fn perform(&self, run: &Run, step: Step) -> Performed {
        let plan = run.plan();
        match step {
            Step::Lease => self.take_lease(run).await,
            Step::FreezeSync => {
                self.hooks.freeze_sync().await?;
                done("the clone's own sync is stopped")
            }
            Step::PreSync => {
                let synced = self.hooks.sync_now(plan.from).await?;
                Ok(sync_output(&synced))
            }
            Step::Fence | Step::FenceOld => self.fence(run, step).await,
            Step::FinalSync => self.final_sync(plan).await,
            Step::Activate => self.activate(run).await,
            Step::HealthCheck => {
                let question = Question::IsWell(plan.to);
                self.ask_until(step, &question).await
            }
            Step::Redirect => {
                let to = self.endpoint(plan.to)?;
                self.redirector(plan)?.point(&to, key(run, step)).await?;
                done(format!("clients go to {to}"))
            }
            Step::VerifyTraffic => self.verify_traffic(plan).await,
            Step::Drain => self.drain(run).await,
            Step::Record => self.write_record(run).await,
            Step::Diagnose => self.diagnose(plan).await,
            Step::Revert => self.revert(run).await,
            Step::VerifyRevert => self.verify_revert(plan).await,
            Step::Reprotect => self.reprotect(run).await,
        }
    }

    /// Undoes one step. A step that only looked, or moved data into the clone, has nothing to undo.
    pub(super) async fn undo(&self, run: &Run, step: Step) -> Performed {
        let plan = run.plan();
        match step {
            Step::Lease => {
                self.store
                    .release_lease(&plan.resource, self.holder)
                    .await?;
            }
            Step::FreezeSync => self.hooks.thaw_sync().await?,
            Step::Fence | Step::FenceOld => {
                self.driver.unfence(plan.from, key(run, step)).await?;
                if let (Some(redirector), Some(from)) = self.entrance(plan.from) {
                    redirector.allow(&from, key(run, step)).await?;
                }
            }
            Step::Activate => self.driver.deactivate(plan.to, key(run, step)).await?,
            Step::Redirect => {
                let from = self.endpoint(plan.from)?;
                self.redirector(plan)?.point(&from, key(run, step)).await?;
            }
            Step::PreSync
            | Step::FinalSync
            | Step::HealthCheck
            | Step::VerifyTraffic
            | Step::Drain
            | Step::Record
            | Step::Diagnose
            | Step::Revert
            | Step::VerifyRevert
            | Step::Reprotect => {}
        }
        Ok(Output::default())
    }

    async fn take_lease(&self, run: &Run) -> Performed {
        match self.lease(run, Step::Lease.deadline()).await? {
            Some(lease) => done(format!(
                "{} holds the lease with token {} until {}",
                lease.holder, lease.token, lease.until
            )),
            None => Err(StepError::without_effect(format!(
                "another process holds the lease of {}",
                run.plan().resource
            ))),
        }
    }

    async fn fence(&self, run: &Run, step: Step) -> Performed {
        let plan = run.plan();
        let mut refused = false;
        if let (Some(redirector), Some(from)) = self.entrance(plan.from) {
            redirector.refuse(&from, key(run, step)).await?;
            refused = true;
        }
        let fenced = self.driver.fence(plan.from, key(run, step)).await;
        fenced.map_err(|error| {
            let error = StepError::from(error);
            if refused {
                error.after_an_effect()
            } else {
                error
            }
        })?;
        done(format!("{} is stopped and refused", plan.from))
    }

    /// After the fence nothing writes any more, so what changed under the reader was not fenced.
    async fn final_sync(&self, plan: &Plan) -> Performed {
        let synced = self.hooks.sync_now(plan.from).await?;
        match synced.torn.first() {
            None => Ok(sync_output(&synced)),
            Some(file) => Err(StepError::without_effect(format!(
                "{file} (and {} more) changed while it was read, although {} is fenced: \
                 something else writes there",
                synced.torn.len() - 1,
                plan.from
            ))),
        }
    }

    async fn activate(&self, run: &Run) -> Performed {
        let plan = run.plan();
        let choice = self.choice(run).await?;
        let step_key = key(run, Step::Activate);
        if let (Some(redirector), Some(to)) = self.entrance(plan.to) {
            redirector.allow(&to, step_key).await?;
        }
        // That the address is allowed again harms nobody, but it is a trace.
        let activated = self.driver.activate(&choice, plan.to, step_key).await;
        let activated = activated.map_err(|error| StepError::from(error).after_an_effect())?;
        Ok(Output {
            generation: Some(choice.data_from),
            note: format!(
                "configuration of {}, data of {}: {}",
                choice.config_from, choice.data_from, activated.note
            ),
            ..Output::default()
        })
    }

    /// The plan's choice, with the newest data that the run itself moved. After a final sync it must
    /// be that one's, or writes would be lost; an earlier sync is only better than the plan's.
    async fn choice(&self, run: &Run) -> Result<Choice, StepError> {
        let plan = run.plan();
        let chosen = plan_choice(plan)?;
        let synced = |step| run.output(step).and_then(|output| output.generation);
        if let Some(last) = synced(Step::FinalSync) {
            let with_last = self.with_data_of(chosen, last, plan).await?;
            return with_last.ok_or_else(|| {
                let what = format!("{last}, which the final sync made, is not whole in the store");
                StepError::without_effect(what)
            });
        }
        match synced(Step::PreSync) {
            Some(newest) => {
                let with_newest = self.with_data_of(chosen, newest, plan).await?;
                Ok(with_newest.unwrap_or_else(|| chosen.clone()))
            }
            None => Ok(chosen.clone()),
        }
    }

    /// The choice with the data of a generation, if that is there and whole.
    async fn with_data_of(
        &self,
        chosen: &Choice,
        newest: GenerationId,
        plan: &Plan,
    ) -> Result<Option<Choice>, StepError> {
        let generations = self.store.generations(&plan.resource).await;
        let generations =
            generations.map_err(|error| StepError::without_effect(error.to_string()))?;
        let found = generations.iter().find(|g| g.id == newest && !g.torn);
        Ok(found.map(|generation| Choice {
            data_from: newest,
            data_at: generation.at,
            ..chosen.clone()
        }))
    }

    async fn verify_traffic(&self, plan: &Plan) -> Performed {
        let question = Question::Reaches(self.redirector(plan)?, self.endpoint(plan.to)?);
        self.ask_until(Step::VerifyTraffic, &question).await
    }

    /// Asks until it is so, or until four fifths of the step's deadline have passed: so that the
    /// failure says what was seen, and not only that time ran out. Asking has no effect.
    async fn ask_until(&self, step: Step, question: &Question<'_>) -> Performed {
        let started = self.clock.monotonic();
        let enough = step.deadline() * 4 / 5;
        loop {
            let why = match self.ask(question).await {
                Answer::Yes(note) => return done(note),
                Answer::NotYet(why) => why,
            };
            let asked_for = self.clock.monotonic().saturating_sub(started);
            if asked_for >= enough {
                let what = format!("{why}, for {}", Brief(asked_for));
                return Err(StepError::without_effect(what));
            }
            self.hooks.pause(ASK_AGAIN).await;
        }
    }

    async fn ask(&self, question: &Question<'_>) -> Answer {
        match question {
            Question::IsWell(instance) => match self.driver.health(*instance).await {
                Ok(Health::Well) => Answer::Yes(format!("{instance} is well")),
                Ok(Health::Unwell(why)) => Answer::NotYet(format!("{instance} is not well: {why}")),
                Ok(Health::Down) => Answer::NotYet(format!("{instance} does not run")),
                Err(error) => Answer::NotYet(format!("{instance} cannot be asked: {error}")),
            },
            Question::Reaches(redirector, to) => match redirector.reached().await {
                Ok(found) if found == *to => Answer::Yes(format!("clients reach {to}")),
                Ok(found) => Answer::NotYet(format!("clients reach {found}, not {to}")),
                Err(error) => Answer::NotYet(format!("clients do not come through: {error}")),
            },
        }
    }

    async fn drain(&self, run: &Run) -> Performed {
        let from = self.endpoint(run.plan().from)?;
        let redirector = self.redirector(run.plan())?;
        let drained = redirector.drain(&from, key(run, Step::Drain)).await?;
        done(format!(
            "{} clients of {from} finished, {} were cut",
            drained.finished, drained.cut
        ))
    }

    async fn write_record(&self, run: &Run) -> Performed {
        let plan = run.plan();
        self.hooks.thaw_sync().await?;
        let took = Duration::from_millis(run.done().iter().map(|(_, o)| o.took_ms).sum());
        let sentence = format!("{} {} took {}", plan.kind, plan.run, Brief(took));
        let steps: Vec<String> = (run.done().iter())
            .map(|(step, o)| format!("{step} ({} ms): {}", o.took_ms, o.note))
            .collect();
        let event = self
            .event(plan, EventKind::Saga, Severity::Info, sentence)
            .with_detail(steps.join("\n"));
        self.hooks.record(event).await?;
        done("recorded")
    }

    async fn diagnose(&self, plan: &Plan) -> Performed {
        let approved = plan.choice.as_ref().map(|choice| choice.config_from);
        let now = self.clock.now();
        let evidence = self.driver.diagnose(plan.from, approved, now).await?;
        let titles: Vec<&str> = evidence.iter().map(|e| e.title.as_str()).collect();
        let sentence = format!("evidence on {}: {}", plan.from, titles.join(", "));
        let texts: Vec<String> = (evidence.iter())
            .map(|e| format!("## {}\n{}", e.title, e.text))
            .collect();
        let event = self
            .event(plan, EventKind::Diagnosis, Severity::Warn, sentence.clone())
            .with_detail(texts.join("\n\n"));
        self.hooks.record(event).await?;
        done(sentence)
    }

    async fn revert(&self, run: &Run) -> Performed {
        let plan = run.plan();
        let choice = plan_choice(plan)?;
        let step_key = key(run, Step::Revert);
        self.keep_clients_away(plan, step_key).await?;
        let reverted = self.driver.revert(plan.from, choice, step_key).await?;
        let kept = reverted.kept_aside.map_or_else(
            || "nothing had to be kept aside".to_owned(),
            |path| format!("what was replaced is in {}", path.display()),
        );
        done(format!("{} files put back, {kept}", reverted.changed.len()))
    }

    /// Nothing is put back under clients. Refusing the address also tells the redirector the new
    /// token, so that an executor of an older saga that wakes up late cannot point clients there.
    async fn keep_clients_away(&self, plan: &Plan, step_key: StepKey) -> Result<(), StepError> {
        let (Some(redirector), Some(from)) = self.entrance(plan.from) else {
            return Ok(());
        };
        if redirector.current().await?.as_ref() == Some(&from) {
            return Err(StepError::without_effect(format!(
                "clients are still sent to {from}, which is to be put back: \
                 point them elsewhere first"
            )));
        }
        Ok(redirector.refuse(&from, step_key).await?)
    }

    async fn verify_revert(&self, plan: &Plan) -> Performed {
        let differences = self.hooks.differences(plan.from).await?;
        if differences.is_empty() {
            return done(format!("{} is as the baseline says", plan.from));
        }
        let named: Vec<&str> = (differences.iter().take(5))
            .map(|difference| difference.path.as_str())
            .collect();
        Err(StepError::without_effect(format!(
            "{} still differs from the baseline in {} properties: {}",
            plan.from,
            differences.len(),
            named.join(", ")
        )))
    }

    async fn reprotect(&self, run: &Run) -> Performed {
        let plan = run.plan();
        let synced = self.hooks.sync_now(plan.to).await?;
        let chosen = plan_choice(plan)?;
        let newest = self.with_data_of(chosen, synced.id, plan).await?;
        let choice = newest.unwrap_or_else(|| chosen.clone());
        self.driver.stage(&choice, plan.from).await?;
        self.hooks.thaw_sync().await?;
        let output = sync_output(&synced);
        let note = format!("{}; {} stands by", output.note, plan.from);
        Ok(Output { note, ..output })
    }

    fn event(
        &self,
        plan: &Plan,
        kind: EventKind,
        severity: Severity,
        sentence: String,
    ) -> NewEvent {
        NewEvent::new(self.clock.now(), kind, severity, sentence)
            .of(&plan.resource)
            .in_run(plan.run)
    }

    fn entrance(&self, instance: Instance) -> (Option<&dyn Redirector>, Option<Endpoint>) {
        (self.redirector, self.driver.endpoint(instance))
    }

    fn endpoint(&self, instance: Instance) -> Result<Endpoint, StepError> {
        self.driver.endpoint(instance).ok_or_else(|| {
            let kind = self.driver.kind();
            StepError::without_effect(format!(
                "instance {instance} of this {kind} has no address: name one in its configuration"
            ))
        })
    }

    fn redirector(&self, plan: &Plan) -> Result<&dyn Redirector, StepError> {
        self.redirector.ok_or_else(|| {
            let what = format!(
                "{} has no redirector: name one in its configuration",
                plan.resource
            );
            StepError::without_effect(what)
        })
    }
}

fn plan_choice(plan: &Plan) -> Result<&Choice, StepError> {
    plan.choice.as_ref().ok_or_else(|| {
        let what = "no generation of the clone is good: accept a baseline, sync, and try again";
        StepError::without_effect(what)
    })
}

/// Torn data is moved, but nothing is activated from it.
fn sync_output(synced: &Synced) -> Output {
    let whole = synced.torn.is_empty();
    let mut note = if synced.unchanged {
        format!("nothing had changed since {}", synced.id)
    } else {
        format!(
            "{}: {} of {} files, {} bytes moved",
            synced.id, synced.files_changed, synced.files, synced.bytes_moved
        )
    };
    if !whole {
        note = format!("{note}, {} files torn", synced.torn.len());
    }
    if let Some((path, why)) = synced.skipped.first() {
        note = format!(
            "{note}, {} not read (first: {path}: {why})",
            synced.skipped.len()
        );
    }
    Output {
        generation: whole.then_some(synced.id),
        note,
        ..Output::default()
    }
}

fn done(note: impl Into<String>) -> Performed {
    Ok(Output {
        note: note.into(),
        ..Output::default()
    })
}
