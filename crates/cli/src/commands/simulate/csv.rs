//! A resource from files of samples: every series is a critical property, every instant a probe.
//!
//! A series without a sample at an instant is unknown there, and not gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evenkeel_core::baseline::Baseline;
use evenkeel_core::policy::{Mode, Policy, PropertyRule, Tolerance, literal};
use evenkeel_core::property::{Observed, Origin, Probe, Severity, Value};
use evenkeel_core::replay::Entry;
use evenkeel_core::{BaselineVersion, Instance, PropertyPath, ResourceId, Timestamp};

use super::source::{self, Subject};
use crate::args::{Of, SimulateArgs};
use crate::error::CliError;
use crate::series::{Series, bytes, file_stem, samples};

/// What the resource is called.
const NAME: &str = "csv";

/// The horizon where none is said: as by default, but at least so many steps.
const HORIZON_STEPS: u32 = 24;

/// Reads the files, and makes one resource of them.
pub(super) fn csv(args: &SimulateArgs) -> Result<(source::Origin, Vec<Subject>), CliError> {
    let mut all: Vec<Series> = Vec::new();
    for file in &args.csv {
        let name = file_stem(file, &args.csv);
        let read = samples(file, &bytes(file)?, &name)
            .map_err(|error| CliError::Usage(error.to_string()))?;
        for (name, samples) in read {
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.extend(samples),
                None => all.push((name, samples)),
            }
        }
    }
    known(&all, args)?;
    let instants: BTreeSet<i64> = (all.iter())
        .flat_map(|(_, samples)| samples.iter().map(|(at, _)| *at))
        .collect();
    let step = median_gap(&instants);
    let mut policy = Policy {
        mode: Mode::Act,
        sample_every: step,
        ..Policy::default()
    };
    policy.horizon = policy.horizon.max(step * HORIZON_STEPS);
    let mut properties = BTreeMap::new();
    for (name, _) in &all {
        let (approved, tolerance) = asked(name, args)?;
        if let Tolerance::Limits { lower, upper } = tolerance
            && (lower.is_some_and(|lower| approved <= lower)
                || upper.is_some_and(|upper| approved >= upper))
        {
            return Err(CliError::Usage(format!(
                "series {name}: the approved value {approved} does not lie between its limits"
            )));
        }
        properties.insert(PropertyPath::from(name.as_str()), number(approved)?);
        policy.rules.push(rule(name, tolerance)?);
    }
    let first = instants.first().copied().unwrap_or_default();
    let baseline = Baseline {
        version: BaselineVersion(1),
        at: Timestamp::from_millis(first),
        by: "command line".to_owned(),
        note: String::new(),
        properties,
        learned: BTreeMap::new(),
        pinned: None,
    };
    let subject = Subject::recorded(
        ResourceId::from(NAME),
        policy,
        baseline,
        probes(&all, instants)?,
    );
    let files = args.csv.iter().map(|file| file.display().to_string());
    let origin = source::Origin::Csv {
        files: files.collect(),
    };
    Ok((origin, vec![subject]))
}

/// What is said of one series is said of one that is there.
fn known(all: &[Series], args: &SimulateArgs) -> Result<(), CliError> {
    let approved = args.approved.iter().map(|of| (&of.series, "--approved"));
    let limits = args.limits.iter().map(|of| (&of.series, "--limits"));
    let tolerances = args.tolerance.iter().map(|of| (&of.series, "--tolerance"));
    for (series, option) in approved.chain(limits).chain(tolerances) {
        let Some(series) = series else { continue };
        if !all.iter().any(|(name, _)| name == series) {
            let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).take(3).collect();
            return Err(CliError::Usage(format!(
                "{option} {series}=...: there is no such series; the first ones are {}",
                names.join(", ")
            )));
        }
    }
    Ok(())
}

/// The approved value of a series, and how far it may go.
fn asked(name: &str, args: &SimulateArgs) -> Result<(f64, Tolerance), CliError> {
    let approved = *of(&args.approved, name).ok_or_else(|| {
        CliError::Usage(format!(
            "series {name} has no approved value: say `--approved {name}=V`, or `--approved V` for all"
        ))
    })?;
    let named = |all: &[Of<Tolerance>]| all.iter().any(|of| of.series.as_deref() == Some(name));
    let (limits, tolerance) = (of(&args.limits, name), of(&args.tolerance, name));
    match (limits, tolerance) {
        (Some(_), Some(tolerance)) if named(&args.tolerance) && !named(&args.limits) => {
            Ok((approved, *tolerance))
        }
        (Some(limits), None) => Ok((approved, *limits)),
        (Some(limits), Some(_)) if named(&args.limits) && !named(&args.tolerance) => {
            Ok((approved, *limits))
        }
        (None, Some(tolerance)) => Ok((approved, *tolerance)),
        (Some(_), Some(_)) => Err(CliError::Usage(format!(
            "series {name} has limits and a tolerance: say one of them"
        ))),
        (None, None) => Err(CliError::Usage(format!(
            "nothing says how far series {name} may go: say `--limits L,U` or `--tolerance T`"
        ))),
    }
}

/// What is said of this series, else what is said of all.
fn of<'a, T>(all: &'a [Of<T>], name: &str) -> Option<&'a T> {
    let found = |series: Option<&str>| all.iter().rfind(|of| of.series.as_deref() == series);
    found(Some(name))
        .or_else(|| found(None))
        .map(|of| &of.value)
}

fn rule(name: &str, tolerance: Tolerance) -> Result<PropertyRule, CliError> {
    let mut rule = PropertyRule::new(&literal(name), tolerance)
        .map_err(|error| CliError::Usage(format!("series {name}: {error}")))?;
    rule.severity = Some(Severity::Critical);
    Ok(rule)
}

fn number(value: f64) -> Result<Observed, CliError> {
    let value = Value::number(value)
        .ok_or_else(|| CliError::Usage(format!("{value} is not a value of a property")))?;
    Ok(Observed {
        value,
        origin: Origin::Capacity,
        unit: None,
        place: None,
    })
}

/// One probe per instant. Of several samples of a series at one instant the last counts.
fn probes(all: &[Series], instants: BTreeSet<i64>) -> Result<Vec<Entry>, CliError> {
    let mut found: BTreeMap<i64, BTreeMap<PropertyPath, Observed>> = instants
        .into_iter()
        .map(|at| (at, BTreeMap::new()))
        .collect();
    for (name, samples) in all {
        let path = PropertyPath::from(name.as_str());
        for (at, value) in samples.iter().filter(|(_, value)| value.is_finite()) {
            if let Some(properties) = found.get_mut(at) {
                properties.insert(path.clone(), number(*value)?);
            }
        }
    }
    let paths: Vec<PropertyPath> = (all.iter()).map(|(name, _)| name.as_str().into()).collect();
    let probe = |(at, properties): (i64, BTreeMap<PropertyPath, Observed>)| {
        let missing = paths.iter().filter(|path| !properties.contains_key(*path));
        Entry::Probed(Probe {
            at: Timestamp::from_millis(at),
            instance: Instance::A,
            unreadable: missing
                .map(|path| (path.clone(), "no sample".to_owned()))
                .collect(),
            properties,
        })
    };
    Ok(found.into_iter().map(probe).collect())
}

/// The median time from one instant to the next; a second where there is but one.
fn median_gap(instants: &BTreeSet<i64>) -> Duration {
    let mut gaps: Vec<u64> = (instants.iter().zip(instants.iter().skip(1)))
        .map(|(a, b)| b.abs_diff(*a))
        .collect();
    gaps.sort_unstable();
    let middle = gaps.get(gaps.len().saturating_sub(1) / 2);
    Duration::from_millis(middle.copied().unwrap_or(1000))
}
