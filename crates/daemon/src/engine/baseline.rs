//! The baseline of a resource: taken when it has settled, moved when a person accepts what is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::baseline::{Baseline, Difference};
use evenkeel_core::decide::Input;
use evenkeel_core::property::{Observed, Origin, Probe, Severity, Value};
use evenkeel_core::record::{EventKind, NewEvent};
use evenkeel_core::{BaselineVersion, EventId, PropertyPath};
use evenkeel_ports::{AuditEntry, ChangeHint, Commit, StoreError};

use super::ResourceTask;

/// The least number of probes a baseline is taken from.
const SETTLING_PROBES: usize = 3;

/// The most that are kept, however long it takes to settle.
const SETTLING_KEPT: usize = 256;

impl ResourceTask {
    /// Collects probes until the configuration has stood still for the policy's settling time; then
    /// takes the first baseline.
    pub(super) async fn settle(&mut self, probe: &Arc<Probe>) {
        let moved = self.settling.last().is_some_and(|last| {
            configuration(&last.properties).ne(configuration(&probe.properties))
        });
        if moved {
            self.settling.clear();
        }
        self.settling.push(Arc::clone(probe));
        if self.settling.len() > SETTLING_KEPT {
            // Every other one tells the scatter as well; the first tells since when.
            let mut nth = 0_usize;
            self.settling.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
        }
        let since = self.settling.first().map_or(probe.at, |first| first.at);
        let long_enough = probe.at - since >= self.settings.policy.settle;
        if !long_enough || self.settling.len() < SETTLING_PROBES {
            return;
        }
        let probes = std::mem::take(&mut self.settling);
        let baseline = first_baseline(&probes);
        let sentence = format!(
            "baseline {} taken: {} properties, after {} without a change",
            baseline.version,
            baseline.properties.len(),
            evenkeel_core::Brief(probe.at - since)
        );
        self.take_baseline(baseline, "evenkeel", "baseline.take", sentence)
            .await
            .ok();
    }

    /// Puts a new baseline into force, and has the clone pinned to it.
    pub(super) async fn take_baseline(
        &mut self,
        baseline: Baseline,
        by: &str,
        action: &str,
        sentence: String,
    ) -> Result<Vec<EventId>, StoreError> {
        let now = self.world.now();
        let name = self.settings.name.clone();
        let event = NewEvent::new(now, EventKind::Baseline, Severity::Info, sentence.clone());
        let audit = AuditEntry {
            at: now,
            actor: by.to_owned(),
            action: action.to_owned(),
            resource: Some(name.clone()),
            result: Ok(()),
            before: self
                .record
                .baseline
                .as_ref()
                .map(|b| format!("baseline {}", b.version)),
            after: Some(sentence),
        };
        let moved = match &self.record.baseline {
            Some(last) => last.moved(&baseline),
            None => baseline.properties.keys().cloned().collect(),
        };
        let commit = Commit {
            baseline: Some(baseline),
            events: vec![event.of(&name).by(by)],
            audit: vec![audit],
            ..Commit::default()
        };
        let mut decision = self.decide(&Input::BaselineTaken { moved: &moved });
        decision.notable = false; // the event above says it, and more
        let events = self.carry_out(decision, commit).await?;
        self.keeper.request_sync(ChangeHint::Everything);
        Ok(events)
    }

    /// The configuration of `probe` that is not as approved, less what is ignored.
    pub(super) fn unapproved(&self, probe: Probe) -> Vec<Difference> {
        let Some(baseline) = &self.record.baseline else {
            return Vec::new();
        };
        let probe = self.redact(probe);
        let policy = &self.settings.policy;
        let watched = |d: &Difference| !policy.rule(&d.path).is_some_and(|rule| rule.ignore);
        baseline.diff(&probe).into_iter().filter(watched).collect()
    }
}

fn configuration(
    properties: &BTreeMap<PropertyPath, Observed>,
) -> impl Iterator<Item = (&PropertyPath, &Value)> {
    properties
        .iter()
        .filter(|(_, observed)| observed.origin == Origin::Configuration)
        .map(|(path, observed)| (path, &observed.value))
}

/// The values of the last probe, with capacities at their median, and the scatter of every number:
/// the median absolute deviation times 1.4826, which estimates a standard deviation robustly.
fn first_baseline(probes: &[Arc<Probe>]) -> Baseline {
    let last = probes.last().expect("settling has probes when it ends");
    let mut properties = last.properties.clone();
    let mut learned = BTreeMap::new();
    for (path, observed) in &mut properties {
        let mut seen: Vec<f64> = probes
            .iter()
            .filter_map(|probe| probe.properties.get(path)?.value.as_number())
            .collect();
        if seen.is_empty() {
            continue;
        }
        let centre = median(&mut seen);
        let mut distances: Vec<f64> = seen.iter().map(|value| (value - centre).abs()).collect();
        learned.insert(path.clone(), 1.4826 * median(&mut distances));
        if observed.origin == Origin::Capacity {
            observed.value = Value::Number(centre);
        }
    }
    Baseline {
        version: BaselineVersion(1),
        at: last.at,
        by: "evenkeel".to_owned(),
        note: "taken when the resource had settled".to_owned(),
        properties,
        learned,
        pinned: None,
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::{Instance, Timestamp};

    #[test]
    fn a_baseline_learns_the_middle_and_the_scatter() {
        let probe = |second: i64, rss: f64| {
            Arc::new(Probe {
                at: Timestamp::from_millis(second * 1000),
                instance: Instance::A,
                properties: [
                    ("rss".into(), Observed::capacity(rss, Some("B"))),
                    (
                        "workers".into(),
                        Observed::configuration(Value::Number(4.0)),
                    ),
                ]
                .into(),
                unreadable: BTreeMap::new(),
            })
        };
        let baseline = first_baseline(&[probe(0, 100.0), probe(1, 110.0), probe(2, 300.0)]);
        assert_eq!(
            baseline.properties[&"rss".into()].value,
            Value::Number(110.0)
        );
        assert!((baseline.learned[&"rss".into()] - 14.826).abs() < 1e-9);
        assert_eq!(baseline.learned[&"workers".into()], 0.0);
        assert_eq!(baseline.at, Timestamp::from_millis(2000));
    }
}
