//! One resource's course as the alternatives see it: the deviation of each property that may be acted
//! on, probe by probe, in tolerances, as the core computes it.
//!
//! Invariants: instants rise; what was not read at a probe is a gap (NaN), never a made-up value; where
//! the baseline moved, the course is the distance from the new one and the probe is marked.

use std::collections::BTreeMap;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::decide::Command;
use evenkeel_core::deviation::{Scale, deviation};
use evenkeel_core::ids::PropertyPath;
use evenkeel_core::policy::{Policy, Tolerance};
use evenkeel_core::property::{Origin, Probe, Severity};
use evenkeel_core::replay::Entry;
use evenkeel_core::time::Timestamp;
use evenkeel_core::watch::default_severity;

/// The course of one resource.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Its properties that may be acted on.
    pub(crate) properties: Vec<Property>,
    /// The instant from which seconds are counted.
    pub(crate) start: Timestamp,
    /// The probes, in seconds since `start`.
    pub(crate) at: Vec<f64>,
    /// Per probe one deviation of each property; NaN is a gap.
    pub(crate) deviations: Vec<f64>,
    /// The probes from which on another baseline holds.
    pub(crate) recentred: Vec<usize>,
    /// When nothing may be acted on, in seconds since `start`, from the first to before the second.
    pub(crate) holds: Vec<(f64, f64)>,
}

/// A property that may be acted on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Property {
    pub(crate) path: PropertyPath,
    pub(crate) origin: Origin,
}

impl Record {
    /// Reads the course out of `entries` against `baseline`.
    pub(crate) fn new(policy: &Policy, baseline: &Baseline, entries: &[Entry]) -> Self {
        let start = entries.first().map_or(Timestamp::default(), Entry::at);
        let mut record = Self {
            properties: properties(policy, baseline, entries),
            start,
            at: Vec::new(),
            deviations: Vec::new(),
            recentred: Vec::new(),
            holds: Vec::new(),
        };
        let seconds = |at: Timestamp| at.since(start).as_secs_f64();
        let (mut paused_from, mut last) = (None, None);
        let mut baseline = baseline.clone();
        for entry in entries {
            match entry {
                Entry::Probed(probe) => {
                    record.push(policy, &baseline, probe);
                    last = Some(probe);
                }
                Entry::Lost { .. } => {}
                Entry::Accepted { at, paths, by } => {
                    let Some(probe) = last else { continue };
                    let wanted = |path: &PropertyPath, _| paths.is_empty() || paths.contains(path);
                    baseline = baseline.accept(probe, wanted, by, "", *at);
                    record.recentred.push(record.at.len());
                }
                Entry::Commanded { at, command, .. } => match command {
                    Command::OpenWindow { from, until, .. } => {
                        record.holds.push((seconds(*from), seconds(*until)));
                    }
                    Command::Pause { until, .. } => {
                        let until = until.map_or(f64::INFINITY, seconds);
                        paused_from = Some(record.holds.len());
                        record.holds.push((seconds(*at), until));
                    }
                    Command::Resume => {
                        if let Some(pause) = paused_from.take() {
                            record.holds[pause].1 = seconds(*at);
                        }
                    }
                    Command::Failover
                    | Command::Switchover
                    | Command::Failback
                    | Command::Reinstate
                    | Command::Approve { .. }
                    | Command::Release
                    | Command::Judge { .. } => {}
                },
            }
        }
        record
    }

    fn push(&mut self, policy: &Policy, baseline: &Baseline, probe: &Probe) {
        let at = probe.at.since(self.start).as_secs_f64();
        if self.at.last().is_some_and(|last| at <= *last) {
            return;
        }
        self.at.push(at);
        for property in &self.properties {
            self.deviations
                .push(deviation_of(policy, baseline, probe, property).unwrap_or(f64::NAN));
        }
    }

    /// The deviations at one probe.
    pub(crate) fn row(&self, probe: usize) -> &[f64] {
        let width = self.properties.len();
        &self.deviations[probe * width..(probe + 1) * width]
    }

    /// When the last probe was.
    pub(crate) fn end(&self) -> f64 {
        self.at.last().copied().unwrap_or_default()
    }

    /// Whether nothing may be acted on at this second.
    pub(crate) fn is_held(&self, at: f64) -> bool {
        self.holds
            .iter()
            .any(|(from, until)| (*from..*until).contains(&at))
    }
}

/// The properties that may be acted on, in the order of paths.
fn properties(policy: &Policy, baseline: &Baseline, entries: &[Entry]) -> Vec<Property> {
    let mut all: BTreeMap<&PropertyPath, Origin> = BTreeMap::new();
    for (path, observed) in &baseline.properties {
        all.insert(path, observed.origin);
    }
    for entry in entries {
        if let Entry::Probed(probe) = entry {
            for (path, observed) in &probe.properties {
                all.entry(path).or_insert(observed.origin);
            }
        }
    }
    let acted_on = |path: &PropertyPath, origin: Origin| {
        let rule = policy.rule(path);
        let severity = rule.and_then(|rule| rule.severity);
        !rule.is_some_and(|rule| rule.ignore)
            && severity.unwrap_or(default_severity(origin)) == Severity::Critical
    };
    all.into_iter()
        .filter(|(path, origin)| acted_on(path, *origin))
        .map(|(path, origin)| Property {
            path: path.clone(),
            origin,
        })
        .collect()
}

/// The deviation of a property at a probe; `None` where it could not be read.
fn deviation_of(
    policy: &Policy,
    baseline: &Baseline,
    probe: &Probe,
    property: &Property,
) -> Option<f64> {
    let path = &property.path;
    let found = probe.properties.get(path);
    if found.is_none() && probe.is_unreadable(path) {
        return None;
    }
    let approved = baseline.properties.get(path).map(|p| &p.value);
    let tolerance = policy
        .rule(path)
        .map_or(Tolerance::Learned, |rule| rule.tolerance);
    let learned = baseline.learned.get(path).copied();
    let scale = Scale::resolve(tolerance, approved, property.origin, learned);
    Some(deviation(approved, found.map(|p| &p.value), scale))
}
