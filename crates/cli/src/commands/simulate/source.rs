//! What is replayed: resources with what is asked of them, what happened to them, and what is known of
//! the harm that was done.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::deviation::{Scale, deviation};
use evenkeel_core::policy::{Policy, Tolerance};
use evenkeel_core::property::Observed;
use evenkeel_core::replay::{Assumed, Entry};
use evenkeel_core::{PropertyPath, ResourceId, Timestamp};
use evenkeel_scenario::{Drift, Made, Scenario, Times, generate};
use serde::Serialize;

use crate::error::CliError;

/// Where the resources come from, as it is told in the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Origin {
    /// A scenario file.
    Scenario {
        /// As it was named.
        file: String,
        /// What its randomness was drawn from.
        seed: u64,
    },
    /// Files of samples.
    Csv {
        /// As they were named.
        files: Vec<String>,
    },
    /// The daemon's history.
    History {
        /// Of which resource.
        resource: String,
    },
}

impl Origin {
    /// Whether every harm is known, and so a failover without one is a false one.
    pub(super) fn tells_the_truth(&self) -> bool {
        match self {
            Self::Scenario { .. } => true,
            Self::Csv { .. } | Self::History { .. } => false,
        }
    }
}

/// One resource to replay.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) id: ResourceId,
    pub(super) policy: Policy,
    pub(super) baseline: Baseline,
    pub(super) assumed: Assumed,
    feed: Feed,
}

#[derive(Clone, Debug)]
enum Feed {
    MadeUp(Box<Made>),
    Recorded(Arc<[Entry]>),
}

/// What is known of the harm that a property does if nobody acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Harm {
    /// When what leads there set in, where that is known.
    pub(super) onset: Option<Timestamp>,
    pub(super) at: Timestamp,
    /// It came with one jump, which nothing could have foreseen.
    pub(super) sudden: bool,
}

impl Subject {
    /// What happened to it, in order of time, from the start at every call.
    pub(super) fn entries(&self) -> Box<dyn Iterator<Item = Entry> + Send> {
        match &self.feed {
            Feed::MadeUp(made) => Box::new(made.entries()),
            Feed::Recorded(entries) => {
                let entries = Arc::clone(entries);
                Box::new((0..entries.len()).map(move |i| entries[i].clone()))
            }
        }
    }

    /// About how many entries there are, for the bar of progress.
    pub(super) fn length(&self) -> u64 {
        match &self.feed {
            Feed::MadeUp(made) => made.probes(),
            Feed::Recorded(entries) => u64::try_from(entries.len()).unwrap_or(u64::MAX),
        }
    }

    /// The first harm of each property that does any. It goes through all that happened.
    pub(super) fn harms(&self) -> BTreeMap<PropertyPath, Harm> {
        match &self.feed {
            Feed::MadeUp(made) => (made.truths().into_iter())
                .filter_map(|(path, truth)| {
                    let harm = Harm {
                        onset: truth.onset,
                        at: truth.harm_at?,
                        sudden: truth.kind == Drift::Sudden,
                    };
                    Some((path, harm))
                })
                .collect(),
            Feed::Recorded(entries) => self.seen_at_limit(entries),
        }
    }

    /// A resource of which a record is there.
    pub(super) fn recorded(
        id: ResourceId,
        policy: Policy,
        baseline: Baseline,
        entries: Vec<Entry>,
    ) -> Self {
        Self {
            id,
            policy,
            baseline,
            assumed: Times::default().assumed(),
            feed: Feed::Recorded(entries.into()),
        }
    }

    /// In a record harm is what was seen: the first instant of each property at its ceiling. What led there
    /// set in after it was last as approved, or on the other side.
    fn seen_at_limit(&self, entries: &[Entry]) -> BTreeMap<PropertyPath, Harm> {
        let mut harms = BTreeMap::new();
        let mut away: BTreeMap<&PropertyPath, (f64, Timestamp)> = BTreeMap::new();
        let probes = entries.iter().filter_map(|entry| match entry {
            Entry::Probed(probe) => Some(probe),
            Entry::Lost { .. } | Entry::Commanded { .. } | Entry::Accepted { .. } => None,
        });
        for probe in probes {
            for (path, found) in &probe.properties {
                let gone = self.deviation(path, found);
                let side = if gone == 0.0 { 0.0 } else { gone.signum() };
                let since = away.entry(path).or_insert((side, probe.at));
                if since.0 != side {
                    *since = (side, probe.at);
                }
                if gone.abs() >= self.policy.band_ceiling && !harms.contains_key(path) {
                    let harm = Harm {
                        onset: Some(since.1),
                        at: probe.at,
                        sudden: since.1 == probe.at,
                    };
                    harms.insert(path.clone(), harm);
                }
            }
        }
        harms
    }

    /// How far a property is from what is approved.
    fn deviation(&self, path: &PropertyPath, found: &Observed) -> f64 {
        let approved = self.baseline.properties.get(path).map(|p| &p.value);
        let rule = self.policy.rule(path);
        let tolerance = rule.map_or(Tolerance::Learned, |rule| rule.tolerance);
        let learned = self.baseline.learned.get(path).copied();
        let scale = Scale::resolve(tolerance, approved, found.origin, learned);
        deviation(approved, Some(&found.value), scale)
    }
}

/// Reads a scenario file, and makes its resources.
pub(super) fn scenario(file: &Path, seed: Option<u64>) -> Result<(Origin, Vec<Subject>), CliError> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file)
        .map_err(|error| CliError::Failed(format!("cannot read {name}: {error}")))?;
    let wrong = |problems: evenkeel_scenario::Problems| CliError::Usage(problems.to_string());
    let scenario = Scenario::from_toml(&name, &text).map_err(wrong)?;
    let seed = seed.unwrap_or(scenario.seed);
    let made = generate(&scenario, seed).map_err(wrong)?.resources;
    let subjects = made.into_iter().map(|made| Subject {
        id: made.id.clone(),
        policy: made.policy.clone(),
        baseline: made.baseline.clone(),
        assumed: made.assumed,
        feed: Feed::MadeUp(Box::new(made)),
    });
    Ok((Origin::Scenario { file: name, seed }, subjects.collect()))
}
