//! Messages applied: each to its end, before the next.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::decide::{Action, Decision, Input, decide};
use evenkeel_core::failover::{Outcome, Plan};
use evenkeel_core::generation::{Generation, Verdict};
use evenkeel_core::property::Severity;
use evenkeel_core::record::{EventKind, NewEvent};
use evenkeel_core::{EventId, Instance};
use evenkeel_ports::{AuditEntry, Commit, StoreError};
use tracing::{error, info, warn};

use super::{Message, NextRun, ResourceTask};
use crate::executor::OpenRun;

/// How long after a failed write of a saga's end it is tried again.
const STORE_RETRY: Duration = Duration::from_secs(1);

impl ResourceTask {
    pub(super) async fn apply(&mut self, message: Message) {
        match message {
            Message::Probed(result) => {
                self.probing = false;
                match result {
                    Ok(probe) => self.probed(probe).await,
                    Err(error) => self.probe_failed(error.to_string()).await,
                }
            }
            Message::Synced { result, reply } => {
                let outcome = self.synced(result).await;
                reply.send(outcome).ok();
            }
            Message::Rehearsed { result, reply } => {
                let outcome = self.rehearsed(result).await;
                reply.send(outcome).ok();
            }
            Message::RunEnded {
                plan,
                outcome,
                serving,
                why,
            } => {
                self.run_ended(plan, outcome, serving, why).await;
            }
            Message::Asked {
                asked,
                by,
                dry_run,
                reply,
            } => {
                let answer = self.asked(asked, &by, dry_run).await;
                reply.send(answer).ok();
            }
            Message::Compare { probe, reply } => {
                reply.send(self.unapproved(probe)).ok();
            }
            Message::Fork { path, reply } => {
                reply.send(self.watch.fork(&path)).ok(); // the worker has gone when the daemon stops
            }
            Message::Refitted(Ok(fork)) => {
                self.watch.adopt(fork); // or not, if its course was restarted meanwhile
            }
            Message::Refitted(Err(ticket)) => self.watch.give_up(&ticket),
            Message::Reconfigured(settings) => self.reconfigured(settings),
            Message::Stop => {}
        }
        self.publish();
    }

    /// Decides what follows from a saga's end, and only then closes its journal: a crash in between
    /// leaves a run that ends again in the same way.
    async fn run_ended(
        &mut self,
        plan: Box<Plan>,
        outcome: Outcome,
        serving: Instance,
        why: Option<String>,
    ) {
        let facts = self.facts();
        let input = Input::RunEnded {
            plan: &plan,
            outcome,
            serving,
            why: why.as_deref(),
            facts: &facts,
        };
        let decision = self.decide(&input);
        if self.carry_out(decision, Commit::default()).await.is_err() {
            // The store may have room again soon; until then the run is not over.
            let messages = self.messages.clone();
            tokio::spawn(async move {
                tokio::time::sleep(STORE_RETRY).await;
                messages
                    .send(Message::RunEnded {
                        plan,
                        outcome,
                        serving,
                        why,
                    })
                    .await
                    .ok();
            });
            return;
        }
        if let Err(error) = self
            .world
            .journal
            .close(plan.run, self.world.now(), outcome)
            .await
        {
            warn!(%error, run = %plan.run, "the run has ended but could not be closed");
        }
    }

    pub(super) fn decide(&self, input: &Input<'_>) -> Decision {
        decide(
            &self.settings.policy,
            &self.record.state,
            input,
            self.world.now(),
        )
    }

    /// Journals a decision, with whatever else changed at the same time, and then does what it says.
    /// On an error nothing was changed and nothing is done.
    pub(super) async fn carry_out(
        &mut self,
        decision: Decision,
        mut commit: Commit,
    ) -> Result<Vec<EventId>, StoreError> {
        let now = self.world.now();
        let name = self.settings.name.clone();
        let plan = decision.plan().cloned();
        let mut alerts = Vec::new();
        let mut restart_watch = false;
        let mut recentred = None;
        let mut judged = None;
        for action in &decision.actions {
            match action {
                Action::Start(_) => {} // last, once it is journalled
                Action::Quarantine { since, why } => {
                    commit
                        .generations
                        .extend(self.quarantined_since(*since, why));
                }
                Action::Alert { severity, sentence } => alerts.push((*severity, sentence.clone())),
                Action::RestartWatch => restart_watch = true,
                Action::Recentre(moved) => recentred = Some(moved.clone()),
                Action::Judge { path, judgement } => judged = Some((path.clone(), *judgement)),
            }
        }
        if let (Some(plan), NextRun::Used(used)) = (&plan, self.next_run)
            && plan.run == used
        {
            // Decided with a number that was given away already: to be decided anew with another.
            self.reserve_next_run().await?;
            let (place, what) = ("journal".to_owned(), "the run's number was used".to_owned());
            return Err(StoreError::Failed { place, what });
        }
        commit.plan = plan.clone();
        if decision.notable {
            commit.events.insert(0, self.decision_event(&decision));
            commit.audit.extend(plan.iter().map(|plan| AuditEntry {
                at: now,
                actor: "evenkeel".to_owned(),
                action: format!("{}.start", plan.kind),
                resource: Some(name.clone()),
                result: Ok(()),
                before: Some(format!("{} serves", self.record.state.serving)),
                after: Some(format!("{}: {}", plan.run, plan.why)),
            }));
        }
        let changed = decision.state != self.record.state;
        commit.state = changed.then(|| decision.state.clone());
        let mut events = Vec::new();
        if changed || !is_empty(&commit) {
            events = self.commit(commit).await?;
        }
        for (severity, sentence) in alerts {
            self.world
                .alerts
                .raise(now, Some(&name), severity, &sentence);
        }
        if restart_watch {
            self.watch.restart();
            self.outlooks = Arc::default();
            self.last_probe = None;
            self.staged = None;
        }
        if let Some((path, judgement)) = judged {
            self.watch.judge(&path, judgement);
        }
        if let Some(moved) = recentred {
            self.watch.restart_where(|path| moved.contains(path));
            self.outlooks = Arc::default();
            self.staged = None;
        }
        if let Some(plan) = plan {
            info!(run = %plan.run, kind = %plan.kind, why = %plan.why, "starting");
            self.next_run = NextRun::Used(plan.run);
            self.start_run(OpenRun::new(plan));
            self.reserve_next_run().await.ok(); // tried again before it is needed
        }
        Ok(events)
    }

    async fn reserve_next_run(&mut self) -> Result<(), StoreError> {
        let reserved = self.world.journal.next_run().await;
        let reserved = reserved.inspect_err(|error| error!(%error, "no number for a next run"))?;
        self.next_run = NextRun::Reserved(reserved);
        Ok(())
    }

    /// Changes the record in the store, then in memory.
    pub(super) async fn commit(&mut self, commit: Commit) -> Result<Vec<EventId>, StoreError> {
        let (state, baseline, rehearsal) = (
            commit.state.clone(),
            commit.baseline.clone(),
            commit.rehearsal.clone(),
        );
        let (generations, forgotten) = (commit.generations.clone(), commit.forgotten.clone());
        let name = &self.settings.name;
        let committed = self
            .world
            .control
            .commit(name, self.record.revision, commit)
            .await;
        let committed = committed.inspect_err(|error| {
            error!(%error, "the store took nothing, so nothing is done");
            let sentence = format!("the store took nothing, so nothing is done: {error}");
            self.world
                .alerts
                .raise(self.world.now(), Some(name), Severity::Critical, &sentence);
        })?;
        self.record.revision = committed.revision;
        if let Some(state) = state {
            self.record.state = state;
        }
        if baseline.is_some() {
            self.record.baseline = baseline;
        }
        if rehearsal.is_some() {
            self.record.rehearsal = rehearsal;
        }
        self.generations
            .retain(|known| !forgotten.contains(&known.id));
        for generation in generations {
            match self
                .generations
                .iter_mut()
                .find(|known| known.id == generation.id)
            {
                Some(known) => *known = generation,
                None => self.generations.push(generation),
            }
        }
        Ok(committed.events)
    }

    /// Records something that changes no state.
    pub(super) async fn note(&self, event: NewEvent) {
        if let Err(error) = self.world.control.record(vec![event]).await {
            warn!(%error, "an event could not be recorded");
        }
    }

    fn decision_event(&self, decision: &Decision) -> NewEvent {
        let explanation = decision.explanation.clone();
        let sentence = explanation.reason.sentence();
        let severity = explanation.reason.alert().unwrap_or(Severity::Info);
        let mut event = NewEvent::new(self.world.now(), EventKind::Decision, severity, sentence)
            .of(&self.settings.name);
        event.run = decision.state.phase.run().or(self.record.state.phase.run());
        event.explanation = Some(explanation);
        event
    }

    fn quarantined_since(&self, since: evenkeel_core::Timestamp, why: &str) -> Vec<Generation> {
        self.generations
            .iter()
            .filter(|generation| generation.at >= since && generation.verdict == Verdict::Suspect)
            .map(|generation| Generation {
                verdict: Verdict::Quarantined {
                    why: why.to_owned(),
                },
                ..generation.clone()
            })
            .collect()
    }

    fn reconfigured(&mut self, settings: Arc<crate::settings::Settings>) {
        // Another step or horizon; or rules by which a deviation of 1 may mean something else. Either way
        // what was learned no longer holds.
        let rules_moved = self.settings.policy.rules != settings.policy.rules;
        if rules_moved || !self.watch.fits(&settings.policy) {
            self.watch.start_anew(&settings.policy);
        }
        info!("settings reloaded");
        self.settings = settings;
    }
}

fn is_empty(commit: &Commit) -> bool {
    let Commit {
        state,
        baseline,
        rehearsal,
        plan,
        generations,
        forgotten,
        events,
        audit,
    } = commit;
    state.is_none()
        && baseline.is_none()
        && rehearsal.is_none()
        && plan.is_none()
        && generations.is_empty()
        && forgotten.is_empty()
        && events.is_empty()
        && audit.is_empty()
}
