//! A probe, from the driver's answer to the decision on it.

use std::collections::BTreeSet;
use std::sync::Arc;

use evenkeel_core::PropertyPath;
use evenkeel_core::decide::{Facts, Input, RehearsalFacts};
use evenkeel_core::fleet::drifting;
use evenkeel_core::outlook::{Breach, PropertyOutlook};
use evenkeel_core::property::{Observed, Origin, Probe, Severity, Value};
use evenkeel_core::record::{EventKind, NewEvent};
use evenkeel_drivers::redact;
use evenkeel_ports::{AuditEntry, Commit, PropertyChange, Sample, SeriesKey, Stream};
use tracing::warn;

use super::{NextRun, ResourceTask};

impl ResourceTask {
    pub(super) async fn probed(&mut self, probe: Probe) {
        if probe.instance != self.record.state.serving {
            return; // asked before the roles were swapped
        }
        self.probe_lost = None;
        let probe = Arc::new(self.redact(probe));
        self.keep_changes(&probe).await;
        if self.record.baseline.is_some() {
            self.assess(&probe).await;
        } else {
            self.settle(&probe).await;
        }
        self.last_probe = Some(probe);
    }

    pub(super) async fn probe_failed(&mut self, why: String) {
        warn!(%why, "the probe failed");
        let since = match &self.probe_lost {
            Some((since, _)) => *since,
            None => self.world.now(),
        };
        self.probe_lost = Some((since, why.clone()));
        let decision = self.decide(&Input::ProbeLost { since, why: &why });
        self.carry_out(decision, Commit::default()).await.ok();
    }

    async fn assess(&mut self, probe: &Probe) {
        let Some(baseline) = &self.record.baseline else {
            return;
        };
        let policy = &self.settings.policy;
        let outlooks = (self.watch).assess(policy, baseline, probe, &self.forecasters);
        self.outlooks = Arc::new(outlooks);
        self.world
            .fleet
            .report(&self.settings, drifting(policy, &self.outlooks), probe.at);
        self.spark.push(&self.outlooks);
        self.keep_history(probe).await;
        self.ask_for_refits(); // the store has all that the forecasters were told
        let facts = self.facts();
        let outlooks = Arc::clone(&self.outlooks);
        let decision = self.decide(&Input::Assessed {
            outlooks: &outlooks,
            facts: &facts,
        });
        self.carry_out(decision, Commit::default()).await.ok();
        self.keep_learned_if_due();
    }

    /// Everything a decision needs beside the outlooks.
    pub(super) fn facts(&self) -> Facts {
        let shared = |o: &&PropertyOutlook| self.driver.clone_shares(&o.path);
        Facts {
            resource: self.settings.name.clone(),
            capabilities: self.driver.capabilities(),
            has_redirector: self.redirector.is_some(),
            next_run: match self.next_run {
                NextRun::Reserved(run) | NextRun::Used(run) => run,
            },
            // One process per store is certain (the store is locked); the saga's first step asks
            // for the lease itself.
            may_lease: true,
            generations: self.generations.clone(),
            synced_at: self.synced_at,
            rehearsal: self
                .record
                .rehearsal
                .as_ref()
                .map(|rehearsal| RehearsalFacts {
                    at: rehearsal.at,
                    activation: rehearsal.activation,
                    result: rehearsal.result.clone(),
                }),
            shared_by_clone: self
                .outlooks
                .iter()
                .filter(shared)
                .map(|o| o.path.clone())
                .collect(),
            drifting_elsewhere: self.world.fleet.elsewhere(&self.settings, self.world.now()),
        }
    }

    /// Hashes what the policy wants redacted, whatever the driver thought of it.
    pub(super) fn redact(&self, mut probe: Probe) -> Probe {
        let policy = &self.settings.policy;
        for (path, observed) in &mut probe.properties {
            if policy.rule(path).is_some_and(|rule| rule.redact) {
                observed.value = redact(&self.world.redaction_key.0, &observed.value);
            }
        }
        probe
    }

    /// Keeps every configuration value that changed since the last probe: in the history, in the
    /// audit log, and as one event.
    async fn keep_changes(&mut self, probe: &Probe) {
        let Some(last) = &self.last_probe else { return };
        let changes = changes(&self.settings.name, last, probe);
        if changes.is_empty() {
            return;
        }
        if let Err(error) = self.world.history.append_changes(&changes).await {
            warn!(%error, "changes could not be kept in the history");
        }
        let text = |value: &Option<Value>| or_absent(value.as_ref().map(|v| format!("{v:.200}")));
        let audit = changes.iter().map(|change| AuditEntry {
            at: change.at,
            actor: "unknown".to_owned(),
            action: "change.seen".to_owned(),
            resource: Some(change.resource.clone()),
            result: Ok(()),
            before: Some(format!("{} = {}", change.property, text(&change.old))),
            after: Some(format!("{} = {}", change.property, text(&change.new))),
        });
        let sentence = changes_sentence(&changes);
        let event = NewEvent::new(probe.at, EventKind::Change, Severity::Info, sentence);
        let commit = Commit {
            audit: audit.collect(),
            events: vec![event.of(&self.settings.name)],
            ..Commit::default()
        };
        self.commit(commit).await.ok(); // said where it happened; deciding goes on
    }

    async fn keep_history(&self, probe: &Probe) {
        let mut samples = Vec::with_capacity(self.outlooks.len());
        for outlook in self.outlooks.iter() {
            let mut push = |stream, value: f64| {
                let series = SeriesKey {
                    resource: self.settings.name.clone(),
                    property: outlook.path.clone(),
                    stream,
                };
                samples.push(Sample {
                    series,
                    at: probe.at,
                    value,
                });
            };
            if let Some(value) = outlook.found.as_ref().and_then(Value::as_number) {
                push(Stream::Value, value);
            }
            if outlook.has_moved() {
                push(Stream::Deviation, outlook.deviation);
                push(Stream::BandLower, -outlook.band.lower);
                push(Stream::BandUpper, outlook.band.upper);
            }
        }
        if let Err(error) = self.world.history.append(&samples).await {
            warn!(%error, "samples could not be kept; deciding goes on");
        }
        let notable = |o: &&PropertyOutlook| o.breach != Breach::None;
        let forecasts: Vec<_> = (self.outlooks.iter())
            .filter(notable)
            .filter_map(|o| Some((o.path.clone(), o.forecast.clone()?)))
            .collect();
        if forecasts.is_empty() {
            return;
        }
        if let Err(error) = self
            .world
            .history
            .append_forecasts(&self.settings.name, &forecasts)
            .await
        {
            warn!(%error, "forecasts could not be kept; deciding goes on");
        }
    }
}

/// The configuration that differs between two probes of the same instance.
fn changes(resource: &evenkeel_core::ResourceId, last: &Probe, now: &Probe) -> Vec<PropertyChange> {
    fn configuration<'p>(probe: &'p Probe, path: &PropertyPath) -> Option<&'p Observed> {
        probe
            .properties
            .get(path)
            .filter(|found| found.origin == Origin::Configuration)
    }
    let paths: BTreeSet<&PropertyPath> = last
        .properties
        .keys()
        .chain(now.properties.keys())
        .collect();
    let change = |path: &PropertyPath| {
        let (old, new) = (configuration(last, path), configuration(now, path));
        let differ = old.map(|found| &found.value) != new.map(|found| &found.value);
        let known = !now.is_unreadable(path) && !last.is_unreadable(path);
        (differ && known).then(|| PropertyChange {
            resource: resource.clone(),
            property: path.clone(),
            at: now.at,
            old: old.map(|found| found.value.clone()),
            new: new.map(|found| found.value.clone()),
            place: new.or(old).and_then(|found| found.place.clone()),
        })
    };
    paths.into_iter().filter_map(change).collect()
}

fn or_absent(text: Option<String>) -> String {
    text.unwrap_or_else(|| "absent".to_owned())
}

fn changes_sentence(changes: &[PropertyChange]) -> String {
    const NAMED: usize = 3;
    let text = |value: &Option<Value>| or_absent(value.as_ref().map(Value::brief));
    let mut parts: Vec<String> = changes
        .iter()
        .take(NAMED)
        .map(|c| format!("{}: {} -> {}", c.property, text(&c.old), text(&c.new)))
        .collect();
    if changes.len() > NAMED {
        parts.push(format!("and {} more", changes.len() - NAMED));
    }
    parts.join("; ")
}
