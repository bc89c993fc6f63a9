//! A resource made of series of numbers: every instant at which one of them has a sample is a probe.
//!
//! A series without a sample at an instant is unknown there, and not gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::policy::{Policy, PropertyRule, Tolerance, literal};
use evenkeel_core::property::{Observed, Origin, Probe, Severity, Value};
use evenkeel_core::replay::Entry;
use evenkeel_core::{BaselineVersion, Instance, PropertyPath, ResourceId, Timestamp};

use super::source::Subject;
use crate::error::CliError;

/// One series, with what is asked of it.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) path: PropertyPath,
    pub(super) approved: f64,
    pub(super) tolerance: Tolerance,
    pub(super) severity: Severity,
    /// Milliseconds since 1970 and value; NaN where one is missing.
    pub(super) samples: Vec<(i64, f64)>,
}

impl Column {
    fn observed(&self, value: f64) -> Result<Observed, CliError> {
        let value = Value::number(value)
            .ok_or_else(|| CliError::Usage(format!("series {}: {value} is no value", self.path)))?;
        Ok(Observed {
            value,
            origin: Origin::Capacity,
            unit: None,
            place: None,
        })
    }

    fn rule(&self) -> Result<PropertyRule, CliError> {
        let mut rule = PropertyRule::new(&literal(self.path.as_str()), self.tolerance)
            .map_err(|error| CliError::Usage(format!("series {}: {error}", self.path)))?;
        rule.severity = Some(self.severity);
        Ok(rule)
    }
}

/// The instants at which there is a sample.
pub(super) fn instants(columns: &[Column]) -> BTreeSet<i64> {
    (columns.iter())
        .flat_map(|column| column.samples.iter().map(|(at, _)| *at))
        .collect()
}

/// The resource, under `policy` with a rule for each of its columns.
pub(super) fn resource(
    name: &str,
    mut policy: Policy,
    columns: &[Column],
) -> Result<Subject, CliError> {
    let instants = instants(columns);
    let first = instants.first().copied().unwrap_or_default();
    let mut properties = BTreeMap::new();
    policy.rules.clear();
    for column in columns {
        properties.insert(column.path.clone(), column.observed(column.approved)?);
        policy.rules.push(column.rule()?);
    }
    let baseline = Baseline {
        version: BaselineVersion(1),
        at: Timestamp::from_millis(first),
        by: "command line".to_owned(),
        note: String::new(),
        properties,
        learned: BTreeMap::new(),
        pinned: None,
    };
    let entries = probes(columns, instants)?;
    Ok(Subject::recorded(
        ResourceId::from(name),
        policy,
        baseline,
        entries,
    ))
}

/// One probe per instant. Of several samples of a series at one instant the last counts.
fn probes(columns: &[Column], instants: BTreeSet<i64>) -> Result<Vec<Entry>, CliError> {
    let mut found: BTreeMap<i64, BTreeMap<PropertyPath, Observed>> = instants
        .into_iter()
        .map(|at| (at, BTreeMap::new()))
        .collect();
    for column in columns {
        for (at, value) in column.samples.iter().filter(|(_, value)| value.is_finite()) {
            if let Some(properties) = found.get_mut(at) {
                properties.insert(column.path.clone(), column.observed(*value)?);
            }
        }
    }
    let probe = |(at, properties): (i64, BTreeMap<PropertyPath, Observed>)| {
        let missing = (columns.iter()).filter(|column| !properties.contains_key(&column.path));
        Entry::Probed(Probe {
            at: Timestamp::from_millis(at),
            instance: Instance::A,
            unreadable: missing
                .map(|column| (column.path.clone(), "no sample".to_owned()))
                .collect(),
            properties,
        })
    };
    Ok(found.into_iter().map(probe).collect())
}

/// The median time from one instant to the next; a second where there is but one.
pub(super) fn median_gap(instants: &BTreeSet<i64>) -> Duration {
    let mut gaps: Vec<u64> = (instants.iter().zip(instants.iter().skip(1)))
        .map(|(a, b)| b.abs_diff(*a))
        .collect();
    gaps.sort_unstable();
    let middle = gaps.get(gaps.len().saturating_sub(1) / 2);
    Duration::from_millis(middle.copied().unwrap_or(1000))
}
